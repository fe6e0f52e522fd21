"""Techniques: every entry of the table keeps the contract; each does what its paper says."""

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
    """Return a technique with its defaults, those that depend on the corpus worked out."""
    torch.manual_seed(0)  # for weights of its own
    base = read_settings(model={"latent_dim": LATENT}, objective={"techniques": {name: settings}})
    return TECHNIQUES[name](
        resolve_auto(base, tokens_per_sentence=12.0).objective.techniques[name], FACTS
    )


def standard_normal():
    """Return the prior N(0, I)."""
    return built(PRIORS, {"kind": "standard_normal"}, LATENT)


def some_kl(seed=0):
    return draws(6, LATENT, seed=seed).square()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_goes_on_from_its_state_as_if_unbroken(name):
    """The state survives JSON; from then on both shape the KL alike."""
    whole, resumed = technique(name), technique(name)
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
def test_a_technique_pays_a_finite_kl_with_a_finite_gradient(name):
    """At the start, in the middle and at the end; the shape stays (batch, latent)."""
    part = technique(name)
    for fraction in (0.0, 0.5, 1.0):
        kl = some_kl().requires_grad_()
        paid = part.shape_kl(kl, Progress(int(100 * fraction), fraction))
        assert paid.shape == kl.shape
        assert paid.isfinite().all()
        assert (paid >= 0).all()
        if paid.requires_grad:
            paid.sum().backward()
            assert kl.grad.isfinite().all()


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("batch", [1, 6])
def test_a_penalty_is_one_finite_number_with_a_finite_gradient(name, batch):
    """Also where the batch holds one sentence or all posteriors are the prior."""
    for scale in (0.0, 1.0):
        mean = (scale * draws(batch, LATENT)).requires_grad_()
        logvar = (scale * draws(batch, LATENT, seed=1)).requires_grad_()
        q = DiagonalGaussian(mean, logvar)
        prior, part, z = standard_normal(), technique(name), q.sample()
        output = TextVAEOutput(
            mean=mean, logvar=logvar, latent=z, kl=prior.kl(q, z), posterior=q, prior=prior
        )
        penalty = part.penalty(output, tiny_batch(tiny_ids(range(3, 3 + batch))), MIDDLE)
        penalty = torch.as_tensor(penalty)
        assert penalty.shape == ()
        assert penalty.isfinite()
        if penalty.requires_grad:
            penalty.backward()
            assert all(grad is None or grad.isfinite().all() for grad in (mean.grad, logvar.grad))
            assert (
                all(weight.grad.isfinite().all() for weight in part.module.parameters())
                if part.module
                else True
            )


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_leaves_the_batch_it_is_given_and_the_true_kl_alone(name):
    """It returns new ones: nothing is changed in place."""
    batch, kl = tiny_batch(), some_kl()
    part = technique(name)
    torch.manual_seed(0)
    corrupted = part.corrupt(batch, MIDDLE)
    part.observe_kl(kl, MIDDLE)
    part.shape_kl(kl, MIDDLE)
    torch.testing.assert_close(batch, tiny_batch())
    torch.testing.assert_close(kl, some_kl())
    assert corrupted.keys() == batch.keys()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_trains_the_encoder_for_a_while_and_not_for_ever(name):
    """However long the loss falls; and a prelude leaves some of the run."""
    part, asked = technique(name), [0]

    def train_encoder(steps):
        asked.append(steps)
        assert sum(asked) < 1000
        return -sum(asked)

    part.before_step(train_encoder)
    assert part.freezes_encoder == (sum(asked) > 0)
    assert 0 <= part.pretraining_share < 1


@pytest.mark.parametrize("name", TECHNIQUES)
def test_what_is_predicted_is_never_corrupted(name):
    """Labels and masks are those of the batch; the encoder may only be shown a shorter sentence."""
    torch.manual_seed(0)
    corrupted = technique(name).corrupt(tiny_batch(), MIDDLE)
    for key in ("labels", "attention_mask"):
        assert torch.equal(corrupted[key], tiny_batch()[key])
    shown, lengths = (batch["encoder_attention_mask"].sum(1) for batch in (corrupted, tiny_batch()))
    assert (shown <= lengths if name == "denoising" else shown == lengths).all()


def test_word_dropout_hides_the_share_of_words_it_is_set_to():
    """Over many tokens, by the blank."""
    batch = tiny_batch(tiny_ids([40] * 200))
    torch.manual_seed(0)
    ids = technique("word_dropout", rate=0.3).corrupt(batch, MIDDLE)["input_ids"]
    assert (ids[:, 1:] == UNKNOWN).float().mean().item() == pytest.approx(0.3, abs=0.02)
    kept = ids != UNKNOWN
    assert torch.equal(ids[kept], batch["input_ids"][kept])


def test_word_dropout_at_rate_one_hides_every_word_but_the_start():
    """Padding stays padding."""
    ids = technique("word_dropout", rate=1.0).corrupt(tiny_batch(), MIDDLE)["input_ids"]
    mask = tiny_batch()["attention_mask"].bool()
    assert (ids[:, 0] == BOS).all()
    assert (ids[:, 1:][mask[:, 1:]] == UNKNOWN).all()
    assert (ids[~mask] == PAD).all()


def test_word_dropout_leaves_the_encoder_its_words():
    """Only the decoder's inputs are hidden."""
    corrupted = technique("word_dropout", rate=1.0).corrupt(tiny_batch(), MIDDLE)
    assert torch.equal(corrupted["encoder_input_ids"], tiny_batch()["encoder_input_ids"])


@pytest.mark.parametrize(
    ("means", "floor"), [([0.1, 0.4, 0.6, 2.0], 0.5), ([0.0, 0.0, 0.0, 0.0], 0.5)]
)
def test_free_bits_of_a_dimension_clamp_its_batch_mean_from_below(means, floor):
    """Paid is max(floor, KL); the gradient is zero below the floor and whole above it."""
    noise = some_kl() / some_kl().mean(0)
    kl = (noise * torch.tensor(means)).requires_grad_()
    paid = technique("free_bits", floor=floor).shape_kl(kl, MIDDLE).mean(0)
    torch.testing.assert_close(paid, torch.tensor(means).clamp(min=floor))
    paid.sum().backward()
    is_above = torch.tensor(means) > floor
    torch.testing.assert_close(kl.grad, is_above.float().expand(6, -1) / 6)


@pytest.mark.parametrize(("total", "is_paid"), [(0.9, False), (1.1, True)])
def test_free_bits_in_total_clamp_the_sum_over_dimensions(total, is_paid):
    """One small dimension is not clamped when the others carry enough."""
    kl = (
        some_kl() / some_kl().mean(0) * torch.tensor([0.0, 0.1, 0.2, 0.7]) * total
    ).requires_grad_()
    paid = technique("free_bits", floor=1.0, scope="total").shape_kl(kl, MIDDLE).sum(1).mean()
    assert paid.item() == pytest.approx(max(1.0, total), abs=1e-5)
    paid.backward()
    torch.testing.assert_close(kl.grad, torch.full_like(kl, 1 / 6 if is_paid else 0.0))
