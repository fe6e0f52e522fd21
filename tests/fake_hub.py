"""A hub on this machine, to test downloads and uploads without a network.

It answers those requests of huggingface_hub that concern repositories of models: their
files, branches, commits, pull requests and large files, with the hub's own errors. It is
kept in memory, so a test can look at every commit.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

USER = "me"
WRITER, READER = "hf_writer", "hf_reader"  # tokens of this user; the second may only read
LARGE = 2_000  # bytes from which a file is stored apart, as the hub does from 10 MB


Files = dict[str, bytes]


@dataclass
class FakeRepository:
    """A repository: its branches, each the name of a commit, and the files of each commit.

    Attributes:
        error: the hub's code of an error with which every request is answered.
        is_private: whether only the user sees it.
        requested: the files that pull requests were opened with.
    """

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    error: str = ""
    is_private: bool = False

    def commit(self, branch: str, files: Files, message: str = "Initial commit") -> str:
        """Add a commit to a branch and return its name."""
        content = json.dumps([[*self.commits], sorted(files), message])
        name = sha1(content.encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        self.messages.append(message)
        return name

    def find(self, revision: str) -> str | None:
        """Return the commit of a branch or of a commit's own name."""
        if revision in self.commits:
            return revision
        return self.branches.get(revision)

    def files(self, branch: str = "main") -> Files:
        """Return the files of a branch."""
        return self.commits[self.branches[branch]]


@dataclass
class FakeHub:
    """The repositories of a hub by their names, and what it was asked for."""

    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    large_files: dict[str, bytes] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def add(self, name: str, content: Path | Files | str = "", **options: Any) -> FakeRepository:
        """Add a repository with the files of a folder, or that answers with an error."""
        error = content if isinstance(content, str) else ""
        repository = FakeRepository(error=error, **options)
        files = content if isinstance(content, dict) else {}
        if isinstance(content, Path):
            files = {
                file.relative_to(content).as_posix(): file.read_bytes()
                for file in content.rglob("*")
                if file.is_file()
            }
        repository.commit("main", files)
        self.repositories[name] = repository
        return repository


@contextmanager
def run_fake_hub(models: Mapping[str, Path | str]) -> Iterator[FakeHub]:
    """Serve repositories until the block ends.

    Args:
        models: the folder of each repository by its name, or the code of an error.
    """
    hub = FakeHub()
    for name, content in models.items():
        hub.add(name, content)

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


