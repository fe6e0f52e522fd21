"""How the code reads, in numbers: `python -m tests.code_measures` prints one line per measure.

The measures are those of the review that led to today's layout: sizes of files
and functions, how dense the lines are, how much is typed and documented. They
tell where to look; none of them is a goal of its own.
"""

import ast
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
NESTING = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


@dataclass(frozen=True)
class Source:
    """One file of the package, parsed."""

    lines: list[str]
    tree: ast.Module

    @property
    def functions(self) -> list[Function]:
        """All functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def read_sources(folder: Path) -> list[Source]:
    """Return every Python file below a folder."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.py"))]
    return [Source(text.splitlines(), ast.parse(text)) for text in texts]


def measure(folder: Path, tests: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each measure."""
    sources = read_sources(folder)
    functions = [function for source in sources for function in source.functions]
    lines = [line for source in sources for line in source.lines]
    yield from _sizes(sources, functions)
    yield from _surface(sources, functions)
    yield from _density(sources, lines)
    test_lines = sum(len(source.lines) for source in read_sources(tests))
    yield "tests / code lines", f"{test_lines / len(lines):.2f}"


def _sizes(sources: list[Source], functions: list[Function]) -> Iterator[tuple[str, str]]:
    sizes = [len(source.lines) for source in sources]
    yield "files / lines", f"{len(sizes)} / {sum(sizes):,}"
    yield "file median / p90 / max", _spread(sizes)
    yield (
        "files under 40 lines",
        f"{sum(size < 40 for size in sizes)} ({_share(size < 40 for size in sizes)})",
    )
    lengths = [
        (function.end_lineno or function.lineno) - function.lineno + 1 for function in functions
    ]
    yield "function median / p90 / max", _spread(lengths)
    parameters = [len(_arguments(function)) for function in functions]
    yield (
        "functions with more than 5 parameters",
        f"{_share(n > 5 for n in parameters)} (max {max(parameters)})",
    )
    depths = [_depth(function) for function in functions]
    yield (
        "deepest nesting / functions nested >= 3",
        f"{max(depths)} / {_share(depth >= 3 for depth in depths)}",
    )


def _surface(sources: list[Source], functions: list[Function]) -> Iterator[tuple[str, str]]:
    public = [function for function in functions if not function.name.startswith("_")]
    yield (
        "public functions with docstring",
        _share(ast.get_docstring(function) is not None for function in public),
    )
    arguments = [argument for function in functions for argument in _arguments(function)]
    yield "arguments annotated", _share(argument.annotation is not None for argument in arguments)
    nodes = [node for source in sources for node in ast.walk(source.tree)]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    yield (
        "classes / deepest own inheritance",
        f"{len(classes)} / {max(_ancestry(name, classes) for name in classes)}",
    )
    top = [node for source in sources for node in source.tree.body if isinstance(node, Function)]
    yield (
        "underscore-private functions (module level)",
        _share(function.name.startswith("_") for function in top),
    )
    yield (
        "functions with **kwargs",
        str(sum(function.args.kwarg is not None for function in functions)),
    )


def _density(sources: list[Source], lines: list[str]) -> Iterator[tuple[str, str]]:
    def per_thousand(count: int) -> str:
        return f"{1000 * count / len(lines):.1f}"

    nodes = [node for source in sources for node in ast.walk(source.tree)]
    ignores = sum("type: ignore" in line for line in lines)
    exemptions = sum("noqa" in line for line in lines)
    yield "`type: ignore` / `noqa`", f"{ignores} / {exemptions}"
    yield (
        "`Any` per 1,000 lines",
        per_thousand(sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)),
    )
    parallel = [node for node in nodes if isinstance(node, ast.Assign) and _is_parallel(node)]
    yield "parallel assignments per 1,000 lines", per_thousand(len(parallel))
    ternaries = sum(isinstance(node, ast.IfExp) for node in nodes)
    comprehensions = [node for node in nodes if isinstance(node, COMPREHENSIONS)]
    nested = sum(_is_nested(node) for node in comprehensions)
    figures = (
        f"{per_thousand(ternaries)} / {per_thousand(len(comprehensions))} ({per_thousand(nested)})"
    )
    yield "ternaries / comprehensions (nested) per 1,000 lines", figures
    comments = sum(line.lstrip().startswith("#") for line in lines)
    yield "whole-line comments per 1,000 lines", per_thousand(comments)
    widths = sorted(len(line) for line in lines if re.search(r"\S", line))
    yield "90th percentile of line width", str(widths[int(0.9 * len(widths))])


def _arguments(function: Function) -> list[ast.arg]:
    """Return the arguments of a function, `self` and `cls` left out."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [argument for argument in every if argument.arg not in ("self", "cls")]


def _depth(node: ast.AST) -> int:
    """Return how deep blocks are nested in a function; functions inside count on their own."""
    inner = [
        _depth(child) for child in ast.iter_child_nodes(node) if not isinstance(child, Function)
    ]
    return max(inner, default=0) + isinstance(node, NESTING)


def _ancestry(name: str, classes: dict[str, ast.ClassDef]) -> int:
    """Return how many classes of ours stand above one."""
    bases = [
        base.id for base in classes[name].bases if isinstance(base, ast.Name) and base.id in classes
    ]
    return max((1 + _ancestry(base, classes) for base in bases if base != name), default=0)


def _is_parallel(node: ast.Assign) -> bool:
    """Whether several values are assigned to several names at once."""
    return isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)


def _is_nested(node: ast.AST) -> bool:
    """Whether a comprehension holds another one."""
    return any(isinstance(inner, COMPREHENSIONS) for inner in ast.walk(node) if inner is not node)


def _share(flags: Iterator[bool]) -> str:
    values = list(flags)
    return f"{100 * sum(values) / max(1, len(values)):.0f} %"


def _spread(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}"


if __name__ == "__main__":
    for name, value in measure(ROOT / "textvae", ROOT / "tests"):
        print(f"| {name} | {value} |")
