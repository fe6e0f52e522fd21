"""The tokenizers of pretrained decoders: natural text, special tokens, exact trimming."""

import json
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.data.base_tokenizer_files import CORPUS, STYLES, gpt2_style, llama3_style
from textvae.data.base_tokenizers import (
    load_decoder_tokenizer,
    trim_tokenizer,
)
from textvae.data.tokenization import decode_batch, encode_batch, read_tokenizer
from textvae.errors import ConfigError

ROLES = ("pad_token_id", "bos_token_id", "eos_token_id")
BYTE_LEVEL = ["GPT-2", "Llama 3", "Llama 3 with merges"]
ODD_TEXTS = ["Zürich 漢字 🤔", "  two  blanks\n\tand a tab", "XYZZY!!! <bos> <|endoftext|>", ""]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the folder of a saved tokenizer of each style."""
    folders = {}
    styles = {**STYLES, "Llama 3 with merges": lambda: llama3_style(ignore_merges=False)}
    for number, (style, build) in enumerate(styles.items()):
        folders[style] = tmp_path_factory.mktemp("base") / str(number)
        build().save_pretrained(folders[style])
    return folders


@pytest.mark.parametrize("style", sorted(set(STYLES) - {"BERT"}))
def test_a_decoders_tokenizer_gives_natural_text_back(folders, style):
    """Blanks before and after marks are those of the text."""
    tokenizer = load_decoder_tokenizer(folders[style])
    assert decode_batch(tokenizer, encode_batch(tokenizer, CORPUS)) == CORPUS


def test_word_pieces_are_joined_to_words_and_short_forms(folders):
    """Case is lost; marks and short forms are joined to the word before."""
    tokenizer = load_decoder_tokenizer(folders["BERT"])
    ids = encode_batch(tokenizer, CORPUS)
    texts = decode_batch(tokenizer, ids)
    assert texts[0] == CORPUS[0].lower()
    assert encode_batch(tokenizer, texts) == ids


@pytest.mark.parametrize("style", STYLES)
def test_a_decoders_tokenizer_has_different_special_tokens(folders, style):
    """Start, end, padding and unknown tokens are not the same, and pieces keep their ids."""
    tokenizer = load_decoder_tokenizer(folders[style])
    special_ids = [getattr(tokenizer, role) for role in ROLES]
    assert len({*special_ids, tokenizer.unk_token_id}) == 4
    assert None not in special_ids
    assert read_tokenizer(folders[style]).get_vocab().items() <= tokenizer.get_vocab().items()


@pytest.mark.parametrize("style", STYLES)
def test_a_decoders_tokenizer_adds_no_special_tokens_and_knows_no_turns(folders, tmp_path, style):
    """Neither does it after it is saved and read again."""
    loaded = load_decoder_tokenizer(folders[style])
    loaded.save_pretrained(tmp_path)
    for tokenizer in (loaded, read_tokenizer(tmp_path)):
        assert tokenizer.chat_template is None
        assert tokenizer(CORPUS[0])["input_ids"] == encode_batch(tokenizer, CORPUS[:1])[0]
        assert tokenizer.special_tokens_map == loaded.special_tokens_map


def test_an_end_token_that_also_means_unknown_stays_the_end(folders):
    """No text of a byte-level BPE is unknown, and GPT-2 has learned its end token."""
    tokenizer = load_decoder_tokenizer(folders["GPT-2"])
    assert tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.unk_token is None
    assert (tokenizer.bos_token, tokenizer.pad_token) == ("<bos>", "<pad>")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    """The message names the folder."""
    with pytest.raises(ConfigError, match=f"{tmp_path.name}' holds no tokenizer"):
        load_decoder_tokenizer(tmp_path)


def test_a_tokenizer_that_asks_for_code_is_refused(folders, tmp_path):
    """Its code is not even looked for."""
    gpt2_style().save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "auto_map": {"A": ["b.C", None]}}))
    with pytest.raises(ConfigError, match="auto_map"):
        load_decoder_tokenizer(tmp_path)


def trimmed(tokenizer: Any, texts: list[str]) -> Any:
    """Return the tokenizer, trimmed to the tokens of the texts."""
    used = {token for row in encode_batch(tokenizer, texts) for token in row}
    result = trim_tokenizer(tokenizer, used)
    assert result is not None
    return result


@pytest.mark.parametrize("style", BYTE_LEVEL)
@pytest.mark.parametrize("count", range(len(CORPUS) + 1))
def test_a_trimmed_tokenizer_gives_the_same_tokens(folders, style, count):
    """Every text whose tokens were used has the same ones, with new ids."""
    tokenizer = load_decoder_tokenizer(folders[style])
    result = trimmed(tokenizer, CORPUS[:count])
    assert len(result.kept) == len(result.tokenizer)
    assert (len(result.kept) < len(tokenizer)) == (count < len(CORPUS))
    for old, new in zip(
        encode_batch(tokenizer, CORPUS[:count]),
        encode_batch(result.tokenizer, CORPUS[:count]),
        strict=True,
    ):
        assert [result.kept[token] for token in new] == old


@pytest.mark.parametrize("style", BYTE_LEVEL)
def test_other_texts_survive_a_trimmed_tokenizer(folders, style):
    """Unused tokens become shorter ones, at worst bytes."""
    tokenizer = load_decoder_tokenizer(folders[style])
    result = trimmed(tokenizer, CORPUS[:1]).tokenizer
    texts = [*CORPUS, *ODD_TEXTS]
    rows = encode_batch(result, texts)
    assert [result.decode(row) for row in rows] == texts
    assert rows != encode_batch(tokenizer, texts)


@pytest.mark.parametrize("style", BYTE_LEVEL)
def test_a_trimmed_tokenizer_keeps_special_tokens_and_bytes(folders, tmp_path, style):
    """They keep their names and roles, also after the tokenizer is saved and read again."""
    tokenizer = load_decoder_tokenizer(folders[style])
    result = trimmed(tokenizer, CORPUS[:2])
    result.tokenizer.save_pretrained(tmp_path)
    for smaller in (result.tokenizer, read_tokenizer(tmp_path)):
        vocabulary = smaller.get_vocab()
        assert {piece: result.kept[new] for piece, new in vocabulary.items()}.items() <= (
            tokenizer.get_vocab().items()
        )
        assert set(vocabulary) >= set(pre_tokenizers.ByteLevel.alphabet())
        assert set(smaller.get_added_vocab()) == set(tokenizer.get_added_vocab())
        assert smaller.special_tokens_map == tokenizer.special_tokens_map


@pytest.mark.parametrize("style", BYTE_LEVEL)
def test_trimming_changes_only_tokens_and_merges(folders, style):
    """Normalizer, pre-tokenizer, decoder and the flags of the model stay."""
    tokenizer = load_decoder_tokenizer(folders[style])
    before = json.loads(tokenizer.backend_tokenizer.to_str())
    after = json.loads(trimmed(tokenizer, CORPUS[:2]).tokenizer.backend_tokenizer.to_str())
    for content in (before, after):
        del content["model"]["vocab"], content["model"]["merges"], content["post_processor"]
        for entry in content["added_tokens"]:
            del entry["id"]
    assert after == before


def test_a_trimmed_tokenizer_that_used_everything_is_the_same(folders):
    """No token is lost and all ids stay."""
    tokenizer = load_decoder_tokenizer(folders["GPT-2"])
    result = trim_tokenizer(tokenizer, range(len(tokenizer)))
    assert result is not None
    assert result.kept == list(range(len(tokenizer)))
    assert result.tokenizer.get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_the_merges_that_encoding_takes_are_kept(ignore_merges):
    """Two pairs of pieces give "abc"; the tokenizer keeps the one that is merged first."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pieces = [*sorted(alphabet), "ab", "bc", "abc", "cd"]
    merges = [("c", "d"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("a", "b")]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignore_merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    result = trim_tokenizer(PreTrainedTokenizerFast(tokenizer_object=core), [vocabulary["abc"]])
    assert result is not None
    vocabulary = result.tokenizer.get_vocab()
    assert vocabulary.keys() - alphabet == {"bc", "abc"}
    assert encode_batch(result.tokenizer, ["xabc", "abcd"]) == [
        [vocabulary["x"], vocabulary["abc"]],
        [vocabulary["abc"], vocabulary["d"]],
    ]


@pytest.mark.parametrize("style", ["T5", "Llama 2", "BERT"])
def test_other_kinds_of_tokenizers_are_not_trimmed(folders, style):
    """Their texts could get other tokens, or unknown ones."""
    assert trim_tokenizer(load_decoder_tokenizer(folders[style]), [5, 6]) is None


def test_a_tokenizer_with_random_merges_is_not_trimmed():
    """With BPE dropout, a text has no tokens of its own."""
    tokenizer = gpt2_style()
    tokenizer.backend_tokenizer.model.dropout = 0.1
    assert trim_tokenizer(tokenizer, [5, 6]) is None
