"""The verb `uncertainty`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from textvae.cli.arguments import Command, Subparsers, add_label, add_run, add_sentences, add_verb
from textvae.cli.input import pair_rows_with_answers
from textvae.cli.loading import describe_blank_output, load_vae, open_input
from textvae.cli.output import format_certainty, print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.data.row_report import LEFT_OUT
from textvae.uses.records import Uncertainty
from textvae.uses.settings import UncertaintySettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    uncertainty = add_verb(
        verbs, "uncertainty", "estimate how certain the model is of each sentence"
    )
    add_run(uncertainty)
    add_sentences(uncertainty)
    add_settings(uncertainty, UncertaintySettings)
    add_label(uncertainty)
    uncertainty.add_argument(
        "--curve",
        action="store_true",
        help="print only the mean nats per token and the mean reconstruction error of ten groups of "
        "sentences, the most certain ones first, and the mean error of all groups so far",
    )


def _uncertainty(options: Namespace) -> None:
    """Print the uncertainty of each sentence, or the mean error by uncertainty."""
    vae = load_vae(options)
    fate = LEFT_OUT if options.curve else describe_blank_output(options)
    rows = open_input(options, vae, fate=fate)

    def answer(texts: list[str], _: list[str]) -> Sequence[Mapping[str, Any]]:
        return vae.uncertainty(texts, **collect_settings(options, UncertaintySettings))

    if options.curve:
        records = [record for _, record in pair_rows_with_answers(rows, answer) if record]
        _print_curve(records, options.json)
        return
    print_rows(
        rows,
        answer,
        options.json,
        format_certainty,
        fields=list(Uncertainty.__annotations__),
        lines=2,
    )


def _print_curve(records: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print mean cost, mean error and selective error of ten groups, the most certain first."""
    from textvae.uses.uncertainty import calibration_curve, selective_errors

    groups = min(10, len(records))
    curve = calibration_curve(records, "nats_per_token", groups)
    selective = selective_errors(records, "nats_per_token", groups)
    points = [
        {"nats_per_token": cost, "error": error, "selective_error": error_so_far}
        for (cost, error), (_, error_so_far) in zip(curve, selective, strict=True)
    ]
    print_records(points, as_json, _format_point)


def _format_point(point: Mapping[str, Any]) -> str:
    """Return a group of sentences as a line."""
    return (
        f"nats per token {point['nats_per_token']:6.3f}  error {point['error']:.3f}  "
        f"error so far {point['selective_error']:.3f}"
    )


COMMANDS: dict[str, Command] = {"uncertainty": _uncertainty}
