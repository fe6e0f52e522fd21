"""The user's own tokenizer: loaded from a folder, given what it lacks, refused where it is none."""

import re

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.corpora import SENTENCES
from textvae.errors import ConfigError
from textvae.tokenization import TokenizerSettings, build_tokenizer, decode_batch, encode_batch

OURS = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}


def saved(folder, **special):
    """Save a word-level tokenizer with only these special tokens."""
    words = ["[UNK]", *special.values(), *sorted({word for sentence in SENTENCES for word in sentence.split()})]
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", **special).save_pretrained(folder)
    return len(words)


def load(folder):
    return build_tokenizer(TokenizerSettings(kind="folder", path=str(folder)), iter(SENTENCES))


@pytest.mark.parametrize("has", [{}, {"pad_token": "[PAD]"}, {"eos_token": "</s>", "bos_token": "<s>"}])
def test_a_users_tokenizer_gets_the_special_tokens_it_lacks(tmp_path, has):
    """Its own stay what they are, and its words keep their ids."""
    size = saved(tmp_path, **has)
    tokenizer = load(tmp_path)
    assert {name: getattr(tokenizer, name) for name in OURS} == {**OURS, **has}
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3
    assert len(tokenizer) == size + 3 - len(has)


def test_a_users_tokenizer_reads_and_writes(tmp_path):
    """Its text comes back."""
    saved(tmp_path)
    tokenizer = load(tmp_path)
    assert decode_batch(tokenizer, encode_batch(tokenizer, SENTENCES)) == SENTENCES


def test_a_users_tokenizer_is_not_trained(tmp_path):
    """It does not even look at the corpus."""
    saved(tmp_path)
    sentences = iter(SENTENCES)
    build_tokenizer(TokenizerSettings(kind="folder", path=str(tmp_path)), sentences)
    assert len(list(sentences)) == len(SENTENCES)


def test_a_loaded_tokenizer_saves_with_its_new_tokens(tmp_path):
    """What it was given stays with the run."""
    saved(tmp_path / "user")
    first = load(tmp_path / "user")
    first.save_pretrained(tmp_path / "run")
    assert load(tmp_path / "run").get_vocab() == first.get_vocab()


@pytest.mark.parametrize("path", [None, "absent/folder"])
def test_a_missing_tokenizer_folder_is_refused(path):
    """What `kind = folder` wants is said."""
    with pytest.raises(ConfigError, match=re.escape(f"tokenizer.path = {str(path)!r} is not a folder; kind = folder")):
        build_tokenizer(TokenizerSettings(kind="folder", path=path), iter([]))


@pytest.mark.parametrize("content", [None, "{", "{}", '{"version": "1.0"}'])
def test_a_folder_without_a_whole_tokenizer_is_refused(tmp_path, content):
    """Empty, cut off, or not a tokenizer's file."""
    if content is not None:
        saved(tmp_path)
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        load(tmp_path)
