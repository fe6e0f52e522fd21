"""The verb `explore`."""

from argparse import Namespace

from textvae.cli.arguments import Command, Subparsers, add_device, add_verb, require_extra
from textvae.cli.checks import check_run
from textvae.explorer.defaults import DEFAULT_HOST, DEFAULT_LIMIT, DEFAULT_POINTS


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    explore = add_verb(verbs, "explore", "serve a web page that shows a trained model at work")
    explore.add_argument(
        "run",
        metavar="RUN",
        help="folder of a run, finished or still in training, or the name of a model on the "
        "Hugging Face Hub (owner/name)",
    )
    require_extra(explore, "explore", "the panels of the explorer", "gradio", "sklearn")
    explore.add_argument(
        "--compare", metavar="RUN2", help="another run, to see both side by side (default: none)"
    )
    explore.add_argument(
        "--points",
        type=int,
        default=DEFAULT_POINTS,
        metavar="N",
        help="most sentences on the map, up to 50,000 (default: %(default)s)",
    )
    explore.add_argument(
        "--limit",
        type=int,
        default=DEFAULT_LIMIT,
        metavar="N",
        help="most texts that one action of a user writes (default: %(default)s)",
    )
    explore.add_argument(
        "--projection",
        default="pca",
        metavar="pca|umap",
        help="how the map is arranged; umap needs the extra `umap` (default: %(default)s)",
    )
    explore.add_argument(
        "--host",
        default=DEFAULT_HOST,
        metavar="ADDRESS",
        help="address to listen on; any other than the default lets other machines use the model "
        "(default: %(default)s)",
    )
    explore.add_argument(
        "--port",
        type=int,
        metavar="N",
        help="port to listen on (default: the first free one from 7860 on)",
    )
    explore.add_argument(
        "--browser", action="store_true", help="open the page in the browser of this machine"
    )
    explore.add_argument(
        "--before-training",
        action="store_true",
        help="open the page before the run exists, as `textvae train --watch` does",
    )
    add_device(explore)


def _explore(options: Namespace) -> None:
    """Serve the page until Ctrl-C."""
    if not options.before_training:
        for run in filter(None, (options.run, options.compare)):
            check_run(run)
    from textvae.explorer.launch import explore

    explore(
        options.run,
        compare=options.compare,
        points=options.points,
        limit=options.limit,
        projection=options.projection,
        device=options.device,
        host=options.host,
        port=options.port,
        open_browser=options.browser,
        before_training=options.before_training,
    )


COMMANDS: dict[str, Command] = {"explore": _explore}
