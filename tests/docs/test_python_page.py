"""The reference of the Python API: it has every public name, every option and every record."""

import inspect
from pathlib import Path

import pytest

import textvae
from textvae import errors
from textvae.uses import options, records

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


def classes_of(module):
    """Return the names of the classes that a module defines."""
    members = inspect.getmembers(module, inspect.isclass)
    return [name for name, member in members if member.__module__ == module.__name__]


@pytest.mark.parametrize("name", [*textvae.PUBLIC, *classes_of(options), *classes_of(records)])
def test_a_name_is_on_the_page(name):
    """It is in code or in a directive, so that a reader can search for it."""
    assert any(mark in PAGE for mark in (f"`{name}`", f"::: textvae.{name}\n", f"{{{{ {name} }}}}"))


def test_the_page_documents_all_records_and_all_errors():
    """It includes both modules as a whole."""
    assert f"::: {records.__name__}\n" in PAGE
    assert f"::: {errors.__name__}\n" in PAGE
