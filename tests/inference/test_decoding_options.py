"""The options of transformers' `GenerationConfig` reach the tokens, through every decoder."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tests.tiny import EOS, LATENT, SENTENCES, draws
from textvae.data.tokenization import decode_batch
from textvae.errors import ConfigError
from textvae.inference import generate_arguments
from textvae.inference.decoding import build_start_inputs, decode_to_tokens
from textvae.inference.settings import SAMPLING_OPTIONS, DecodingSettings
from textvae.inference.unsupported_options import UNSUPPORTED_OPTIONS

Z = 3 * draws(6, LATENT)
COUNT = len(Z)

# Options of greedy decoding and of beam search, with values that change texts.
EXACT: dict[str, dict[str, Any]] = {
    "repetition_penalty": {"repetition_penalty": 50.0},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 1},
    "min_new_tokens": {"min_new_tokens": 5, "sequence_bias": [[[EOS], 1000.0]]},
    "exponential_decay_length_penalty": {"exponential_decay_length_penalty": (1, 5.0)},
    "bad_words_ids": {"bad_words_ids": [[token] for token in range(4, 12)]},
    "suppress_tokens": {"suppress_tokens": list(range(4, 12))},
    "begin_suppress_tokens": {"begin_suppress_tokens": list(range(4, 12))},
    "sequence_bias": {"sequence_bias": [[[5], 10.0]]},
    "num_beams": {"num_beams": 5},
    "length_penalty": {"num_beams": 5, "length_penalty": -30.0},
    "num_return_sequences": {"num_beams": 5, "num_return_sequences": 3},
    "top_k": {"num_beams": 5, "no_repeat_ngram_size": 2},
}
# Options that change nothing here, but must arrive as well.
HARMLESS: dict[str, dict[str, Any]] = {
    "early_stopping": {"num_beams": 5, "early_stopping": "never"},
    "renormalize_logits": {"num_beams": 5, "renormalize_logits": True},
    "remove_invalid_values": {"remove_invalid_values": True},
}
# Each of these leaves one token to sample.
STRICTEST = {
    "top_k": 1,
    "top_p": 1e-6,
    "min_p": 1.0,
    "typical_p": 1e-6,
    "top_h": 1e-6,
    "epsilon_cutoff": 0.999,
    "temperature": 1e-6,
}


def write_plainly(vae, options):
    """Return the texts of transformers' own `generate` from the same latents."""
    starts = build_start_inputs(vae.bundle, COUNT, None)
    rows = vae.model.generate(**starts, latent=Z, do_sample=False, **options)
    return decode_batch(vae.tokenizer, rows.tolist())


@pytest.mark.parametrize("options", (EXACT | HARMLESS).values(), ids=EXACT | HARMLESS)
def test_an_option_gives_the_texts_of_plain_generate(vae, options):
    """Our own loop and the order of several texts change nothing."""
    texts = vae.decode(Z, **options)
    assert texts == write_plainly(vae, options)
    assert len(texts) == COUNT * options.get("num_return_sequences", 1)


@pytest.mark.parametrize("options", EXACT.values(), ids=EXACT)
def test_an_option_changes_a_text(options, lstm):
    """The values above are strong enough to show that the option has arrived."""
    assert lstm.decode(Z, **options) != lstm.decode(Z)


def test_a_minimum_length_holds_back_the_end(vae):
    """The end token is the likeliest one everywhere, and comes right after the minimum."""
    options = DecodingSettings(sequence_bias=[([EOS], 1000.0)], min_new_tokens=5)
    for row in decode_to_tokens(vae.bundle, Z, options, False):
        assert row.index(EOS) == 6  # after the start and five tokens


@pytest.mark.parametrize("name", STRICTEST)
def test_the_strictest_limit_leaves_one_token_to_sample(vae, name):
    """Then all seeds give the same texts; without the option they do not."""
    texts = [vae.decode(Z, **{name: STRICTEST[name]}, seed=seed) for seed in (1, 2)]
    assert texts[0] == texts[1]
    free = [vae.decode(Z, do_sample=True, seed=seed) for seed in (1, 2)]
    assert free[0] != free[1]


@pytest.mark.parametrize("name", STRICTEST)
def test_an_option_of_sampling_turns_it_on(lstm, name):
    """Its weakest value then gives other texts with another seed."""
    weakest = {"top_k": 0, "min_p": 0.0, "epsilon_cutoff": 1e-9}.get(name, 1.0)
    texts = [lstm.decode(Z, **{name: weakest}, seed=seed) for seed in (1, 2)]
    assert texts[0] != texts[1]


def test_eta_cutoff_leaves_out_unlikely_tokens(vae):
    """Of many first tokens, fewer are different than without it."""
    z = Z[:1].expand(300, -1)
    firsts = []
    for cutoff in (1e-9, 0.2):
        texts = vae.decode(z, eta_cutoff=cutoff, max_new_tokens=1, temperature=1.0, seed=0)
        firsts.append(set(texts))
    assert firsts[1] < firsts[0]


