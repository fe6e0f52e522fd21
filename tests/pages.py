"""Helpers to test pages of documentation: their commands and examples run with a tiny run."""

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

from tests.model.pretrained.families import save_decoder, save_encoder
from tests.tiny_run import SENTENCES, SETTINGS

ROOT = Path(__file__).parents[1]
SMALL_PARTS = {name: SETTINGS[name] for name in ("tokenizer", "model")}
TINY = [  # as on the command line
    f"{section}.{name}={value}"
    for section, values in SETTINGS.items()
    for name, value in values.items()
    if not isinstance(value, dict)
]
_TINY_BASES = {"model.encoder.name": "bases/encoder", "model.decoder.name": "bases/decoder"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the code of each block of a page."""
    return re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the `textvae` commands of a page."""
    found = []
    for language, block in blocks(page):
        if language not in ("bash", "console"):
            continue
        lines = [line.removeprefix("$ ") for line in block.splitlines()]
        found += [line for line in lines if line.startswith("textvae ")]
    return found


def examples(page: Path) -> list[str]:
    """Return the Python examples of a page."""
    return [block for language, block in blocks(page) if language == "python"]


def furnish(folder: Path, run: Path) -> Path:
    """Create the files and runs that pages mention in a folder, and return it."""
    for name in ("my.txt", "other.txt"):
        (folder / name).write_text("\n".join(SENTENCES) + "\n")
    rows = [f"{sentence},{'two' if 'two' in sentence else 'one'}" for sentence in SENTENCES]
    (folder / "labelled.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "sentences.txt").write_text("\n".join(SENTENCES[:3]) + "\n")
    pairs = [f"{first}\t{second}" for first, second in pairwise(SENTENCES[:3])]
    (folder / "pairs.tsv").write_text("\n".join(["first\tsecond", *pairs]) + "\n")
    for name in ("demo", "mine", "pretrained"):
        shutil.copytree(run, folder / "runs" / name)
    shutil.copytree(ROOT / "configs", folder / "configs")
    save_encoder("bert", folder / "bases" / "encoder")
    save_decoder("llama", folder / "bases" / "decoder")
    return folder


def tiny_settings(words: list[str]) -> list[str]:
    """Return the tiny settings that a `train` command can take in addition to its own."""
    keys = {word.split("=")[0] for word in words}
    settings = [setting for setting in TINY if setting.split("=")[0] not in keys]
    if "faithful" in words:  # its target needs a large latent
        settings.append("objective.techniques.target_kl.nats=2")
    if "--preset" in words and "pretrained" in words:  # tiny bases in place of published ones
        words[:] = [word for word in words if not word.startswith(tuple(_TINY_BASES))]
        settings = [
            setting for setting in settings if not setting.startswith(("tokenizer.", "model."))
        ]
        settings += [f"{name}={folder}" for name, folder in _TINY_BASES.items()]
        settings.append("data.max_tokens=64")  # tiny bases have few positions
    if "--init" in words:  # the tokenizer and the model are those of the run it starts from
        settings = [
            setting for setting in settings if not setting.startswith(("tokenizer.", "model."))
        ]
    return settings


def on_a_small_scale(command: str) -> list[str]:
    """Return the words of a command that has been made small.

    Training gets tiny settings in addition to its own, and may replace an existing run.
    """
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "train" and "--resume" not in words:
        words += [*tiny_settings(words), "--overwrite"]
    if words[0] == "compare":
        words[words.index("--seeds") + 1] = "1"
        words += ["data.corpus=my.txt", *TINY, "--samples", "2", "--limit", "4"]
    if "--samples" in words:
        words[words.index("--samples") + 1] = "2"
    return words
