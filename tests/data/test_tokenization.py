"""Tokenizers: encoding and decoding, and what each kind does with text not in the corpus."""

import pytest
from transformers import AutoTokenizer

from tests.corpora import SENTENCES, TRICKY
from textvae.data.tokenization import (
    UNKNOWN,
    TokenizerSettings,
    build_tokenizer,
    decode_batch,
    encode_batch,
)

CLEAN = [
    *TRICKY,
    "plain words",
    "x",
    "Double  quotes: \"a\" and 'b' …".replace("  ", " "),
    "wait , what ?! no .",
    "wait, what?! — no...",
    "don't , won't ; i do not know",
    "🏳️‍🌈👩🏽‍🚀🇩🇪",
    "\u202bעברית עם English בפנים\u202c",
    "## a ##b ### c",
    "Ġ Ċ ▁x Â",
    "<b>tags</b> & [MASK] </s>",
    "日本語の文はここに",
    "e\u0301 \u200b zero\u200dwidth",
    "$5.00 @ 3:15 #1 50%",
    "x" * 300,
]
SPECIAL_WORDS = [
    "a <pad> b",
    "say <eos> and go on",
    "<bos> first",
    "last <eos>",
    "<pad>",
    "x<eos>y",
]
KINDS = ["bpe", "byte", "word", "character"]


def build(kind, sentences=SENTENCES, **settings):
    """Return a tokenizer of this kind, trained on the sentences."""
    return build_tokenizer(
        TokenizerSettings(**{"kind": kind, "min_frequency": 1, **settings}), iter(sentences)
    )


def round_trip(tokenizer, sentences):
    """Encode and decode sentences."""
    return decode_batch(tokenizer, encode_batch(tokenizer, sentences))


@pytest.mark.parametrize("text", CLEAN)
@pytest.mark.parametrize("kind", ["bpe", "byte"])
def test_any_text_survives_a_tokenizer_of_bytes(kind, text):
    """No text is unknown if bytes are tokens, alone or in a batch."""
    tokenizer = build(kind)
    assert round_trip(tokenizer, [text, "the cat", text]) == [text, "the cat", text]


@pytest.mark.parametrize("text", CLEAN)
@pytest.mark.parametrize("kind", ["word", "character"])
def test_known_pieces_survive_encoding_and_decoding(kind, text):
    """Words and characters of the corpus are known, with punctuation kept in words."""
    assert round_trip(build(kind, [text, *SENTENCES]), [text]) == [text]


def test_bpe_learns_whole_words_of_its_corpus():
    """Frequent words are single tokens."""
    assert len(encode_batch(build("bpe"), ["the cat"])[0]) == 2


def test_a_byte_is_a_token():
    """A text has as many tokens as UTF-8 bytes."""
    assert [len(ids) for ids in encode_batch(build("byte"), CLEAN)] == [
        len(text.encode()) for text in CLEAN
    ]


def test_a_character_is_a_token():
    """Spaces are tokens too, and each character not in the corpus is unknown."""
    tokenizer = build("character")
    assert [len(ids) for ids in encode_batch(tokenizer, ["the cat", "日本"])] == [7, 2]
    assert encode_batch(tokenizer, ["日本"]) == [[tokenizer.unk_token_id] * 2]


def test_a_word_is_a_token():
    """Words not in the corpus are unknown, and decode to `<unk>`."""
    tokenizer = build("word")
    assert len(encode_batch(tokenizer, ["the unheard-of cat"])[0]) == 3
    assert round_trip(tokenizer, ["the unheard-of cat"]) == [f"the {UNKNOWN} cat"]


@pytest.mark.parametrize("punctuation", ["kept", "split"])
def test_the_unknown_word_of_a_prepared_corpus_is_the_unknown_token(punctuation):
    """Corpora of papers contain `<unk>` as text: it becomes the token, and is decoded again."""
    tokenizer = build("word", [*SENTENCES, "a <unk> word"], punctuation=punctuation)
    assert encode_batch(tokenizer, ["the <unk> cat"])[0][1] == tokenizer.unk_token_id
    assert round_trip(tokenizer, ["the <unk> cat"]) == ["the <unk> cat"]


def test_split_punctuation_is_a_word_of_its_own():
    """`cat.` and `cat ,` contain the same word."""
    tokenizer = build("word", ["the cat.", "the cat ,"], punctuation="split")
    first, second = encode_batch(tokenizer, ["the cat.", "the cat ,"])
    assert (len(first), first[:2]) == (3, second[:2])


