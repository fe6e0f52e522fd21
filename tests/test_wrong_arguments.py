"""Wrong types and values in Python: every public method raises an error of ours that says what came."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import textvae
from tests.tiny_run import SENTENCES
from textvae.bulk import work as bulk_work
from textvae.errors import TextVAEError
from textvae.vae import TextVAE

TEXT = SENTENCES[0]
LABELS = ["a", "b"] * 10
TEXTS = SENTENCES[: len(LABELS)]

NOT_TEXTS: tuple[Any, ...] = (
    3,
    None,
    b"a",
    {"a": 1},
    {TEXT},
    [3],
    [None],
    [[TEXT]],
    [b"a"],
    ["\ud800"],
    ...,
)
NOT_A_TEXT: tuple[Any, ...] = (3, None, b"a", [TEXT], {}, "\ud800", float("nan"), True)
NOT_A_COUNT: tuple[Any, ...] = (
    0,
    -1,
    2.5,
    "x",
    True,
    None,
    [1],
    float("nan"),
    10**30,
    np.array([1, 2]),
)
NOT_A_SEED: tuple[Any, ...] = (-1, 2**63, 2.5, "x", True, None, [1])
NOT_A_NAME: tuple[Any, ...] = (
    3,
    b"a",
    [],
    {},
    "",
    " ",
    "a/b",
    "..",
    "a\0b",
    "\ud800",
    True,
    "x" * 300,
)
NOT_A_FOLDER: tuple[Any, ...] = (3, b"a", [], {}, "", "a\0b", "\ud800", True, "x" * 300)
NOT_A_LIST: tuple[Any, ...] = (3, None, b"a", "", "gone.yaml", [3], [None], {"a": 1}, ["gone"])
NOT_A_CHOICE: tuple[Any, ...] = (3, b"a", [], {}, "", "gone", True, None)
NOT_VECTORS: tuple[Any, ...] = (
    [["a"]],
    [],
    [[]],
    None,
    "a",
    b"a",
    3,
    {"a": 1},
    ...,
    [[1, 2]],
    [[1, 2, 3, float("nan")]],
    [[1, 2, 3, 1e39]],
    [[1, 2, 3, 4], [1]],
    [[None] * 4],
    [["1"] * 4],
    [[True] * 4],
    np.zeros((0, 3)),
    np.zeros((1, 1, 4)),
    np.zeros((1, 4), dtype=complex),
    torch.zeros(1, 5),
)

# The types are wrong on purpose, so the model and `train` have none.
Call = Callable[[Any, Any], Any]
train: Any = textvae.train
run_in_bulk: Any = bulk_work.run

ON_TEXTS: dict[str, Call] = {
    "posterior": lambda vae, texts: vae.posterior(texts),
    "encode": lambda vae, texts: vae.encode(texts),
    "features": lambda vae, texts: vae.features(texts),
    "reconstruct": lambda vae, texts: vae.reconstruct(texts),
    "score": lambda vae, texts: vae.score(texts),
    "uncertainty": lambda vae, texts: vae.uncertainty(texts),
    "fit_attribute": lambda vae, texts: vae.fit_attribute(texts, LABELS),
    "augment": lambda vae, texts: vae.augment(texts, LABELS),
    "insight": lambda vae, texts: vae.insight(texts),
    "index": lambda vae, texts: vae.index(texts),
    "fit_anomaly": lambda vae, texts: vae.fit_anomaly(texts),
}
ON_A_TEXT: dict[str, Call] = {
    "complete": lambda vae, text: vae.complete(text),
    "vary": lambda vae, text: vae.vary(text),
    "interpolate through": lambda vae, text: vae.interpolate(TEXT, TEXT, text),
    "infill": lambda vae, text: vae.infill(text),
    "interpolate from": lambda vae, text: vae.interpolate(text, TEXT),
    "interpolate to": lambda vae, text: vae.interpolate(TEXT, text),
    "traverse": lambda vae, text: vae.traverse(text, 0, unit="prior"),
    "analogy": lambda vae, text: vae.analogy(TEXT, TEXT, text),
}
WITH_A_COUNT: dict[str, Call] = {
    "generate n": lambda vae, n: vae.generate(n),
    "complete n": lambda vae, n: vae.complete(TEXT, n),
    "interpolate steps": lambda vae, n: vae.interpolate(TEXT, TEXT, steps=n),
    "traverse steps": lambda vae, n: vae.traverse(TEXT, 0, steps=n, unit="prior"),
    "neighbors k": lambda vae, n: vae.neighbors(TEXT, k=n),
    "score samples": lambda vae, n: vae.score(TEXT, samples=n),
    "uncertainty draws": lambda vae, n: vae.uncertainty(TEXT, draws=n),
    "vary n": lambda vae, n: vae.vary(TEXT, n=n),
    "vary rounds": lambda vae, n: vae.vary(TEXT, rounds=n),
    "infill n": lambda vae, n: vae.infill("a ___", n=n),
    "infill latents": lambda vae, n: vae.infill("a ___", latents=n),
    "infill beams": lambda vae, n: vae.infill("a ___", beams=n),
    "augment n": lambda vae, n: vae.augment(TEXTS, LABELS, n=n),
    "augment rounds": lambda vae, n: vae.augment(TEXTS, LABELS, rounds=n),
    "fit_anomaly draws": lambda vae, n: vae.fit_anomaly(TEXTS, draws=n),
    "evaluate samples": lambda vae, n: vae.evaluate(samples=n),
}
WITH_A_BATCH_SIZE: dict[str, Call] = {
    "posterior": lambda vae, size: vae.posterior(TEXTS, batch_size=size),
    "encode": lambda vae, size: vae.encode(TEXTS, batch_size=size),
    "features": lambda vae, size: vae.features(TEXTS, batch_size=size),
    "reconstruct": lambda vae, size: vae.reconstruct(TEXTS, batch_size=size),
    "generate": lambda vae, size: vae.generate(2, batch_size=size),
    "decode": lambda vae, size: vae.decode(np.zeros((1, 4)), batch_size=size),
}
WITH_A_SEED: dict[str, Call] = {
    "generate": lambda vae, seed: vae.generate(1, seed=seed),
    "complete": lambda vae, seed: vae.complete(TEXT, 1, seed=seed),
    "score": lambda vae, seed: vae.score(TEXT, seed=seed),
    "uncertainty": lambda vae, seed: vae.uncertainty(TEXT, seed=seed),
    "infill": lambda vae, seed: vae.infill("a ___", seed=seed),
    "vary": lambda vae, seed: vae.vary(TEXT, seed=seed),
    "fit_prior": lambda vae, seed: vae.fit_prior(texts=TEXTS, seed=seed),
    "augment": lambda vae, seed: vae.augment(TEXTS, LABELS, seed=seed),
}
WITH_A_NAME: dict[str, Call] = {
    "generate prior": lambda vae, name: vae.generate(1, prior=name),
    "edit": lambda vae, name: vae.edit(TEXT, name),
    "neighbors": lambda vae, name: vae.neighbors(TEXT, name=name),
    "anomaly": lambda vae, name: vae.anomaly(TEXT, name),
    "index": lambda vae, name: vae.index(TEXTS, name),
    "fit_anomaly": lambda vae, name: vae.fit_anomaly(TEXTS, name),
    "fit_attribute": lambda vae, name: vae.fit_attribute(TEXTS, LABELS, name),
}
WITH_A_CHOICE: dict[str, Call] = {
    "features kind": lambda vae, name: vae.features(TEXT, kind=name),
    "interpolate path": lambda vae, name: vae.interpolate(TEXT, TEXT, path=name),
    "traverse unit": lambda vae, name: vae.traverse(TEXT, 0, unit=name),
    "vary unit": lambda vae, name: vae.vary(TEXT, unit=name),
    "to": lambda vae, name: vae.to(name),
    "infill method": lambda vae, name: vae.infill("a ___", method=name),
    "fit_prior kind": lambda vae, name: vae.fit_prior(name, TEXTS),
    "fit_anomaly score": lambda vae, name: vae.fit_anomaly(TEXTS, score=name),
    "index factory": lambda vae, name: vae.index(TEXTS, factory=name),
    "evaluate measures": lambda vae, name: vae.evaluate(measures=name),
    "evaluate a measure": lambda vae, name: vae.evaluate(measures=[name]),
    "from_pretrained device": lambda vae, name: TextVAE.from_pretrained(vae.folder or "", name),
    "push_to_hub": lambda vae, name: vae.push_to_hub(name if name != "gone" else "a b"),
}
WITH_A_FOLDER: dict[str, Call] = {
    "from_pretrained": lambda _, folder: TextVAE.from_pretrained(folder),
    "save_pretrained": lambda vae, folder: vae.save_pretrained(folder),
    "evaluate": lambda vae, folder: vae.evaluate(folder),
    "train output": lambda _, folder: train(TEXTS, output=folder),
    "train init": lambda _, folder: train(TEXTS, output="out", init=folder),
    "train config": lambda _, folder: train(TEXTS, output="out", config=folder),
}
WITH_A_LIST: dict[str, Call] = {
    "compare configs": lambda _, names: textvae.compare(names, "out"),
    "compare corpora": lambda _, names: textvae.compare(["c.yaml"], "out", corpora=names),
    "compare overrides": lambda _, names: textvae.compare(["c.yaml"], "out", overrides=names),
}
IN_BULK: dict[str, Call] = {
    "bulk verb": lambda vae, name: run_in_bulk(name, vae.folder, "out", corpus="a"),
    "bulk model": lambda _, name: run_in_bulk("encode", name, "out", corpus="a"),
    "bulk output": lambda vae, name: run_in_bulk("encode", vae.folder, name, corpus="a"),
    "bulk corpus": lambda vae, name: run_in_bulk("encode", vae.folder, "out", corpus=name),
}
COUNTS_IN_BULK: dict[str, Call] = {
    "bulk n": lambda vae, n: run_in_bulk("generate", vae.folder, "out", n=n or 0),
    "bulk rows": lambda vae, n: run_in_bulk("generate", vae.folder, "out", shard_rows=n or 0),
}
OTHERS: dict[str, Call] = {
    "an unknown option": lambda vae, _: vae.generate(1, tempreature=1),
    "an option that cannot work": lambda vae, _: vae.generate(1, assistant_model=vae),
    "several analogies": lambda vae, _: vae.analogy(TEXT, TEXT, TEXT, num_return_sequences=2),
    "edit with a list": lambda vae, _: vae.edit(TEXT, ["two"]),
    "towards a list": lambda vae, _: vae.fit_attribute(TEXTS, LABELS, towards=[]),
    "a label without labels": lambda vae, _: vae.generate(1, label="a"),
    "strength": lambda vae, _: vae.analogy(TEXT, TEXT, TEXT, strength=1e40),
    "a negative dimension": lambda vae, _: vae.traverse(TEXT, -1),
    "a dimension too many": lambda vae, _: vae.traverse(TEXT, 4),
    "labels of another length": lambda vae, _: vae.augment(TEXTS, LABELS[:-1]),
    "a number as labels": lambda vae, _: vae.augment(TEXTS, 3),
    "a number as a column": lambda vae, _: vae.insight(TEXTS, {"a": 3}),
    "an unknown section": lambda _, __: train(TEXTS, output="out", zzz={}),
    "a number as a section": lambda _, __: train(TEXTS, output="out", training=3),
    "a number as a key": lambda _, __: train(TEXTS, output="out", training={3: 4}),
    "a number as overrides": lambda _, __: train(TEXTS, output="out", overrides=3),
    "an unknown preset": lambda _, __: train(TEXTS, output="out", preset="gone"),
    "an empty preset": lambda _, __: train(TEXTS, output="out", preset=""),
    "a number as a corpus": lambda _, __: train(3, output="out"),
    "an empty corpus": lambda _, __: train([], output="out"),
    "a list of numbers": lambda _, __: train([1, 2], output="out"),
}


def list_calls(table: dict[str, Call], values: tuple[Any, ...]) -> Iterator[Any]:
    """Yield every call of a table with every value."""
    for name, call in table.items():
        for value in values:
            yield pytest.param(call, value, id=f"{name} {value!a}"[:70])


CALLS = [
    *list_calls(ON_TEXTS, NOT_TEXTS),
    *list_calls(ON_A_TEXT, NOT_A_TEXT),
    *list_calls(WITH_A_COUNT, NOT_A_COUNT),
    *list_calls(WITH_A_BATCH_SIZE, NOT_A_COUNT[:8]),
    *list_calls(WITH_A_SEED, NOT_A_SEED),
    *list_calls(WITH_A_NAME, NOT_A_NAME),
    *list_calls(WITH_A_CHOICE, NOT_A_CHOICE),
    *list_calls(WITH_A_FOLDER, NOT_A_FOLDER),
    *list_calls(WITH_A_LIST, NOT_A_LIST),
    *list_calls(IN_BULK, NOT_A_FOLDER),
    *list_calls(COUNTS_IN_BULK, NOT_A_COUNT[:8]),
    *list_calls({"decode": lambda vae, z: vae.decode(z)}, NOT_VECTORS),
    *list_calls(OTHERS, ("",)),
]

# Calls in which a value of these lists has a meaning: the default, or no argument at all.
MEANINGFUL = {
    "generate prior None",
    "from_pretrained device None",
}


@pytest.fixture(scope="module")
def run_vae(tiny_run: Path) -> TextVAE:
    """The model of the shared run."""
    return TextVAE.from_pretrained(tiny_run, "cpu")


@pytest.mark.parametrize(("call", "value"), [case for case in CALLS if case.id not in MEANINGFUL])
def test_wrong_arguments_raise_an_error_of_ours(run_vae, tmp_path, monkeypatch, call, value):
    """It has a short message, and neither the run nor the current folder gets a file."""
    monkeypatch.chdir(tmp_path)
    before = sorted(run_vae.folder.rglob("*"))
    with pytest.raises(TextVAEError) as caught:
        call(run_vae, value)
    message = str(caught.value)
    assert message.replace("\n", "").isprintable()
    assert 0 < len(message) < 2_000
    assert sorted(run_vae.folder.rglob("*")) == before
    assert not list(tmp_path.iterdir())
