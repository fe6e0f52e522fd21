"""Tokenizers: text there and back, and what each kind makes of what it never saw."""

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


def built(kind, sentences=SENTENCES, **settings):
    return build_tokenizer(
        TokenizerSettings(**{"kind": kind, "min_frequency": 1, **settings}), iter(sentences)
    )


def there_and_back(tokenizer, sentences):
    return decode_batch(tokenizer, encode_batch(tokenizer, sentences))


@pytest.mark.parametrize("text", CLEAN)
@pytest.mark.parametrize("kind", ["bpe", "byte"])
def test_bytes_come_back_as_they_were_whatever_was_seen(kind, text):
    """Nothing is unknown where bytes are tokens, alone or among others."""
    tokenizer = built(kind)
    assert there_and_back(tokenizer, [text, "the cat", text]) == [text, "the cat", text]


@pytest.mark.parametrize("text", CLEAN)
@pytest.mark.parametrize("kind", ["word", "character"])
def test_pieces_that_were_seen_come_back_as_they_were(kind, text):
    """Words and characters of the corpus are known, punctuation kept."""
    assert there_and_back(built(kind, [text, *SENTENCES]), [text]) == [text]


def test_bpe_learns_whole_words_of_its_corpus():
    """Frequent words are one token."""
    assert len(encode_batch(built("bpe"), ["the cat"])[0]) == 2


def test_a_byte_is_a_token():
    """Neither more nor less than the UTF-8 bytes."""
    assert [len(ids) for ids in encode_batch(built("byte"), CLEAN)] == [
        len(text.encode()) for text in CLEAN
    ]


def test_a_character_is_a_token():
    """Blanks too, and characters never seen are unknown, one by one."""
    tokenizer = built("character")
    assert [len(ids) for ids in encode_batch(tokenizer, ["the cat", "日本"])] == [7, 2]
    assert encode_batch(tokenizer, ["日本"]) == [[tokenizer.unk_token_id] * 2]


def test_a_word_is_a_token():
    """Words never seen are unknown, and say so when they are written."""
    tokenizer = built("word")
    assert len(encode_batch(tokenizer, ["the unheard-of cat"])[0]) == 3
    assert there_and_back(tokenizer, ["the unheard-of cat"]) == [f"the {UNKNOWN} cat"]


@pytest.mark.parametrize("punctuation", ["kept", "split"])
def test_the_unknown_word_of_a_prepared_corpus_is_the_unknown_token(punctuation):
    """Papers' corpora hold `<unk>` as text: it is read as the token and written back."""
    tokenizer = built("word", [*SENTENCES, "a <unk> word"], punctuation=punctuation)
    assert encode_batch(tokenizer, ["the <unk> cat"])[0][1] == tokenizer.unk_token_id
    assert there_and_back(tokenizer, ["the <unk> cat"]) == ["the <unk> cat"]


def test_split_punctuation_is_a_word_of_its_own():
    """`cat.` and `cat ,` hold the same word."""
    tokenizer = built("word", ["the cat.", "the cat ,"], punctuation="split")
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
def test_split_punctuation_comes_back_detokenised(text):
    """Natural text, not tokens with blanks between them; apostrophes and hyphens included."""
    assert there_and_back(built("word", [text], punctuation="split"), [text]) == [text]


def test_detokenising_changes_no_words():
    """`do not` stays two words."""
    assert there_and_back(
        built("word", ["i do not know"], punctuation="split"), ["i do not know"]
    ) == ["i do not know"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", SPECIAL_WORDS)
def test_a_special_tokens_text_is_text_in_a_sentence(kind, text):
    """What a user writes never ends a sentence, starts one, or turns into padding."""
    tokenizer = built(kind, [*SENTENCES, *SPECIAL_WORDS])
    ids = encode_batch(tokenizer, [text])[0]
    assert not {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id} & set(ids)


@pytest.mark.parametrize("kind", ["bpe", "byte"])
@pytest.mark.parametrize("text", SPECIAL_WORDS)
def test_a_special_tokens_text_comes_back_where_nothing_is_unknown(kind, text):
    """It is made of bytes like all else."""
    assert there_and_back(built(kind, [*SENTENCES, *SPECIAL_WORDS]), [text]) == [text]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_stops_at_the_end_and_leaves_special_tokens_out(kind):
    """What follows the end token is never text."""
    tokenizer = built(kind)
    ids = encode_batch(tokenizer, ["the cat"])[0]
    row = [tokenizer.bos_token_id, *ids, tokenizer.pad_token_id, tokenizer.eos_token_id, *ids]
    assert decode_batch(tokenizer, [row, [tokenizer.eos_token_id], []]) == ["the cat", "", ""]


@pytest.mark.parametrize("kind", ["word", "character"])
def test_the_vocabulary_keeps_its_cap(kind):
    """Special tokens are counted in, and the most frequent pieces are those kept."""
    tokenizer = built(kind, [*SENTENCES, "e e e e e e"], vocab_size=8)
    assert len(tokenizer) == 8
    assert tokenizer.unk_token_id not in encode_batch(tokenizer, ["e"])[0]


@pytest.mark.parametrize(("cap", "size"), [(8, 259), (259, 259), (270, 270)])
def test_bpe_keeps_its_cap_above_the_bytes(cap, size):
    """256 bytes and three special tokens are always there."""
    assert len(built("bpe", vocab_size=cap)) == size


def test_rare_words_are_not_learned():
    """`min_frequency` is the least count."""
    tokenizer = built("word", ["a a b"], min_frequency=2)
    assert there_and_back(tokenizer, ["a b"]) == ["a <unk>"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_special_tokens_are_three_and_distinct(kind):
    """Only the kinds that look pieces up have an unknown token."""
    tokenizer = built(kind)
    ids = [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id]
    assert len(set(ids)) == 3
    assert (tokenizer.unk_token_id is None) == (kind in ("bpe", "byte"))


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_tokenizer(kind):
    """There is no chance in it."""
    assert built(kind).get_vocab() == built(kind).get_vocab()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_loads_as_it_was(tmp_path, kind):
    """By transformers alone: the same ids, the same text, special tokens' text included."""
    tokenizer = built(kind)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*SENTENCES[:3], *CLEAN, *SPECIAL_WORDS]
    ids = encode_batch(tokenizer, texts)
    assert encode_batch(loaded, texts) == ids
    assert decode_batch(loaded, ids) == decode_batch(tokenizer, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentences_give_no_ids(kind):
    """An empty batch is a batch."""
    assert encode_batch(built(kind), []) == []


@pytest.mark.parametrize("kind", ["word", "character"])
@pytest.mark.parametrize("mark", ["<unk>", "<pad>", "<eos>"])
def test_token_numbers_have_no_gap_whatever_words_the_corpus_holds(kind, mark):
    """A number beyond the vocabulary's size would have no row in the embedding."""
    tokenizer = built(kind, [*SENTENCES, f"a {mark} word and {mark} another"], min_frequency=1)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
