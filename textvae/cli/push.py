"""The verb `push`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_run, add_verb
from textvae.cli.loading import load_vae
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.settings.card import CardSettings


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    push = add_verb(verbs, "push", "upload a run to the Hugging Face Hub, with its model card")
    add_run(push, has_revision=False)
    push.add_argument(
        "repository",
        metavar="OWNER/NAME",
        help="repository to upload to; it is created if it does not exist",
    )
    push.add_argument(
        "--private", action="store_true", help="create the repository as a private one"
    )
    push.add_argument(
        "--revision",
        dest="branch",
        metavar="BRANCH",
        help="branch to upload to, which is created if it does not exist "
        "(default: the main branch)",
    )
    push.add_argument(
        "--pull-request",
        action="store_true",
        help="open a pull request, for a repository of somebody else",
    )
    push.add_argument(
        "--message", metavar="TEXT", help="what the commit says (default: Push a text VAE)"
    )
    push.add_argument(
        "--merge",
        action="store_true",
        help="upload the weights of pretrained bases too, so that the model needs nothing else",
    )
    push.add_argument(
        "--with-indices",
        action="store_true",
        help="upload what `textvae index` has saved too, which holds the sentences themselves",
    )
    add_settings(push.add_argument_group("the model card"), CardSettings)


def _push(options: Namespace) -> None:
    """Upload a run, and print the address of the model or of the pull request."""
    from textvae.runs.push_target import PushTarget

    target = PushTarget(
        options.repository, options.branch, options.private, options.pull_request, options.message
    )
    target.check()  # before torch is imported
    address = load_vae(options).push_to_hub(
        options.repository,
        revision=options.branch,
        private=options.private,
        create_pr=options.pull_request,
        commit_message=options.message,
        merge=options.merge,
        with_indices=options.with_indices,
        **collect_settings(options, CardSettings),
    )
    print_records([{"address": address}], options.json, lambda record: str(record["address"]))


COMMANDS: dict[str, Command] = {"push": _push}
