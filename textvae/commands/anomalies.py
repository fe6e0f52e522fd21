"""The verbs `anomaly fit` and `anomaly score`."""

from argparse import Namespace
from itertools import islice

from textvae.commands.basics import BLOCK, Command, Verbs, add_label, add_run, add_table, load, run_of, say


def add(verbs: Verbs) -> None:
    """Add the verbs."""
    anomaly = verbs.add_parser("anomaly", help="say which sentences are unlike those the model knows")
    steps = anomaly.add_subparsers(dest="step", required=True, metavar="fit|score")
    fit = steps.add_parser("fit", help="calibrate on normal sentences that the model was not trained on")
    score = steps.add_parser("score", help="give each sentence a p-value")
    for command in (fit, score):
        add_run(command)
        add_label(command)
        command.add_argument("file", metavar="FILE|-", help="sentences; - is standard input")
        add_table(command)
        command.add_argument("--name", default="default", help="of the calibration, where a run has several")
    fit.add_argument("--score", default="reconstruction", metavar="reconstruction|elbo|iw_nll", help="see docs/uses")
    fit.add_argument("--draws", type=int, default=4, help="of z, a sentence (default: 4)")
    fit.add_argument("--seed", type=int, default=0)


def anomaly(options: Namespace) -> None:
    """Calibrate, or score."""
    from textvae.given import read_texts

    vae, texts = load(options), read_texts(options.file, run_of(options), options.text_column, options.quoting)
    if options.step == "fit":
        given = {name: getattr(options, name) for name in ("score", "draws", "seed")}
        record = vae.fit_anomaly(list(texts), options.name, progress=not options.json, **given)
        say([record], options.json, lambda seen: f"calibrated on {seen['texts']} sentences")
    while options.step == "score" and (block := list(islice(texts, BLOCK))):
        found = zip(block, vae.anomaly(block, options.name), strict=True)
        say(({"text": text, **seen} for text, seen in found), options.json, shown)


def shown(record: dict[str, object]) -> str:
    """Show a sentence's p-value and score, and whether only its beginning was read."""
    cut = "  (too long: its beginning was read)" if record["is_cut"] else ""
    return f"{record['p_value']:.4f}  {record['score']:6.2f}  {record['text']}{cut}"


COMMANDS: dict[str, Command] = {"anomaly": anomaly}
