"""Open the explorer on this machine."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textvae.errors import ConfigError
from textvae.explorer.defaults import (
    DEFAULT_HOST,
    DEFAULT_LIMIT,
    DEFAULT_POINTS,
    DEFAULT_PORT,
)
from textvae.explorer.limits import require_count
from textvae.explorer.projection import ProjectionKind
from textvae.messages import LOGGER, print_lines
from textvae.runtime.extras import check_installed
from textvae.terminal import quote_value
from textvae.vae import TextVAE

if TYPE_CHECKING:
    from gradio import Blocks

_PORTS_TO_TRY = 20
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def explore(
    run: TextVAE | str | Path,
    *,
    compare: TextVAE | str | Path | None = None,
    texts: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    points: int = DEFAULT_POINTS,
    limit: int = DEFAULT_LIMIT,
    projection: ProjectionKind = "pca",
    device: str | None = None,
    host: str = DEFAULT_HOST,
    port: int | None = None,
    open_browser: bool = False,
    before_training: bool = False,
    wait: bool = True,
) -> str:
    """Open the explorer in a server of this process; return its address.

    Args:
        run: a model, the folder of a run, which may still be in training, or the name of a model
            on the Hugging Face Hub, `owner/name`.
        compare: a second run, to see both side by side.
        texts: the sentences of the map; by default those of the run's corpus.
        labels: the label of each of them, for a conditional model.
        points: the most sentences on the map.
        limit: the most texts that one action writes.
        projection: `pca`, or `umap` where umap-learn is installed.
        device: where a run is loaded to.
        host: the address to listen on. All but the default let other machines use the model.
        port: by default the first free one from 7860 on.
        open_browser: whether to open the page in the browser of this machine.
        before_training: whether the run may not exist yet, because it is about to be trained.
        wait: whether to serve until Ctrl-C; otherwise, as long as the process lives.

    Raises:
        CheckpointError: there is no such run, or it is damaged.
        ConfigError: Gradio is not installed, the port is in use, or a number is out of bounds.
    """
    check_installed("explore", "the panels of the explorer", "gradio", "sklearn")
    chosen = choose_port(host, port)  # before the model is loaded, which may take long
    silence_gradio()
    from textvae.explorer.app import build_app

    app = build_app(
        run,
        compare=compare,
        texts=texts,
        labels=labels,
        points=points,
        limit=limit,
        projection=projection,
        device=device,
        before_training=before_training,
    )
    if host not in _LOCAL_HOSTS:
        warn_of_open_host(host, chosen)
    address = serve(app, host, None if port is None else chosen, open_browser)
    print_lines(f"the explorer is at {address} (Ctrl-C ends it)")
    if wait:
        app.block_thread()
    return address


def serve(app: "Blocks", host: str, port: int | None = None, open_browser: bool = False) -> str:
    """Start the server of an app; return its address.

    Args:
        port: by default the first free one from 7860 on, also if two servers start at once.

    Raises:
        ConfigError: the port is in use, or none is free.
    """
    # Gradio raises OSError if another program has taken the port in the meantime.
    with suppress(OSError):
        return _launch(app, host, choose_port(host, port), open_browser)
    return _launch(app, host, choose_port(host, port), open_browser)


def _launch(app: "Blocks", host: str, port: int, open_browser: bool) -> str:
    """Start the server of an app on a port; return its address.

    No share link, no telemetry, no files, and uploads of one kilobyte at most, since the page
    has none.
    """
    _, address, _ = app.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        allowed_paths=[],
        max_file_size=1024,
        footer_links=["api"],
    )
    return str(address)


def silence_gradio() -> None:
    """Switch Gradio's telemetry off, before it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def warn_of_open_host(host: str, port: int) -> None:
    """Say loudly that other machines can use the model."""
    line = "!" * 78
    LOGGER.warning(
        f"{line}\nWARNING: the explorer listens on {host}:{port}, not only on this machine.\n"
        "Everybody who reaches this address can use the model and read the sentences\n"
        "of its corpus. There is no password, and no encryption.\n"
        f"Without --host, only {DEFAULT_HOST} is served.\n{line}"
    )


def choose_port(host: str, port: int | None) -> int:
    """Return the port, or the first free one from the default on.

    Raises:
        ConfigError: the port is out of bounds or in use, or none is free, or the host is unknown.
    """
    if port is not None:
        port = require_count(port, "port", 65_535)
        if not _is_free(host, port):
            raise ConfigError(
                f"port = {port} is in use, or may not be used on {host}; choose another one, or "
                "leave it out for a free one."
            )
        return port
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TO_TRY):
        if _is_free(host, candidate):
            return candidate
    raise ConfigError(
        f"no port from {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TO_TRY - 1} is free; choose one "
        "with `port`."
    )


def _is_free(host: str, port: int) -> bool:
    """Return whether a server can listen on a port.

    Raises:
        ConfigError: this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise ConfigError(
            f"host = {quote_value(host)} is no address of this machine; leave it out for "
            f"{DEFAULT_HOST}, or use 0.0.0.0 for all."
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server does, so that a port whose last connection has just ended counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
