"""Decoders and conditionings: every supported pair trains and is causal, others are refused."""

import pytest
import torch

from tests.tiny import (
    DECODER_SETTINGS,
    ENCODER_SETTINGS,
    LATENT,
    VOCAB,
    built,
    draws,
    supported_conditionings,
    tiny_batch,
    tiny_ids,
    tiny_model,
)
from textvae.errors import ConfigError
from textvae.model.conditioning import CONDITIONINGS
from textvae.model.decoders import DECODERS

ALL_PAIRS = [(writer, name) for writer in DECODER_SETTINGS for name in CONDITIONINGS]
PAIRS = [(writer, name) for writer, name in ALL_PAIRS if name in supported_conditionings(writer)]
UNSUPPORTED = [pair for pair in ALL_PAIRS if pair not in PAIRS]


def step(model, batch):
    """Return the loss of one training batch, and the gradients by parameter name."""
    torch.manual_seed(0)
    loss = model.train()(**batch).loss
    loss.backward()
    return loss, {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_every_supported_pair_gives_every_parameter_a_finite_gradient(writer, name):
    """Every parameter takes part in the loss, and the gradient of z reaches the encoder."""
    model = tiny_model(writer, conditioning=[name])
    loss, gradients = step(model, tiny_batch())
    assert torch.isfinite(loss)
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert [key for key, gradient in gradients.items() if not gradient.isfinite().all()] == []
    assert gradients["posterior.mean.weight"].abs().max() > 0


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_every_encoder_gives_every_parameter_a_finite_gradient(reader):
    """Every parameter of a model with this encoder takes part in the loss."""
    loss, gradients = step(tiny_model(reader=reader), tiny_batch())
    assert torch.isfinite(loss)
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert [key for key, gradient in gradients.items() if not gradient.isfinite().all()] == []


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_the_reconstruction_depends_on_the_latent_in_every_supported_pair(writer, name):
    """The gradient with respect to z is finite and not zero, for every sentence."""
    model = tiny_model(writer, conditioning=[name])
    batch = tiny_batch()
    latent = draws(3, LATENT).requires_grad_()
    model(batch["input_ids"], batch["attention_mask"], batch["labels"], latent).loss.backward()
    assert latent.grad is not None
    assert latent.grad.isfinite().all()
    assert (latent.grad.abs().amax(1) > 0).all()


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_a_decoder_never_sees_a_later_token(writer, name):
    """Other tokens from one position on do not change the logits before it."""
    model = tiny_model(writer, conditioning=[name])
    ids = torch.tensor(tiny_ids([8, 8]))
    later = ids.clone()
    later[:, 5:] = 4 + later[:, 5:] % 13
    before = model(input_ids=ids, latent=draws(2, LATENT)).logits
    after = model(input_ids=later, latent=draws(2, LATENT)).logits
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize(("writer", "name"), PAIRS)
def test_reading_token_by_token_equals_reading_at_once(writer, name):
    """With a cache, one token at a time gives the same logits as one pass over all tokens."""
    model = tiny_model(writer, conditioning=[name])
    ids = torch.tensor(tiny_ids([6, 6]))
    latent = draws(2, LATENT)
    at_once = model(input_ids=ids, latent=latent).logits
    cache = model.decoder.new_cache()
    steps = []
    for position in range(6):
        token = ids[:, position : position + 1]
        mask = torch.ones(2, position + 1, dtype=torch.long)
        output = model(token, mask, latent=latent, past_key_values=cache, use_cache=True)
        steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once, rtol=1e-4, atol=1e-4)


REFUSED_ARCHITECTURES = {
    "bert": r"sees the tokens that it should predict: .* {is_decoder: true}",
    "distilbert": r"sees the tokens that it should predict: .* or qwen3\.$",
    "t5": r"sees the tokens that it should predict: .* or qwen3\.$",
    "openai-gpt": "keeps no key-value cache",
    "mamba": "keeps no key-value cache",
}


