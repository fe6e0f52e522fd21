"""YAML with bounds: what is read, what is refused, and on which line."""

import time
from pathlib import Path

import pytest

from textvae.errors import ConfigError
from textvae.runtime.yaml_text import parse_yaml, read_yaml_file

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 20)
)


def test_a_file_is_read_with_the_lines_of_its_keys(tmp_path):
    """Anchors, merges, a byte order mark and all ordinary types are accepted."""
    file = tmp_path / "c.yaml"
    file.write_text("\ufeffa: &a {b: 1, c: off}\nd:\n  <<: *a\n  e: [1.5, two]\n")
    content, lines = read_yaml_file(file)
    assert content == {"a": {"b": 1, "c": False}, "d": {"b": 1, "c": False, "e": [1.5, "two"]}}
    assert lines[("a",)] == lines[("a", "b")] == 1
    assert lines[("d", "e")] == 4


def test_an_empty_file_has_no_content(tmp_path):
    """It is not an error: all settings may be comments."""
    (tmp_path / "c.yaml").write_text("# training:\n")
    assert read_yaml_file(tmp_path / "c.yaml").content is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is already on line 1"),
        ("a: {b: 1, b: 2}\n", "line 1: the key 'b' is already on line 1"),
        ("a: &a [*a]\n", "line 1: a value contains itself"),
        (BOMB, "has more than 100,000 values, with aliases expanded"),
        (f"a: 1\nb: {'[' * 100_000}\n", "line 2: is nested more than 50 levels deep"),
        (f"a: {'9' * 5000}\n", "line 1: a number has 5,000 digits"),
        ("a: 1\nb: 010\n", "line 2: YAML reads '010' as a number of another base"),
        ("a: 1:30\n", "line 1: YAML reads '1:30' as a number of another base"),
        (f"a: 0x{'f' * 5000}\n", "line 1: a number has 5,002 digits"),
        ('a: 1\nb: "\\0"\n', "line 2: '\\x00' contains a NUL"),
        ('a: "\\ud800"\n', "half of a surrogate pair"),
        ("a: 1\nb: \x07\n", "line 2: YAML does not allow the character '\\x07'"),
        ("a: [\n", "line 2: is not YAML"),
        ("a: !!python/name:os.system\n", "line 1: is not YAML: could not determine"),
        ("a: !!int b\n", "a value cannot be read"),
        ("a: !!bool b\n", "a value does not fit the tag"),
        ("a: 2020-13-01\n", "month must be in 1..12"),
    ],
)
def test_what_nobody_means_is_refused_at_once(tmp_path, text, words):
    """The message names the file, and the line as an editor counts it."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=r"c\.yaml") as caught:
        read_yaml_file(file)
    assert words in str(caught.value)
    assert time.perf_counter() - start < 10  # generous: the machine may be busy


def test_a_file_without_end_is_not_read_to_its_end():
    """The name may be that of a device."""
    with pytest.raises(ConfigError, match="/dev/zero: is longer than"):
        read_yaml_file(Path("/dev/zero"))


def test_a_single_value_is_parsed():
    """These are the values of overrides."""
    assert parse_yaml("[0.9, 0.98]") == [0.9, 0.98]
    assert parse_yaml("") is None
    with pytest.raises(ValueError, match="is not YAML"):
        parse_yaml("{a")
