"""Cleaning: from a raw line to a sentence, with counts of what was left out and why."""

import unicodedata

import pytest

from textvae.data.cleaning import Cleaner, CleaningSettings


def clean(line, **settings):
    """Return a line cleaned with these settings."""
    return Cleaner(CleaningSettings(**settings))(line)


def test_every_reason_is_counted():
    """A line is kept, or left out for exactly one reason."""
    cleaner = Cleaner(
        CleaningSettings(min_words=2, max_words=3, drop_duplicates=True, max_characters=9)
    )
    sentences = {
        "a b": "a b",
        "a  b": None,
        "": None,
        " \t ": None,
        "a": None,
        "a b c d": None,
        "aa bb ccccc": "aa bb",
        "c d": "c d",
    }
    for line, sentence in sentences.items():
        assert cleaner(line) == sentence
    assert cleaner.counts == {
        "read": 8,
        "kept": 3,
        "duplicate": 1,
        "blank": 2,
        "too short": 1,
        "too long": 1,
        "truncated": 1,
    }


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u2028", "\x85", "\r", "\x1c", "  "])
def test_white_space_is_folded_to_single_spaces(blank):
    """White space of any kind is folded, and removed at both ends."""
    assert clean(f"{blank}a{blank}b{blank}{blank}c{blank}") == "a b c"


@pytest.mark.parametrize("sign", ["\u00a8", "\u00b4", "\ufdfa", "\u00a8a", "a\u203e"])
@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD", "none"])
def test_no_unicode_form_adds_spaces_again(sign, form):
    """Compatibility forms turn some characters into a space and an accent; these are folded too."""
    sentence = clean(f"{sign} is {sign} {sign}", normalize=form)
    assert sentence == " ".join(sentence.split())


@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD"])
def test_sentences_are_in_the_form_of_the_settings(form):
    """Composed, decomposed and compatibility characters are all normalized."""
    sentence = clean("cafe\u0301 café \ufb01n x\u00b2", normalize=form)
    assert unicodedata.is_normalized(form, sentence)


def test_composed_and_decomposed_letters_are_equal_by_default():
    """Otherwise the same word would have two spellings."""
    assert clean("cafe\u0301") == clean("caf\u00e9") == "caf\u00e9"


def test_without_a_form_the_letters_stay_as_they_are():
    """`none` keeps even decomposed characters."""
    assert clean("cafe\u0301 \ufb01n", normalize="none") == "cafe\u0301 \ufb01n"


def test_case_is_kept_unless_lowercase_is_set():
    """Every script that has cases is lowercased."""
    assert clean("Ärger ΣΟΦΙΑ") == "Ärger ΣΟΦΙΑ"
    assert clean("Ärger ΣΟΦΙΑ", lowercase=True) == "ärger σοφια"


def test_lower_case_makes_duplicates():
    """Sentences are compared as they are after cleaning."""
    cleaner = Cleaner(CleaningSettings(lowercase=True, drop_duplicates=True))
    assert [cleaner("A b"), cleaner("a  B")] == ["a b", None]


def test_duplicates_are_kept_by_default():
    """By default a corpus may contain a sentence several times."""
    cleaner = Cleaner(CleaningSettings())
    assert [cleaner("a"), cleaner("a")] == ["a", "a"]


def test_a_sentence_of_exactly_the_limit_is_whole():
    """The limit is the longest length allowed."""
    cleaner = Cleaner(CleaningSettings(max_characters=5))
    assert cleaner("aa bb") == "aa bb"
    assert "truncated" not in cleaner.counts


@pytest.mark.parametrize(
    ("line", "kept"), [("aa bb cc", "aa bb"), ("aa bbb cc", "aa"), ("aaaaaaaa", "aaaaa")]
)
def test_an_over_long_sentence_is_cut_between_words_where_possible(line, kept):
    """A word is broken only if it is too long on its own."""
    cleaner = Cleaner(CleaningSettings(max_characters=5))
    assert cleaner(line) == kept
    assert cleaner.counts["truncated"] == cleaner.counts["kept"] == 1


def test_the_cut_is_after_folding():
    """White space that is folded does not count towards the limit."""
    assert clean("a      b      c", max_characters=5) == "a b c"


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧 family 🏳️‍🌈",
        "שלום עולם",
        "مرحبا بالعالم",
        "日本語の文",
        "“quoted” – dash…",
        "a\u200bb",
    ],
)
def test_text_of_any_script_survives(text):
    """Joiners, accents and direction marks are part of the text."""
    assert clean(text) == text


def test_cleaning_twice_is_cleaning_once():
    """Cleaning does not change a clean sentence."""
    settings = {"normalize": "NFKC", "lowercase": True, "max_characters": 12}
    once = clean("  The \ufb01rst\u00a0ＬＩＮＥ goes on ", **settings)
    assert clean(once, **settings) == once


def test_the_words_of_a_text_are_counted_before_it_is_cut():
    """Cutting does not make a text that is too long short enough."""
    cleaner = Cleaner(CleaningSettings(max_words=3, max_characters=9))
    assert cleaner("one two three four") is None
    assert cleaner.counts["too long"] == 1