@pytest.mark.parametrize("architecture", REFUSED_ARCHITECTURES)
def test_an_architecture_that_cannot_generate_text_is_refused(architecture):
    """The message gives the reason, and names architectures that can."""
    with pytest.raises(
        ConfigError, match=f"'{architecture}' {REFUSED_ARCHITECTURES[architecture]}"
    ):
        tiny_model("gpt2", architecture=architecture)


def test_bert_generates_text_if_is_decoder_is_set():
    """With `is_decoder`, BERT sees no later token, and continues from its cache."""
    model = tiny_model("gpt2", architecture="bert", options={"is_decoder": True})
    ids = torch.tensor(tiny_ids([6, 6]))
    latent = draws(2, LATENT)
    at_once = model(input_ids=ids, latent=latent).logits
    first = model(input_ids=ids[:, :4], latent=latent, use_cache=True)
    second = model(input_ids=ids[:, 4:], latent=latent, cache=first.cache)
    logits = torch.cat([first.logits, second.logits], 1)
    torch.testing.assert_close(logits, at_once, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("writer", "name"), UNSUPPORTED)
def test_every_unsupported_pair_is_refused_by_name(writer, name):
    """The message names the conditioning, the decoder, and the conditionings it supports."""
    kind = DECODER_SETTINGS[writer]["kind"]
    expected = (
        f"'{name}' does not work with a '{kind}' decoder: "
        f"choose from {supported_conditionings(writer)[0]}"
    )
    with pytest.raises(ConfigError, match=expected):
        tiny_model(writer, conditioning=[name])


def test_an_unknown_conditioning_is_refused_with_the_nearest_name():
    """The message suggests the name that was probably meant."""
    with pytest.raises(
        ConfigError,
        match=r"model\.conditioning = 'every_stop' is unknown: did you mean 'every_step'",
    ):
        tiny_model(conditioning=["every_stop"])


def test_a_decoder_without_conditioning_is_refused():
    """It would be a language model, with an encoder that nothing trains."""
    with pytest.raises(ConfigError, match="the decoder would never use z"):
        tiny_model(conditioning=[])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("tie", [True, False])
def test_the_projection_is_the_embedding_exactly_when_it_is_tied(kind, tie):
    """The state is larger than the embedding here, so that the two cannot be confused."""
    model = tiny_model(kind, tie=tie, hidden=12)
    assert (model.decoder.output_weight is model.decoder.embed.weight) == tie
    loss, _ = step(model, tiny_batch())
    assert torch.isfinite(loss)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_conditioning_returns_a_signal_of_the_shape_the_decoder_expects(writer):
    """The signal of each conditioning is (batch, *shape)."""
    decoder = built(
        DECODERS, DECODER_SETTINGS[writer], VOCAB, LATENT, supported_conditionings(writer)
    )
    for name in supported_conditionings(writer):
        signal = CONDITIONINGS[name](LATENT, decoder.signal_shapes[name])(draws(3, LATENT))
        assert signal.shape == (3, *decoder.signal_shapes[name])


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_each_of_several_conditionings_changes_the_states(writer):
    """With all conditionings at once, replacing the signal of one by zeros changes the states."""
    model = tiny_model(writer)
    ids = torch.tensor(tiny_ids([6, 6]))
    mask = torch.ones_like(ids)
    signals = model.compute_signals(draws(2, LATENT))
    states = model.decoder(ids, mask, signals)
    for name in supported_conditionings(writer):
        without = {**signals, name: torch.zeros_like(signals[name])}
        assert not torch.allclose(model.decoder(ids, mask, without), states)


def test_z_does_not_hide_the_words_of_an_untrained_transformer():
    """For z from N(0, I), the signal that is added to its embeddings has their size."""
    torch.manual_seed(0)
    signal = CONDITIONINGS["embedding"](LATENT, (4096,))(torch.randn(200, LATENT))
    assert float(signal.std()) == pytest.approx(0.02, rel=0.1)
