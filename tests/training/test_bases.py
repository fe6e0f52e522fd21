"""The bases of a new run: how long the texts of an encoder may be, and what a decoder can take."""

import re

import pytest
import torch

from tests.model.pretrained.families import CAUSAL, ENCODERS, save_decoder, save_encoder
from textvae.errors import ConfigError
from textvae.model.bases.source import find_base
from textvae.model.encoders.pretrained import PretrainedEncoder, PretrainedEncoderSettings
from textvae.settings.reading import read_settings
from textvae.training.bases import Bases, open_run_bases


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


_SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_COMPRESSED_KEYS = {
    **_SIZES,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
    "num_key_value_heads": 2,
    "n_routed_experts": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 2,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
}


def read_decoder_settings(folder, *overrides):
    """Return the settings of a run whose decoder starts from a folder."""
    names = ["model.decoder.kind=pretrained", f"model.decoder.name={folder}"]
    return read_settings(overrides=["data.max_tokens=40", *names, *overrides])


def test_a_decoder_without_usual_keys_gets_a_prefix_in_place_of_a_memory(
    tmp_path, monkeypatch, capsys
):
    """DeepSeek compresses its keys. A memory that the user chose is refused."""
    monkeypatch.setitem(CAUSAL, "deepseek", ("deepseek_v3", _COMPRESSED_KEYS))
    save_decoder("deepseek", tmp_path)
    device = torch.device("cpu")
    _, settings = open_run_bases(read_decoder_settings(tmp_path), device)
    assert settings.model.conditioning == ("prefix", "output")
    assert "cannot attend to a memory" in capsys.readouterr().err
    chosen = read_decoder_settings(tmp_path, "model.conditioning=[memory]")
    with pytest.raises(ConfigError, match="Use prefix in place of memory"):
        open_run_bases(chosen, device)


def test_a_decoder_whose_embeddings_have_another_size_than_its_states_is_refused(
    tmp_path, monkeypatch
):
    """OPT-350m is one."""
    fields = {**_SIZES, "ffn_dim": 32, "word_embed_proj_dim": 8, "do_layer_norm_before": False}
    monkeypatch.setitem(CAUSAL, "opt", ("opt", fields))
    save_decoder("opt", tmp_path)
    with pytest.raises(ConfigError, match="embeddings of 8 numbers and states of 16"):
        open_run_bases(read_decoder_settings(tmp_path), torch.device("cpu"))


def test_a_frozen_language_model_alone_is_refused(tmp_path):
    """It has no weights to train."""
    save_decoder("llama", tmp_path)
    frozen = read_decoder_settings(tmp_path, "objective=language_model", "model.decoder.train=none")
    with pytest.raises(ConfigError, match=r"Set model\.decoder\.train to lora or all"):
        open_run_bases(frozen, torch.device("cpu"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.encoder.dropout=0.2"], "and it has no LSTM: leave it out"),
        (
            ["model.encoder.train=none", "objective.techniques.word_similarity={}"],
            "with model.encoder.train = 'none' they do not change",
        ),
    ],
)
def test_a_setting_without_effect_on_a_pretrained_encoder_is_refused(tmp_path, overrides, words):
    """An LSTM that reads the encoder's states gives both an effect. Saved settings still load."""
    base = save_encoder("bert", tmp_path / "base")
    named = ["model.encoder.kind=pretrained", f"model.encoder.name={base}", *overrides]
    settings = read_settings(overrides=named)
    settings.save(tmp_path / "settings.yaml")
    assert read_settings(tmp_path / "settings.yaml") == settings
    with pytest.raises(ConfigError, match=re.escape(words)):
        open_run_bases(settings, torch.device("cpu"))
    with_lstm = read_settings(overrides=[*named, "model.encoder.lstm=8"])
    assert open_run_bases(with_lstm, torch.device("cpu"))


def test_the_dropout_of_an_encoder_without_an_lstm_is_none(tmp_path):
    """The preset has `auto`, and its LSTM can be left out."""
    settings = PretrainedEncoderSettings(name="x", dropout="auto")
    assert settings.fit_to_corpus(1000).dropout == 0
    assert settings.model_copy(update={"lstm": 8}).fit_to_corpus(1000).dropout == 0.3
