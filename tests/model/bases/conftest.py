"""Folders of tiny pretrained models with random weights."""

import json
import shutil

import pytest
import torch

from tests.model.bases.tiny_bases import save_bert, save_gpt2


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return the folders of a saved BERT and a saved GPT-2, which no test may change."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bases")
    save_bert(folder / "bert")
    save_gpt2(folder / "gpt2")
    return folder


@pytest.fixture
def bert(saved, tmp_path):
    """Return the folder of a BERT that a test may change."""
    return shutil.copytree(saved / "bert", tmp_path / "bert")


@pytest.fixture
def gpt2(saved, tmp_path):
    """Return the folder of a GPT-2 that a test may change."""
    return shutil.copytree(saved / "gpt2", tmp_path / "gpt2")


@pytest.fixture
def edit_json():
    """Return a function that sets entries of a JSON file."""

    def edit(file, **entries):
        file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))

    return edit
