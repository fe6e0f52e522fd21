"""Bag of words and denoising: what z must foretell, and what the encoder is shown."""

import pytest
import torch

from tests.objective.techniques.test_techniques import technique
from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, VOCAB, draws, tiny_batch, tiny_ids
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques import Progress

MIDDLE = Progress(step=50, fraction=0.5)


def words_nll(part, sentences, latent):
    """Return the bag of words' loss for sentences of token ids."""
    return part.penalty(TextVAEOutput(latent=latent), tiny_batch(sentences), MIDDLE)


def test_a_bag_of_words_pays_each_word_once_and_no_special_token():
    """Sentence by sentence and word by word: end, padding and unknown words are not counted."""
    part, latent = technique("bag_of_words", weight=2.0), draws(3, LATENT)
    sentences = [[5, 6, 6], [7, UNKNOWN], [8, 9, 10, 11, 12]]
    chances = part.module(latent).softmax(-1)
    words = [
        (row, word)
        for row, sentence in enumerate(sentences)
        for word in sentence
        if word != UNKNOWN
    ]
    expected = 2.0 / 3 * -sum(chances[row, word].log() for row, word in words)
    torch.testing.assert_close(words_nll(part, sentences, latent), expected)


def test_a_bag_of_words_does_not_mind_the_order_of_words():
    """Nor what else is in the batch."""
    part, latent = technique("bag_of_words"), draws(1, LATENT)
    torch.testing.assert_close(
        words_nll(part, [[5, 6, 7]], latent), words_nll(part, [[7, 5, 6]], latent)
    )
    both = words_nll(part, [[5, 6, 7], [8] * 9], draws(1, LATENT).repeat(2, 1))
    torch.testing.assert_close(
        2 * both - words_nll(part, [[8] * 9], latent), words_nll(part, [[5, 6, 7]], latent)
    )


def test_a_bag_of_words_teaches_z():
    """Its gradient reaches the encoder."""
    latent = draws(3, LATENT).requires_grad_()
    words_nll(technique("bag_of_words"), tiny_ids(), latent).backward()
    assert (latent.grad.abs().sum(1) > 0).all()


def denoised(batch, **settings):
    torch.manual_seed(0)
    return technique("denoising", **settings).corrupt(batch, MIDDLE)


@pytest.mark.parametrize("damage", ["deletion", "blank"])
def test_denoising_damages_the_share_of_words_it_is_set_to(damage):
    """Over many words of the encoder's; the decoder's inputs are whole."""
    batch = tiny_batch(tiny_ids(range(20, 60), vocab=VOCAB))
    damaged = denoised(batch, rate=0.3, damage=damage)
    ids, mask = damaged["encoder_input_ids"], damaged["encoder_attention_mask"].bool()
    words = batch["encoder_attention_mask"].sum() - len(ids)
    left = (mask & (ids != EOS) & (ids != UNKNOWN)).sum()
    assert 1 - (left / words).item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(damaged["input_ids"], batch["input_ids"])


def test_deletion_closes_up_what_is_left_and_pads_the_rest():
    """Words keep their order, the end stays last, and nothing lies under the padding."""
    sentences = [
        list(range(4, 4 + length)) for length in (5, 2, 12, 16)
    ]  # each word tells its place
    damaged = denoised(tiny_batch(sentences), rate=0.4)
    ids, mask = damaged["encoder_input_ids"], damaged["encoder_attention_mask"].bool()
    assert (ids[~mask] == PAD).all()
    for row, real, sentence in zip(ids, mask, sentences, strict=True):
        *words, end = row[real].tolist()
        assert end == EOS
        assert words == sorted(words)
        assert set(words) <= set(sentence)
        assert real.tolist() == sorted(real.tolist(), reverse=True)


@pytest.mark.parametrize("damage", ["deletion", "blank"])
def test_denoising_never_takes_the_last_word(damage):
    """At the highest rate one word stays, and the end."""
    damaged = denoised(tiny_batch(tiny_ids([1, 1, 3, 9])), rate=0.999, damage=damage)
    ids, mask = damaged["encoder_input_ids"], damaged["encoder_attention_mask"].bool()
    assert ((mask & (ids > UNKNOWN)).sum(1) == 1).all()
    assert ((ids == EOS).sum(1) == 1).all()
    assert not (ids == BOS).any()
