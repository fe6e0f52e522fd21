"""Run the notebooks at their full size and store what they print and draw in them.

    python experiments/run_notebooks.py [--notebooks 1_train ...] [--folder FOLDER] [--set NAME=VALUE ...]

They run in one folder, in order, because the third uses the model of the first. `--set`
replaces the value of a parameter while a notebook runs, as it would be written in Python, for
example `--set 'ENCODER="bases/minilm"'`; the notebook keeps its own. Progress bars are not stored.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
# Progress bars as tqdm writes them, and its warning, whose path is that of this machine.
_NOISE = re.compile(r"\d+%\||\[\d+:\d+[,<]|TqdmWarning|notebook_tqdm")


def clean_output(output: Any) -> bool:
    """Remove the noise of tqdm from an output, in place; return whether anything is left."""
    if output.output_type != "stream":
        return True
    # A carriage return begins the line again.
    lines = [line.rsplit("\r", 1)[-1] for line in output.text.split("\n")]
    output.text = "\n".join(line for line in lines if not _NOISE.search(line))
    return bool(output.text.strip())


def set_parameters(source: str, values: dict[str, str]) -> str:
    """Return the source of the cell of the parameters, with other values of those that it has."""
    for name, value in values.items():
        # A backslash in the value would have a meaning in a replacement.
        new = f"{name} = {value}".replace("\\", r"\\")
        source = re.sub(rf"(?m)^{name} = .*$", new, source)
    return source


def run_notebook(file: Path, folder: str, values: dict[str, str]) -> None:
    """Run a notebook in a folder, and save its outputs in its file."""
    notebook = nbformat.read(file, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parameters = next(cell for cell in code if "parameters" in cell.metadata.get("tags", ()))
    written = parameters.source
    parameters.source = set_parameters(written, values)
    resources = {"metadata": {"path": folder}}
    client = NotebookClient(notebook, timeout=None, resources=resources, coalesce_streams=True)
    client.execute()
    parameters.source = written
    for cell in code:
        cell.metadata.pop("execution", None)  # times
        cell.outputs = [output for output in cell.outputs if clean_output(output)]
    nbformat.write(notebook, file)


def main() -> None:
    """Run the notebooks one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    parser.add_argument("--notebooks", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", help="folder to run in (default: a temporary one)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    if not all("=" in item for item in options.set):
        sys.exit("--set: expected NAME=VALUE, such as 'CORPUS=\"my.txt\"'")
    values = dict(item.split("=", 1) for item in options.set)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or temporary
        for name in options.notebooks:
            run_notebook(NOTEBOOKS / f"{name}.ipynb", folder, values)
            print(f"{name}: done", flush=True)


if __name__ == "__main__":
    main()
