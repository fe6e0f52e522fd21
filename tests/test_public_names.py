"""The public names: listed once, sorted, typed, and importable without torch until they are used."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import textvae
from textvae import bulk
from textvae.uses import options, records

# Written by transformers' rules: its methods pass on arguments of any type.
FOREIGN = ("TextVAEConfig", "TextVAEModel", "VAETrainer")


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


@pytest.mark.parametrize("name", [name for name in textvae.PUBLIC if name not in FOREIGN])
def test_a_public_name_is_typed_without_any(name):
    """The arguments and results of its public functions, and the fields of its class."""
    public = getattr(import_module(textvae.PUBLIC[name]), name)
    assert list_untyped(public) == []


@pytest.mark.parametrize("public", [bulk.run, options, records], ids=lambda public: public.__name__)
def test_bulk_jobs_options_and_records_are_typed_without_any(public):
    """They are what the public methods take and return."""
    assert list_untyped(public) == []


def list_untyped(public):
    """Return the lines of public annotations of a function, a class or a module that mention Any."""
    tree = ast.parse(inspect.getsource(public))
    return [
        ast.unparse(annotation)
        for annotation in iterate_annotations(tree)
        if any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))
    ]


def iterate_annotations(tree):
    """Yield the annotations of public functions and fields, outside the bodies of functions."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from iterate_annotations(node)
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [node.args.vararg, node.args.kwarg, *node.args.args, *node.args.kwonlyargs]
            found = [argument.annotation for argument in arguments if argument is not None]
            yield from filter(None, [node.returns, *found])
