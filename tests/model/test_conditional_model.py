"""Labels: they condition prior and decoder, all verbs accept them, and wrong ones are refused."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.tiny import (
    DECODER_SETTINGS,
    LATENT,
    SENTENCES,
    draws,
    supported_conditionings,
    tiny_dataset,
    tiny_model,
    tiny_vae,
)
from textvae.errors import ConfigError, DataError
from textvae.evaluation.evaluate import evaluate
from textvae.inference.generate import sample_labels, sample_prior
from textvae.model.importance import log_importance_weights
from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors.label_gaussian import LOGVAR_BOUND
from textvae.vae import TextVAE

COUNTS = {"calm": 3, "wild": 1}
LABELS = ["calm", "wild", "wild", "calm", "calm", "wild"]


@pytest.fixture(scope="module", params=["lstm", "gpt2"])
def conditional(request) -> TextVAE:
    """Return a conditional VAE."""
    return tiny_vae(request.param, labels=COUNTS)


def prior():
    return tiny_model(labels=COUNTS).prior.requires_grad_(False)


def test_the_kl_to_a_labels_gaussian_equals_that_of_torch():
    """It is equal per row and dimension, with the bounded variance; so is the density."""
    part = prior()
    ids = torch.tensor([1, 0, 1])
    q = DiagonalGaussian(draws(3, LATENT), draws(3, LATENT, seed=1))
    logvar = LOGVAR_BOUND * torch.tanh(part.logvar / LOGVAR_BOUND)
    p = Normal(part.mean[ids], torch.exp(0.5 * logvar[ids]))
    expected = kl_divergence(Normal(q.mean, torch.exp(0.5 * q.logvar)), p)
    torch.testing.assert_close(part.conditional_on(ids).kl(q, q.sample()), expected)
    z = draws(4, 3, LATENT, seed=2)
    torch.testing.assert_close(part.conditional_on(ids).log_prob(z), p.log_prob(z).sum(-1))


def test_without_a_label_the_prior_is_the_mixture_by_shares():
    """p(z) is the sum of p(y) p(z | y)."""
    part = prior()
    z = draws(5, LATENT)
    calm = part.conditional_on(torch.tensor([0])).log_prob(z)
    wild = part.conditional_on(torch.tensor([1])).log_prob(z)
    expected = torch.logaddexp(calm + math.log(0.75), wild + math.log(0.25))
    torch.testing.assert_close(part.log_prob(z), expected)


def test_a_latent_that_is_relabeled_twice_is_the_same_again():
    """With the other label, z is as many standard deviations from the mean."""
    part = prior()
    z = draws(3, LATENT)
    ids = torch.tensor([1, 0, 1])
    relabeled = part.relabel(z, ids, 1 - ids)
    torch.testing.assert_close(part.relabel(relabeled, 1 - ids, ids), z)
    old = part.conditional_on(ids).gaussian
    new = part.conditional_on(1 - ids).gaussian
    torch.testing.assert_close(
        (z - old.mean) * torch.exp(-0.5 * old.logvar),
        (relabeled - new.mean) * torch.exp(-0.5 * new.logvar),
    )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_every_conditioning_passes_the_label_to_the_decoder(writer):
    """The same z and tokens with another label have other scores."""
    for name in supported_conditionings(writer):
        model = tiny_model(writer, conditioning=[name], labels=COUNTS)
        z = draws(2, LATENT)
        ids = torch.tensor([[1, 5, 6], [1, 7, 8]])
        calm = model(ids, latent=z, label_ids=torch.tensor([0, 0])).logits
        wild = model(ids, latent=z, label_ids=torch.tensor([1, 1])).logits
        assert (calm - wild).abs().max() > 1e-4, name
        assert TextVAE(model, tiny_vae().tokenizer).labels == ["calm", "wild"]


def test_a_batch_of_many_labels_equals_each_alone(conditional):
    """The scores of a text with its label do not depend on the other texts and labels."""
    together = conditional.score(SENTENCES, samples=2, labels=LABELS)
    records = [
        conditional.with_label(label).score(text, samples=2)
        for text, label in zip(SENTENCES, LABELS, strict=True)
    ]
    assert {"elbo", "iw_nll"} <= together[0].keys()
    batch = conditional.bundle.make_batch(
        conditional.tokenizer(SENTENCES, add_special_tokens=False)["input_ids"], LABELS
    )
    z = draws(len(SENTENCES), LATENT)
    in_batch = conditional.model.sentence_nll(
        batch["input_ids"], batch["attention_mask"], batch["labels"], z, batch["label_ids"]
    )
    for row, (text, label) in enumerate(zip(SENTENCES, LABELS, strict=True)):
        one = conditional.with_label(label).bundle
        alone = one.make_batch(conditional.tokenizer([text], add_special_tokens=False)["input_ids"])
        nll = one.model.sentence_nll(
            alone["input_ids"],
            alone["attention_mask"],
            alone["labels"],
            z[row : row + 1],
            alone["label_ids"],
        )
        torch.testing.assert_close(nll[0], in_batch[row], rtol=1e-3, atol=1e-3)
        assert records[row][0]["kl"] == pytest.approx(together[row]["kl"], rel=1e-3)


def test_importance_weights_use_the_prior_of_each_label(conditional):
    """They are log p(x | z, y) + log p(z | y) - log q(z | x), each row with its own label."""
    ids = conditional.tokenizer(SENTENCES, add_special_tokens=False)["input_ids"]
    batch = conditional.bundle.make_batch(ids, LABELS)
    model = conditional.model
    with torch.no_grad():
        q = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
        z = draws(2, len(ids), LATENT)
        log_weights = log_importance_weights(model, q, batch, z)
        names = ("input_ids", "attention_mask", "labels", "label_ids")
        output = model(**{name: batch[name] for name in names}, latent=z[0])
        log_prior = model.prior.conditional_on(batch["label_ids"]).log_prob(z[0])
        expected = log_prior - q.log_prob(z[0]) - output.sentence_reconstruction
    torch.testing.assert_close(log_weights[0], expected, rtol=1e-2, atol=1e-2)


def test_every_verb_works_with_one_label_for_all_texts(conditional):
    """`with_label` returns a view of the model; its `generate` equals `generate(label=)`."""
    vae = conditional.with_label("wild")
    assert conditional.generate(5, label="wild", seed=0) == vae.generate(5, seed=0)
    calm = conditional.generate(5, label="calm", seed=0)
    assert conditional.generate(5, label="wild", seed=0) != calm
    assert torch.equal(
        sample_prior(vae.bundle, 3, 0),
        sample_prior(conditional.bundle, 3, 0, torch.tensor([1, 1, 1])),
    )
    assert len(vae.complete("a man", 2)) == 2
    assert vae.complete("two", 2)[0].startswith("two")
    assert vae.infill("two ___ run .", n=2, latents=4)
    assert len(vae.interpolate(*SENTENCES[:2], steps=3)) == 3
    assert vae.decode([[0.0] * LATENT]) == vae.decode([[0.0] * LATENT], num_beams=1)
    assert len(vae.decode([[0.0] * LATENT], num_beams=2)) == 1
    assert len(vae.uncertainty(SENTENCES[:2], draws=2)) == 2
    wild = conditional.reconstruct(SENTENCES, labels=["wild"] * len(SENTENCES))
    assert wild == vae.reconstruct(SENTENCES) == vae.reconstruct(SENTENCES, write_as="wild")
    assert wild != vae.reconstruct(SENTENCES, write_as="calm")


def test_without_a_label_each_is_as_frequent_as_in_training(conditional):
    """The labels come from the seed, not from the global random state."""
    ids = sample_labels(conditional.bundle, 4000, 0)
    assert ids is not None
    assert ids.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert conditional.generate(3, seed=0) == conditional.generate(3, seed=0)
    assert sample_labels(tiny_vae().bundle, 3, 0) is None


def test_verbs_that_only_encode_need_no_label(conditional):
    """The encoder does not depend on the label."""
    mean = conditional.encode(SENTENCES)
    assert (mean == conditional.with_label("wild").encode(SENTENCES)).all()
    assert conditional.features(SENTENCES).shape[0] == len(SENTENCES)


def test_evaluate_reads_the_labels_of_its_data_set(conditional):
    """Other labels give another reconstruction; every measure is finite."""
    dataset = tiny_dataset(conditional.bundle)
    records = [
        evaluate(conditional.bundle, dataset.add_column("kind", labels), samples=5)
        for labels in (LABELS, LABELS[::-1])
    ]
    assert records[0]["reconstruction"] != records[1]["reconstruction"]
    assert all(math.isfinite(value) for value in records[0].values() if isinstance(value, float))
    with pytest.raises(ConfigError, match="give one of calm, wild, with --label"):
        evaluate(conditional.bundle, dataset, samples=5)


def test_a_model_with_labels_refuses_wrong_ones_and_names_the_right_ones(conditional):
    """Missing, unknown, and too few labels are refused."""
    for verb in (
        lambda: conditional.complete("a man"),
        lambda: conditional.infill("a ___ .", latents=4),
        lambda: conditional.reconstruct(SENTENCES),
        lambda: conditional.score(SENTENCES, samples=2),
        lambda: conditional.decode([[0.0] * LATENT]),
        lambda: conditional.interpolate(*SENTENCES[:2]),
    ):
        with pytest.raises(
            ConfigError, match="trained with labels: give one of calm, wild, with --label"
        ):
            verb()
    with pytest.raises(
        ConfigError, match=r"label = 'wlid' is unknown: did you mean 'wild'. Choose from calm, wild"
    ):
        conditional.generate(label="wlid")
    with pytest.raises(DataError, match="text 1 has no label"):
        conditional.score(SENTENCES[:2], samples=2, labels=["calm", None])
    with pytest.raises(DataError, match="got 1 labels for 6 texts; expected one label per text"):
        conditional.score(SENTENCES, samples=2, labels=["calm"])
    with pytest.raises(ConfigError, match="does not depend on labels"):
        conditional.generate(prior="flow")


def test_a_model_without_labels_refuses_a_label(lstm):
    """All arguments that take labels are refused."""
    for verb in (
        lambda: lstm.generate(label="wild"),
        lambda: lstm.with_label("wild"),
        lambda: lstm.score(SENTENCES[:1], samples=2, labels=["wild"]),
        lambda: lstm.reconstruct(SENTENCES[:1], write_as="wild"),
    ):
        with pytest.raises(ConfigError, match="this one was trained without any: leave "):
            verb()


def test_a_saved_model_keeps_its_labels(conditional, tmp_path):
    """They are in config.json, and the loaded model generates the same texts."""
    conditional.save_pretrained(tmp_path)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert loaded.labels == ["calm", "wild"]
    wild = conditional.generate(4, label="wild", seed=0)
    assert loaded.generate(4, label="wild", seed=0) == wild
    assert loaded.generate(4, seed=0) == conditional.generate(4, seed=0)


def test_a_view_of_a_label_refuses_labels_of_texts(conditional):
    """One of the two would be ignored."""
    view = conditional.with_label(LABELS[0])
    for use in (view.score, view.reconstruct, view.augment):
        with pytest.raises(ConfigError, match=r"labels of their own, but this is the view"):
            use(SENTENCES, labels=LABELS)
