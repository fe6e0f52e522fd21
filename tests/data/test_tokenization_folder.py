"""The user's own tokenizer: loaded from a folder, completed, and refused if it is unusable."""

import json
import re

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.corpora import SENTENCES
from textvae.data.tokenization import (
    TokenizerSettings,
    build_tokenizer,
    decode_batch,
    encode_batch,
    read_tokenizer,
)
from textvae.errors import ConfigError

OUR_TOKENS = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}


def save_tokenizer(folder, **special):
    """Save a word-level tokenizer with only these special tokens; return its size."""
    words = [
        "[UNK]",
        *special.values(),
        *sorted({word for sentence in SENTENCES for word in sentence.split()}),
    ]
    core = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", **special).save_pretrained(
        folder
    )
    return len(words)


def load_as_training(folder):
    """Return the tokenizer of a folder as training builds it."""
    return build_tokenizer(TokenizerSettings(kind="folder", path=str(folder)), iter(SENTENCES))


@pytest.mark.parametrize(
    "has", [{}, {"pad_token": "[PAD]"}, {"eos_token": "</s>", "bos_token": "<s>"}]
)
def test_a_users_tokenizer_gets_the_special_tokens_it_lacks(tmp_path, has):
    """The tokenizer's own special tokens stay, and its words keep their ids."""
    size = save_tokenizer(tmp_path, **has)
    tokenizer = load_as_training(tmp_path)
    assert {name: getattr(tokenizer, name) for name in OUR_TOKENS} == {**OUR_TOKENS, **has}
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3
    assert len(tokenizer) == size + 3 - len(has)


def test_a_users_tokenizer_encodes_and_decodes(tmp_path):
    """Encoding and decoding returns the text."""
    save_tokenizer(tmp_path)
    tokenizer = load_as_training(tmp_path)
    assert decode_batch(tokenizer, encode_batch(tokenizer, SENTENCES)) == SENTENCES


def test_a_users_tokenizer_is_not_trained(tmp_path):
    """The sentences of the corpus are not even read."""
    save_tokenizer(tmp_path)
    sentences = iter(SENTENCES)
    build_tokenizer(TokenizerSettings(kind="folder", path=str(tmp_path)), sentences)
    assert len(list(sentences)) == len(SENTENCES)


def test_a_loaded_tokenizer_saves_with_its_new_tokens(tmp_path):
    """Loading the saved tokenizer again adds no further tokens."""
    save_tokenizer(tmp_path / "user")
    first = load_as_training(tmp_path / "user")
    first.save_pretrained(tmp_path / "run")
    assert load_as_training(tmp_path / "run").get_vocab() == first.get_vocab()


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "LlamaTokenizer", "Qwen2Tokenizer"])
def test_a_saved_tokenizer_splits_texts_as_it_did(tmp_path, name):
    """The class that its config names does not replace the pre-tokenizer, but knows its end."""
    alphabet = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "12", "Ġa"]
    vocabulary = {piece: number for number, piece in enumerate(alphabet)}
    core = Tokenizer(models.BPE(vocabulary, [("1", "2"), ("Ġ", "a")]))
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), to_bytes])
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=core).save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps({"tokenizer_class": name}))
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.convert_ids_to_tokens(encode_batch(tokenizer, ["x a12"])[0]) == [
        "x",
        "Ġa",
        "1",
        "2",
    ]
    if name == "GPT2Tokenizer":
        assert tokenizer.unk_token == "<|endoftext|>"


@pytest.mark.parametrize("path", [None, "absent/folder"])
def test_a_missing_tokenizer_folder_is_refused(path):
    """The message says that `kind = folder` needs a saved tokenizer."""
    with pytest.raises(
        ConfigError,
        match=re.escape(
            f"tokenizer.path = {str(path)!r} is neither a folder nor a file; kind = folder"
        ),
    ):
        build_tokenizer(TokenizerSettings(kind="folder", path=path), iter([]))


@pytest.mark.parametrize("content", [None, "{", "{}", '{"version": "1.0"}'])
def test_a_folder_without_a_whole_tokenizer_is_refused(tmp_path, content):
    """The file is missing, cut off, or not that of a tokenizer."""
    if content is not None:
        save_tokenizer(tmp_path)
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        load_as_training(tmp_path)


def test_a_tokenizer_that_panics_is_refused(tmp_path):
    """A panic of the Rust library is not an `Exception`, but becomes a message all the same."""
    save_tokenizer(tmp_path)
    file = tmp_path / "tokenizer.json"
    broken = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "normalizer": broken}))
    with pytest.raises(
        ConfigError, match="holds no tokenizer: the tokenizers library cannot work with it"
    ):
        load_as_training(tmp_path)


def test_a_tokenizer_that_cannot_encode_a_word_says_so(tmp_path):
    """A tokenizer that looks up words may have no token for unknown ones."""
    looked_up = Tokenizer(models.WordLevel({"a": 0, "b": 1}))
    PreTrainedTokenizerFast(tokenizer_object=looked_up).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot encode a text: .*Missing \[UNK\] token"):
        encode_batch(load_as_training(tmp_path), ["a", "zzz"])


LEXICON = models.WordLevel({"<u>": 0, "a": 1, "b": 2}, unk_token="<u>")
PIECES = models.Unigram([("<u>", 0.0), ("a", -1.0), ("b", -1.0)], unk_id=0)


@pytest.mark.parametrize("model", [LEXICON, PIECES])
@pytest.mark.parametrize(
    "special", [{}, {"bos_token": "<u>"}, {"eos_token": "<u>"}, {"eos_token": "", "pad_token": ""}]
)
def test_unknown_words_are_kept_whatever_the_config_names(tmp_path, model, special):
    """Only the model may name the unknown token, and special tokens may share its id."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **special}))
    loaded = load_as_training(tmp_path)
    special_ids = {
        loaded.bos_token_id,
        loaded.eos_token_id,
        loaded.pad_token_id,
        loaded.unk_token_id,
    }
    assert len(special_ids) == 4
    assert encode_batch(loaded, ["a zzz b"]) == [[1, 0, 2]]
