"""The verb `vary`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_decoding,
    add_label,
    add_run,
    add_verb,
    print_new_seed,
)
from textvae.cli.loading import load_vae
from textvae.cli.output import format_variation, name_texts
from textvae.cli.sentences import add_sentence, check_sentences, print_answers
from textvae.cli.settings import add_settings, collect_settings
from textvae.inference.settings import DecodingSettings, draw_seed
from textvae.uses.records import Variation
from textvae.uses.settings import VarySettings

if TYPE_CHECKING:
    from textvae.vae import TextVAE


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    vary = add_verb(verbs, "vary", "write sentences near a sentence")
    add_run(vary)
    add_sentence(vary, "TEXT", "sentence to vary")
    add_settings(vary, VarySettings)
    add_label(vary)
    add_decoding(vary, single=True)


def _vary(options: Namespace) -> None:
    """Write sentences near a sentence, or near each row of a file."""
    check_sentences(options)
    written = collect_settings(options, DecodingSettings)
    decoding = {"seed": draw_seed(), **written}

    def answer(vae: "TextVAE", texts: list[str]) -> Sequence[Mapping[str, Any]]:
        variations = vae.vary(texts[0], **collect_settings(options, VarySettings), **decoding)
        return [{**record, "seed": decoding["seed"]} for record in variations]

    print_answers(
        options,
        load_vae(options),
        answer,
        format_variation,
        lambda texts: name_texts(["original"], texts),
        [*Variation.__annotations__, "seed"],
    )
    if not options.json and "seed" not in written:
        print_new_seed(decoding["seed"])


COMMANDS: dict[str, Command] = {"vary": _vary}
