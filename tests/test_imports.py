"""The package as a graph of imports: no file is part of a cycle, not even for type checkers."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import textvae

PACKAGE = Path(textvae.__file__).parent


def test_no_file_is_part_of_an_import_cycle():
    """Sorting the files so that each comes after all it imports succeeds; the error names a cycle."""
    modules = {module_name(file): file for file in PACKAGE.rglob("*.py")}
    graph = {
        name: imported_modules(file, modules) - {name}
        for name, file in modules.items()
        if name != "textvae"
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def module_name(file):
    """Return the dotted name of a file of the package."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(file, modules):
    """Return the modules of the package that a file imports anywhere, in functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textvae."):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found
