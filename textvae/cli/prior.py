"""The verb `prior fit`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_run, add_table, load_vae, open_run
from textvae.cli.output import print_records


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    prior = verbs.add_parser("prior", help="fit a prior where the latents are, for better samples")
    fit = prior.add_subparsers(dest="step", required=True, metavar="fit").add_parser(
        "fit", help="fit and keep it"
    )
    add_run(fit)
    fit.add_argument(
        "file", nargs="?", metavar="FILE|-", help="sentences (default: the run's training split)"
    )
    add_table(fit)
    fit.add_argument(
        "--kind", default="gaussian_mixture", metavar="gaussian_mixture|flow|diffusion"
    )
    fit.add_argument("--seed", type=int, default=0)


def _prior(options: Namespace) -> None:
    """Fit a prior."""
    from textvae.cli.input import InputRows

    vae, texts = load_vae(options), None
    if options.file:
        texts = list(
            InputRows(
                options.file,
                open_run(options),
                options.text_column,
                quoting=options.quoting,
                bundle=vae.bundle,
            ).texts()
        )
    record = vae.fit_prior(options.kind, texts, options.seed, progress=not options.json)
    told = f"fitted on {record['texts']} sentences; next: textvae generate {options.run} --prior {options.kind}"
    print_records([record], options.json, lambda seen: told)


COMMANDS: dict[str, Command] = {"prior": _prior}
