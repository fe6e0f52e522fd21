"""Chats: rows that hold a list of messages, of which each one becomes a row of its own.

A message's content is the text, and its role the column `role`. The setting `data.role`
keeps the messages of one role. Two spellings are common: `role` and `content` under
`messages`, and `from` and `value` under `conversations`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from textvae.data.row_report import RowNumbers
from textvae.data.tables.base import FormatError, Row, RowReader, WrappedReader, format_value
from textvae.errors import DataError
from textvae.messages import print_note

_CHAT_COLUMNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
_KEYS = (("role", "content"), ("from", "value"), ("speaker", "text"), ("role", "text"))


class ChatReader(WrappedReader):
    """Reads the rows of another reader, and splits those that are chats into messages.

    Whether the file holds chats is decided by its first row. If not, records pass through
    unchanged.

    Args:
        reader: reads the file.
        text_column: the column of texts; if the rows have it and it is no chat, they stay whole.
        role: the role of the messages to keep; None for all.
        needs_chats: whether to refuse rows that are no chats.
    """

    def __init__(
        self, reader: RowReader, text_column: str, role: str | None, *, needs_chats: bool
    ) -> None:
        super().__init__(reader)
        self._text_column = text_column
        self._role = role
        self._needs_chats = needs_chats
        self._chat_column: str | None = None
        self._counts = Counter[str]()  # messages of each role

    @property
    def notes(self) -> list[str]:
        """The notes of the other reader, and how the chats were read."""
        if self._chat_column is None:
            return self._reader.notes
        counts = ", ".join(f"{count:,} of {role}" for role, count in self._counts.most_common())
        note = f"each message under {self._chat_column!r} is a text ({counts})"
        if self._role is None:
            note += "; data.role=ROLE keeps those of one role."
        else:
            note += f"; only those of {self._role} are read (data.role)."
        return [*self._reader.notes, note]

    def records(self) -> Iterator[Any]:
        """Yield the records of the other reader, or the messages of its chats.

        Raises:
            FormatError: the rest of the file cannot be read, or no message has the role.
        """
        is_first = True
        for record in self._reader.records():
            if is_first:
                try:
                    row = self._reader.row(record)
                except ValueError as error:
                    yield error  # the next row says whether there are chats
                    continue
                is_first = False
                self._chat_column = find_chat_column(row, self._text_column)
                if self._chat_column is None and self._needs_chats:
                    raise FormatError(
                        f"holds no chats, and data.role = {self._role!r} is for chats: "
                        "leave data.role out."
                    )
            if self._chat_column is None:
                yield record
            else:
                yield from self._split_chat(record)
        if self._role is not None and self._chat_column and not self._counts[self._role]:
            raise FormatError(
                f"no message has the role {self._role!r} (data.role); "
                f"the roles are {', '.join(sorted(self._counts))}."
            )

    def row(self, record: Any) -> Row:
        """Return the row of a record or of a message.

        Raises:
            ValueError: this record cannot be parsed; later ones may still be.
        """
        if isinstance(record, ValueError):
            raise record
        if self._chat_column is None:
            return self._reader.row(record)
        message: Row = record
        return message

    def _split_chat(self, record: Any) -> Iterator[Row | ValueError]:
        """Yield a row per message; an error, for `row` to raise, if the record is no chat."""
        assert self._chat_column is not None
        try:
            row = self._reader.row(record)
            messages = _list_messages(row.get(self._chat_column))
            keys = _find_keys(messages)
            if keys is None and row.get(self._chat_column):
                value = format_value(row[self._chat_column])
                raise FormatError(
                    f"holds {value} in {self._chat_column!r}; expected a list of messages, each "
                    "with a role and a content, as in the first row."
                )
        except ValueError as error:
            yield error
            return
        others = {name: value for name, value in row.items() if name != self._chat_column}
        for message in messages or ():
            assert keys is not None
            role = str(message[keys[0]])
            self._counts[role] += 1
            if self._role in (None, role):
                yield {
                    **others,
                    "role": role,
                    self._text_column: _read_content(message.get(keys[1])),
                }


def split_chats(
    rows: Iterator[Row], text_column: str, role: str | None, *, needs_chats: bool = False
) -> Iterator[Row]:
    """Yield rows that do not come from a file; of those that are chats, a row per message.

    Raises:
        DataError: a row is no chat although the first one is, or no message has the role.
    """
    reader = ChatReader(_Rows(rows), text_column, role, needs_chats=needs_chats)
    try:
        for record in reader.records():
            yield reader.row(record)
    except FormatError as error:
        raise DataError(f"the data set {error}") from None
    for note in reader.notes:
        print_note(f"the data set: {note}")


def find_chat_column(row: Row, text_column: str) -> str | None:
    """Return the column of a row that holds a chat, or None; a column of texts is preferred."""
    if _find_keys(_list_messages(row.get(text_column))):
        return text_column
    if text_column in row:
        return None
    chats = [name for name in _CHAT_COLUMNS if _find_keys(_list_messages(row.get(name)))]
    if not chats:
        # The first chat of a file may be empty.
        chats = [name for name in _CHAT_COLUMNS if _list_messages(row.get(name)) == []]
    return chats[0] if chats else None


class _Rows:
    """Rows that are parsed already, as a reader of a file."""

    encoding = "utf-8"
    has_lines = False

    def __init__(self, rows: Iterator[Row]) -> None:
        self.line = 0
        self.blank_lines = RowNumbers("line")
        self.notes: list[str] = []
        self._rows = rows

    def records(self) -> Iterator[Row]:
        """Yield the rows."""
        return self._rows

    def row(self, record: Row) -> Row:
        """Return the row itself."""
        return record


def _list_messages(value: Any) -> Any:
    """Return the messages of a chat as a list; `datasets` also has an object of lists for them."""
    if not isinstance(value, dict):
        return value
    for keys in _KEYS:
        columns = [column for key in keys if isinstance(column := value.get(key), list)]
        if len(columns) == len(keys) and len(set(map(len, columns))) == 1:
            return [dict(zip(keys, pair, strict=True)) for pair in zip(*columns, strict=True)]
    return value


def _find_keys(value: object) -> tuple[str, str] | None:
    """Return the keys of role and content of the messages of a chat; None if it is no chat.

    A message that calls a tool may have no content.
    """
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        return None
    for role, content in _KEYS:
        has_content = any(content in message for message in value)
        if has_content and all(role in message for message in value):
            return role, content
    return None


def _read_content(content: object) -> object:
    """Return a message's content; of a list of parts, those that are text, joined."""
    if not isinstance(content, list):
        return content
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(part for part in parts if isinstance(part, str))
