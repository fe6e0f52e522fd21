"""Tokenizers in single files: what each format gives, and which files are refused."""

import json
import time

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from tests.tiny import SENTENCES
from textvae.data.tokenization import (
    TokenizerSettings,
    decode_batch,
    encode_batch,
    load_tokenizer,
)
from textvae.errors import ConfigError
from textvae.runtime.hub import Hub
from textvae.schema import validate_settings
from textvae.settings.reading import read_settings
from textvae.training.tokenizer_source import locate_saved_tokenizer

NOWHERE = "http://127.0.0.1:9"  # a port on which nothing listens


@pytest.fixture
def byte_level():
    """Return a BPE of bytes, as GPT-2 and RoBERTa have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def write_sentencepiece(file, *, kind="unigram", bytes_known=False, dummy_prefix=True, pad=False):
    """Write a model of sentencepiece with the letters of the sentences and a few words."""
    proto = import_protobuf().ModelProto()
    kinds = {"unigram": 1, "bpe": 2, "word": 3, "char": 4}
    proto.trainer_spec.model_type = kinds[kind]
    proto.trainer_spec.byte_fallback = bytes_known
    proto.normalizer_spec.add_dummy_prefix = dummy_prefix

    def add(piece, score=0.0, kind=1):
        entry = proto.pieces.add()
        entry.piece, entry.score, entry.type = piece, score, kind

    add("<unk>", kind=2)
    add("<s>", kind=3)
    add("</s>", kind=3)
    if pad:
        add("<pad>", kind=3)
    if bytes_known:
        for byte in range(256):
            add(f"<0x{byte:02X}>", kind=6)
    words = ["▁a", "▁m", "▁ma", "▁man"]
    for rank, piece in enumerate([*words, "▁", *sorted(set("".join(SENTENCES)) - {" "})]):
        add(piece, -float(rank + 1))
    file.write_bytes(proto.SerializeToString())
    return file


def test_a_tokenizer_json_alone_is_read(tmp_path, byte_level):
    """Its name does not matter, and usual special tokens get their roles."""
    byte_level.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    for name in ("tokenizer.json", "mine.json"):
        byte_level.save(str(tmp_path / name))
        loaded = load_tokenizer(tmp_path / name)
        assert (loaded.bos_token_id, loaded.pad_token_id, loaded.eos_token_id) == (0, 1, 2)
        assert len(loaded) == byte_level.get_vocab_size()
        assert decode_batch(loaded, encode_batch(loaded, SENTENCES)) == SENTENCES


def test_the_config_next_to_a_tokenizer_json_is_used(tmp_path, byte_level):
    """It names the roles of special tokens."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=byte_level, eos_token="<pad>")
    wrapped.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path / "tokenizer.json").eos_token == "<pad>"


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", ""])
@pytest.mark.parametrize("prefix", ["", "roberta-"])
def test_a_vocabulary_and_its_merges_are_read(tmp_path, byte_level, name, prefix):
    """Either file may be named, or their folder; tokens are those of the original."""
    byte_level.model.save(str(tmp_path), prefix.removesuffix("-") or None)
    if prefix and not name:
        name = "vocab.json"
    loaded = load_tokenizer(tmp_path / (prefix * bool(name) + name))
    assert encode_batch(loaded, SENTENCES) == [byte_level.encode(text).ids for text in SENTENCES]
    assert decode_batch(loaded, encode_batch(loaded, [*SENTENCES, "né 猫"]))[-1] == "né 猫"
    assert (loaded.bos_token, loaded.eos_token, loaded.unk_token) == ("<s>", "</s>", "<unk>")


def test_a_vocabulary_with_ends_of_words_is_read(tmp_path):
    """As that of the first GPT; words get a blank between them."""
    vocabulary = {"<unk>": 0, "a</w>": 1, "m": 2, "n</w>": 3, "an</w>": 4, "a": 5, "man</w>": 6}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na n</w>\nm an</w>\n")
    loaded = load_tokenizer(tmp_path / "vocab.json")
    assert encode_batch(loaded, ["a man"]) == [[1, 6]]
    assert decode_batch(loaded, [[1, 6]]) == ["a man"]


