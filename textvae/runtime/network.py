"""Ask quickly whether a host can be reached at all.

The libraries that download models and data sets try again for half a minute before they
report that there is no network.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
_REACH_SECONDS = 1.5


@contextmanager
def give_up_without_network() -> Iterator[None]:
    """Let `datasets` use its cache, or fail at once, if the hub cannot be reached."""
    import datasets  # slow to import
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or is_reachable(constants.ENDPOINT):
        yield
        return
    before = datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False
        datasets.config.HF_HUB_OFFLINE = before


def is_reachable(endpoint: str, seconds: float = _REACH_SECONDS) -> bool:
    """Whether the host of a URL, or the proxy for it, accepts a connection within a time."""
    address = _choose_address(endpoint)
    is_connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
        except Exception:  # a sandbox that blocks sockets raises errors of its own
            return
        is_connected.set()

    # Looking up the host's name has no timeout of its own, so it may outlast the wait.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return is_connected.is_set()


def _choose_address(endpoint: str) -> tuple[str, int]:
    """Return host and port to connect to: those of the proxy, if one is set for the endpoint."""
    url = urlsplit(endpoint)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or _PORTS.get(url.scheme, 443)
