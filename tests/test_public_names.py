"""The public names: listed once, sorted, typed, and importable without torch until they are used."""

import ast
from pathlib import Path

import pytest

import textvae


def test_the_public_names_are_sorted():
    """Capitals come first, as in Python's own order."""
    assert list(textvae.PUBLIC) == sorted(textvae.PUBLIC) == textvae.__all__


def test_type_checkers_see_the_same_names():
    """They read the imports under TYPE_CHECKING, everyone else the table."""
    tree = ast.parse(Path(textvae.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert imports == block.body
    imported = {alias.name: node.module for node in imports for alias in node.names}
    assert imported == textvae.PUBLIC


@pytest.mark.parametrize("name", textvae.PUBLIC)
def test_a_public_name_can_be_imported(name):
    """It has a docstring as well."""
    assert getattr(textvae, name).__doc__
