"""The verbs `anomaly fit` and `anomaly score`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_name,
    add_run,
    add_sentences,
    add_verb,
)
from textvae.cli.loading import describe_blank_output, load_vae, open_input
from textvae.cli.output import print_records, print_rows
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.records import Anomaly
from textvae.uses.settings import AnomalySettings


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    anomaly = add_verb(
        verbs, "anomaly", "find sentences that are unlike those the model was trained on"
    )
    steps = anomaly.add_subparsers(dest="step", required=True, metavar="fit|score")
    fit = add_verb(steps, "fit", "calibrate on normal sentences that the model was not trained on")
    score = add_verb(
        steps,
        "score",
        "print the p-value and the score of each sentence: unusual ones have a low p-value",
    )
    _add_input(fit)
    _add_input(score)
    add_settings(fit, AnomalySettings)


def _add_input(command: ArgumentParser) -> None:
    """Add the arguments that both verbs have."""
    add_run(command)
    add_sentences(command)
    add_label(command)
    add_name(command, "calibration")


def _anomaly(options: Namespace) -> None:
    """Calibrate, or score."""
    if options.step == "fit":
        _fit(options)
    else:
        _score(options)


def _fit(options: Namespace) -> None:
    """Calibrate on the sentences of a file."""
    vae = load_vae(options)
    record = vae.fit_anomaly(
        list(open_input(options, vae).iterate_texts()),
        options.name,
        progress=not options.json,
        **collect_settings(options, AnomalySettings),
    )
    print_records(
        [record], options.json, lambda record: f"calibrated on {record['texts']} sentences"
    )


def _score(options: Namespace) -> None:
    """Print the p-value and the score of each sentence of a file."""
    vae = load_vae(options)
    print_rows(
        open_input(options, vae, fate=describe_blank_output(options)),
        lambda texts, _: vae.anomaly(texts, options.name),
        options.json,
        _format_anomaly,
        fields=list(Anomaly.__annotations__),
    )


def _format_anomaly(record: Mapping[str, Any]) -> str:
    """Return a sentence's p-value and score, and whether only its beginning was scored."""
    cut = "  (too long: only the beginning was scored)" if record["is_cut"] else ""
    return f"p {record['p_value']:.4f}  score {record['score']:6.2f}  {record['text']}{cut}"


COMMANDS: dict[str, Command] = {"anomaly": _anomaly}
