"""The verbs `anomaly fit` and `anomaly score`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_label,
    add_run,
    add_table,
    describe_blank_fate,
    load_vae,
    open_run,
)
from textvae.cli.output import print_records, print_rows


def add(verbs: Subparsers) -> None:
    """Add the verbs."""
    anomaly = verbs.add_parser(
        "anomaly", help="say which sentences are unlike those the model knows"
    )
    steps = anomaly.add_subparsers(dest="step", required=True, metavar="fit|score")
    fit = steps.add_parser(
        "fit", help="calibrate on normal sentences that the model was not trained on"
    )
    score = steps.add_parser("score", help="give each sentence a p-value")
    for command in (fit, score):
        add_run(command)
        add_label(command)
        command.add_argument("file", metavar="FILE|-", help="sentences; - is standard input")
        add_table(command)
        command.add_argument(
            "--name", default="default", help="of the calibration, where a run has several"
        )
    fit.add_argument(
        "--score",
        default="reconstruction",
        metavar="reconstruction|elbo|iw_nll",
        help="see docs/uses",
    )
    fit.add_argument("--draws", type=int, default=4, help="of z, a sentence (default: 4)")
    fit.add_argument("--seed", type=int, default=0)


def _anomaly(options: Namespace) -> None:
    """Calibrate, or score."""
    from textvae.cli.input import InputRows
    from textvae.data.row_report import LEFT_OUT
    from textvae.uses.anomaly import FIELDS

    vae, run, is_fit = load_vae(options), open_run(options), options.step == "fit"
    fate = LEFT_OUT if is_fit else describe_blank_fate(options)
    rows = InputRows(
        options.file,
        run,
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        fate=fate,
    )
    if is_fit:
        given = {name: getattr(options, name) for name in ("score", "draws", "seed")}
        record = vae.fit_anomaly(
            list(rows.texts()), options.name, progress=not options.json, **given
        )
        return print_records(
            [record], options.json, lambda seen: f"calibrated on {seen['texts']} sentences"
        )
    return print_rows(
        rows,
        lambda texts, _: vae.anomaly(texts, options.name),
        options.json,
        _format_anomaly,
        FIELDS,
    )


def _format_anomaly(record: dict[str, object]) -> str:
    """Show a sentence's p-value and score, and whether only its beginning was read."""
    cut = "  (too long: its beginning was read)" if record["is_cut"] else ""
    return f"{record['p_value']:.4f}  {record['score']:6.2f}  {record['text']}{cut}"


COMMANDS: dict[str, Command] = {"anomaly": _anomaly}
