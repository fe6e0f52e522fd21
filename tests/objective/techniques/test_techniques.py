"""The contract that every technique fulfills, and word dropout and free bits in detail."""

import json

import pytest
import torch

from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, VOCAB, built, draws, tiny_batch, tiny_ids
from textvae.model.modeling import TextVAEOutput
from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors import PRIORS
from textvae.objective.techniques import TECHNIQUES, ModelFacts, Progress
from textvae.settings.auto import resolve_auto
from textvae.settings.reading import read_settings

FACTS = ModelFacts(
    latent=LATENT, vocab=VOCAB, start_id=BOS, blank_id=UNKNOWN, end_id=EOS, pad_id=PAD
)
MIDDLE = Progress(step=50, fraction=0.5)


def technique(name, **settings):
    """Return a technique with default settings, `auto` replaced by numbers."""
    torch.manual_seed(0)  # for the technique's own weights
    base = read_settings(model={"latent_dim": LATENT}, objective={"techniques": {name: settings}})
    resolved = resolve_auto(base, tokens_per_sentence=12.0)
    return TECHNIQUES[name](resolved.objective.techniques[name], FACTS)


def standard_normal():
    """Return the prior N(0, I)."""
    return built(PRIORS, {"kind": "standard_normal"}, LATENT)


def some_kl(seed=0):
    return draws(6, LATENT, seed=seed).square()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_resumes_from_its_state(name):
    """The state survives JSON, and afterwards both shape the KL in the same way."""
    whole = technique(name)
    resumed = technique(name)
    for seed in range(5):
        whole.observe_kl(some_kl(seed), MIDDLE)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert resumed.state_dict() == whole.state_dict()
    for seed in range(5, 10):
        for part in (whole, resumed):
            part.observe_kl(some_kl(seed), MIDDLE)
        shaped = [part.shape_kl(some_kl(seed), MIDDLE) for part in (whole, resumed)]
        torch.testing.assert_close(*shaped, rtol=0, atol=0)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_shaped_kl_is_finite_with_a_finite_gradient(name):
    """The start, the middle and the end of a run are checked; the shape stays (batch, latent)."""
    part = technique(name)
    for fraction in (0.0, 0.5, 1.0):
        kl = some_kl().requires_grad_()
        shaped = part.shape_kl(kl, Progress(int(100 * fraction), fraction))
        assert shaped.shape == kl.shape
        assert shaped.isfinite().all()
        assert (shaped >= 0).all()
        if shaped.requires_grad:
            shaped.sum().backward()
            assert kl.grad.isfinite().all()


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("batch", [1, 6])
def test_a_penalty_is_one_finite_number_with_a_finite_gradient(name, batch):
    """The batch may have one sentence, and all posteriors may equal the prior."""
    for scale in (0.0, 1.0):
        mean = (scale * draws(batch, LATENT)).requires_grad_()
        logvar = (scale * draws(batch, LATENT, seed=1)).requires_grad_()
        q = DiagonalGaussian(mean, logvar)
        prior = standard_normal()
        part = technique(name)
        z = q.sample()
        output = TextVAEOutput(
            mean=mean,
            logvar=logvar,
            latent=z,
            kl=prior.kl(q, z),
            posterior=q,
            prior=prior,
            pooled=mean,  # any states that depend on the weights will do
        )
        penalty = part.penalty(output, tiny_batch(tiny_ids(range(3, 3 + batch))), MIDDLE)
        penalty = torch.as_tensor(penalty)
        assert penalty.shape == ()
        assert penalty.isfinite()
        if penalty.requires_grad:
            penalty.backward()
            assert all(grad is None or grad.isfinite().all() for grad in (mean.grad, logvar.grad))
            own_weights = part.module.parameters() if part.module else []
            assert all(weight.grad.isfinite().all() for weight in own_weights)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_changes_neither_batch_nor_kl_in_place(name):
    """It returns new tensors, with the same keys in the batch."""
    batch = tiny_batch()
    kl = some_kl()
    part = technique(name)
    torch.manual_seed(0)
    corrupted = part.corrupt(batch, MIDDLE)
    part.observe_kl(kl, MIDDLE)
    part.shape_kl(kl, MIDDLE)
    torch.testing.assert_close(batch, tiny_batch())
    torch.testing.assert_close(kl, some_kl())
    assert corrupted.keys() == batch.keys()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_trains_the_encoder_for_a_bounded_time(name):
    """It stops even if the loss keeps falling; pretraining leaves some of the run."""
    part = technique(name)
    taken = 0

    def train_encoder(steps):
        nonlocal taken
        taken += steps
        assert taken < 1000
        return -taken

    part.before_step(train_encoder)
    assert part.freezes_encoder == (taken > 0)
    assert 0 <= part.pretraining_share < 1


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_words_to_predict_are_never_corrupted(name):
    """Labels and mask stay the same; only denoising may shorten what the encoder reads."""
    torch.manual_seed(0)
    corrupted = technique(name).corrupt(tiny_batch(), MIDDLE)
    for key in ("labels", "attention_mask"):
        assert torch.equal(corrupted[key], tiny_batch()[key])
    lengths = tiny_batch()["encoder_attention_mask"].sum(1)
    corrupted_lengths = corrupted["encoder_attention_mask"].sum(1)
    if name == "denoising":
        assert (corrupted_lengths <= lengths).all()
    else:
        assert torch.equal(corrupted_lengths, lengths)


