"""A batch that finished sentences leave gives the same texts as plain `generate()`."""

from typing import Any

import pytest
import torch

from tests.inference.test_generation import starts
from tests.tiny import DECODER_SETTINGS, EOS, LATENT, VOCAB, draws, tiny_ids, tiny_model
from textvae.inference import generation_loop
from textvae.inference.generation_loop import generate_with_shrinking_batch
from textvae.inference.token_choice import TokenChoice, sample_tokens

STEPS = 12


@pytest.fixture(params=[False, True], ids=["full", "shortlist"], autouse=True)
def bf16(request, monkeypatch):
    """Run each test in single precision, and with a shortlist in bf16."""
    monkeypatch.setattr(generation_loop, "is_bf16_fast", lambda device: request.param)


OPTIONS = [
    {},
    {"min_new_tokens": 4},
    {"repetition_penalty": 1.7},
    {"no_repeat_ngram_size": 2},
    {"max_new_tokens": 1},
]


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_greedy_texts_equal_those_of_plain_generate(writer, options):
    """All tokens are equal, padding included, also after prefixes of unequal lengths."""
    model = tiny_model(writer)
    latent = 2 * draws(9, LATENT)
    prefixes = starts(tiny_ids([0, 3, 1, 0, 2, 5, 1, 1, 0]))
    arguments: dict[str, Any] = {
        "latent": latent,
        "do_sample": False,
        "max_new_tokens": STEPS,
        **options,
    }
    plain = model.generate(**prefixes, **arguments)
    shrinking = model.generate(
        **prefixes, **arguments, custom_generate=generate_with_shrinking_batch
    )
    assert shrinking.tolist() == plain.tolist()


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_sampled_tokens_follow_the_distribution_of_forward(writer):
    """The first tokens have the right frequencies, and after an end token there is padding."""
    count = 4000
    model = tiny_model(writer)
    latent = draws(1, LATENT).expand(count, -1)
    options: dict[str, Any] = {
        "latent": latent,
        "do_sample": True,
        "top_k": 0,
        "max_new_tokens": 2,
        "temperature": 0.7,
    }
    torch.manual_seed(0)
    written = model.generate(
        **starts([[]] * count), **options, custom_generate=generate_with_shrinking_batch
    )
    logits = model(input_ids=starts([[]])["input_ids"], latent=latent[:1]).logits[0, -1]
    probability = logits.div(0.7).softmax(-1)
    frequency = torch.bincount(written[:, 1], minlength=VOCAB) / count
    assert (frequency - probability).abs().max() < 5 * (0.25 / count) ** 0.5
    assert (written[written[:, 1] == EOS][:, 2:] == 0).all()


def test_the_same_seed_gives_the_same_texts():
    """The loop takes its random numbers from the global generator, as the library does."""
    model = tiny_model("lstm")
    latent = draws(6, LATENT)
    options: dict[str, Any] = {
        "latent": latent,
        "do_sample": True,
        "max_new_tokens": STEPS,
        "custom_generate": generate_with_shrinking_batch,
    }
    texts = []
    for _ in range(2):
        torch.manual_seed(5)
        texts.append(model.generate(**starts([[]] * 6), **options).tolist())
    assert texts[0] == texts[1]


def test_greedy_choice_stays_within_the_vocabulary_where_logits_are_nan():
    """The rows of a diverged model get some token; other rows get their most likely one."""
    weight = draws(50, 16, seed=1)
    states = draws(3, 16)
    states[1] = torch.nan
    choice = TokenChoice(weight, torch.zeros(50), is_bf16_fast=True)
    tokens = choice.choose_greedily(states)
    assert 0 <= int(tokens[1]) < 50
    assert torch.equal(tokens[[0, 2]], choice.logits(states).argmax(-1)[[0, 2]])


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan"), 1e38], ids=str)
@pytest.mark.parametrize("vocab", [34, 48])
def test_a_state_that_overflows_still_gives_a_token_of_the_vocabulary(value, vocab):
    """The tokens that pad the vocabulary are never chosen, although their logit is -inf."""
    states = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    states[1] = value
    states[2, 0] = value
    weight = torch.randn(vocab, 8, generator=torch.Generator().manual_seed(1))
    choice = TokenChoice(weight, torch.zeros(vocab), is_bf16_fast=True)
    tokens = choice.choose_greedily(states)
    assert int(tokens.min()) >= 0
    assert int(tokens.max()) < vocab


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_the_shortlist_never_misses_the_most_likely_token(scale):
    """It holds for close and for distant logits; the vocabulary is not a multiple of the parts."""
    states = draws(200, 16)
    weight = scale * draws(997, 16, seed=1)
    bias = scale * draws(997, seed=2)
    choice = TokenChoice(weight, bias, is_bf16_fast=True)
    assert torch.equal(choice.choose_greedily(states), choice.logits(states).argmax(-1))


