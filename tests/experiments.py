"""The scripts in `experiments/` as modules, which are no package."""

import importlib.util
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def load_experiment(name: str, monkeypatch):
    """Return a script as a module, until the test ends."""
    specification = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, name, module)
    specification.loader.exec_module(module)
    return module
