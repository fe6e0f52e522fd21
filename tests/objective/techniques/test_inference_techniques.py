"""IWAE and semi-amortised inference: the gradient that is followed is the one that was promised."""

from itertools import product

import torch

from tests.objective.techniques.test_techniques import technique
from tests.objective.test_elbo import objective
from tests.tiny import draws, tiny_batch, tiny_ids, tiny_model
from textvae.model.importance import log_importance_weights
from textvae.objective.techniques import Progress
from textvae.objective.techniques.semi_amortized import elbo_gradients

MIDDLE = Progress(step=50, fraction=0.5)
DRAWS = 3


def encoded(model, batch):
    return model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])


def gradients(model, loss):
    """Return every parameter's gradient of a loss, as one vector."""
    parts = list(model.parameters())
    grads = torch.autograd.grad(loss, parts, retain_graph=True, allow_unused=True)
    return torch.cat(
        [(0 * p if g is None else g).flatten() for g, p in zip(grads, parts, strict=True)]
    ).detach()


def log_weights(model, q, batch, latent):
    """Return log p(x, z_k) - log q(z_k | x), (draws, batch), by way of the logits, so that gradients flow."""
    rows = []
    for z in latent:
        scores = model(batch["input_ids"], batch["attention_mask"], latent=z).logits.log_softmax(-1)
        told = scores.gather(2, batch["labels"].clamp(min=0).unsqueeze(2)).squeeze(2)
        rows.append(
            (told * (batch["labels"] >= 0)).sum(1) + model.prior.log_prob(z) - q.log_prob(z)
        )
    return torch.stack(rows)


def picked(model, batch, picks, monkeypatch):
    """Return the loss when the draws picked are these."""
    monkeypatch.setattr(
        torch, "multinomial", lambda chances, count: torch.tensor(picks).unsqueeze(1)
    )
    part = objective(iwae={"draws": DRAWS})
    torch.manual_seed(0)
    return part(model, batch, MIDDLE).loss


def test_the_expected_gradient_of_the_picked_draw_is_that_of_the_iwae_bound(monkeypatch):
    """Summed over every way to pick a draw for each of two sentences, with its probability."""
    monkeypatch.setattr(
        "textvae.model.modeling.is_bf16_fast", lambda device: False
    )  # the reference is in single precision
    model, batch = tiny_model(seed=1), tiny_batch(tiny_ids([3, 5]))
    torch.manual_seed(0)
    q = encoded(model, batch)
    latent = torch.stack([q.sample() for _ in range(DRAWS)])
    weights = log_weights(model, q, batch, latent)
    bound = gradients(model, -weights.logsumexp(0).mean())
    chances = weights.softmax(0).detach()
    expected = sum(
        chances[one, 0]
        * chances[other, 1]
        * gradients(model, picked(model, batch, [one, other], monkeypatch))
        for one, other in product(range(DRAWS), repeat=2)
    )
    torch.testing.assert_close(weights, log_importance_weights(model, q, batch, latent))
    assert chances.max() < 0.999  # or there is nothing to choose
    torch.testing.assert_close(expected, bound, rtol=1e-3, atol=1e-4)


def test_draws_are_picked_by_their_importance_weights(monkeypatch):
    """The weights are normalised over a sentence's own draws; what is decoded are the picked ones."""
    part, model, batch = technique("iwae", draws=DRAWS), tiny_model(), tiny_batch()
    q = encoded(model, batch)
    torch.manual_seed(1)
    latent = torch.stack([q.sample() for _ in range(DRAWS)])
    asked, picks = [], torch.tensor([2, 0, 1])
    monkeypatch.setattr(
        torch, "multinomial", lambda chances, count: asked.append(chances) or picks.unsqueeze(1)
    )
    torch.manual_seed(1)
    chosen = part.draw(q.sample(), q, model, batch, MIDDLE)
    torch.testing.assert_close(
        asked[0], log_importance_weights(model, q, batch, latent).softmax(0).t()
    )
    torch.testing.assert_close(chosen, torch.stack([latent[2, 0], latent[0, 1], latent[1, 2]]))


def test_one_draw_is_the_elbo_with_a_sampled_kl():
    """With K = 1 the draw is the plain one and the price log q - log p at it."""
    model, batch = tiny_model(), tiny_batch()
    torch.manual_seed(0)
    loss = objective(iwae={"draws": 1})(model, batch, MIDDLE).loss
    torch.manual_seed(0)
    output = model(**batch)
    price = (output.posterior.log_prob(output.latent) - model.prior.log_prob(output.latent)).mean()
    torch.testing.assert_close(loss, output.reconstruction + price)


def test_weighing_draws_leaves_the_model_training():
    """Dropout is off for the weights alone."""
    model, batch = tiny_model().train(), tiny_batch()
    q = encoded(model, batch)
    technique("iwae").draw(q.sample(), q, model, batch, MIDDLE)
    assert all(module.training for module in model.modules())


def elbo_of(model, q, batch, count=400):
    """Return the negative ELBO of the batch under q, a sum over sentences, by many draws."""
    torch.manual_seed(3)
    latent = torch.stack([q.sample() for _ in range(count)])
    with torch.no_grad():
        return -log_importance_weights(model, q, batch, latent).mean(0).sum()


def test_refining_betters_the_elbo_of_the_batch():
    """The more steps, the better."""
    model, batch = tiny_model(), tiny_batch()
    q = encoded(model, batch)
    costs = [elbo_of(model, q, batch)]
    for steps in (3, 12):
        torch.manual_seed(0)
        refined = technique("semi_amortized", steps=steps, rate=0.05).refine_posterior(
            q, model, batch, MIDDLE
        )
        costs.append(elbo_of(model, refined, batch))
    assert costs[0] > costs[1] > costs[2]


def test_a_sentence_is_refined_by_its_own_slopes():
    """They are a sum over sentences: the size of the batch does not scale them."""
    model, batch = tiny_model(), tiny_batch(tiny_ids([4, 4]))
    twice = {name: tensor[:1].repeat(2, 1) for name, tensor in batch.items()}
    once = {name: tensor[:1] for name, tensor in batch.items()}
    mean, logvar = draws(1, 4), torch.full((1, 4), -30.0)  # hardly any noise
    alone, _ = elbo_gradients(mean, logvar, model, once)
    both, _ = elbo_gradients(mean.repeat(2, 1), logvar.repeat(2, 1), model, twice)
    torch.testing.assert_close(both, alone.repeat(2, 1))


def test_the_encoder_keeps_its_gradient_and_the_decoder_gets_none_from_refining():
    """The shift is a constant; nothing is left in the parameters' gradients."""
    model, batch = tiny_model(), tiny_batch()
    q = encoded(model, batch)
    refined = technique("semi_amortized").refine_posterior(q, model, batch, MIDDLE)
    assert all(parameter.grad is None for parameter in model.parameters())
    slope = draws(*q.mean.shape)
    torch.testing.assert_close(
        gradients(model, (refined.mean * slope).sum()), gradients(model, (q.mean * slope).sum())
    )
    assert not torch.equal(refined.mean, q.mean)
