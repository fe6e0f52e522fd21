"""The notebooks: every cell runs, on a tiny corpus and for a few steps."""

import json
from typing import Any

import pytest

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


def code_cells(notebook):
    """Return the code cells of a notebook, each with whether it sets the parameters."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return [
        ("parameters" in cell["metadata"].get("tags", ()), "".join(cell["source"])) for cell in code
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
