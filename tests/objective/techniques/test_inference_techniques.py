"""IWAE and semi-amortized inference: their gradients are those of the papers."""

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
    """Return the gradient of a loss by all parameters, as one vector."""
    gradients = torch.autograd.grad(
        loss, list(model.parameters()), retain_graph=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in gradients])


def log_weights(model, q, batch, latent):
    """Return log p(x, z_k) - log q(z_k | x), (draws, batch), with gradients, from the logits."""
    rows = []
    for z in latent:
        scores = model(batch["input_ids"], batch["attention_mask"], latent=z).logits.log_softmax(-1)
        log_probs = scores.gather(2, batch["labels"].clamp(min=0).unsqueeze(2)).squeeze(2)
        log_likelihood = (log_probs * (batch["labels"] >= 0)).sum(1)
        rows.append(log_likelihood + model.prior.log_prob(z) - q.log_prob(z))
    return torch.stack(rows)


def loss_of_choice(model, batch, choice, monkeypatch):
    """Return the loss if these samples are chosen, one for each sentence."""
    monkeypatch.setattr(
        torch, "multinomial", lambda weights, count: torch.tensor(choice).unsqueeze(1)
    )
    part = objective(iwae={"draws": DRAWS})
    torch.manual_seed(0)
    return part(model, batch, MIDDLE).loss


def test_the_expected_gradient_of_the_chosen_sample_is_that_of_the_bound(monkeypatch):
    """The expectation is over every choice of one sample for each of two sentences."""
    # The reference is in single precision.
    monkeypatch.setattr("textvae.model.modeling.is_bf16_fast", lambda device: False)
    model = tiny_model(seed=1)
    batch = tiny_batch(tiny_ids([3, 5]))
    torch.manual_seed(0)
    q = encoded(model, batch)
    latent = torch.stack([q.sample() for _ in range(DRAWS)])
    weights = log_weights(model, q, batch, latent)
    bound = gradients(model, -weights.logsumexp(0).mean())
    chances = weights.softmax(0).detach()
    expected = torch.zeros_like(bound)
    for first, second in product(range(DRAWS), repeat=2):
        loss = loss_of_choice(model, batch, [first, second], monkeypatch)
        expected += chances[first, 0] * chances[second, 1] * gradients(model, loss)
    torch.testing.assert_close(weights, log_importance_weights(model, q, batch, latent))
    assert chances.max() < 0.999  # otherwise there would be no choice
    torch.testing.assert_close(expected, bound, rtol=1e-3, atol=1e-4)


def test_samples_are_chosen_by_their_importance_weights(monkeypatch):
    """The weights are normalized over each sentence's own samples; the chosen ones are decoded."""
    part = technique("iwae", draws=DRAWS)
    model = tiny_model()
    batch = tiny_batch()
    q = encoded(model, batch)
    torch.manual_seed(1)
    latent = torch.stack([q.sample() for _ in range(DRAWS)])
    used_weights = []

    def choose(weights, count):
        used_weights.append(weights)
        return torch.tensor([2, 0, 1]).unsqueeze(1)

    monkeypatch.setattr(torch, "multinomial", choose)
    torch.manual_seed(1)
    chosen = part.shape_latent(q.sample(), q, model, batch, MIDDLE)
    expected = log_importance_weights(model, q, batch, latent).softmax(0).t()
    torch.testing.assert_close(used_weights, [expected])
    torch.testing.assert_close(chosen, torch.stack([latent[2, 0], latent[0, 1], latent[1, 2]]))


def test_with_one_sample_iwae_is_the_elbo_with_a_sampled_kl():
    """With K = 1, z is the plain sample, and log q - log p at this z replaces the KL."""
    model = tiny_model()
    batch = tiny_batch()
    torch.manual_seed(0)
    loss = objective(iwae={"draws": 1})(model, batch, MIDDLE).loss
    torch.manual_seed(0)
    output = model(**batch)
    log_ratio = output.posterior.log_prob(output.latent) - model.prior.log_prob(output.latent)
    torch.testing.assert_close(loss, output.reconstruction + log_ratio.mean())


def test_weighting_samples_leaves_the_model_in_training_mode():
    """Dropout is off only for the weights."""
    model = tiny_model().train()
    batch = tiny_batch()
    q = encoded(model, batch)
    technique("iwae").shape_latent(q.sample(), q, model, batch, MIDDLE)
    assert all(module.training for module in model.modules())


def negative_elbo(model, q, batch, count=400):
    """Return the negative ELBO under q, summed over the batch and estimated from many samples."""
    torch.manual_seed(3)
    latent = torch.stack([q.sample() for _ in range(count)])
    with torch.no_grad():
        return -log_importance_weights(model, q, batch, latent).mean(0).sum()


def test_refining_improves_the_elbo_of_the_batch():
    """More steps improve it more."""
    model = tiny_model()
    batch = tiny_batch()
    q = encoded(model, batch)
    costs = [negative_elbo(model, q, batch)]
    for steps in (3, 12):
        torch.manual_seed(0)
        part = technique("semi_amortized", steps=steps, rate=0.05)
        refined = part.refine_posterior(q, model, batch, MIDDLE)
        costs.append(negative_elbo(model, refined, batch))
    assert costs[0] > costs[1] > costs[2]


def test_a_sentence_is_refined_by_its_own_gradient():
    """The size of the batch does not scale the gradient."""
    model = tiny_model()
    batch = tiny_batch(tiny_ids([4, 4]))
    twice = {name: tensor[:1].repeat(2, 1) for name, tensor in batch.items()}
    once = {name: tensor[:1] for name, tensor in batch.items()}
    mean = draws(1, 4)
    logvar = torch.full((1, 4), -30.0)  # almost no noise
    alone, _ = elbo_gradients(mean, logvar, model, once)
    both, _ = elbo_gradients(mean.repeat(2, 1), logvar.repeat(2, 1), model, twice)
    torch.testing.assert_close(both, alone.repeat(2, 1))


def test_refining_adds_no_gradient_to_encoder_or_decoder():
    """The shift is a constant, and the refining steps leave no gradients in the parameters."""
    model = tiny_model()
    batch = tiny_batch()
    q = encoded(model, batch)
    refined = technique("semi_amortized").refine_posterior(q, model, batch, MIDDLE)
    assert all(parameter.grad is None for parameter in model.parameters())
    weights = draws(*q.mean.shape)
    after = gradients(model, (refined.mean * weights).sum())
    before = gradients(model, (q.mean * weights).sum())
    torch.testing.assert_close(after, before)
    assert not torch.equal(refined.mean, q.mean)
