"""The prose of code and documentation: wording that readers stumble over does not come back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    *(ROOT / "textvae").rglob("*.py"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "configs").rglob("*.yaml"),
    *ROOT.glob("*.md"),
]
# What not to write, and what to write instead.
WORDING = {
    r"\bwanted (is|are)\b": "expected X, got Y",
    r"\b(nats|bits|row|rows|token|tokens) an? (sentence|token|text|label|word|dimension|unit|row)\b": "per",
    r"\bthe mend\b|\bits mend\b": "how to fix it",
    r"\bstands? beside\b|\bbeside\b": "next to, in addition to",
    r"\banew\b": "again, from scratch",
    r"\bshall\b": "should, must",
    r"\bforetells?\b": "predict",
    r"\b(decoder|it) (listens?|hears?)\b|\bis heard\b|\bto hear z\b": "z conditions the decoder",
    r"\bhigher the stranger\b": "higher is more anomalous",
    r"\bthere is none\b": "is None, not found",
    r"\bwhat stands there\b": "existing files",
}


@pytest.mark.parametrize("pattern", WORDING)
def test_the_wording_is_plain_english(pattern):
    """Every place is named, with the words to use instead."""
    found = []
    for file in FILES:
        for number, line in read_prose(file):
            if re.search(pattern, line, re.IGNORECASE):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, f"write {WORDING[pattern]!r} instead: " + "; ".join(found)


def read_prose(file):
    """Yield the lines of a file with their numbers; the output that a page quotes is left out."""
    is_quoted = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if file.suffix == ".md" and line.startswith("```"):
            is_quoted = not is_quoted
        if not is_quoted:
            yield number, line
