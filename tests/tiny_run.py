"""A tiny corpus, and a tiny run that is trained once and shared by the tests that need one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

import textvae

SUBJECTS = ("a man", "a woman", "the dog", "two boys", "an old horse")
VERBS = ("rides", "sees", "holds", "likes")
OBJECTS = ("a wave", "the red ball", "a bike", "his hat", "the green tree")
SENTENCES = [
    f"{subject} {verb} {thing}." for subject in SUBJECTS for verb in VERBS for thing in OBJECTS
]
LABELLED = [(text, "two" if "two" in text else "one") for text in SENTENCES]

SMALL = {"kind": "lstm", "embedding": 16, "hidden": 24}
SETTINGS: dict[str, Any] = {
    "data": {"held_out": 0.1},
    "tokenizer": {"vocab_size": 320},
    "model": {"latent_dim": 4, "encoder": SMALL, "decoder": SMALL},
    "training": {
        "steps": 12,
        "batch_tokens": 64,
        "warmup_steps": 2,
        "evaluations": 2,
        "trackers": [],
        "logging_steps": 3,
        "bf16": False,  # the same model on every processor
    },
}


def write_corpus(folder: Path) -> Path:
    """Write the sentences to a text file."""
    file = folder / "corpus.txt"
    file.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    return file


def table(rows: Sequence[tuple[str, str | None]]) -> Dataset:
    """Return texts and their labels as a data set."""
    texts = [text for text, _ in rows]
    labels = [label for _, label in rows]
    return Dataset.from_dict({"text": texts, "label": labels})


def train_tiny(
    folder: Path,
    corpus: Iterable[str] | Dataset | Mapping[str, Dataset] = SENTENCES,
    **changes: Any,
) -> textvae.TextVAE:
    """Train for twelve steps on the CPU; `changes` override the settings, section by section."""
    settings: dict[str, Any] = {
        name: {**section, **changes.pop(name, {})} for name, section in SETTINGS.items()
    }
    return textvae.train(corpus, output=folder, device="cpu", **settings, **changes)
