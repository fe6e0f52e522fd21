"""A hub on this machine that serves folders, to test downloads without a network."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """The folders that a hub serves by their names, and what it was asked for.

    A name with an error instead of a folder answers each request with it.
    """

    models: Mapping[str, Path | str]
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def run_fake_hub(models: Mapping[str, Path | str]) -> Iterator[FakeHub]:
    """Serve folders until the block ends."""
    hub = FakeHub(models)

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answer as the hub does: the files of a model, its tree, and each file."""

    served: FakeHub

    def do_HEAD(self) -> None:
        """Answer with the headers of a file."""
        self._answer(has_body=False)

    def do_GET(self) -> None:
        """Answer with a file, or with what the hub knows of a model."""
        self._answer(has_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the output of the tests clean."""

    def _answer(self, has_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.requests.append(path)
        parts = path.removeprefix("/api/models").strip("/").split("/")
        model = self.served.models.get("/".join(parts[:2]), "RepoNotFound")
        question, *rest = parts[2:] or ["info"]
        if isinstance(model, str):
            return self._send(403 if model == "GatedRepo" else 404, b"", error=model)
        if question == "revision" and rest[0] not in ("main", COMMIT):
            return self._send(404, b"", error="RevisionNotFound")
        if question == "resolve":
            file = model.joinpath(*rest[1:])
            return self._send(200, file.read_bytes() if file.is_file() else b"", has_body)
        names = [file.relative_to(model).as_posix() for file in model.rglob("*") if file.is_file()]
        if question == "tree":
            answer: object = [
                {"type": "file", "path": name, "size": (model / name).stat().st_size, "oid": "0"}
                for name in names
            ]
        else:
            siblings = [{"rfilename": name} for name in names]
            answer = {"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": siblings}
        return self._send(200, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes, has_body: bool = True, error: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if has_body:
            self.wfile.write(body)
