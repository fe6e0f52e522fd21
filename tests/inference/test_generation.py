"""With every decoder, transformers' own generate() gives the texts that forward() predicts."""

from typing import Any

import pytest
import torch

from tests.tiny import BOS, DECODER_SETTINGS, EOS, LATENT, PAD, VOCAB, draws, tiny_ids, tiny_model

STEPS = 8


def endless(model):
    """Return the model with an end token so unlikely that every text has full length."""
    with torch.no_grad():
        model.decoder.output_bias[EOS] = -1e4
    return model


def starts(prefixes):
    """Return the prefixes after their start tokens, padded on the left, with their mask."""
    width = max(map(len, prefixes)) + 1
    ids = torch.full((len(prefixes), width), PAD)
    for row, prefix in zip(ids, prefixes, strict=True):
        row[width - len(prefix) - 1 :] = torch.tensor([BOS, *prefix])
    mask = torch.tensor(
        [[0] * (width - len(prefix) - 1) + [1] * (len(prefix) + 1) for prefix in prefixes]
    )
    return {"input_ids": ids, "attention_mask": mask}


def log_likelihood(model, ids, latent):
    """Return the log-probability of all tokens after the first, (batch,), by forward()."""
    logits = model(input_ids=ids[:, :-1], latent=latent).logits.log_softmax(-1)
    return logits.gather(2, ids[:, 1:, None]).squeeze(2).sum(1)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_greedy_decoding_is_the_argmax_of_forward_step_by_step(writer):
    """After the end token of a text, there is padding."""
    model = tiny_model(writer)
    latent = 2 * draws(6, LATENT)
    written = model.generate(
        **starts([[]] * 6), latent=latent, do_sample=False, max_new_tokens=STEPS
    )
    ids = torch.full((6, 1), BOS)
    done = torch.zeros(6, dtype=torch.bool)
    while ids.shape[1] < written.shape[1]:
        likeliest = model(input_ids=ids, latent=latent).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, torch.where(done, PAD, likeliest)[:, None]], dim=1)
        done |= likeliest == EOS
    assert written.tolist() == ids.tolist()
    assert done.all() or written.shape[1] == STEPS + 1


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_left_padded_prefixes_are_continued_as_each_alone(writer):
    """Tokens are equal and logits agree, whatever the lengths of the other prefixes are."""
    model = endless(tiny_model(writer))
    prefixes = tiny_ids([1, 6, 3])
    latent = draws(3, LATENT)
    options = {
        "do_sample": False,
        "max_new_tokens": STEPS,
        "output_logits": True,
        "return_dict_in_generate": True,
    }
    together = model.generate(**starts(prefixes), latent=latent, **options)
    for row, prefix in enumerate(prefixes):
        alone = model.generate(**starts([prefix]), latent=latent[row : row + 1], **options)
        assert together.sequences[row, -STEPS:].tolist() == alone.sequences[0, -STEPS:].tolist()
        for step in range(STEPS):
            torch.testing.assert_close(
                together.logits[step][row], alone.logits[step][0], rtol=1e-3, atol=1e-3
            )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_text_of_two_words(writer):
    """The best text is found by scoring all pairs of words."""
    model = endless(tiny_model(writer))
    latent = draws(2, LATENT)
    beams = model.generate(
        **starts([[]] * 2), latent=latent, num_beams=VOCAB, do_sample=False, max_new_tokens=2
    )
    pairs = torch.cartesian_prod(torch.tensor([BOS]), torch.arange(VOCAB), torch.arange(VOCAB))
    for row in range(2):
        scores = log_likelihood(model, pairs, latent[row : row + 1].expand(len(pairs), -1))
        assert beams[row].tolist() == pairs[scores.argmax()].tolist()


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_beam_search_finds_texts_at_least_as_likely_as_greedy_decoding(writer):
    """Both texts have the same number of tokens, and this holds for each latent of a batch."""
    model = endless(tiny_model(writer))
    latent = draws(4, LATENT)
    scores = {}
    for width in (1, 6):
        ids = model.generate(
            **starts([[]] * 4),
            latent=latent,
            num_beams=width,
            do_sample=False,
            max_new_tokens=STEPS,
        )
        scores[width] = log_likelihood(model, ids, latent)
    assert (scores[6] >= scores[1] - 1e-4).all()


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_beams_continue_left_padded_prefixes_as_each_alone(writer):
    """The recurrent state and the key-value cache are reordered with the beams."""
    model = endless(tiny_model(writer))
    prefixes = tiny_ids([1, 5])
    latent = draws(2, LATENT)
    options: dict[str, Any] = {"num_beams": 4, "do_sample": False, "max_new_tokens": 5}
    together = model.generate(**starts(prefixes), latent=latent, **options)
    for row, prefix in enumerate(prefixes):
        alone = model.generate(**starts([prefix]), latent=latent[row : row + 1], **options)
        assert together[row, -5:].tolist() == alone[0, -5:].tolist()


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_sampling_follows_the_distribution_of_the_model(writer):
    """The first words of many samples have the frequencies that forward() predicts."""
    model = tiny_model(writer)
    count = 5000
    latent = draws(1, LATENT).expand(count, -1)
    torch.manual_seed(0)
    written = model.generate(
        **starts([[]] * count), latent=latent, do_sample=True, top_k=0, max_new_tokens=1
    )
    share = torch.bincount(written[:, 1], minlength=VOCAB) / count
    probability = model(input_ids=torch.tensor([[BOS]]), latent=latent[:1]).logits[0, 0].softmax(-1)
    assert 0.5 * (share - probability).abs().sum() < 0.05  # total variation


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_second_word_is_sampled_given_the_first(writer):
    """Pairs of words have the frequencies that forward() predicts."""
    model = tiny_model(writer, vocab=6)
    count = 5000
    latent = draws(1, LATENT).expand(count, -1)
    torch.manual_seed(0)
    written = endless(model).generate(
        **starts([[]] * count), latent=latent, do_sample=True, top_k=0, max_new_tokens=2
    )
    share = torch.bincount(written[:, 1] * 6 + written[:, 2], minlength=36) / count
    pairs = torch.cartesian_prod(torch.tensor([BOS]), torch.arange(6), torch.arange(6))
    probability = log_likelihood(model, pairs, latent[:36]).exp()
    assert 0.5 * (share - probability).abs().sum() < 0.06


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_several_texts_of_one_latent_stay_next_to_each_other(writer):
    """With `num_return_sequences`, the first text of each latent is its best one."""
    model = tiny_model(writer)
    latent = 3 * draws(3, LATENT)
    options: dict[str, Any] = {
        "num_beams": 4,
        "do_sample": False,
        "max_new_tokens": STEPS,
        "min_new_tokens": STEPS,
    }
    best = model.generate(**starts([[]] * 3), latent=latent, **options)
    both = model.generate(**starts([[]] * 3), latent=latent, num_return_sequences=2, **options)
    assert both[::2].tolist() == best.tolist()
    assert both[1::2].tolist() != best.tolist()


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_each_row_of_a_batch_is_written_from_its_own_latent(writer):
    """Permuting the latents permutes the texts."""
    model = tiny_model(writer)
    latent = 3 * draws(5, LATENT)
    order = torch.tensor([3, 1, 4, 0, 2])
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS}
    written = model.generate(**starts([[]] * 5), latent=latent, **options)
    permuted = model.generate(**starts([[]] * 5), latent=latent[order], **options)
    assert permuted.tolist() == written[order].tolist()
    assert len({tuple(row) for row in written.tolist()}) > 1