@pytest.mark.parametrize(
    "text",
    [
        "wait, what?! no.",
        "it's well-known.",
        "i don't know, do you?",
        "we've got it",
        "the cat's here, isn't it?",
    ],
)
def test_split_punctuation_decodes_to_natural_text(text):
    """Decoding gives natural text, without spaces around punctuation or in contractions."""
    assert round_trip(build("word", [text], punctuation="split"), [text]) == [text]


def test_decoding_changes_no_words():
    """`do not` stays two words."""
    assert round_trip(build("word", ["i do not know"], punctuation="split"), ["i do not know"]) == [
        "i do not know"
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", SPECIAL_WORDS)
def test_a_special_tokens_text_is_text_in_a_sentence(kind, text):
    """The text of a user never ends a sentence, starts one, or becomes padding."""
    tokenizer = build(kind, [*SENTENCES, *SPECIAL_WORDS])
    ids = encode_batch(tokenizer, [text])[0]
    assert not {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id} & set(ids)


@pytest.mark.parametrize("kind", ["bpe", "byte"])
@pytest.mark.parametrize("text", SPECIAL_WORDS)
def test_a_special_tokens_text_comes_back_where_nothing_is_unknown(kind, text):
    """Such a text consists of bytes like any other."""
    assert round_trip(build(kind, [*SENTENCES, *SPECIAL_WORDS]), [text]) == [text]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_stops_at_the_end_and_leaves_special_tokens_out(kind):
    """Tokens after the end token are never part of the text."""
    tokenizer = build(kind)
    ids = encode_batch(tokenizer, ["the cat"])[0]
    row = [tokenizer.bos_token_id, *ids, tokenizer.pad_token_id, tokenizer.eos_token_id, *ids]
    assert decode_batch(tokenizer, [row, [tokenizer.eos_token_id], []]) == ["the cat", "", ""]


@pytest.mark.parametrize("kind", ["word", "character"])
def test_the_vocabulary_has_at_most_its_size(kind):
    """The size includes special tokens, and the most frequent pieces are kept."""
    tokenizer = build(kind, [*SENTENCES, "e e e e e e"], vocab_size=8)
    assert len(tokenizer) == 8
    assert tokenizer.unk_token_id not in encode_batch(tokenizer, ["e"])[0]


@pytest.mark.parametrize(("limit", "size"), [(8, 259), (259, 259), (270, 270)])
def test_bpe_has_at_most_its_size_or_that_of_all_bytes(limit, size):
    """256 bytes and three special tokens are always included."""
    assert len(build("bpe", vocab_size=limit)) == size


def test_rare_words_are_not_learned():
    """`min_frequency` is the smallest count that is learned."""
    tokenizer = build("word", ["a a b"], min_frequency=2)
    assert round_trip(tokenizer, ["a b"]) == ["a <unk>"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_special_tokens_are_three_and_distinct(kind):
    """Only the kinds that look pieces up have an unknown token."""
    tokenizer = build(kind)
    ids = [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id]
    assert len(set(ids)) == 3
    assert (tokenizer.unk_token_id is None) == (kind in ("bpe", "byte"))


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_tokenizer(kind):
    """Training is deterministic."""
    assert build(kind).get_vocab() == build(kind).get_vocab()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_loads_as_it_was(tmp_path, kind):
    """Without textvae it gives the same ids and texts, even for the text of special tokens."""
    tokenizer = build(kind)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*SENTENCES[:3], *CLEAN, *SPECIAL_WORDS]
    ids = encode_batch(tokenizer, texts)
    assert encode_batch(loaded, texts) == ids
    assert decode_batch(loaded, ids) == decode_batch(tokenizer, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentences_give_no_ids(kind):
    """An empty batch is allowed."""
    assert encode_batch(build(kind), []) == []


@pytest.mark.parametrize("kind", ["word", "character"])
@pytest.mark.parametrize("mark", ["<unk>", "<pad>", "<eos>"])
def test_token_ids_have_no_gap_whatever_words_the_corpus_holds(kind, mark):
    """An id beyond the size of the vocabulary would have no row in the embedding."""
    tokenizer = build(kind, [*SENTENCES, f"a {mark} word and {mark} another"], min_frequency=1)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
