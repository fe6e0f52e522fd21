"""The verb `prior fit`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_table,
    load_vae,
    open_input,
)
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.uses.settings import FitPriorSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    prior = verbs.add_parser(
        "prior", help="fit a prior to the latents of a corpus, for better samples"
    )
    steps = prior.add_subparsers(dest="step", required=True, metavar="fit")
    fit = steps.add_parser("fit", help="fit a prior and save it with the run")
    add_run(fit)
    fit.add_argument(
        "file",
        nargs="?",
        metavar="FILE|-",
        help="file of sentences; - is standard input (default: the training split of the run)",
    )
    add_table(fit)
    add_settings(fit, FitPriorSettings)


def _prior(options: Namespace) -> None:
    """Fit a prior to the latents of sentences."""
    vae = load_vae(options)
    texts = None
    if options.file:
        texts = list(open_input(options, vae).texts())
    record = vae.fit_prior(
        texts=texts, progress=not options.json, **collect_settings(options, FitPriorSettings)
    )
    summary = (
        f"fitted on {record['texts']} sentences; "
        f"next: textvae generate {options.run} --prior {record['prior']}"
    )
    print_records([record], options.json, lambda _: summary)


COMMANDS: dict[str, Command] = {"prior": _prior}
