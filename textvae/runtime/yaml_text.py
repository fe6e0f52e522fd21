"""Read YAML that a user wrote, with bounds, and with the lines of its keys.

PyYAML accepts what nobody means: of a key that is given twice it keeps the last value, an
alias may expand to millions of values, and some values raise errors that are not its own.
Here all of this is refused, with the line. Nothing in a file can run code.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.reader import ReaderError

from textvae.errors import ConfigError
from textvae.terminal import quote_value

_MAX_BYTES = 2**20
_MAX_VALUES = 100_000  # with aliases expanded
_MAX_DEPTH = 50
_MAX_NUMBER_LENGTH = 100  # characters
_MERGE_TAG = "tag:yaml.org,2002:merge"  # the key <<, which may occur twice
_OTHER_BASE = re.compile(r"[-+]?0[0-9_]+$|.*:")
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class YamlFile(NamedTuple):
    """The content of a YAML file.

    Attributes:
        content: the value; None if the file is empty.
        lines: the line of each key, by the keys that lead to it: ("training", "steps").
    """

    content: Any
    lines: dict[tuple[str, ...], int]


class _YamlProblemError(ValueError):
    """The text is not YAML, or is refused.

    Attributes:
        line: where; 0 if that is not known.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def read_yaml_file(file: Path) -> YamlFile:
    """Return the content of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is refused.
    """
    try:
        # Bounded: the name may be that of a device, which never ends.
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigError(
                f"{file}: is longer than {_MAX_BYTES:,} bytes; expected a YAML file of settings."
            )
        return _parse(data.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{file}: cannot be read: {reason}; expected a YAML file of settings."
        ) from error
    except _YamlProblemError as error:
        place = f"{file}, line {error.line}" if error.line else f"{file}"
        raise ConfigError(f"{place}: {error}.") from error


def parse_yaml(text: str) -> Any:
    """Return the value of a short text in YAML.

    Raises:
        ValueError: it is not YAML, or is refused.
    """
    return _parse(text).content


def _parse(text: str) -> YamlFile:
    """Return the content of a text in YAML.

    Raises:
        _YamlProblemError: it is not YAML, or is refused.
    """
    try:
        loader = _BoundedLoader(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = quote_value(chr(error.character))
        raise _YamlProblemError(f"YAML does not allow the character {character}", line) from None
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlFile(None, {})
        # The check comes first, because building the value of a bomb of aliases is what explodes.
        _Checker().check(root)
        return YamlFile(loader.construct_document(root), dict(_find_lines(root)))
    except _YamlProblemError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context
        raise _YamlProblemError(f"is not YAML: {reason}", mark.line + 1 if mark else 0) from error
    except ValueError as error:  # such as `!!int abc`, or the date 2020-99-99
        raise _YamlProblemError(f"a value cannot be read: {error}") from error
    except Exception as error:  # PyYAML's own, such as a KeyError for `!!bool maybe`
        raise _YamlProblemError("a value does not fit the tag (!!) before it") from error
    finally:
        loader.dispose()


class _BoundedLoader(yaml.SafeLoader):
    """Refuses deep nesting as soon as it is read: the time of PyYAML grows with its square."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, and all nodes in it."""
        if self._depth > _MAX_DEPTH:
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise _YamlProblemError(f"is nested more than {_MAX_DEPTH} levels deep", line)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Checker:
    """Refuses a tree of nodes that is too large, or has a key twice."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # of nodes that are checked; an alias is the same node
        self._open: set[int] = set()  # nodes that contain the current one

    def check(self, node: yaml.Node) -> int:
        """Return the number of values in a node, with aliases expanded.

        Raises:
            _YamlProblemError: the node is refused.
        """
        if id(node) in self._open:
            raise _problem(node, "a value contains itself")
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        self._open.add(id(node))
        size = 1 + sum(self.check(child) for child in _list_children(node))
        self._open.remove(id(node))
        if size > _MAX_VALUES:
            raise _problem(node, f"has more than {_MAX_VALUES:,} values, with aliases expanded")
        self._sizes[id(node)] = size
        return size


def _list_children(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes in a node.

    Raises:
        _YamlProblemError: a mapping has a key twice, or a value cannot be used.
    """
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
        return [part for pair in node.value for part in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    _refuse_scalar(node)
    return []


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Refuse a key that occurs twice: the first value would be dropped."""
    seen: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE_TAG:
            continue
        name = (key.tag, key.value)
        line = key.start_mark.line + 1
        if name in seen:
            raise _problem(
                key,
                f"the key {quote_value(key.value)} is already on line {seen[name]}; "
                "write it once, with all its values",
            )
        seen[name] = line


def _refuse_scalar(node: yaml.Node) -> None:
    """Refuse characters that no file name and no setting has, and numbers of endless digits."""
    text = str(node.value)
    if "\0" in text:
        raise _problem(node, f"{quote_value(text)} contains a NUL character; remove it")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _problem(
            node, f"{quote_value(text)} contains half of a surrogate pair, which is no character"
        )
    # YAML 1.1 reads 010 as 8, and 1:30 as 90.
    if node.tag in _NUMBER_TAGS and _OTHER_BASE.match(text):
        raise _problem(
            node,
            f"YAML reads {quote_value(text)} as a number of another base; write it in decimal, "
            "or in quotes if it is text",
        )
    # Python refuses to print such an integer, so no message could show it.
    if node.tag in _NUMBER_TAGS and len(text) > _MAX_NUMBER_LENGTH:
        raise _problem(node, f"a number has {len(text):,} digits")


def _problem(node: yaml.Node, message: str) -> _YamlProblemError:
    """Return an error that says on which line the node begins."""
    return _YamlProblemError(message, node.start_mark.line + 1)


def _find_lines(node: yaml.Node, keys: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    """Return the line of each key under a node, by the keys that lead to it."""
    lines: dict[tuple[str, ...], int] = {}
    if not isinstance(node, yaml.MappingNode):
        return lines
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            path = (*keys, str(key.value))
            lines[path] = key.start_mark.line + 1
            lines.update(_find_lines(value, path))
    return lines
