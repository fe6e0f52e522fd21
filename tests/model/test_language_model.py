"""The language model: the same decoder without a latent; every measure and most uses work on it."""

import pytest
import torch

from tests.tiny import SENTENCES, tiny_batch, tiny_dataset, tiny_model
from tests.tiny_run import train_tiny
from textvae.errors import ConfigError
from textvae.evaluation.evaluate import evaluate
from textvae.settings.reading import read_settings
from textvae.vae import TextVAE


def language_model(**more):
    return tiny_model(conditioning=[], latent=0, **more)


def test_its_elbo_is_the_exact_likelihood_of_the_decoder():
    """There is no KL and no noise: the loss is the cross-entropy of plain log-softmax."""
    model = language_model()
    batch = tiny_batch()
    output = model(**batch)
    logits = model(batch["input_ids"], batch["attention_mask"], latent=torch.zeros(3, 0)).logits
    nll = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), batch["labels"], reduction="none"
    )
    torch.testing.assert_close(output.sentence_reconstruction, nll.sum(1))
    torch.testing.assert_close(output.loss, nll.sum(1).mean())


def test_it_has_the_weights_of_the_decoder_and_no_others():
    """Encoder, posterior, prior and conditioning have no parameters."""
    names = {name.split(".")[0] for name, _ in language_model().named_parameters()}
    assert names == {"decoder"}


def test_a_vae_without_conditioning_is_still_refused():
    """Only a model with a latent of no dimensions needs no conditioning."""
    with pytest.raises(ConfigError, match=r"model\.conditioning is empty"):
        tiny_model(conditioning=[])


@pytest.mark.parametrize(
    "objective",
    ["language_model", {"kind": "language_model", "techniques": {"unit_floor": "off"}}],
)
def test_it_has_no_technique_that_shapes_a_latent(objective):
    """The default ones are left out; word dropout may be added."""
    assert read_settings(objective=objective).objective.techniques == {}
    more = {"kind": "language_model", "techniques": {"word_dropout": {"rate": 0.1}}}
    assert list(read_settings(objective=more).objective.techniques) == ["word_dropout"]


def test_a_technique_for_the_latent_is_refused_with_the_reason():
    """The message names the technique."""
    with pytest.raises(
        ConfigError, match="free_bits shapes a latent, and a language model has none"
    ):
        read_settings(objective={"kind": "language_model", "techniques": {"free_bits": {}}})


def test_settings_of_a_language_model_survive_their_own_file(tmp_path):
    """The settings read from the file are equal to those that were written to it."""
    settings = read_settings(objective="language_model")
    settings.save(tmp_path / "settings.yaml")
    assert read_settings(tmp_path / "settings.yaml") == settings


def test_it_trains_is_evaluated_and_generates(tmp_path):
    """From a corpus to text; the importance-weighted likelihood is equal to the exact one."""
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
