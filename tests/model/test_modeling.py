"""The model: what it returns is the ELBO, sentence by sentence, whoever shares the batch."""

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

DECODER_INPUTS = ("input_ids", "attention_mask", "labels")


def decoder_side(batch):
    return {name: batch[name] for name in DECODER_INPUTS}


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_loss_is_the_negative_elbo(writer):
    """Cross-entropy of the logits summed over each sentence's tokens, plus the KL, averaged over sentences."""
    model, batch = tiny_model(writer), tiny_batch()
    torch.manual_seed(0)
    output = model(**batch)
    logits = model(batch["input_ids"], batch["attention_mask"], latent=output.latent).logits
    nll = cross_entropy(
        logits.transpose(1, 2), batch["labels"], reduction="none", ignore_index=-100
    ).sum(1)
    kl = kl_divergence(Normal(output.mean, torch.exp(0.5 * output.logvar)), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(output.sentence_reconstruction, nll)
    torch.testing.assert_close(output.loss, (nll + kl).mean())
    torch.testing.assert_close(output.reconstruction + output.kl.sum(1).mean(), output.loss)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_training_under_bf16_autocast_stays_near_single_precision(writer, reader):
    """The loss within a few hundredths, the gradients finite and in the weights' own precision."""
    model, batch, losses = tiny_model(writer, reader), tiny_batch(), []
    for is_on in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_on):
            losses.append(model(**batch).loss)
    losses[1].backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.05)
    assert all(
        weight.grad.isfinite().all() and weight.grad.dtype == torch.float32
        for weight in model.parameters()
    )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_sentence_costs_the_same_in_a_batch_as_alone(writer):
    """Batch mates and the padding they bring change no reconstruction."""
    model, sentences, latent = tiny_model(writer), tiny_ids(), draws(3, LATENT)
    together = model(**decoder_side(tiny_batch(sentences)), latent=latent).sentence_reconstruction
    for row, sentence in enumerate(sentences):
        alone = model(**decoder_side(tiny_batch([sentence])), latent=latent[row : row + 1])
        torch.testing.assert_close(together[row], alone.sentence_reconstruction[0])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_sentence_has_the_same_kl_in_a_batch_as_alone(reader):
    """So q(z | x) depends on x alone."""
    model, sentences = tiny_model(reader=reader), tiny_ids()
    together = model(**tiny_batch(sentences)).kl
    for row, sentence in enumerate(sentences):
        torch.testing.assert_close(
            together[row], model(**tiny_batch([sentence])).kl[0], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_what_lies_under_the_decoders_padding_costs_nothing(writer):
    """Other ids there change no sentence's reconstruction."""
    model, batch, latent = tiny_model(writer), decoder_side(tiny_batch()), draws(3, LATENT)
    noisy = torch.where(
        batch["attention_mask"].bool(), batch["input_ids"], torch.full_like(batch["input_ids"], 9)
    )
    clean = model(**batch, latent=latent).sentence_reconstruction
    torch.testing.assert_close(
        model(**{**batch, "input_ids": noisy}, latent=latent).sentence_reconstruction, clean
    )


def test_a_given_latent_is_used_and_costs_no_kl():
    """Decoding from z needs no encoder; the loss is then the reconstruction."""
    model, latent = tiny_model(), draws(3, LATENT)
    output = model(**decoder_side(tiny_batch()), latent=latent)
    assert output.latent is latent
    assert output.kl is None
    torch.testing.assert_close(output.loss, output.reconstruction)


def test_without_latent_or_sentence_the_model_says_what_it_needs():
    """The message names both ways."""
    with pytest.raises(ValueError, match="give `latent`, or `encoder_input_ids`"):
        tiny_model()(input_ids=torch.tensor([[1, 5]]))


def test_the_end_of_a_sentence_is_counted_and_its_start_is_not():
    """A sentence of n tokens has n + 1 labels, the last one the end."""
    (sentence,) = tiny_ids([4])
    batch = tiny_batch([sentence])
    assert batch["input_ids"].tolist() == [[1, *sentence]]
    assert batch["labels"].tolist() == [[*sentence, 2]]


def test_evaluation_is_deterministic_but_for_the_draw_of_z():
    """The same seed gives the same loss; another seed another draw."""
    model, batch = tiny_model("gpt2", "bert"), tiny_batch()
    torch.manual_seed(1)
    first = model(**batch)
    torch.manual_seed(1)
    again = model(**batch)
    other = model(**batch)
    torch.testing.assert_close(first.loss, again.loss, rtol=0, atol=0)
    assert not torch.equal(first.latent, other.latent)
    torch.testing.assert_close(first.mean, other.mean, rtol=0, atol=0)


def test_the_encoders_vocabulary_may_differ_from_the_decoders():
    """A batch carries ids for both."""
    config = tiny_model().config.to_dict()
    config.update(encoder_vocab_size=VOCAB + 30)
    model = TextVAEModel(TextVAEConfig.from_dict(config)).eval()
    batch = tiny_batch()
    batch["encoder_input_ids"] = batch["encoder_input_ids"] + 30
    assert torch.isfinite(model(**batch).loss)


def test_a_config_that_names_no_parts_is_refused():
    """It is not one of ours."""
    with pytest.raises(ConfigError, match=r"the config has no model\.encoder"):
        TextVAEModel(TextVAEConfig())