class _RefusedError(Exception):
    """A request that the hub refuses.

    Args:
        status: the HTTP status.
        code: the hub's own code of the error, in a header.
        message: what it says, in another header.
    """

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    """Answers a request of huggingface_hub."""

    served: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Answer with the headers of a file."""
        self._answer()

    def do_GET(self) -> None:
        """Answer with a file, or with what the hub knows of a model."""
        self._answer()

    def do_POST(self) -> None:
        """Create a repository, a branch or a commit."""
        self._answer()

    def do_PUT(self) -> None:
        """Take a large file."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the output of the tests clean."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self.served.requests.append(unquote(url.path))
        # A slash inside a revision is quoted, so it is decoded after the path is split.
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        self.query = parse_qs(url.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            with self.served.lock:
                self._dispatch(parts)
        except _RefusedError as refusal:
            headers = {}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            if refusal.message:
                headers["X-Error-Message"] = refusal.message
            self._send(refusal.status, b"", headers)

    def _dispatch(self, parts: list[str]) -> None:
        match parts:
            case ["api", "whoami-v2"]:
                self._require_user()
                self._send_json({"name": USER, "type": "user", "auth": {"type": "access_token"}})
            case ["api", "repos", "create"]:
                self._create_repository()
            case ["api", "validate-yaml"]:
                self._validate_card()
            case ["api", "models", owner, name, *question]:
                self._answer_about(f"{owner}/{name}", question or ["info"])
            case ["large", oid]:
                self.served.large_files[oid] = self.body
                self._send(200, b"")
            case [owner, name, "info", "lfs", "objects", "batch"]:
                self._offer_uploads()
            case [owner, name, "resolve", revision, *path]:
                self._send_file(f"{owner}/{name}", revision, "/".join(path))
            case _:
                raise _RefusedError(404)

    # Who asks

    def _find_token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _require_user(self) -> None:
        if self._find_token() not in (WRITER, READER):
            raise _RefusedError(401, message="Invalid credentials in Authorization header")

    def _require_writer(self, owner: str) -> None:
        self._require_user()
        if self._find_token() != WRITER or owner != USER:
            raise _RefusedError(403, message=f"You don't have the rights to write to {owner}")

    def _find_repository(self, name: str) -> FakeRepository:
        repository = self.served.repositories.get(name)
        is_user = self._find_token() in (WRITER, READER)
        if repository is None or (repository.is_private and not is_user):
            raise _RefusedError(404 if is_user else 401, "RepoNotFound")
        if repository.error:
            raise _RefusedError(403 if repository.error == "GatedRepo" else 404, repository.error)
        return repository

    def _find_commit(self, repository: FakeRepository, revision: str) -> str:
        commit = repository.find(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound")
        return commit

    # What a repository holds

    def _answer_about(self, name: str, question: list[str]) -> None:
        if question[0] == "preupload":
            return self._choose_upload_modes(name, question[1])
        if question[0] == "commit":
            return self._commit(name, question[1])
        if question[0] == "branch":
            return self._create_branch(name, question[1])
        repository = self._find_repository(name)
        commit = self._find_commit(repository, question[1] if len(question) > 1 else "main")
        files = repository.commits[commit]
        if question[0] == "tree":
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": _hash(content)}
                for path, content in files.items()
            ]
            return self._send_json(entries)
        siblings = [{"rfilename": path} for path in files]
        answer = {"id": name, "sha": commit, "siblings": siblings, "private": repository.is_private}
        return self._send_json(answer)

    def _send_file(self, name: str, revision: str, path: str) -> None:
        repository = self._find_repository(name)
        commit = self._find_commit(repository, revision)
        content = repository.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if content is None:
            raise _RefusedError(404, "EntryNotFound")
        headers["ETag"] = f'"{_hash(content)}"'
        if len(content) >= LARGE:
            headers["X-Linked-Etag"] = f'"{sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
        self._send(200, content, headers)

    # What changes a repository

    def _create_repository(self) -> None:
        request = json.loads(self.body)
        owner = request.get("organization") or USER
        name = f"{owner}/{request['name']}"
        self._require_writer(owner)
        url = f"{self.served.endpoint}/{name}"
        if name in self.served.repositories:
            return self._send_json(
                {"error": "You already created this model repo", "url": url}, 409
            )
        is_private = request.get("visibility") == "private" or bool(request.get("private"))
        repository = self.served.add(name, {".gitattributes": b""}, is_private=is_private)
        assert repository.branches
        return self._send_json({"url": url, "id": name})

    def _create_branch(self, name: str, branch: str) -> None:
        self._require_writer(name.split("/")[0])
        repository = self._find_repository(name)
        if branch in repository.branches:
            raise _RefusedError(409, message="Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        self._send(200, b"")

    def _validate_card(self) -> None:
        content = json.loads(self.body)["content"]
        if "license: forbidden" in content:
            self._send_json({"errors": [{"message": '"license" must be one of [...]'}]}, 400)
        else:
            self._send_json({"errors": [], "warnings": []})

    def _choose_upload_modes(self, name: str, revision: str) -> None:
        self._require_user()
        self._find_commit(self._find_repository(name), revision)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._send_json({"files": files})

    def _offer_uploads(self) -> None:
        objects = json.loads(self.body)["objects"]
        for entry in objects:
            if entry["oid"] not in self.served.large_files:
                href = f"{self.served.endpoint}/large/{entry['oid']}"
                entry["actions"] = {"upload": {"href": href}}
        self._send_json({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, revision: str) -> None:
        repository = self._find_repository(name)
        is_request = "create_pr" in self.query
        if not is_request:
            self._require_writer(name.split("/")[0])
        files = dict(repository.commits[self._find_commit(repository, revision)])
        message = ""
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                message = value["summary"]
            elif operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.served.large_files[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        branch = revision
        answer = {}
        if is_request:
            number = 1 + sum(branch.startswith("refs/pr/") for branch in repository.branches)
            branch = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.served.endpoint}/{name}/discussions/{number}"
        commit = repository.commit(branch, files, message)
        answer |= {
            "commitUrl": f"{self.served.endpoint}/{name}/commit/{commit}",
            "commitOid": commit,
        }
        self._send_json(answer)

    # Answers

    def _send_json(self, answer: object, status: int = 200) -> None:
        self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _hash(content: bytes) -> str:
    """Return the name that git gives to the content of a file."""
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()
