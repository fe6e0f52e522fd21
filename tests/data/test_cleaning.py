"""Cleaning: from a raw line to a sentence, every fate counted."""

import unicodedata

import pytest

from textvae.data.cleaning import Cleaner, CleaningSettings


def clean(line, **settings):
    return Cleaner(CleaningSettings(**settings))(line)


def test_every_fate_is_counted():
    """What is read is kept or left out for one named reason."""
    cleaner = Cleaner(
        CleaningSettings(min_words=2, max_words=3, drop_duplicates=True, max_characters=9)
    )
    lines = ["a b", "a  b", "", " \t ", "a", "a b c d", "aa bb ccccc", "c d"]
    assert [cleaner(line) for line in lines] == [
        "a b",
        None,
        None,
        None,
        None,
        None,
        "aa bb",
        "c d",
    ]
    assert cleaner.counts == {
        "read": 8, "kept": 3, "duplicate": 1, "blank": 2, "too short": 1, "too long": 1, "truncated": 1,
    }  # fmt: skip


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u2028", "\x85", "\r", "\x1c", "  "])
def test_white_space_is_folded_to_single_blanks(blank):
    """Of whatever kind, and gone from both ends."""
    assert clean(f"{blank}a{blank}b{blank}{blank}c{blank}") == "a b c"


@pytest.mark.parametrize("sign", ["\u00a8", "\u00b4", "\ufdfa", "\u00a8a", "a\u203e"])
@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD", "none"])
def test_no_unicode_form_brings_blanks_back(sign, form):
    """Compatibility forms turn some signs into a blank and a mark; those are folded too."""
    sentence = clean(f"{sign} is {sign} {sign}", normalize=form)
    assert sentence == " ".join(sentence.split())


@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD"])
def test_sentences_are_in_the_form_that_is_wanted(form):
    """Composed, decomposed and compatibility letters come out alike."""
    sentence = clean("cafe\u0301 café \ufb01n x\u00b2", normalize=form)
    assert unicodedata.is_normalized(form, sentence)


def test_composed_and_decomposed_letters_are_one_by_default():
    """Otherwise the same word has two spellings."""
    assert clean("cafe\u0301") == clean("caf\u00e9") == "caf\u00e9"


def test_without_a_form_the_letters_stay_as_they_are():
    """`none` leaves even decomposed ones."""
    assert clean("cafe\u0301 \ufb01n", normalize="none") == "cafe\u0301 \ufb01n"


def test_case_is_kept_unless_lowercase_is_wanted():
    """All scripts with a case know it."""
    assert clean("Ärger ΣΟΦΙΑ") == "Ärger ΣΟΦΙΑ"
    assert clean("Ärger ΣΟΦΙΑ", lowercase=True) == "ärger σοφια"


def test_lower_case_makes_duplicates():
    """Duplicates are judged by what is kept."""
    cleaner = Cleaner(CleaningSettings(lowercase=True, drop_duplicates=True))
    assert [cleaner("A b"), cleaner("a  B")] == ["a b", None]


def test_duplicates_are_kept_unless_they_are_to_be_dropped():
    """Language repeats itself."""
    cleaner = Cleaner(CleaningSettings())
    assert [cleaner("a"), cleaner("a")] == ["a", "a"]


def test_a_sentence_of_exactly_the_limit_is_whole():
    """The limit itself is allowed."""
    cleaner = Cleaner(CleaningSettings(max_characters=5))
    assert cleaner("aa bb") == "aa bb"
    assert "truncated" not in cleaner.counts


@pytest.mark.parametrize(
    ("line", "kept"), [("aa bb cc", "aa bb"), ("aa bbb cc", "aa"), ("aaaaaaaa", "aaaaa")]
)
def test_an_over_long_sentence_is_cut_at_a_blank_where_there_is_one(line, kept):
    """A word is only broken when it alone is too long."""
    cleaner = Cleaner(CleaningSettings(max_characters=5))
    assert cleaner(line) == kept
    assert cleaner.counts["truncated"] == cleaner.counts["kept"] == 1


def test_the_cut_is_after_folding():
    """White space that is folded away does not use up the limit."""
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
    """Joiners, marks and directions are no dirt."""
    assert clean(text) == text


def test_cleaning_twice_is_cleaning_once():
    """A clean sentence is clean."""
    settings = {"normalize": "NFKC", "lowercase": True, "max_characters": 12}
    once = clean("  The \ufb01rst\u00a0ＬＩＮＥ goes on ", **settings)
    assert clean(once, **settings) == once
