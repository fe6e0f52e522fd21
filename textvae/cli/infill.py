"""The verb `infill`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import Command, Subparsers, add_label, add_run, add_verb
from textvae.cli.loading import load_vae
from textvae.cli.output import format_fill, name_texts
from textvae.cli.sentences import add_sentence, check_sentences, print_answers
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.records import Infill
from textvae.uses.settings import InfillSettings

if TYPE_CHECKING:
    from textvae.vae import TextVAE


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    infill = add_verb(verbs, "infill", "fill the blanks of a sentence")
    add_run(infill)
    add_sentence(infill, "TEXT", 'sentence with ___ for each blank, such as "a man ___ a ___."')
    add_settings(infill, InfillSettings)
    add_label(infill)


def _infill(options: Namespace) -> None:
    """Fill the blanks of a sentence, or of each row of a file."""
    check_sentences(options)

    def answer(vae: "TextVAE", texts: list[str]) -> Sequence[Mapping[str, Any]]:
        return vae.infill(texts[0], **collect_settings(options, InfillSettings))

    print_answers(
        options,
        load_vae(options),
        answer,
        format_fill,
        lambda texts: name_texts(["template"], texts),
        list(Infill.__annotations__),
    )


COMMANDS: dict[str, Command] = {"infill": _infill}
