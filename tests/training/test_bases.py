"""The bases of a new run: how long the texts of an encoder may be."""

import pytest
import torch

from tests.model.pretrained.families import ENCODERS, save_encoder
from textvae.model.bases.source import find_base
from textvae.model.encoders.pretrained import PretrainedEncoder, PretrainedEncoderSettings
from textvae.training.bases import Bases


@pytest.mark.parametrize("family", ENCODERS)
def test_the_longest_text_of_an_encoder_has_positions_for_all_of_its_tokens(tmp_path, family):
    """RoBERTa and its relatives count positions from the id of the padding token."""
    save_encoder(family, tmp_path)
    bases = Bases(find_base(str(tmp_path), "model.encoder.name"), None)
    tokenizer = bases.load_encoder_tokenizer(1000)
    assert tokenizer is not None
    ids, mask = tokenizer.encode(["x y " * 500, "x"])
    settings, _ = PretrainedEncoder.open_base(PretrainedEncoderSettings(name=str(tmp_path)))
    states = PretrainedEncoder(settings, 0).eval()(ids, mask)
    assert states.isfinite().all()
    assert ids.shape[1] == {"roberta": 126, "mpnet": 126, "t5": 2000}.get(family, 128)
    assert torch.equal(mask.sum(1)[:1], torch.tensor([ids.shape[1]]))
