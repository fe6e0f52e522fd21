"""The app as a server: its API, which files it gives out, and where it listens."""

import socket
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tiny_run import SENTENCES
from textvae.errors import ConfigError, DataError
from textvae.explorer.api import list_actions
from textvae.explorer.latent_map import Sentences
from textvae.explorer.launch import choose_port, explore, warn_of_open_host
from textvae.explorer.shared_run import SharedRun

pytest.importorskip("gradio")

# One process serves the page, and starts the browser.
pytestmark = pytest.mark.xdist_group("explorer")

A, B = SENTENCES[0], SENTENCES[-1]

CALLS: dict[str, dict[str, Any]] = {
    "map_points": {},
    "search": {"words": "the dog"},
    "decode_at": {"x": 0.1, "y": 0.2},
    "locate": {"text": A},
    "walk": {"first": A, "second": B, "path": "spherical", "steps": 3},
    "sample": {"n": 2, "seed": 1},
    "complete": {"prefix": "a man", "n": 2, "decoding": "sampling", "temperature": 0.5},
    "fill_blanks": {"text": "a man ___ a bike.", "n": 1},
    "reconstruct": {"text": A},
    "vary": {"text": A, "n": 2},
    "edit": {"text": A, "strength": 1.5},
    "attributes": {},
    "dimensions": {},
    "traverse": {"text": A, "dimension": 1, "steps": 3},
    "nearest": {"text": A, "n": 2},
    "surprisal": {"text": A},
    "anomaly": {"text": A},
    "verdict": {},
    "progress": {},
    "compare": {"sentences": A},
    "compare_samples": {"n": 1},
}


@pytest.fixture(scope="module")
def client(server):
    """A Python client of the server."""
    from gradio_client import Client

    return Client(server, verbose=False)


def test_every_action_has_a_call(explored):
    assert list_actions(explored, None).keys() == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_every_action_has_an_endpoint_with_its_name_and_arguments(client, name):
    assert client.predict(**CALLS[name], api_name=f"/{name}") is not None


def test_the_api_has_no_other_endpoints_and_documents_each(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert endpoints.keys() == {f"/{name}" for name in CALLS}
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_a_client_gets_the_message_of_an_error(client):
    with pytest.raises(Exception, match="sentence A is empty"):
        client.predict("", B, api_name="/walk")
    with pytest.raises(Exception, match="expected a number from 1 to 10"):
        client.predict(n=11, api_name="/sample")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "{run}/config.json",
        "{run}/../tiny/settings.yaml",
        "{source}",
    ],
)
def test_no_file_can_be_read_through_the_server(server, explored_folder, path):
    import httpx

    name = path.format(run=explored_folder, source=Path(__file__))
    for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/"):
        reply = httpx.get(f"{server}{route}{name}", follow_redirects=True)
        assert reply.status_code in (403, 404)


def test_uploads_are_refused(server):
    import httpx

    reply = httpx.post(f"{server}gradio_api/upload", files={"files": ("a.txt", b"x" * 5_000)})
    assert reply.status_code == 413


def test_an_open_host_is_announced_loudly(capsys):
    warn_of_open_host("0.0.0.0", 7860)
    assert "WARNING: the explorer listens on 0.0.0.0:7860" in capsys.readouterr().err


def test_the_port_is_the_first_free_one_and_a_taken_one_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port = {port} is in use"):
            choose_port("127.0.0.1", port)
    assert choose_port("127.0.0.1", port) == port
    with pytest.raises(ConfigError, match="is no address of this machine"):
        choose_port("not a host", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "points"),
        ({"points": 60_000}, "50,000"),
        ({"limit": 5_000}, "limit"),
        ({"projection": "tsne"}, "Choose from pca, umap"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(tiny_run, options, message):
    with pytest.raises(ConfigError, match=message):
        explore(tiny_run, **options)


def test_labels_that_do_not_match_the_texts_are_refused(tiny_run):
    with pytest.raises(DataError, match="got 2 texts and 1 labels"):
        explore(tiny_run, texts=["a", "b"], labels=["x"])


def test_labels_without_texts_are_refused(tiny_run):
    with pytest.raises(ConfigError, match="labels has no effect without texts"):
        explore(tiny_run, labels=["a", "b"])


def collect(texts, labels):
    """Return the sentences of the map; the app needs Gradio, so it is imported here."""
    from textvae.explorer.app import _collect_sentences

    return _collect_sentences(texts, labels)


TEXTS_AND_LABELS = {
    "columns in another order": lambda texts, labels: (
        pd.Series(texts, index=[2, 1, 0]),
        pd.Series(labels, index=[7, 8, 9]),
    ),
    "tables with one column": lambda texts, labels: (
        pd.DataFrame({"text": texts}),
        pd.DataFrame({"label": labels}),
    ),
    "iterators": lambda texts, labels: (iter(texts), iter(labels)),
    "blank texts": lambda texts, labels: (["", *texts, " "], ["X", *labels, "Y"]),
}


@pytest.mark.parametrize("kind", TEXTS_AND_LABELS)
def test_each_sentence_of_the_map_has_its_own_label(kind):
    texts, labels = ["a man", "two boys", "the dog"], ["A", "B", "C"]
    assert collect(*TEXTS_AND_LABELS[kind](texts, labels)) == Sentences(texts, labels)


def test_a_string_is_one_sentence_of_the_map():
    assert collect("a man rides", None) == Sentences(["a man rides"])


def test_a_missing_run_is_refused(tmp_path):
    with pytest.raises(Exception, match="no such folder"):
        explore(tmp_path / "missing")


def test_telemetry_and_share_links_are_off(server):
    import gradio

    (app,) = [blocks for blocks in gradio.Blocks.get_instances() if blocks.local_url == server]
    assert app.analytics_enabled is False
    assert app.share is False
    assert app.allowed_paths == []
    assert server.startswith("http://127.0.0.1:")


def test_a_model_in_memory_needs_no_folder(tiny_run):
    from textvae.vae import TextVAE

    vae = TextVAE.from_pretrained(tiny_run)
    vae.folder = None
    assert SharedRun(vae).name == "a model in memory"
