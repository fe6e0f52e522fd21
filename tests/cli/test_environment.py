"""`textvae info` without a run: what an issue report needs."""

import json
import platform

import numpy as np
import torch

from textvae.cli.environment import describe_environment
from textvae.cli.main import main
from textvae.version import __version__

KEYS = """textvae python torch transformers datasets tokenizers numpy
platform processor threads device bf16""".split()


def test_the_record_has_the_versions_and_the_machine():
    """The versions are those of the packages that are imported."""
    record = describe_environment("cpu")
    assert list(record) == KEYS
    assert record["textvae"] == __version__
    assert record["python"] == platform.python_version()
    assert record["numpy"] == np.__version__
    assert record["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert record["device"] == "cpu"
    assert all(record[key] for key in ("platform", "processor", "threads"))


def test_info_without_a_run_prints_one_line_per_entry(capsys):
    """A user can paste it into an issue."""
    assert main(["info", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == KEYS


def test_info_without_a_run_prints_one_json_object(capsys):
    """Its entries are those of the text."""
    assert main(["info", "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out) == describe_environment("cpu")


def test_info_on_an_unknown_device_is_refused(capsys):
    """The message says which devices there are."""
    assert main(["info", "--device", "gpu"]) == 2
    assert "device = 'gpu' is unknown" in capsys.readouterr().err
