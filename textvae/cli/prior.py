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
    fit.add_argument(
        "--kind",
        default="gaussian_mixture",
        metavar="gaussian_mixture|flow|diffusion",
        help="kind of the prior (default: %(default)s)",
    )
    fit.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the random numbers; the same seed gives the same result (default: %(default)s)",
    )


def _prior(options: Namespace) -> None:
    """Fit a prior to the latents of sentences."""
    vae = load_vae(options)
    texts = None
    if options.file:
        texts = list(open_input(options, vae).texts())
    record = vae.fit_prior(options.kind, texts, seed=options.seed, progress=not options.json)
    summary = (
        f"fitted on {record['texts']} sentences; "
        f"next: textvae generate {options.run} --prior {options.kind}"
    )
    print_records([record], options.json, lambda _: summary)


COMMANDS: dict[str, Command] = {"prior": _prior}
