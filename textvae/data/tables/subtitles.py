"""Subtitles: .srt and .vtt files, of which each cue is a text."""

import html
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, format_value
from textvae.data.tables.text_lines import TextLines

SUBTITLE_SUFFIXES = (".srt", ".vtt")

_TIMES = re.compile(r"\s*(\d[\d:.,]*)\s*-->\s*(\d[\d:.,]*)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")  # <i>, <00:01.000>, {\an8}
_NO_CUE = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)\b")  # beginnings of other blocks of .vtt


class _Cue(NamedTuple):
    """A cue: when it is shown, and its lines."""

    start: str
    end: str
    lines: list[str]


class SubtitleReader:
    """Reads subtitles: a row has a cue's text, without tags, and `start` and `end` as written."""

    encoding = "utf-8"
    has_lines = True

    def __init__(self, stream: IO[bytes], suffix: str, text_column: str) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")  # they separate cues
        self.notes: list[str] = []
        self._lines = TextLines(stream)
        self._has_other_blocks = suffix == ".vtt"
        self._text_column = text_column

    def records(self) -> Iterator[_Cue]:
        """Yield the cues.

        Raises:
            FormatError: a text comes before the first cue.
        """
        cue: _Cue | None = None
        for block in self._iterate_blocks():
            # The times follow the number or the name of the cue, if it has one.
            places = [number for number in range(len(block[:2])) if _TIMES.match(block[number])]
            if places:
                if cue is not None:
                    yield cue
                times = _TIMES.match(block[places[0]])
                assert times is not None
                cue = _Cue(times.group(1), times.group(2), block[places[0] + 1 :])
            elif self._has_other_blocks and _NO_CUE.match(block[0]):
                continue
            elif cue is not None:
                cue.lines.extend(block)  # the text of a cue has a blank line
            else:
                raise FormatError(
                    "expected the times of a subtitle, such as 00:00:01,000 --> 00:00:02,500, "
                    f"got {format_value(block[0])}."
                )
        if cue is not None:
            yield cue
        self.notes.append("each subtitle is a text, without tags; 'start' and 'end' are columns.")

    def row(self, record: _Cue) -> Row:
        """Return the row of a cue, its lines joined."""
        text = html.unescape(_TAG.sub("", " ".join(record.lines)))
        return {"start": record.start, "end": record.end, self._text_column: text.strip()}

    def _iterate_blocks(self) -> Iterator[list[str]]:
        """Yield the lines between blank ones, block by block; each has the times of one cue at most."""
        block: list[str] = []
        has_times = False
        lines = iter(self._lines)
        while True:
            try:
                line = next(lines, None)
            finally:
                self.line = self._lines.number
            if line is not None and line.strip():
                is_times = _TIMES.match(line) is not None
                if is_times and has_times:  # a cue that no blank line separates from the one before
                    number = [block.pop()] if block[-1].strip().isdecimal() else []
                    yield block
                    block = number
                has_times |= is_times
                block.append(line)
                continue
            if block:
                yield block
                block = []
                has_times = False
            if line is None:
                return
