"""Decoders and conditionings: every audible pairing trains and is causal, every other is refused by name."""

import pytest
import torch

from tests.tiny import (
    DECODER_SETTINGS,
    ENCODER_SETTINGS,
    LATENT,
    VOCAB,
    audible,
    built,
    draws,
    tiny_batch,
    tiny_ids,
    tiny_model,
)
from textvae.errors import ConfigError
from textvae.model.conditioning import CONDITIONINGS
from textvae.model.decoders import DECODERS

PAIRS = [
    (writer, name)
    for writer in DECODER_SETTINGS
    for name in CONDITIONINGS
    if name in audible(writer)
]
SILENT = [
    (writer, name)
    for writer in DECODER_SETTINGS
    for name in CONDITIONINGS
    if name not in audible(writer)
]


def step(model, batch):
    """Train one batch and return the loss and the gradients by name."""
    torch.manual_seed(0)
    loss = model.train()(**batch).loss
    loss.backward()
    return loss, {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_every_audible_pairing_trains_with_finite_gradients_for_every_parameter(writer, name):
    """No parameter is left out of the loss, and the latent's gradient reaches the encoder."""
    model = tiny_model(writer, conditioning=[name])
    loss, gradients = step(model, tiny_batch())
    assert torch.isfinite(loss)
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert [key for key, gradient in gradients.items() if not gradient.isfinite().all()] == []
    assert gradients["posterior.mean.weight"].abs().max() > 0


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_every_encoder_trains_with_finite_gradients_for_every_parameter(reader):
    """The same from the encoder's side."""
    loss, gradients = step(tiny_model(reader=reader), tiny_batch())
    assert torch.isfinite(loss)
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert [key for key, gradient in gradients.items() if not gradient.isfinite().all()] == []


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_the_reconstruction_depends_on_the_latent_through_every_pairing(writer, name):
    """Its gradient with respect to z is finite and not zero, for every sentence."""
    model, batch = tiny_model(writer, conditioning=[name]), tiny_batch()
    latent = draws(3, LATENT).requires_grad_()
    model(batch["input_ids"], batch["attention_mask"], batch["labels"], latent).loss.backward()
    assert latent.grad.isfinite().all()
    assert (latent.grad.abs().amax(1) > 0).all()


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_a_decoder_never_sees_a_later_token(writer, name):
    """Changing the tokens from a place on leaves all earlier logits as they are."""
    model = tiny_model(writer, conditioning=[name])
    ids = torch.tensor(tiny_ids([8, 8]))
    later = ids.clone()
    later[:, 5:] = 4 + later[:, 5:] % 13
    before, after = (model(input_ids=part, latent=draws(2, LATENT)).logits for part in (ids, later))
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_reading_token_by_token_equals_reading_at_once(writer, name):
    """With a cache, one token at a time, the logits are those of one pass."""
    model, ids, latent = (
        tiny_model(writer, conditioning=[name]),
        torch.tensor(tiny_ids([6, 6])),
        draws(2, LATENT),
    )
    whole = model(input_ids=ids, latent=latent).logits
    cache, steps = model.decoder.new_cache(), []
    for place in range(6):
        mask = torch.ones(2, place + 1, dtype=torch.long)
        output = model(
            ids[:, place : place + 1], mask, latent=latent, past_key_values=cache, use_cache=True
        )
        steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-4, atol=1e-4)


NO_WRITERS = {
    "bert": r"sees the tokens that it should predict: .* {is_decoder: true}",
    "distilbert": r"sees the tokens that it should predict: .* or qwen3\.$",
    "t5": r"sees the tokens that it should predict: .* or qwen3\.$",
    "openai-gpt": "keeps no key-value cache",
    "mamba": "keeps no key-value cache",
}


@pytest.mark.parametrize("architecture", NO_WRITERS)
def test_an_architecture_that_cannot_write_text_is_refused(architecture):
    """The message says why, and what to choose instead."""
    with pytest.raises(ConfigError, match=f"'{architecture}' {NO_WRITERS[architecture]}"):
        tiny_model("gpt2", architecture=architecture)


def test_a_masked_architecture_writes_once_it_is_told_to_decode():
    """With `is_decoder`, BERT sees no later token and continues from its cache."""
    model = tiny_model("gpt2", architecture="bert", options={"is_decoder": True})
    ids, latent = torch.tensor(tiny_ids([6, 6])), draws(2, LATENT)
    whole = model(input_ids=ids, latent=latent).logits
    first = model(input_ids=ids[:, :4], latent=latent, use_cache=True)
    second = model(input_ids=ids[:, 4:], latent=latent, cache=first.cache)
    torch.testing.assert_close(
        torch.cat([first.logits, second.logits], 1), whole, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("writer", "name"), SILENT)
def test_every_inaudible_pairing_is_refused_by_name(writer, name):
    """The message names the conditioning, the decoder and what it hears."""
    kind = DECODER_SETTINGS[writer]["kind"]
    with pytest.raises(
        ConfigError,
        match=f"'{name}' cannot reach a '{kind}' decoder: it hears {audible(writer)[0]}",
    ):
        tiny_model(writer, conditioning=[name])


def test_a_conditioning_nobody_knows_is_refused_with_the_nearest():
    """The message says which was probably meant."""
    with pytest.raises(
        ConfigError,
        match=r"model\.conditioning = 'every_stop' is unknown: did you mean 'every_step'",
    ):
        tiny_model(conditioning=["every_stop"])


def test_a_decoder_that_would_hear_nothing_is_refused():
    """Without conditioning it would be a language model."""
    with pytest.raises(ConfigError, match="the decoder would never hear z"):
        tiny_model(conditioning=[])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("tie", [True, False])
def test_the_projection_is_the_embedding_exactly_when_it_is_tied(kind, tie):
    """Also where the state is larger than the embedding."""
    model = tiny_model(kind, tie=tie, hidden=12)
    assert (model.decoder.output_weight is model.decoder.embed.weight) == tie
    loss, _ = step(model, tiny_batch())
    assert torch.isfinite(loss)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_conditioning_makes_the_signal_its_decoder_asks_for(writer):
    """One signal a conditioning, (batch, *shape)."""
    decoder = built(DECODERS, DECODER_SETTINGS[writer], VOCAB, LATENT, audible(writer))
    for name in audible(writer):
        signal = CONDITIONINGS[name](LATENT, decoder.signal_shapes[name])(draws(3, LATENT))
        assert signal.shape == (3, *decoder.signal_shapes[name])


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_several_conditionings_are_all_heard_together(writer):
    """With all audible ones, silencing any of them changes the states."""
    model, ids = tiny_model(writer), torch.tensor(tiny_ids([6, 6]))
    signals, mask = model.compute_signals(draws(2, LATENT)), torch.ones_like(ids)
    heard = model.decoder(ids, mask, signals)
    for name in audible(writer):
        silenced = {**signals, name: torch.zeros_like(signals[name])}
        assert not torch.allclose(model.decoder(ids, mask, silenced), heard)


def test_z_does_not_drown_the_words_of_a_new_transformer():
    """What is first added to its embeddings for z from N(0, I) is of their size."""
    torch.manual_seed(0)
    signal = CONDITIONINGS["embedding"](LATENT, (4096,))(torch.randn(200, LATENT))
    assert float(signal.std()) == pytest.approx(0.02, rel=0.1)