def test_sampled_texts_of_one_latent_are_next_to_each_other(vae):
    """Latents that are far apart have texts of their own."""
    texts = vae.decode(Z, num_return_sequences=4, top_k=1, seed=0, batch_size=5)
    once = vae.decode(Z)
    assert texts == [text for text in once for _ in range(4)]


def test_a_watermark_changes_the_texts(vae):
    """Its bias favors some tokens."""
    assert vae.decode(Z, watermarking_config={"bias": 30.0}) != vae.decode(Z)


def test_max_time_ends_a_text_after_its_next_token(vae):
    """A nanosecond is over before the second token."""
    tokens = decode_to_tokens(vae.bundle, Z, DecodingSettings(max_time=1e-9), False)
    assert all(len(row) == 2 for row in tokens)  # the start, and one token


def test_a_stop_string_ends_the_text(vae):
    """It is the end of the text, if it is in it; a string in the prefix does not count."""
    words = [word for text in vae.decode(Z) for word in text.split()]
    stop = max(set(words), key=words.count)
    texts = vae.decode(Z, stop_strings=[stop, "zebra"])
    assert any(stop in text for text in texts)
    assert all(text.endswith(stop) for text in texts if stop in text)
    for text in vae.complete(f"a {stop}", 3, stop_strings=[stop], seed=0):
        assert text.removeprefix(f"a {stop}").count(stop) <= 1


def test_bad_words_do_not_occur(vae):
    """They are given as text, with or without the space before them."""
    words = sorted({word for text in SENTENCES for word in text.split() if len(word) > 3})
    texts = vae.decode(Z, bad_words=words)
    assert not set(words) & {word for text in texts for word in text.split()}
    filled = vae.infill("a man ___ a ___ .", n=3, latents=2, beams=3, bad_words=["rides", "man"])
    for record in filled:  # the visible words may be bad words
        assert not {"rides", "man"} & set(" ".join(record["fills"]).split())
        assert record["text"].startswith("a man ")


def test_an_option_that_our_loop_does_not_know_runs_in_that_of_transformers(lstm):
    """Of all options, only a few are known to it."""
    for name in DecodingSettings.model_fields.keys() - {"seed", "bad_words", "stop_strings"}:
        options: dict[str, Any] = {"do_sample": True, **EXAMPLES[name]}
        arguments = generate_arguments.build_generate_arguments(
            lstm.bundle, DecodingSettings(**options), False
        )
        is_ours = "custom_generate" in arguments
        assert is_ours == (name in OF_OUR_LOOP), name


@pytest.mark.parametrize("penalty", [{"repetition_penalty": 50.0}, {"no_repeat_ngram_size": 1}])
def test_a_penalty_on_repetition_holds_for_samples(vae, penalty):
    """If one token is left to sample, the texts are those of plain greedy decoding."""
    assert vae.decode(Z, top_k=1, **penalty) == write_plainly(vae, penalty)


OF_OUR_LOOP = {
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "max_new_tokens",
    "num_return_sequences",
}
EXAMPLES: dict[str, dict[str, Any]] = {
    **{name: {name: value} for name, value in STRICTEST.items()},
    **EXACT,
    **HARMLESS,
    "do_sample": {},
    "top_k": {"top_k": 3},
    "num_return_sequences": {"num_return_sequences": 2},
    "eta_cutoff": {"eta_cutoff": 0.1},
    "max_new_tokens": {"max_new_tokens": 3},
    "max_time": {"max_time": 1.0},
    "watermarking_config": {"watermarking_config": {"bias": 1.0}},
}


def test_every_option_of_transformers_is_taken_or_refused():
    """A new release may have options that neither table has."""
    names = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    assert names - DecodingSettings.model_fields.keys() - UNSUPPORTED_OPTIONS.keys() == set()
    assert not UNSUPPORTED_OPTIONS.keys() & DecodingSettings.model_fields.keys()


def test_the_options_of_sampling_are_fields():
    """They are listed by name in another place."""
    assert DecodingSettings.model_fields.keys() >= set(SAMPLING_OPTIONS)