@pytest.mark.parametrize("cap", [None, 5.0])
def test_tokens_sampled_from_rough_logits_have_the_distribution_of_the_full_ones(cap):
    """Rounding makes logits wrong by up to 0.3 nats, but not the frequencies of the tokens."""
    count, vocab = 60_000, 6
    # Just above the middle between two bf16 numbers: all errors have the same sign.
    states = torch.full((1, 64), 1 + 2.0**-8 + 2.0**-14)
    weight = torch.linspace(-0.5, 0.5, vocab).unsqueeze(1) * states
    bias = draws(vocab) - weight @ states[0]
    choice = TokenChoice(weight, bias, is_bf16_fast=True, cap=cap)
    temperature = 0.8
    torch.manual_seed(0)
    tokens = choice.sample(states.expand(count, -1), temperature)
    shares = tokens.bincount(minlength=vocab) / count
    expected = (choice.logits(states)[0] / temperature).softmax(0)
    error = (expected * (1 - expected) / count).sqrt()
    assert ((shares - expected).abs() < 4 * error).all()
    rough = (states.bfloat16() @ choice.rough_weight.t() + choice.rough_bias)[0, :vocab].float()
    rough_shares = (rough / temperature).softmax(0)
    assert cap is not None or ((rough_shares - expected).abs() > 10 * error).any()


@pytest.mark.parametrize("scale", [1e-3, 0.3])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_rough_logits_are_within_their_bound(scale, temperature):
    """It holds for every token, and is not so wide that most samples are rejected."""
    vocab = 997
    states = draws(200, 16)
    weight, bias = scale * draws(vocab, 16, seed=1), scale * draws(vocab, seed=2)
    choice = TokenChoice(weight, bias, is_bf16_fast=True)
    scaled = states / temperature
    bound, largest = choice._bound_rough_logits(scaled, temperature)
    rough_bias = (choice.rough_bias.float() / temperature).bfloat16()
    weights = torch.addmm(rough_bias, scaled.bfloat16(), choice.rough_weight.t()).exp()
    parts = weights.view(len(states), 16, -1)
    correction = parts.sum(2).float() / parts.float().sum(2)
    rough = (parts.float() * correction.unsqueeze(2)).log().flatten(1)[:, :vocab]
    full = choice.logits(states) / temperature
    assert ((rough - full).abs().amax(1) <= bound).all()
    assert (full.abs().amax(1) <= largest).all()
    assert bound.max() < 0.4


def test_sampling_ends_where_logits_are_nan():
    states = draws(5, 16)
    states[2] = torch.nan
    choice = TokenChoice(0.1 * draws(50, 16, seed=1), None, is_bf16_fast=True)
    tokens = choice.sample(states)
    assert int(tokens.min()) >= 0
    assert int(tokens.max()) < 50


def test_a_token_of_probability_zero_is_never_sampled():
    """It holds for the first and the last token, and for one between two others."""
    logits = torch.full((3000, 5), -torch.inf)
    logits[:, [1, 3]] = torch.tensor([0.0, 1.0])
    tokens = sample_tokens(logits)
    assert set(tokens.tolist()) == {1, 3}
    assert float((tokens == 3).float().mean()) == pytest.approx(0.731, abs=0.05)


def test_the_shortlist_holds_where_every_rounding_goes_the_wrong_way():
    """Numbers close to the middle between two bf16 numbers have the largest rounding errors."""
    half = 2.0**-8
    states = torch.cat(
        [torch.full((128,), 1 + half + half**2), torch.full((128,), 1 + half - half**2)]
    )[None]
    one = torch.cat([states[0, :128], -states[0, 128:]])
    weight = torch.stack([one, -one])
    bias = -weight @ states[0] + torch.tensor([0.0, 0.5])
    choice = TokenChoice(weight, bias, is_bf16_fast=True)
    assert torch.equal(choice.choose_greedily(states), choice.logits(states).argmax(-1))


@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_without_a_bias_the_shortlist_finds_the_most_likely_token(scale, cap):
    """The cap changes no choice, although it makes all large logits of float32 equal."""
    states = draws(200, 16)
    weight = scale * draws(997, 16, seed=1)
    choice = TokenChoice(weight, None, is_bf16_fast=True, cap=cap)
    uncapped = torch.nn.functional.linear(states, weight)
    assert torch.equal(choice.choose_greedily(states), uncapped.argmax(-1))


def test_sampling_uses_the_capped_logits():
    """The logits are those of the formula, with and without a bias."""
    states = draws(3, 16)
    weight = draws(50, 16, seed=1)
    for bias in (None, draws(50, seed=2)):
        raw = torch.nn.functional.linear(states, weight, bias)
        choice = TokenChoice(weight, bias, is_bf16_fast=False, cap=2.0)
        torch.testing.assert_close(choice.logits(states), 2 * torch.tanh(raw / 2))
        assert torch.equal(choice.choose_greedily(states), raw.argmax(-1))


def test_a_capped_model_gives_the_texts_of_plain_generate():
    """Greedy decoding leaves the cap out, and the texts stay the same."""
    model = tiny_model()
    model.decoder.logit_cap = 3.0
    arguments: dict[str, Any] = {
        "latent": 2 * draws(9, LATENT),
        "do_sample": False,
        "max_new_tokens": STEPS,
    }
    inputs = starts([[]] * 9)
    plain = model.generate(**inputs, **arguments)
    shrinking = model.generate(**inputs, **arguments, custom_generate=generate_with_shrinking_batch)
    assert shrinking.tolist() == plain.tolist()
