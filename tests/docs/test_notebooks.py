"""The notebooks: every cell runs, on a tiny corpus and for a few steps, and has its output stored."""

import json
import re
from typing import Any

import pytest

from tests.experiments import load_experiment
from tests.model.pretrained.families import save_encoder
from tests.pages import ROOT
from tests.tiny_run import SENTENCES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRAINING = {"steps": 4, "batch_tokens": 256, "warmup_steps": 1, "evaluations": 1, "seed": 1}
# Long enough that the model writes sentences as long as those of the notebooks.
LONG = "a plate of food and a cup are on a big old table next to the red ball and the green tree."
SMALL: dict[str, Any] = {
    "CORPUS": "corpus.txt",
    "STEPS": 4,
    "TRAINING": TRAINING,
    "ENCODER": "encoder",
    "LINES": 400,
}


def read_code(notebook):
    """Return the code cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def code_cells(notebook):
    """Return the code cells of a notebook, each with whether it sets the parameters."""
    return [
        ("parameters" in cell["metadata"].get("tags", ()), "".join(cell["source"]))
        for cell in read_code(notebook)
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_every_cell_of_a_notebook_runs(notebook, tmp_path, monkeypatch):
    """The cells share one namespace, and after the parameters come smaller ones."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text(
        "\n".join([*SENTENCES, LONG, LONG]) + "\n", encoding="utf-8"
    )
    save_encoder("bert", tmp_path / "encoder")
    namespace: dict[str, Any] = {}
    for sets_parameters, code in code_cells(notebook):
        exec(code, namespace)
        if sets_parameters:
            namespace |= {name: value for name, value in SMALL.items() if name in namespace}
            # The size of a pretrained encoder is its own.
            parts = ("decoder",) if "ENCODER" in namespace else ("encoder", "decoder")
            namespace["SETTINGS"] = [
                f"model.{part}.{size}=16" for part in parts for size in ("embedding", "hidden")
            ]
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_has_its_pictures_and_no_error(notebook):
    """`experiments/run_notebooks.py` stores them; no output names a folder of that machine."""
    outputs = [output for cell in read_code(notebook) for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    text = "".join("".join(output.get("text", ())) for output in outputs)
    assert not re.search(r"/(tmp|home|root)/", text)
    assert "%|" not in text  # progress bars


@pytest.fixture
def script(monkeypatch):
    """The script that runs the notebooks."""
    pytest.importorskip("nbclient")
    return load_experiment("run_notebooks", monkeypatch)


def test_the_script_stores_no_progress_bars(script):
    """A carriage return begins the line again; other outputs are kept as they are."""
    nbformat = pytest.importorskip("nbformat")
    bars = "training:   0%|  | 0\rtraining: 100%|##| 9\nencoding: 9sentence [00:00, 7.1sentence/s]"
    text = f"note: a\n{bars}\nverdict: healthy\n"
    stream = nbformat.v4.new_output("stream", text=text)
    assert script.clean_output(stream)
    assert stream.text == "note: a\nverdict: healthy\n"
    assert not script.clean_output(nbformat.v4.new_output("stream", text="  5%|# | 1\r"))
    assert script.clean_output(nbformat.v4.new_output("display_data", data={"text/plain": "0%|"}))


def test_the_script_replaces_parameters_that_a_notebook_has(script):
    """Other names are ignored, since the notebooks have different ones."""
    source = 'STEPS = 1200\nRUN = "runs/a"  # a comment'
    values = {"STEPS": "4", "ENCODER": '"e"'}
    assert script.set_parameters(source, values) == 'STEPS = 4\nRUN = "runs/a"  # a comment'
