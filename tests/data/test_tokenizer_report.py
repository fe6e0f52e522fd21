"""Notes about a tokenizer: unknown tokens, texts that change, and scripts without blanks."""

import pytest
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny_run import SENTENCES, train_tiny
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch
from textvae.data.tokenizer_report import (
    compare_round_trip,
    count_unknown_tokens,
    is_unspaced_at_word_level,
    report_tokenizer,
)

WORDS = ["<unk>", "a", "man", "rides", "cafe", "Man", "."]


def build_lookup(normalizer=None, decoder=True):
    """Return a tokenizer that looks up words, perhaps after a change of the text."""
    model = models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if decoder:
        tokenizer.decoder = decoders.WordPiece(prefix="\0", cleanup=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def tokenize(tokenizer, texts):
    """Return texts as a tokenized split."""
    ids = encode_batch(tokenizer, texts)
    return Dataset.from_dict({"text": texts, "input_ids": ids, "length": [len(row) for row in ids]})


CHANGES = {
    "capitals": (build_lookup(normalizers.Lowercase()), "A man rides", "a man rides"),
    "accents": (
        build_lookup(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
        "a café",
        "a cafe",
    ),
    "blanks": (build_lookup(), "a man.", "a man ."),
    "unknown words": (build_lookup(), "a zebra", "a <unk>"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_tokenizer_that_changes_texts_says_so_with_an_example(case, capsys):
    """And with the share of sentences that come back exactly."""
    tokenizer, text, changed = CHANGES[case]
    split = tokenize(tokenizer, [text, *["a man rides"] * 3])
    report_tokenizer(tokenizer, split)
    printed = capsys.readouterr().err
    assert "75.0% of 4 training sentences come back exactly" in printed
    assert f"{text!r} comes back as {changed!r}" in printed


def test_an_example_shows_what_the_other_note_does_not():
    """Lost capitals are harder to see than unknown words."""
    tokenizer = build_lookup(normalizers.Lowercase())
    trip = compare_round_trip(tokenizer, tokenize(tokenizer, ["x", "A man rides", "a man"]))
    assert (trip.exact, trip.compared) == (1, 3)
    assert trip.example == ("A man rides", "a man rides")


@pytest.mark.parametrize("kind", ["bpe", "byte", "character"])
def test_a_tokenizer_that_writes_back_everything_says_nothing(kind, capsys):
    """Accents, marks and other scripts included."""
    texts = ["Ça va, n'est-ce pas ?", '"quoted" (text) …', "猫が好き", "C(=O)O.[Na+]", "a  #tag"]
    settings = TokenizerSettings(kind=kind, min_frequency=1)
    texts = [" ".join(text.split()) for text in texts]
    tokenizer = build_tokenizer(settings, texts)
    report_tokenizer(tokenizer, tokenize(tokenizer, texts))
    assert capsys.readouterr().err == ""


def test_unknown_tokens_are_counted():
    """In all training sentences, with the first sentence that has one."""
    tokenizer = build_lookup()
    counted = count_unknown_tokens(tokenizer, tokenize(tokenizer, ["a man", "a zebra runs", "x a"]))
    assert (counted.unknown, counted.total, counted.example) == (3, 7, "a zebra runs")


def test_many_unknown_tokens_of_an_inherited_tokenizer_come_with_advice(capsys):
    """Few of them do not need it."""
    tokenizer = build_lookup()
    report_tokenizer(tokenizer, tokenize(tokenizer, ["x y"] * 5), is_inherited=True)
    printed = capsys.readouterr().err
    assert "10 of 10 tokens of the training sentences (100.0%) are unknown" in printed
    assert "Train from scratch" in printed
    few = tokenize(tokenizer, ["x", *["a man rides"] * 9])
    report_tokenizer(tokenizer, few, is_inherited=True)
    assert "from scratch" not in capsys.readouterr().err


UNSPACED = {
    "Chinese": "我们今天去公园散步然后回家吃饭",
    "Japanese": "今日は公園を散歩してから家に帰ります",
    "Thai": "วันนี้เราไปเดินเล่นที่สวนสาธารณะแล้วกลับบ้าน",
    "Khmer": "ថ្ងៃនេះយើងទៅដើរលេងនៅសួនច្បារហើយត្រឡប់ទៅផ្ទះ",
    "Lao": "ມື້ນີ້ພວກເຮົາໄປຍ່າງຫຼິ້ນຢູ່ສວນສາທາລະນະ",
    "Burmese": "ဒီနေ့ကျွန်တော်တို့ပန်းခြံမှာလမ်းလျှောက်ကြတယ်",
    "Chinese among English": "the sign says 我们今天去公园散步然后回家吃饭",
}


@pytest.mark.parametrize("script", UNSPACED)
@pytest.mark.parametrize("punctuation", ["kept", "split"])
def test_words_of_a_script_without_blanks_are_advised_against(script, punctuation, capsys):
    """The message names the kinds that suit it."""
    texts = [UNSPACED[script], f"{UNSPACED[script]}。"] * 3
    settings = TokenizerSettings(kind="word", punctuation=punctuation)
    tokenizer = build_tokenizer(settings, texts)
    report_tokenizer(tokenizer, tokenize(tokenizer, texts))
    assert "Set tokenizer.kind=bpe or tokenizer.kind=character" in capsys.readouterr().err


SPACED = {
    "segmented Chinese": "我们 今天 去 公园 散步 然后 回家 吃饭",
    "segmented Thai": "วันนี้ เรา ไป เดินเล่น ที่ สวนสาธารณะ แล้ว กลับบ้าน",
    "Korean": "오늘은 공원에 산책하러 갔다가 집에 돌아왔습니다",
    "Hindi": "आज हम पार्क में टहलने गए",
    "English": "we went for a walk in the park",
    "English with a Chinese word": "we met in 北京 in the winter of last year",
}


@pytest.mark.parametrize("script", SPACED)
def test_words_between_blanks_need_no_advice(script):
    """The characters of the corpus decide, and how many of them a token has."""
    tokenizer = build_tokenizer(TokenizerSettings(kind="word"), [SPACED[script]] * 3)
    assert not is_unspaced_at_word_level(tokenize(tokenizer, [SPACED[script]] * 3))


@pytest.mark.parametrize("kind", ["bpe", "character", "byte"])
def test_other_tokens_than_words_need_no_advice(kind):
    """They are shorter than phrases."""
    texts = list(UNSPACED.values())
    tokenizer = build_tokenizer(TokenizerSettings(kind=kind), texts)
    assert not is_unspaced_at_word_level(tokenize(tokenizer, texts))


def test_a_run_that_starts_from_another_reports_its_unknown_words(tmp_path, capsys):
    """The tokenizer comes from that run, and the words of the new corpus are others."""
    words = {"kind": "word", "min_frequency": 1}
    train_tiny(tmp_path / "first", tokenizer=words)
    assert "are unknown" not in capsys.readouterr().err
    others = [text.replace("a man", "ein Mann").replace("sees", "sieht") for text in SENTENCES]
    train_tiny(tmp_path / "second", others, init=tmp_path / "first")
    printed = capsys.readouterr().err
    assert "are unknown to the tokenizer of the run to start from (--init)" in printed
    assert "training sentences come back exactly" in printed
