"""The language model: the same decoder without a latent, on which every measure and use works."""

import pytest
import torch

from tests.tiny import SENTENCES, audible, tiny_batch, tiny_dataset, tiny_model
from tests.tiny_run import train_tiny
from textvae.errors import ConfigError
from textvae.evaluation.evaluate import evaluate
from textvae.settings.reading import read_settings
from textvae.vae import TextVAE


def language_model(**more):
    return tiny_model(conditioning=[], latent=0, **more)


def test_its_elbo_is_the_exact_likelihood_of_the_decoder():
    """No KL, no noise: token by token under plain log-softmax."""
    model, batch = language_model(), tiny_batch()
    output = model(**batch)
    read = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = model(**read, latent=torch.zeros(3, 0)).logits
    nll = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), batch["labels"], reduction="none"
    )
    torch.testing.assert_close(output.sentence_reconstruction, nll.sum(1))
    torch.testing.assert_close(output.loss, nll.sum(1).mean())


def test_it_has_the_decoder_s_weights_and_no_others():
    """Nothing of an encoder is left."""
    names = {name.split(".")[0] for name, _ in language_model().named_parameters()}
    assert names == {"decoder"}


def test_a_vae_whose_decoder_hears_nothing_is_still_refused():
    """Only a latent of no dimensions may go unheard."""
    with pytest.raises(ConfigError, match=r"model\.conditioning is empty"):
        tiny_model(conditioning=[])
    assert audible("lstm")


@pytest.mark.parametrize(
    "given", ["language_model", {"kind": "language_model", "techniques": {"unit_floor": "off"}}]
)
def test_it_has_no_technique_that_shapes_a_latent(given):
    """Word dropout it may have."""
    assert read_settings(objective=given).objective.techniques == {}
    more = {"kind": "language_model", "techniques": {"word_dropout": {"rate": 0.1}}}
    assert list(read_settings(objective=more).objective.techniques) == ["word_dropout"]


def test_a_technique_for_the_latent_is_refused_with_the_reason():
    """The message names it."""
    with pytest.raises(
        ConfigError, match="free_bits shapes a latent, and a language model has none"
    ):
        read_settings(objective={"kind": "language_model", "techniques": {"free_bits": {}}})


def test_settings_of_a_language_model_survive_their_own_file(tmp_path):
    """Written and read back."""
    settings = read_settings(objective="language_model")
    settings.save(tmp_path / "settings.yaml")
    assert read_settings(tmp_path / "settings.yaml") == settings


def test_it_trains_is_measured_and_writes(tmp_path):
    """From a corpus to text; the importance-weighted likelihood is the exact one."""
    train_tiny(tmp_path / "run", objective="language_model")
    vae = TextVAE.from_pretrained(tmp_path / "run", "cpu")
    record = evaluate(vae.bundle, tiny_dataset(vae.bundle), samples=3)
    assert record["kl"] == record["mi_full"] == record["active_units"] == record["latent_dim"] == 0
    assert record["iw_nll"] == pytest.approx(-record["elbo"], rel=1e-5)
    assert record["verdict"] == "language model"
    assert len(vae.generate(3)) == len(vae.complete("a man", 3)) == 3
    for verb in (vae.encode, vae.reconstruct, lambda texts: vae.interpolate(texts[0], texts[1])):
        with pytest.raises(ConfigError, match="a language model, which has no latent"):
            verb(SENTENCES)
