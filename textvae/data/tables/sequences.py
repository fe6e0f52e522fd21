"""Molecules and biological sequences with their ids: SMILES, FASTA and FASTQ files.

The sequence is the text; its id becomes the column `id`, and is never part of the text.
"""

from collections.abc import Iterator
from typing import IO, NamedTuple

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.text_lines import Pieces, TextLines

SMILES_SUFFIXES = (".smi", ".smiles")
FASTA_SUFFIXES = (".fasta", ".fa", ".faa", ".fna", ".ffn", ".fas")
FASTQ_SUFFIXES = (".fastq", ".fq")

_SMILES_TITLES = {"smiles", "smi", "canonical_smiles"}  # of the first column, in a line of titles


class _Record(NamedTuple):
    """One molecule or sequence."""

    text: str
    name: str  # the id, and what follows it on its line


class SequenceReader:
    """Reads a SMILES, FASTA or FASTQ file: a row has the text, `id` and perhaps `description`."""

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], suffix: str, text_column: str) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")  # they mean nothing in these formats
        self.notes: list[str] = []
        self._lines = TextLines(stream)
        self._text_column = text_column
        self._suffix = suffix

    def records(self) -> Iterator[_Record]:
        """Yield the molecules or sequences.

        Raises:
            FormatError: the file is not in the format of its suffix.
        """
        if self._suffix in SMILES_SUFFIXES:
            records = self._read_smiles()
            what = "the first field of each line"
        elif self._suffix in FASTA_SUFFIXES:
            records = self._read_fasta()
            what = "the sequences, their lines joined"
        else:
            records = self._read_fastq()
            what = "the sequences without their qualities"
        yield from records
        self.notes.append(f"the texts are {what}; the column 'id' has the ids.")

    def row(self, record: _Record) -> Row:
        """Return a record's row; only SMILES files have no column `description`."""
        if self._suffix in SMILES_SUFFIXES:
            return {"id": record.name.strip(), self._text_column: record.text}
        name, _, description = record.name.partition(" ")
        return {
            "id": name.strip(),
            "description": description.strip(),
            self._text_column: record.text,
        }

    def _iterate_lines(self) -> Iterator[str]:
        """Yield the lines that are not blank, and keep the number of the last one."""
        lines = iter(self._lines)
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            finally:
                self.line = self._lines.number
            if line.strip():
                yield line

    def _read_smiles(self) -> Iterator[_Record]:
        """Yield the molecules of a SMILES file: one per line, followed by its id."""
        is_first = True
        for line in self._iterate_lines():
            if line.lstrip().startswith("#"):
                continue  # a comment: no molecule begins with a triple bond
            smiles, *rest = line.split(None, 1)
            name = "".join(rest).strip()
            if "," in smiles:
                raise FormatError(
                    f"begins with {format_value(smiles)}, but no SMILES has a comma; expected "
                    "a SMILES, white space and an id. If it is a table, name the file .csv."
                )
            if not (is_first and smiles.lower() in _SMILES_TITLES):
                yield _Record(smiles, name)
            is_first = False

    def _read_fasta(self) -> Iterator[_Record]:
        """Yield the sequences of a FASTA file, whose lines are joined."""
        name: str | None = None
        pieces = Pieces("a sequence", "cut it into shorter ones")
        for line in self._iterate_lines():
            if line.startswith(";"):  # a comment
                continue
            if line.startswith(">"):
                if name is not None:
                    yield _Record("".join(pieces.take()), name)
                name = line[1:].strip()
            elif name is None:
                raise FormatError(
                    "expected a line with '>' and an id before the first sequence, "
                    f"got {format_value(line)}."
                )
            else:
                pieces.add("".join(line.split()))
        if name is not None:
            yield _Record("".join(pieces.take()), name)

    def _read_fastq(self) -> Iterator[_Record]:
        """Yield the sequences of a FASTQ file, which has four lines for each."""
        lines = self._iterate_lines()
        for name in lines:
            if not name.startswith("@"):
                raise FormatError(f"expected a line with '@' and an id, got {format_value(name)}.")
            sequence, plus, qualities = (next(lines, None) for _ in range(3))
            if sequence is None or plus is None or qualities is None:
                raise FormatError("ends inside a record; expected four lines for each sequence.")
            if not plus.startswith("+") or len(sequence) != len(qualities):
                raise FormatError(
                    "expected a sequence, '+', and as many qualities as the sequence has "
                    "letters, each on one line."
                )
            yield _Record(sequence.strip(), name[1:].strip())
