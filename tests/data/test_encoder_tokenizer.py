"""The tokenizer of a pretrained encoder: the ids that its base knows, and a mask."""

import pickle

import pytest
import torch

from tests.data.base_tokenizer_files import CORPUS, STYLES
from textvae.data.encoder_tokenizer import ENCODER_TOKENIZER, EncoderTokenizer
from textvae.data.tokenization import read_users_tokenizer
from textvae.errors import ConfigError

TEXTS = [*CORPUS, "", "a [SEP] dog", "Zürich 漢字 🤔"]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """The tokenizer of each style, as loaded from the folder of a base."""
    loaded = {}
    for number, (style, build) in enumerate(STYLES.items()):
        folder = tmp_path_factory.mktemp("base") / str(number)
        build().save_pretrained(folder)
        loaded[style] = read_users_tokenizer(folder, "the base")
    return loaded


def equal(left: EncoderTokenizer, right: EncoderTokenizer) -> bool:
    """Tell whether two tokenizers give the same ids and masks."""
    pairs = zip(left.encode(TEXTS), right.encode(TEXTS), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("style", STYLES)
def test_an_encoder_gets_the_ids_that_its_own_tokenizer_gives(bases, style):
    """They are padded on the right, and the mask covers the padding only."""
    ids, mask = EncoderTokenizer.from_base(bases[style], 512).encode(CORPUS)
    assert ids.shape == mask.shape
    assert ids.dtype == mask.dtype == torch.int64
    for row, real, text in zip(ids, mask, CORPUS, strict=True):
        assert row[: int(real.sum())].tolist() == bases[style](text)["input_ids"]
        assert real.tolist() == sorted(real.tolist(), reverse=True)


@pytest.mark.parametrize("style", STYLES)
def test_every_text_has_a_token_for_the_encoder(bases, style):
    """An empty text has one, too, and a batch may consist of such texts."""
    encoder = EncoderTokenizer.from_base(bases[style], 64)
    for texts in (["", "a man"], ["", ""], [" "]):
        ids, mask = encoder.encode(texts)
        assert ids.shape == mask.shape
        assert len(ids) == len(texts)
        assert mask[:, 0].all()


@pytest.mark.parametrize("style", STYLES)
def test_the_ids_of_a_text_do_not_depend_on_the_rest_of_its_batch(bases, style):
    """A text alone has the ids that it has next to a longer one."""
    encoder = EncoderTokenizer.from_base(bases[style], 64)
    ids, mask = encoder.encode([CORPUS[0], " ".join(CORPUS)])
    alone, full = encoder.encode(CORPUS[:1])
    assert full.all()
    assert ids[0, : alone.shape[1]].tolist() == alone[0].tolist()
    assert mask[0].sum() == alone.shape[1]


@pytest.mark.parametrize("style", STYLES)
def test_a_saved_encoder_tokenizer_gives_the_same_ids(bases, tmp_path, style):
    """Special tokens, maximum length and padding are in its file, and it is one file."""
    encoder = EncoderTokenizer.from_base(bases[style], 12)
    encoder.save(tmp_path / ENCODER_TOKENIZER)
    read = EncoderTokenizer.read(tmp_path / ENCODER_TOKENIZER)
    assert read is not None
    assert equal(encoder, read)


def test_a_run_without_an_encoder_tokenizer_has_none(tmp_path):
    """A missing file is no error: the encoder then has the tokens of the decoder."""
    assert EncoderTokenizer.read(tmp_path / ENCODER_TOKENIZER) is None


@pytest.mark.parametrize("style", STYLES)
def test_an_encoder_tokenizer_can_be_sent_to_another_process(bases, style):
    """A pickled copy gives the same ids."""
    encoder = EncoderTokenizer.from_base(bases[style], 12)
    assert equal(encoder, pickle.loads(pickle.dumps(encoder)))


def test_a_long_text_loses_its_end_but_no_special_token(bases):
    """The length limit holds whatever the tokenizer's own settings are."""
    bert = bases["BERT"]
    for limit in (5, 8, 99):
        ids, mask = EncoderTokenizer.from_base(bert, limit).encode(["dog " * 200])
        assert ids.shape == (1, limit)
        assert mask.all()
        assert (ids[0, 0], ids[0, -1]) == (bert.cls_token_id, bert.sep_token_id)
    (row,), _ = EncoderTokenizer.from_base(bert, 5).encode(["the dog and the man"])
    assert bert.decode(row[1:-1]) == "the dog and"


def test_truncation_on_the_left_is_not_taken_over(bases):
    """A base may cut the beginning of texts, but the end of a text is what gets lost."""
    bert = bases["BERT"]
    side = bert.truncation_side
    bert.truncation_side = "left"
    try:
        (row,), _ = EncoderTokenizer.from_base(bert, 5).encode(["the dog and the man"])
    finally:
        bert.truncation_side = side
    assert bert.decode(row[1:-1]) == "the dog and"


def test_a_maximum_without_room_for_text_is_refused(bases):
    """The message has the number of special tokens."""
    with pytest.raises(ConfigError, match="adds 2 special tokens; expected at least 3"):
        EncoderTokenizer.from_base(bases["BERT"], 2)


@pytest.mark.parametrize("is_read", [False, True])
def test_special_tokens_in_a_text_do_not_end_it(bases, tmp_path, is_read):
    """They are text like any other, also after the tokenizer was saved and read."""
    bert = bases["BERT"]
    encoder = EncoderTokenizer.from_base(bert, 64)
    if is_read:
        encoder.save(tmp_path / ENCODER_TOKENIZER)
        read = EncoderTokenizer.read(tmp_path / ENCODER_TOKENIZER)
        assert read is not None
        encoder = read
    (row,), _ = encoder.encode(["a [SEP] dog"])
    assert row.tolist().count(bert.sep_token_id) == 1


def test_the_tokens_around_a_text_and_the_blank_are_those_of_the_base(bases):
    """BERT frames a text, and its masked language model has learned what a blank is."""
    bert = bases["BERT"]
    encoder = EncoderTokenizer.from_base(bert, 64)
    assert encoder.frame_ids == (bert.cls_token_id, bert.sep_token_id)
    assert encoder.blank_id in {bert.mask_token_id, bert.unk_token_id}
    assert encoder.pad_id == bert.pad_token_id
    assert EncoderTokenizer.from_base(bases["GPT-2"], 64).frame_ids == ()
