"""Bag of words and denoising: what z must predict, and what the encoder reads."""

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, VOCAB, draws, tiny_batch, tiny_ids
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques import Progress

MIDDLE = Progress(step=50, fraction=0.5)


def words_nll(part, sentences, latent):
    """Return the bag-of-words loss of sentences, given as token ids."""
    return part.penalty(TextVAEOutput(latent=latent), tiny_batch(sentences), MIDDLE)


def test_a_bag_of_words_counts_each_word_and_no_special_token():
    """The end, padding and unknown words do not count."""
    part = technique("bag_of_words", weight=2.0)
    latent = draws(3, LATENT)
    sentences = [[5, 6, 6], [7, UNKNOWN], [8, 9, 10, 11, 12]]
    log_probs = part.module(latent).log_softmax(-1)
    total = torch.tensor(0.0)
    for row, sentence in enumerate(sentences):
        for word in sentence:
            if word != UNKNOWN:
                total = total - log_probs[row, word]
    torch.testing.assert_close(words_nll(part, sentences, latent), 2.0 * total / 3)


def test_a_bag_of_words_does_not_depend_on_the_order_of_words():
    """It does not depend on the other sentences of the batch either."""
    part = technique("bag_of_words")
    latent = draws(1, LATENT)
    alone = words_nll(part, [[5, 6, 7]], latent)
    torch.testing.assert_close(words_nll(part, [[7, 5, 6]], latent), alone)
    other = words_nll(part, [[8] * 9], latent)
    both = words_nll(part, [[5, 6, 7], [8] * 9], latent.repeat(2, 1))
    torch.testing.assert_close(2 * both - other, alone)


def test_a_bag_of_words_has_a_gradient_for_z():
    """Through z it reaches the encoder."""
    latent = draws(3, LATENT).requires_grad_()
    words_nll(technique("bag_of_words"), tiny_ids(), latent).backward()
    assert latent.grad is not None
    assert (latent.grad.abs().sum(1) > 0).all()


def corrupt(batch, **settings):
    torch.manual_seed(0)
    return technique("denoising", **settings).corrupt(batch, MIDDLE)


@pytest.mark.parametrize("damage", ["deletion", "blank"])
def test_denoising_damages_the_configured_share_of_words(damage):
    """It damages words that the encoder reads; the decoder's inputs stay complete."""
    batch = tiny_batch(tiny_ids(range(20, 60), vocab=VOCAB))
    damaged = corrupt(batch, rate=0.3, damage=damage)
    ids = damaged["encoder_input_ids"]
    mask = damaged["encoder_attention_mask"].bool()
    words = batch["encoder_attention_mask"].sum() - len(ids)
    remaining = (mask & (ids != EOS) & (ids != UNKNOWN)).sum()
    assert 1 - (remaining / words).item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(damaged["input_ids"], batch["input_ids"])


def test_deletion_closes_the_gaps_and_pads_the_end():
    """Words keep their order, the end token stays last, and all else is padding."""
    # Each word is larger than the one before it, which shows the order.
    sentences = [list(range(4, 4 + length)) for length in (5, 2, 12, 16)]
    damaged = corrupt(tiny_batch(sentences), rate=0.4)
    ids = damaged["encoder_input_ids"]
    mask = damaged["encoder_attention_mask"].bool()
    assert (ids[~mask] == PAD).all()
    for row, real, sentence in zip(ids, mask, sentences, strict=True):
        *words, end = row[real].tolist()
        assert end == EOS
        assert words == sorted(words)
        assert set(words) <= set(sentence)
        assert real.tolist() == sorted(real.tolist(), reverse=True)


@pytest.mark.parametrize("damage", ["deletion", "blank"])
def test_denoising_never_damages_the_last_word(damage):
    """At the highest rate one word stays, and the end token."""
    damaged = corrupt(tiny_batch(tiny_ids([1, 1, 3, 9])), rate=0.999, damage=damage)
    ids = damaged["encoder_input_ids"]
    mask = damaged["encoder_attention_mask"].bool()
    assert ((mask & (ids > UNKNOWN)).sum(1) == 1).all()
    assert ((ids == EOS).sum(1) == 1).all()
    assert not (ids == BOS).any()
