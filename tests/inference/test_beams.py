"""Beam search: each beam keeps its own decoder state, so its score is its text's likelihood."""

import warnings

import pytest
import torch

from tests.inference.test_generation import starts
from tests.tiny import DECODER_SETTINGS, EOS, LATENT, draws, tiny_batch, tiny_ids, tiny_model
from textvae.errors import ConfigError
from textvae.model.decoders.recurrent import RecurrentCache
from textvae.model.modeling import IGNORED_LABEL
from textvae.uses.infill.constrained_decoding import VisibleTokensProcessor, fill_blanks
from textvae.uses.infill.template import parse_template

STEPS, BEAMS, MANY = 10, 6, 40
PREFIXES = tiny_ids([1, 6, 0, 3])
ROUNDING = 1e-3  # nats per sentence


def sharp_model(writer, **more):
    """Return a model so certain of its tokens that the state of a wrong beam costs many nats."""
    model = tiny_model(writer, **more)
    with torch.no_grad():
        model.decoder.output_weight.mul_(3)
        model.decoder.output_bias[EOS] = 2.0  # some sentences end early
    return model


def beams_of(model, prefixes, latent, **options):
    """Return the sequences and scores of all beams, each (rows x beams,)."""
    output = model.generate(
        **starts(prefixes),
        latent=latent,
        num_beams=BEAMS,
        num_return_sequences=BEAMS,
        do_sample=False,
        max_new_tokens=STEPS,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    return output.sequences, output.sequences_scores


def generated_ids(sequences, width):
    """Return the tokens after the first `width`, with the end token and without the padding."""
    texts = []
    for ids in sequences[:, width:].tolist():
        end = ids.index(EOS) + 1 if EOS in ids else len(ids)
        texts.append(ids[:end])
    return texts


def log_likelihood(model, prefixes, texts, latent, **more):
    """Return log p(text | prefix, z) of each text, (rows,), by one pass without a cache."""
    batch = tiny_batch([[*prefix, *text] for prefix, text in zip(prefixes, texts, strict=True)])
    labels = batch["labels"].clone()
    for row, (prefix, text) in enumerate(zip(prefixes, texts, strict=True)):
        labels[row, : len(prefix)] = IGNORED_LABEL
        labels[row, len(prefix) + len(text) :] = IGNORED_LABEL
    tokens = {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["attention_mask"],
        "labels": labels,
    }
    return -model(**tokens, latent=latent, **more).sentence_reconstruction


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_beam_s_score_is_the_likelihood_of_its_text(writer, penalty):
    """It holds for each beam, with prefixes of unequal lengths and any length penalty."""
    model = sharp_model(writer)
    latent = 2 * draws(len(PREFIXES), LATENT)
    sequences, scores = beams_of(model, PREFIXES, latent, length_penalty=penalty)
    texts = generated_ids(sequences, max(map(len, PREFIXES)) + 1)
    prefixes = [prefix for prefix in PREFIXES for _ in range(BEAMS)]
    exact = log_likelihood(model, prefixes, texts, latent.repeat_interleave(BEAMS, 0))
    lengths = torch.tensor([len(text) for text in texts])
    torch.testing.assert_close(scores * lengths**penalty, exact, atol=ROUNDING, rtol=1e-4)


def test_a_conditional_model_s_beams_keep_their_label():
    """The beams of a row are scored under the label of this row."""
    model = sharp_model("lstm", labels={"calm": 3, "wild": 2})
    latent = draws(3, LATENT)
    label_ids = torch.tensor([1, 0, 1])
    sequences, scores = beams_of(model, [[]] * 3, latent, length_penalty=0.0, label_ids=label_ids)
    texts = generated_ids(sequences, 1)
    repeated = {"label_ids": label_ids.repeat_interleave(BEAMS)}
    exact = log_likelihood(
        model, [[]] * len(texts), texts, latent.repeat_interleave(BEAMS, 0), **repeated
    )
    torch.testing.assert_close(scores, exact, atol=ROUNDING, rtol=1e-4)


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_the_best_beam_is_at_least_as_likely_as_greedy_text(writer):
    """It holds for nearly every latent; beam search may sometimes miss the greedy text."""
    model = sharp_model(writer)
    latent = 2 * draws(MANY, LATENT)
    options = {"latent": latent, "do_sample": False, "max_new_tokens": STEPS, "length_penalty": 0.0}
    likelihoods = {}
    for beams in (1, BEAMS):
        ids = model.generate(**starts([[]] * MANY), num_beams=beams, **options)
        likelihoods[beams] = log_likelihood(model, [[]] * MANY, generated_ids(ids, 1), latent)
    is_as_likely = likelihoods[BEAMS] >= likelihoods[1] - ROUNDING
    assert is_as_likely.float().mean() >= 0.95
    assert (likelihoods[BEAMS] > likelihoods[1] + 0.1).any()


def test_beams_that_keep_visible_words_are_as_likely_as_greedy_ones(vae):
    """Every beam must contain the visible words; its own state fills the blanks."""
    with torch.no_grad():
        vae.model.decoder.output_weight.mul_(1.5)
    template = parse_template(vae.bundle, "a man ___ a ___ horse .")
    z = 2 * draws(MANY, vae.latent_dim)
    rows = [template.build_row((3, 2))] * MANY
    assert VisibleTokensProcessor(vae.bundle, rows).max_length > 6
    likelihoods = []
    for beams in (1, BEAMS):
        ids = fill_blanks(vae.bundle, z, rows, seed=0, num_beams=beams)
        likelihoods.append(
            log_likelihood(vae.model, [[]] * MANY, [[*text, EOS] for text in ids], z)
        )
    assert (likelihoods[1] >= likelihoods[0] - ROUNDING).float().mean() >= 0.9
    assert (likelihoods[1] > likelihoods[0] + 0.1).any()


@pytest.mark.parametrize("options", [{"num_beams": 3}, {}, {"do_sample": True}], ids=str)
@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_generation_uses_no_deprecated_argument(writer, options):
    """The cache is passed under the name that the installed transformers uses."""
    model = tiny_model(writer)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        model.generate(
            **starts([[]] * 2), latent=draws(2, LATENT), **{"do_sample": False, **options}
        )


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_pass_takes_and_returns_its_cache_by_either_name(writer, name):
    """Two passes with a cache give the logits of a single pass."""
    model = tiny_model(writer)
    latent = draws(2, LATENT)
    ids = torch.tensor(tiny_ids([5, 5]))
    first = model(input_ids=ids[:, :3], latent=latent, use_cache=True)
    second = model(input_ids=ids[:, 3:], latent=latent, **{name: getattr(first, name)})
    whole = model(input_ids=ids, latent=latent).logits
    torch.testing.assert_close(second.logits, whole[:, 3:], rtol=1e-4, atol=1e-4)


def test_a_recurrent_state_is_selected_repeated_and_reset_by_rows():
    """The library's own caches do this layer by layer, but a recurrent state has no layers."""
    cache = RecurrentCache()
    state = draws(2, 3, 4)
    cache.advance((state,), 5)
    cache.batch_select_indices(torch.tensor([2, 0]))
    cache.batch_repeat_interleave(2)
    torch.testing.assert_close(cache.state[0], state[:, [2, 2, 0, 0]])
    cache.reset()
    assert cache.state == ()
    assert cache.get_seq_length() == 0


def test_a_recurrent_state_refuses_to_take_back_tokens():
    """Otherwise assisted decoding would continue from a state that includes rejected tokens."""
    model = tiny_model("lstm")
    assert not model.decoder.new_cache().is_croppable
    with pytest.raises((ConfigError, ValueError), match=r"take back|crop"):
        model.generate(
            **starts([[4, 5, 4, 5, 4]]), latent=draws(1, LATENT), prompt_lookup_num_tokens=2
        )
