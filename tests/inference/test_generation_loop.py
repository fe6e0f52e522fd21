"""Decoding in which finished sentences leave the batch gives what plain `generate()` gives."""

import pytest
import torch

from tests.inference.test_generation import starts
from tests.tiny import DECODER_SETTINGS, EOS, LATENT, VOCAB, draws, tiny_ids, tiny_model
from textvae.inference import generation_loop as leaving_loop
from textvae.inference.generation_loop import generate_with_shrinking_batch
from textvae.inference.token_choice import TokenChoice, sample_tokens

STEPS = 12


@pytest.fixture(params=[False, True], ids=["full", "shortlist"], autouse=True)
def bf16(request, monkeypatch):
    """Choose in single precision, and by a shortlist in bf16."""
    monkeypatch.setattr(leaving_loop, "is_bf16_fast", lambda device: request.param)


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
    """Token for token, padding included, with left-padded prefixes of unequal length."""
    model, latent = tiny_model(writer), 2 * draws(9, LATENT)
    given = starts(tiny_ids([0, 3, 1, 0, 2, 5, 1, 1, 0]))
    asked = {"latent": latent, "do_sample": False, "max_new_tokens": STEPS, **options}
    plain = model.generate(**given, **asked)
    assert (
        model.generate(**given, **asked, custom_generate=generate_with_shrinking_batch).tolist()
        == plain.tolist()
    )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_sampled_tokens_follow_the_chances_of_forward(writer):
    """Two thousand draws of two tokens, against the joint chances that plain generate() draws from."""
    count, model = 4000, tiny_model(writer)
    latent = draws(1, LATENT).expand(count, -1)
    options = {
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
    first = (
        model(input_ids=starts([[]])["input_ids"], latent=latent[:1])
        .logits[0, -1]
        .div(0.7)
        .softmax(-1)
    )
    found = torch.bincount(written[:, 1], minlength=VOCAB) / count
    assert (found - first).abs().max() < 5 * (0.25 / count) ** 0.5
    assert (written[written[:, 1] == EOS][:, 2:] == 0).all()


def test_the_same_seed_draws_the_same_texts():
    """As the library's sampling does."""
    model, latent = tiny_model("lstm"), draws(6, LATENT)
    options = {
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


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_the_shortlist_never_misses_the_likeliest(scale):
    """Where many scores are near one another, and where few are; the vocabulary no multiple of the parts."""
    states, weight, bias = (
        draws(200, 16),
        scale * draws(997, 16, seed=1),
        scale * draws(997, seed=2),
    )
    choice = TokenChoice(weight, bias, is_bf16_fast=True)
    assert torch.equal(choice.likeliest(states), choice.scores(states).argmax(-1))


def test_a_token_without_a_chance_is_never_drawn():
    """Not the first, not the last, not between."""
    scores = torch.full((3000, 5), -torch.inf)
    scores[:, [1, 3]] = torch.tensor([0.0, 1.0])
    tokens = sample_tokens(scores)
    assert set(tokens.tolist()) == {1, 3}
    assert float((tokens == 3).float().mean()) == pytest.approx(0.731, abs=0.05)


def test_the_shortlist_holds_where_every_rounding_goes_the_wrong_way():
    """Numbers just beside the middle between two of bf16: the least favourable there are."""
    half = 2.0**-8
    states = torch.cat(
        [torch.full((128,), 1 + half + half**2), torch.full((128,), 1 + half - half**2)]
    )[None]
    one = torch.cat([states[0, :128], -states[0, 128:]])
    weight = torch.stack([one, -one])
    bias = -weight @ states[0] + torch.tensor([0.0, 0.5])
    choice = TokenChoice(weight, bias, is_bf16_fast=True)
    assert torch.equal(choice.likeliest(states), choice.scores(states).argmax(-1))