@pytest.mark.parametrize(
    ("word", "is_cased"), [("man", False), ("Man", True)], ids=["uncased", "cased"]
)
def test_the_vocabulary_of_a_word_piece_is_read(tmp_path, word, is_cased):
    """It is lower-cased if it has no capitals."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", word, "##s"]
    for name in ("vocab.txt", "my-vocab.txt"):
        (tmp_path / name).write_text("\n".join(pieces) + "\n")
    for path in (tmp_path, tmp_path / "my-vocab.txt"):
        loaded = load_tokenizer(path)
        assert loaded.tokenize(f"a {word}s") == ["a", word, "##s"]
        assert loaded.tokenize("A")[0] == ("[UNK]" if is_cased else "a")
        assert loaded.pad_token == "[PAD]"
        assert decode_batch(loaded, encode_batch(loaded, [f"a {word}s"])) == [f"a {word}s"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("bytes_known", [False, True])
@pytest.mark.parametrize("dummy_prefix", [False, True])
def test_a_model_of_sentencepiece_is_converted(tmp_path, kind, bytes_known, dummy_prefix):
    """Texts come back; unknown letters are bytes or the unknown token."""
    file = write_sentencepiece(
        tmp_path / "spiece.model", kind=kind, bytes_known=bytes_known, dummy_prefix=dummy_prefix
    )
    for path in (file, tmp_path):
        loaded = load_tokenizer(path)
        assert decode_batch(loaded, encode_batch(loaded, SENTENCES)) == SENTENCES
        if dummy_prefix:
            assert loaded.tokenize("a man") == ["▁a", "▁man"]
        expected = "a 猫" if bytes_known else "a <unk>"
        assert decode_batch(loaded, encode_batch(loaded, ["a 猫"])) == [expected]
        assert (loaded.bos_token_id, loaded.eos_token_id, loaded.unk_token_id) == (1, 2, 0)


def test_the_padding_token_of_sentencepiece_is_kept(tmp_path):
    """If the model has none, one is added."""
    with_padding = load_tokenizer(write_sentencepiece(tmp_path / "a.model", pad=True))
    without = load_tokenizer(write_sentencepiece(tmp_path / "b.spm"))
    assert with_padding.pad_token_id == 3
    assert without.pad_token_id == len(without) - 1


def write_bad(folder, name, content):
    """Write a file that is refused."""
    file = folder / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content, encoding="utf-8")
    return file


BPE = json.dumps({"a": 0, "Ġb": 1, "aĠb": 2})

BAD = {
    "JSON that is cut off": ("tokenizer.json", '{"model": {', "holds no tokenizer"),
    "an empty file": ("tokenizer.json", "", "holds no tokenizer"),
    "a list": ("vocab.json", "[1, 2]", "merges.txt next to it"),
    "a vocabulary without merges": ("vocab.json", BPE, "needs merges.txt next to it"),
    "merges without a vocabulary": ("merges.txt", "a b\n", "needs vocab.json next to it"),
    "JSON of something else": ("config.json", '{"hidden": 3}', "is not the file of a tokenizer"),
    "words instead of pieces": ("vocab.txt", "the\nman\n", r"no unknown token .*kind=word"),
    "a piece listed twice": ("vocab.txt", "[UNK]\na\na\nb", "have gaps"),
    "text as a sentencepiece model": ("tokenizer.model", "IQ== 0\nIg== 1\n", "not a model of sent"),
    "bytes as a sentencepiece model": ("x.model", b"\x00\xff\x13" * 9, "not a model of sent"),
    "an empty sentencepiece model": ("x.model", b"", "not a model of sentencepiece"),
    "a vocabulary of sentencepiece": ("spiece.vocab", "a\t-1\n", "not the file of a tokenizer"),
    "tiktoken": ("cl100k.tiktoken", "IQ== 0\n", "not the file of a tokenizer"),
    "Latin-1": ("vocab.txt", "[UNK]\né".encode("latin-1"), "holds no tokenizer"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, case):
    """The message names the path, and the files that are expected."""
    name, content, message = BAD[case]
    file = write_bad(tmp_path, name, content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_tokenizer(file)
    assert str(file) in str(caught.value)


PAIRS = {
    "a vocabulary that is a list": ("[1]", "a b\n", "is not a vocabulary"),
    "numbers as text": ('{"Ġa": "0"}', "", "is not a vocabulary"),
    "a line with one piece": (BPE, "a Ġb\nab\n", "merges.txt, line 2: expected two pieces"),
    "a merge of unknown pieces": (BPE, "a zz\n", "holds no tokenizer"),
    "no mark of words": ('{"a": 0, "b": 1, "ab": 2}', "a b\n", "neither the beginnings"),
    "ids with a gap": ('{"a": 0, "Ġb": 1, "aĠb": 5}', "a Ġb\n", "have gaps"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_vocabulary_and_merges_that_do_not_fit_are_refused(tmp_path, case):
    """A broken line is named."""
    vocabulary, merges, message = PAIRS[case]
    write_bad(tmp_path, "vocab.json", vocabulary)
    write_bad(tmp_path, "merges.txt", merges)
    with pytest.raises(ConfigError, match=message):
        load_tokenizer(tmp_path / "vocab.json")


@pytest.mark.parametrize("kind", ["word", "char"])
def test_other_kinds_of_sentencepiece_are_refused(tmp_path, kind):
    """The message names the setting that gives such tokens."""
    file = write_sentencepiece(tmp_path / "x.model", kind=kind)
    with pytest.raises(ConfigError, match=r"tokenizer\.kind=word or tokenizer.kind=character"):
        load_tokenizer(file)


def test_a_folder_with_code_of_its_own_is_refused(tmp_path):
    """Although it also holds a vocabulary that could be read."""
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    config = {"auto_map": {"AutoTokenizer": ["code.Mine", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="asks for code"):
        load_tokenizer(tmp_path)


def test_a_path_alone_means_a_saved_tokenizer():
    """With the name of another kind it is refused."""
    settings = read_settings(None, ["tokenizer.path=vocab.txt"])
    assert settings.tokenizer.kind == "folder"
    assert TokenizerSettings(path="x").kind == "folder"
    with pytest.raises(
        ConfigError, match=r"tokenizer\.path = 'x' does not fit tokenizer.kind = 'w"
    ):
        validate_settings(TokenizerSettings, {"kind": "word", "path": "x"}, "tokenizer")


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_name_of_the_hub_is_refused_within_two_seconds_without_a_network(tmp_path, is_offline):
    """The message says how to get the tokenizer."""
    hub = Hub(NOWHERE, str(tmp_path), is_offline)
    start = time.monotonic()
    with pytest.raises(ConfigError, match="neither a local folder nor complete in the cache"):
        locate_saved_tokenizer(TokenizerSettings(kind="folder", path="owner/name"), hub)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("path", ["./tok", "tok/vocab.json", "a/b/c", "~/no/such", "/no/such"])
def test_a_missing_path_is_not_looked_up_on_the_hub(tmp_path, path):
    """It cannot be the name of a repository."""
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        locate_saved_tokenizer(TokenizerSettings(kind="folder", path=path), Hub(NOWHERE))


def test_a_misspelled_path_gets_a_suggestion(tmp_path):
    """From the names in its folder."""
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    settings = TokenizerSettings(kind="folder", path=str(tmp_path / "vocap.txt"))
    with pytest.raises(ConfigError, match=r"did you mean 'vocab.txt'"):
        locate_saved_tokenizer(settings)


def test_a_cached_tokenizer_of_the_hub_needs_no_network(tmp_path, byte_level):
    """Its folder in the cache is used."""
    snapshot = tmp_path / "models--owner--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--owner--name" / "refs").mkdir()
    (tmp_path / "models--owner--name" / "refs" / "main").write_text("abc")
    byte_level.save(str(snapshot / "tokenizer.json"))
    settings = TokenizerSettings(kind="folder", path="owner/name")
    located = locate_saved_tokenizer(settings, Hub(NOWHERE, str(tmp_path), True))
    assert located.path == str(snapshot)
