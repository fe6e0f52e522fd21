"""The model as transformers knows it: auto classes, `generate`, and errors whose advice works."""

import sys

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

import textvae
from tests.tiny import LATENT, tiny_model, tiny_vae
from tests.tiny_run import SENTENCES
from textvae.errors import ConfigError, ShapeError
from textvae.model.modeling import TextVAEModel
from textvae.vae import TextVAE

TEXTS = SENTENCES[:3]


@pytest.fixture(scope="module")
def plain(tiny_run):
    """The model and the tokenizer of a run, loaded by transformers' auto classes."""
    return AutoModel.from_pretrained(tiny_run), AutoTokenizer.from_pretrained(tiny_run)


def tokenize(tokenizer, texts):
    """Return the arguments of `generate` for sentences to encode."""
    tokens = tokenizer(
        [text + tokenizer.eos_token for text in texts], padding=True, return_tensors="pt"
    )
    return {
        "encoder_input_ids": tokens["input_ids"],
        "encoder_attention_mask": tokens["attention_mask"],
    }


def decode(tokenizer, rows):
    return tokenizer.batch_decode(rows, skip_special_tokens=True)


def test_importing_textvae_registers_the_model_if_transformers_is_imported(monkeypatch):
    """Otherwise nothing is imported, because that would take seconds."""
    imported: list[str] = []
    monkeypatch.setattr(textvae, "import_module", imported.append)
    textvae._register_with_transformers()
    assert imported == [TextVAEModel.__module__]
    monkeypatch.delitem(sys.modules, "transformers")
    textvae._register_with_transformers()
    assert len(imported) == 1


def test_the_auto_classes_load_the_model(plain, tiny_run):
    """Its config has the type that the auto classes look up."""
    assert AutoConfig.from_pretrained(tiny_run).model_type == "textvae"
    assert type(plain[0]).__name__ == "TextVAEModel"


def test_generate_from_a_latent_writes_what_decode_writes(plain, tiny_run):
    """Greedily, without any input ids."""
    model, tokenizer = plain
    z = torch.randn(3, model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    rows = model.generate(latent=z, do_sample=False)
    assert decode(tokenizer, rows) == TextVAE.from_pretrained(tiny_run, "cpu").decode(z.numpy())


def test_generate_from_sentences_writes_what_reconstruct_writes(plain, tiny_run):
    """Sentences of unequal lengths; z is the posterior mean, the same in every step."""
    model, tokenizer = plain
    rows = model.generate(**tokenize(tokenizer, TEXTS), do_sample=False)
    expected = TextVAE.from_pretrained(tiny_run, "cpu").reconstruct(TEXTS)
    assert decode(tokenizer, rows) == expected


def test_beams_and_several_sequences_keep_their_latents(plain):
    """Each latent has as many texts as were asked for, one after another."""
    model, _ = plain
    z = model.prior.sample(2)
    rows = model.generate(latent=z, do_sample=False, num_beams=3, num_return_sequences=2)
    assert len(rows) == 4
    alone = model.generate(latent=z[1:], do_sample=False, num_beams=3, num_return_sequences=2)
    assert rows[2:, : alone.shape[1]].tolist() == alone.tolist()


def test_a_language_model_needs_no_latent():
    """It has none."""
    model = tiny_model(latent=0, conditioning=[])
    assert model.generate(do_sample=False).shape[0] == 1


def test_the_advice_for_a_missing_latent_works(plain):
    """The message names `model.prior.sample`, and the mask that the tokenizer returns."""
    model, tokenizer = plain
    with pytest.raises(ValueError, match=r"pass latent=, such as model\.prior\.sample\(n\)"):
        model.generate()
    with pytest.raises(ValueError, match="encoder_attention_mask="):
        model.generate(encoder_input_ids=torch.ones(1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="there is no z"):
        model(**tokenizer(TEXTS[0], return_tensors="pt"))
    assert model.generate(latent=model.prior.sample(2)).shape[0] == 2


def test_a_latent_of_another_size_is_refused(plain):
    """As is one for another number of beginnings; the message says how to repeat these."""
    model, _ = plain
    with pytest.raises(ShapeError, match=r"shape \(2, 9\); expected \(batch, 4\)"):
        model.generate(latent=torch.zeros(2, 9))
    start = torch.full((1, 1), model.config.bos_token_id)
    z = torch.zeros(2, LATENT)
    with pytest.raises(ShapeError, match=r"input_ids\.expand\(len\(latent\), -1\)"):
        model.generate(start, latent=z)
    assert model.generate(start.expand(len(z), -1), latent=z).shape[0] == 2


def test_a_conditional_model_names_its_argument_for_labels():
    """`with_label` is that of TextVAE, `label_ids=` that of the model."""
    model = tiny_vae(labels={"calm": 2, "wild": 1}).model
    with pytest.raises(ConfigError, match="give the model itself label_ids="):
        model.generate(latent=torch.zeros(2, LATENT))
    rows = model.generate(latent=torch.zeros(2, LATENT), label_ids=torch.tensor([0, 1]))
    assert rows.shape[0] == 2
