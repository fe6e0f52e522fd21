"""The arguments of `compare` and `report`."""

from argparse import ArgumentParser


def add_compare(command: ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    command.usage = "textvae compare CONFIG.yaml ... --output DIR [options] [section.key=value ...]"
    command.add_argument("configs", nargs="+", metavar="CONFIG.yaml", help="a row of the table each")
    command.add_argument(
        "--output", metavar="DIR", required=True, help="a killed comparison goes on with the same command"
    )
    command.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each config (default: 3)")
    command.add_argument("--corpora", nargs="+", default=[], metavar="CORPUS", help="on each (default: data.corpus)")
    command.add_argument("--samples", type=int, default=500, help="importance samples a sentence (default: 500)")
    command.add_argument("--limit", type=int, metavar="N", help="measure on the first N sentences of the test split")
    command.add_argument("--columns", nargs="+", default=[], metavar="KEY", help="further measures for the table")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="runs trained at a time (default: 1)")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.add_argument("--json", action="store_true", help="print one JSON object a run, and nothing else")


def add_report(command: ArgumentParser) -> None:
    """Add the arguments of `report`, beside those of every verb on a run."""
    command.add_argument("--output", metavar="FILE.html", help="where to write (default: RUN/report.html)")