WRONG = {
    "an unknown name": ({"repetition_penality": 2.0}, "did you mean 'repetition_penalty'"),
    "greedy sequences": ({"num_return_sequences": 2}, "greedy decoding gives one text per latent"),
    "more sequences than beams": ({"num_beams": 2, "num_return_sequences": 3}, "at most 2 texts"),
    "sampling without it": ({"do_sample": False, "top_p": 0.5}, "top_p = 0.5 has no effect"),
    "a search without beams": ({"length_penalty": 2.0}, "no effect with num_beams = 1"),
    "early stopping of what": ({"early_stopping": "soon", "num_beams": 2}, "early_stopping"),
    "a minimum above the maximum": ({"min_new_tokens": 9, "max_new_tokens": 3}, "at most 3 new"),
    "a minimum above the model's": ({"min_new_tokens": 99}, "at most 12 new tokens"),
    "a token that does not exist": ({"suppress_tokens": [999]}, "names the token 999"),
    "a bias of no token": ({"sequence_bias": [([999], 1.0)]}, "names the token 999"),
    "an infinite bias": ({"sequence_bias": [([5], float("inf"))]}, "sequence_bias"),
    "a negative token": ({"bad_words_ids": [[-1]]}, "bad_words_ids"),
    "a truth value as a token": ({"suppress_tokens": [True]}, "suppress_tokens"),
    "no words": ({"bad_words": []}, "bad_words"),
    "an empty word": ({"bad_words": [""]}, "bad_words"),
    "one string of words": ({"bad_words": "man"}, "bad_words"),
    "an unknown word": ({"bad_words": ["zzz"]}, "the model does not know it"),
    "an empty stop": ({"stop_strings": [""]}, "stop_strings"),
    "a number as a stop": ({"stop_strings": [3]}, "stop_strings"),
    "an unknown watermark": ({"watermarking_config": {"color": 3}}, "WatermarkingConfig"),
    "a wrong watermark": ({"watermarking_config": {"greenlist_ratio": 3.0}}, "greenlist_ratio"),
    "a negative penalty": ({"repetition_penalty": -1.0}, "greater than 0"),
    "a share above one": ({"typical_p": 1.5}, "less than or equal to 1"),
    "no time": ({"max_time": 0}, "greater than 0"),
    "a decay without a factor": ({"exponential_decay_length_penalty": [3]}, "decay"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused(lstm, options, message):
    """The message names the option."""
    with pytest.raises(ConfigError, match=message):
        lstm.decode(Z, **options)


@pytest.mark.parametrize("name", UNSUPPORTED_OPTIONS)
def test_an_option_that_cannot_work_is_refused_by_its_name(lstm, name):
    """Every verb refuses it, with the reason."""
    for write in (lstm.decode, lambda _, **options: lstm.traverse("a man", 0, **options)):
        with pytest.raises(ConfigError, match=rf"decoding\.{name} is not supported: .+"):
            write(Z, **{name: 1})


def test_all_tokens_cannot_be_suppressed(lstm):
    """Nothing could be sampled then."""
    everything = list(range(lstm.model.config.vocab_size))
    with pytest.raises(ConfigError, match="names all tokens"):
        lstm.decode(Z, suppress_tokens=everything)
    with pytest.raises(ConfigError, match="leave no token that could follow"):
        lstm.decode(Z, bad_words_ids=[[token] for token in everything], min_new_tokens=1, top_k=3)


def test_the_seed_decides_what_is_sampled_in_either_loop(vae):
    """The same seed gives the same texts."""
    for options in ({"temperature": 1.0}, {"typical_p": 0.9}):
        assert vae.decode(Z, **options, seed=3) == vae.decode(Z, **options, seed=3)
    assert torch.is_grad_enabled()


@pytest.fixture
def own_options(vae, monkeypatch):
    """Options that the decoder has for samples, and that leave few tokens."""
    options = {"min_p": 0.9, "temperature": 2.0}
    monkeypatch.setattr(type(vae.model.decoder), "sampling_options", options)
    return options


def test_a_decoder_can_have_options_for_samples(vae, own_options):
    """They hold where the user names no option of sampling, whatever else is named."""
    assert vae.generate(8, seed=1) == vae.generate(8, seed=1, **own_options)
    longer = {"min_new_tokens": 2, "seed": 1}
    assert vae.generate(8, **longer) == vae.generate(8, **longer, **own_options)


@pytest.mark.parametrize("named", [{"temperature": 1.0}, {"top_k": 5}, {"do_sample": False}])
def test_an_option_of_the_user_replaces_those_of_the_decoder(vae, own_options, monkeypatch, named):
    """All of them: the temperature 1, say, is the distribution of the model itself."""
    texts = vae.generate(8, seed=1, **named)
    monkeypatch.setattr(type(vae.model.decoder), "sampling_options", {})
    assert texts == vae.generate(8, seed=1, **named)


def test_the_options_of_a_run_replace_those_of_the_decoder(vae, own_options, monkeypatch):
    """`generation_config.json` is the user's choice as well."""
    monkeypatch.setattr(vae.model.generation_config, "min_p", 0.01)
    expected = {"min_p": 0.01, "temperature": own_options["temperature"]}
    assert vae.generate(8, seed=1) == vae.generate(8, seed=1, **expected)


def test_one_beam_is_no_search(lstm):
    """The default number of beams may be named, and texts are sampled all the same."""
    plain = lstm.generate(6, seed=1)
    assert lstm.generate(6, seed=1, num_beams=1) == plain
    assert lstm.generate(6, seed=1, do_sample=False) != plain
