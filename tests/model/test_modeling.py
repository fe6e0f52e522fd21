"""The model returns the ELBO, and a sentence's loss does not depend on the rest of the batch."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import cross_entropy

from tests.tiny import (
    DECODER_SETTINGS,
    ENCODER_SETTINGS,
    LATENT,
    VOCAB,
    draws,
    tiny_batch,
    tiny_ids,
    tiny_model,
)
from textvae.errors import ConfigError
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import can_run_lstm_in_bf16

DECODER_INPUTS = ("input_ids", "attention_mask", "labels")


def decoder_side(batch):
    return {name: batch[name] for name in DECODER_INPUTS}


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_loss_is_the_negative_elbo(writer):
    """It is cross-entropy summed over each sentence's tokens, plus KL, averaged over sentences."""
    model = tiny_model(writer)
    batch = tiny_batch()
    torch.manual_seed(0)
    output = model(**batch)
    logits = model(batch["input_ids"], batch["attention_mask"], latent=output.latent).logits
    token_nll = cross_entropy(
        logits.transpose(1, 2), batch["labels"], reduction="none", ignore_index=-100
    )
    nll = token_nll.sum(1)
    q = Normal(output.mean, torch.exp(0.5 * output.logvar))
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(output.sentence_reconstruction, nll)
    torch.testing.assert_close(output.loss, (nll + kl).mean())
    torch.testing.assert_close(output.reconstruction + output.kl.sum(1).mean(), output.loss)


@pytest.mark.parametrize("has_bias", [True, False])
def test_every_loss_is_that_of_the_capped_logits(has_bias, monkeypatch):
    """It holds for the loss of training, for that of evaluation, and without a bias."""
    model = tiny_model()
    if not has_bias:
        monkeypatch.setattr(type(model.decoder), "output_bias", None)
    inputs = decoder_side(tiny_batch())
    latent = draws(len(inputs["labels"]), LATENT)
    uncapped = model(inputs["input_ids"], inputs["attention_mask"], latent=latent).logits
    model.decoder.logit_cap = 0.5
    capped = model(inputs["input_ids"], inputs["attention_mask"], latent=latent).logits
    torch.testing.assert_close(capped, 0.5 * torch.tanh(uncapped / 0.5))
    expected = cross_entropy(capped.transpose(1, 2), inputs["labels"], reduction="none").sum(1)
    found = model(**inputs, latent=latent).sentence_reconstruction
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        model.sentence_nll(**inputs, latent=latent), expected, rtol=0.01, atol=0.01
    )


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_training_under_bf16_autocast_stays_near_single_precision(writer, reader):
    """The loss differs by at most 5 %, and the gradients are finite, in single precision."""
    if "lstm" in (writer, reader) and not can_run_lstm_in_bf16():
        pytest.skip("torch computes no LSTM in bf16 on this processor")
    model = tiny_model(writer, reader)
    batch = tiny_batch()
    losses = []
    for is_on in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_on):
            losses.append(model(**batch).loss)
    losses[1].backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.05)
    for weight in model.parameters():
        assert weight.grad.isfinite().all()
        assert weight.grad.dtype == torch.float32


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_sentence_has_the_same_reconstruction_in_a_batch_as_alone(writer):
    """The other sentences and the padding that they cause do not change it."""
    model = tiny_model(writer)
    sentences = tiny_ids()
    latent = draws(3, LATENT)
    together = model(**decoder_side(tiny_batch(sentences)), latent=latent).sentence_reconstruction
    for row, sentence in enumerate(sentences):
        alone = model(**decoder_side(tiny_batch([sentence])), latent=latent[row : row + 1])
        torch.testing.assert_close(together[row], alone.sentence_reconstruction[0])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_sentence_has_the_same_kl_in_a_batch_as_alone(reader):
    """Hence q(z | x) depends on x alone."""
    model = tiny_model(reader=reader)
    sentences = tiny_ids()
    together = model(**tiny_batch(sentences)).kl
    for row, sentence in enumerate(sentences):
        alone = model(**tiny_batch([sentence])).kl[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_ids_under_the_decoders_padding_do_not_change_the_loss(writer):
    """Other ids there do not change the reconstruction of any sentence."""
    model = tiny_model(writer)
    batch = decoder_side(tiny_batch())
    latent = draws(3, LATENT)
    clean = model(**batch, latent=latent).sentence_reconstruction
    batch["input_ids"] = batch["input_ids"].masked_fill(~batch["attention_mask"].bool(), 9)
    noisy = model(**batch, latent=latent).sentence_reconstruction
    torch.testing.assert_close(noisy, clean)


def test_with_a_latent_as_input_the_loss_is_the_reconstruction():
    """Decoding from z needs no encoder, and there is no KL."""
    model = tiny_model()
    latent = draws(3, LATENT)
    output = model(**decoder_side(tiny_batch()), latent=latent)
    assert output.latent is latent
    assert output.kl is None
    torch.testing.assert_close(output.loss, output.reconstruction)


def test_without_latent_or_sentence_the_model_says_what_it_needs():
    """The message names both possible inputs."""
    with pytest.raises(ValueError, match=r"pass latent=.*; or.*encoder_input_ids="):
        tiny_model()(input_ids=torch.tensor([[1, 5]]))


def test_the_end_token_is_predicted_and_the_start_token_is_not():
    """A sentence of n tokens has n + 1 labels, of which the last is the end token."""
    (sentence,) = tiny_ids([4])
    batch = tiny_batch([sentence])
    assert batch["input_ids"].tolist() == [[1, *sentence]]
    assert batch["labels"].tolist() == [[*sentence, 2]]


def test_in_evaluation_only_the_sample_of_z_is_random():
    """The same seed gives the same loss; without it, z differs but its mean does not."""
    model = tiny_model("gpt2", "bert")
    batch = tiny_batch()
    torch.manual_seed(1)
    first = model(**batch)
    torch.manual_seed(1)
    again = model(**batch)
    other = model(**batch)
    torch.testing.assert_close(first.loss, again.loss, rtol=0, atol=0)
    assert not torch.equal(first.latent, other.latent)
    torch.testing.assert_close(first.mean, other.mean, rtol=0, atol=0)


def test_the_encoders_vocabulary_may_differ_from_the_decoders():
    """A batch has separate ids for encoder and decoder."""
    config = tiny_model().config.to_dict()
    config.update(encoder_vocab_size=VOCAB + 30)
    model = TextVAEModel(TextVAEConfig.from_dict(config)).eval()
    batch = tiny_batch()
    batch["encoder_input_ids"] = batch["encoder_input_ids"] + 30
    assert torch.isfinite(model(**batch).loss)


def test_a_config_without_parts_is_refused():
    """A config that textvae wrote has settings for every part."""
    with pytest.raises(ConfigError, match=r"the config has no model\.encoder"):
        TextVAEModel(TextVAEConfig())
