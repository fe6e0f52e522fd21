"""Hints about text files: what the lines of a file look like, if they are probably not its texts.

A text file is read one line per text, whatever its lines are. If they look like another
format, a note says so, because nobody means to train on ids, times or braces.
"""

import re
from collections import Counter

_SEQUENCE = re.compile(r"[A-Z*\-.]+|[a-z*\-.]+")  # of amino acids or bases
_TIMES = re.compile(r"\d\d?:\d\d.*-->")
# A SMILES begins with an atom: an element of the organic subset, or any in brackets, with its
# isotope, chirality, hydrogens, charge and number. Bonds stand between atoms, and never at the end.
_ATOM = (
    r"(?:Cl|Br|[BCNOPSFIbcnops*]"
    r"|\[\d*(?:[A-Z][a-z]?|se|as|[bcnops*])@{0,2}(?:H\d?)?(?:\++|-+|[+-]\d)?(?::\d+)?\])"
)
_BOND = r"[-=#$:/\\.]"
_SMILES = re.compile(rf"{_ATOM}(?:{_BOND}?(?:{_ATOM}|%\d\d|\d|[()]))*")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_RING = re.compile(r"%\d\d|\d")  # opens a ring, and where it comes again, closes it
_SMILES_SIGNS = frozenset("()=#[]@123456789")

_MIN_NUMBERED = 5  # lines that begin with their numbers

_PART_OF_PARAGRAPHS = 0.03  # blank lines per line, in a file of paragraphs
_LINES_PER_PARAGRAPH = 1.5


def describe_lines(lines: list[str]) -> str | None:
    """Return a note about the first lines of a text file; None if they can be sentences.

    Args:
        lines: the first lines of the file, blank ones included.
    """
    texts = [line for line in lines if line.strip()]
    if len(texts) < 2:
        return None
    if _is_fasta(texts):
        return _explain("FASTA", "its ids are read as texts", ".fasta")
    if _is_fastq(texts):
        return _explain("FASTQ", "ids and qualities are read as texts", ".fastq")
    if texts[0].startswith("WEBVTT") or any(_TIMES.match(line) for line in texts[:4]):
        return _explain("subtitles", "numbers and times are read as texts", ".srt or .vtt")
    if all(line.startswith("{") and line.rstrip().endswith("}") for line in texts):
        return _explain("JSON lines", "braces and keys are read as text", ".jsonl")
    if all(line.startswith("__label__") for line in texts):
        return (
            "its lines begin with labels (__label__), which are read as text; write a table with "
            "the columns text and label, and set data.label=label."
        )
    if _are_numbered(texts):
        return (
            "its lines begin with their numbers, which are read as text; remove them, or write a "
            "table."
        )
    if _are_smiles_with_ids(texts):
        return _explain("SMILES with ids", "the ids are read as text", ".smi")
    if _are_paragraphs(lines):
        return (
            "blank lines separate groups of lines, and each line is a text of its own; "
            "data.unit=paragraph reads each group as one text."
        )
    return None


def _explain(format_name: str, consequence: str, suffix: str) -> str:
    """Return a note for a file that looks like another format."""
    return (
        f"looks like {format_name}, and {consequence}; to avoid that, name the file {suffix}, or "
        f"set data.format={suffix.split()[0].removeprefix('.')}."
    )


def _is_fasta(texts: list[str]) -> bool:
    """Return whether lines with `>` are followed by sequences of letters."""
    sequences = [line for line in texts if not line.startswith((">", ";"))]
    are_letters = all(_SEQUENCE.fullmatch(line.strip()) for line in sequences)
    return texts[0].startswith(">") and bool(sequences) and are_letters


def _is_fastq(texts: list[str]) -> bool:
    """Return whether the first lines are a record of a FASTQ file."""
    return (
        len(texts) > 3
        and texts[0].startswith("@")
        and texts[2].startswith("+")
        and len(texts[1].strip()) == len(texts[3].strip())
    )


def _are_numbered(texts: list[str]) -> bool:
    """Return whether each line begins with its number, counted from any number."""
    first_words = [line.split(maxsplit=1)[0].rstrip(".:)") for line in texts]
    if len(texts) < _MIN_NUMBERED or not all(
        word.isdecimal() and len(word) < 10 for word in first_words
    ):
        return False
    start = int(first_words[0])
    return [int(word) for word in first_words] == list(range(start, start + len(texts)))


def _are_smiles_with_ids(texts: list[str]) -> bool:
    """Return whether all lines are a SMILES and a name, and some SMILES cannot be a word."""
    fields = [line.split(maxsplit=1) for line in texts]
    if not all(len(pair) == 2 and _is_smiles(pair[0]) for pair in fields):
        return False
    with_signs = sum(not _SMILES_SIGNS.isdisjoint(pair[0]) for pair in fields)
    return with_signs >= len(fields) / 2


def _is_smiles(word: str) -> bool:
    """Return whether a word consists of atoms and bonds, and closes all branches and rings."""
    if not _SMILES.fullmatch(word):
        return False
    rest = _BRACKETS.sub("", word)  # numbers in brackets are no rings
    rings = Counter(_RING.findall(rest))
    has_closed_rings = all(count % 2 == 0 for count in rings.values())
    return has_closed_rings and rest.count("(") == rest.count(")")


def _are_paragraphs(lines: list[str]) -> bool:
    """Return whether blank lines separate groups of several lines."""
    groups = 0
    was_blank = True
    for line in lines:
        is_blank = not line.strip()
        groups += was_blank and not is_blank
        was_blank = is_blank
    texts = sum(bool(line.strip()) for line in lines)
    has_blanks = groups - 1 >= max(2, _PART_OF_PARAGRAPHS * len(lines))
    return has_blanks and texts >= _LINES_PER_PARAGRAPH * groups