def test_word_dropout_hides_the_set_share_of_words():
    """Hidden words are replaced by the blank token, all others stay."""
    batch = tiny_batch(tiny_ids([40] * 200))
    torch.manual_seed(0)
    ids = technique("word_dropout", rate=0.3).corrupt(batch, MIDDLE)["input_ids"]
    assert (ids[:, 1:] == UNKNOWN).float().mean().item() == pytest.approx(0.3, abs=0.02)
    is_visible = ids != UNKNOWN
    assert torch.equal(ids[is_visible], batch["input_ids"][is_visible])


def test_word_dropout_at_rate_one_hides_every_word_except_the_start():
    """Padding stays as it is."""
    ids = technique("word_dropout", rate=1.0).corrupt(tiny_batch(), MIDDLE)["input_ids"]
    mask = tiny_batch()["attention_mask"].bool()
    assert (ids[:, 0] == BOS).all()
    assert (ids[:, 1:][mask[:, 1:]] == UNKNOWN).all()
    assert (ids[~mask] == PAD).all()


def test_word_dropout_does_not_change_what_the_encoder_reads():
    """Only inputs of the decoder are hidden."""
    corrupted = technique("word_dropout", rate=1.0).corrupt(tiny_batch(), MIDDLE)
    assert torch.equal(corrupted["encoder_input_ids"], tiny_batch()["encoder_input_ids"])


@pytest.mark.parametrize(
    ("means", "floor"), [([0.1, 0.4, 0.6, 2.0], 0.5), ([0.0, 0.0, 0.0, 0.0], 0.5)]
)
def test_free_bits_of_a_dimension_clamp_its_batch_mean_from_below(means, floor):
    """The shaped KL is max(floor, KL); its gradient is 0 below the floor and 1 above it."""
    noise = some_kl() / some_kl().mean(0)
    kl = (noise * torch.tensor(means)).requires_grad_()
    shaped = technique("free_bits", floor=floor).shape_kl(kl, MIDDLE).mean(0)
    torch.testing.assert_close(shaped, torch.tensor(means).clamp(min=floor))
    shaped.sum().backward()
    is_above = torch.tensor(means) > floor
    torch.testing.assert_close(kl.grad, is_above.float().expand(6, -1) / 6)


@pytest.mark.parametrize(("total", "is_above"), [(0.9, False), (1.1, True)])
def test_free_bits_in_total_clamp_the_sum_over_dimensions(total, is_above):
    """A small dimension is not clamped if the others carry enough."""
    shares = torch.tensor([0.0, 0.1, 0.2, 0.7])
    kl = (some_kl() / some_kl().mean(0) * shares * total).requires_grad_()
    part = technique("free_bits", floor=1.0, scope="total")
    shaped = part.shape_kl(kl, MIDDLE).sum(1).mean()
    assert shaped.item() == pytest.approx(max(1.0, total), abs=1e-5)
    shaped.backward()
    torch.testing.assert_close(kl.grad, torch.full_like(kl, 1 / 6 if is_above else 0.0))
