"""The verb `prior fit`."""

from argparse import Namespace

from textvae.cli.arguments import (
    Command,
    Subparsers,
    add_run,
    add_sentences,
    add_verb,
    require_extra,
)
from textvae.cli.loading import load_vae, open_input, refuse_table_options_without_file
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.terminal import escape_controls
from textvae.uses.settings import FitPriorSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    prior = add_verb(verbs, "prior", "fit a prior to the latents of a corpus, for better samples")
    steps = prior.add_subparsers(dest="step", required=True, metavar="fit")
    fit = add_verb(
        steps, "fit", "fit a prior and save it with the run, for `textvae generate --prior`"
    )
    add_run(fit)
    add_sentences(fit, default="the run's training split")
    add_settings(fit, FitPriorSettings)
    require_extra(
        fit,
        "insight",
        "mixtures of Gaussians",
        "sklearn",
        applies=lambda options: _choose_kind(options) == "gaussian_mixture",
    )


def _choose_kind(options: Namespace) -> str:
    """Return the kind of the prior that is fitted."""
    return FitPriorSettings(**collect_settings(options, FitPriorSettings)).kind


def _prior(options: Namespace) -> None:
    """Fit a prior to the latents of sentences."""
    refuse_table_options_without_file(options, "the prior is fitted to the run's training split")
    vae = load_vae(options)
    texts = None
    if options.file:
        texts = list(open_input(options, vae).iterate_texts())
    record = vae.fit_prior(
        texts=texts, progress=not options.json, **collect_settings(options, FitPriorSettings)
    )
    summary = (
        f"fitted on {record['texts']} sentences; "
        f"next: textvae generate {options.run} --prior {record['prior']}"
    )
    print_records([record], options.json, lambda _: escape_controls(summary))


COMMANDS: dict[str, Command] = {"prior": _prior}
