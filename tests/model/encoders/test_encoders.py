"""Encoders: each satisfies the contract, and recurrent ones agree with torch's own."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.tiny import ENCODER_SETTINGS, PAD, SIZES, VOCAB, built, tiny_batch, tiny_ids
from textvae.errors import ConfigError
from textvae.model.encoders import ENCODERS
from textvae.model.encoders.recurrent import CELLS, RecurrentEncoder, find_reversed_positions


def encoder(reader: str, **more):
    torch.manual_seed(0)
    return built(ENCODERS, {**ENCODER_SETTINGS[reader], **more}, VOCAB).eval()


def encode(part, batch):
    return part(batch["encoder_input_ids"], batch["encoder_attention_mask"])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_an_encoder_returns_one_state_of_its_size_per_token(reader):
    """The states are (batch, length, hidden)."""
    part = encoder(reader)
    batch = tiny_batch()
    assert encode(part, batch).shape == (*batch["encoder_input_ids"].shape, part.hidden)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_ids_under_padding_never_reach_the_state_of_a_real_token(reader):
    """Other ids under the padding do not change the states of real tokens."""
    part = encoder(reader)
    batch = tiny_batch()
    mask = batch["encoder_attention_mask"]
    is_real = mask.bool()
    clean = encode(part, batch)
    noisy = part(batch["encoder_input_ids"].masked_fill(~is_real, 7), mask)
    torch.testing.assert_close(noisy[is_real], clean[is_real])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_sentence_has_the_same_states_in_a_batch_as_alone(reader):
    """Longer sentences in the batch do not change the states of real tokens."""
    part = encoder(reader)
    sentences = tiny_ids()
    together = encode(part, tiny_batch(sentences))
    for states, sentence in zip(together, sentences, strict=True):
        alone = encode(part, tiny_batch([sentence]))[0]
        torch.testing.assert_close(states[: len(alone)], alone)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_bidirectional_encoder_sees_the_last_token_from_the_first(reader):
    """The state of the first token depends on the last real token."""
    part = encoder(reader)
    (sentence,) = tiny_ids([6])
    other = [*sentence[:-1], 4 + sentence[-1] % 10]
    first = encode(part, tiny_batch([sentence]))[0, 0]
    changed = encode(part, tiny_batch([other]))[0, 0]
    assert not torch.allclose(first, changed)


@pytest.mark.parametrize("kind", CELLS)
def test_a_one_way_recurrent_encoder_does_not_see_ahead(kind):
    """Without the backward direction, a later token does not change earlier states."""
    part = encoder(kind, bidirectional=False)
    (sentence,) = tiny_ids([6])
    other = [*sentence[:-1], 4 + sentence[-1] % 10]
    before = encode(part, tiny_batch([sentence]))[0, :5]
    after = encode(part, tiny_batch([other]))[0, :5]
    torch.testing.assert_close(before, after)
    assert part.hidden == SIZES["hidden"]


@pytest.mark.parametrize("kind", CELLS)
def test_the_backward_direction_reads_each_sentence_reversed(kind):
    """Its half of the states equals those of each sentence alone, reversed by hand."""
    part = encoder(kind, layers=1)
    sentences = tiny_ids()
    states = encode(part, tiny_batch(sentences))[..., SIZES["hidden"] :]
    for row, sentence in zip(states, sentences, strict=True):
        ids = tiny_batch([sentence])["encoder_input_ids"]
        backwards, _ = part.backwards[0](part.embed(ids.flip(1)))
        torch.testing.assert_close(row[: ids.shape[1]], backwards.flip(1)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_bidirectional_layers_equal_those_of_torch_over_packed_sentences(kind):
    """Two layers have the same states as torch's own bidirectional layers with the same weights."""
    part = encoder(kind)
    batch = tiny_batch()
    reference = same_weights(part, CELLS[kind])
    lengths = batch["encoder_attention_mask"].sum(1)
    embedded = part.embed(batch["encoder_input_ids"])
    packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    real = batch["encoder_attention_mask"].bool()
    torch.testing.assert_close(encode(part, batch)[real], expected[real])


def same_weights(part: RecurrentEncoder, cell: type[nn.LSTM] | type[nn.GRU]) -> nn.LSTM | nn.GRU:
    """Return torch's own bidirectional layers with the weights of an encoder."""
    reference = cell(
        SIZES["embedding"],
        SIZES["hidden"],
        len(part.forwards),
        batch_first=True,
        bidirectional=True,
    )
    weights = {}
    for direction, layers in (("", part.forwards), ("_reverse", part.backwards)):
        for number, layer in enumerate(layers):
            for name, weight in layer.state_dict().items():
                weights[name.replace("l0", f"l{number}") + direction] = weight
    reference.load_state_dict(weights)
    return reference


def test_reversed_positions_leave_padding_where_it_is():
    """Real tokens are reversed within their sentence; reversing twice restores the order."""
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    mirror = find_reversed_positions(mask)
    assert mirror.tolist() == [[2, 1, 0, 3, 4], [4, 3, 2, 1, 0]]
    torch.testing.assert_close(mirror.gather(1, mirror), torch.arange(5).expand(2, -1))


def test_encoder_dropout_is_off_in_evaluation():
    """Two passes are equal in evaluation mode and differ in training mode."""
    part = encoder("lstm", dropout=0.5)
    batch = tiny_batch()
    torch.testing.assert_close(encode(part, batch), encode(part, batch), rtol=0, atol=0)
    part.train()
    assert not torch.equal(encode(part, batch), encode(part, batch))


@pytest.mark.parametrize(
    "reader", [name for name in ENCODER_SETTINGS if ENCODER_SETTINGS[name]["kind"] == "transformer"]
)
def test_token_0_is_a_word_like_any_other(reader):
    """In a tokenizer of the user's own it may be one: it has a position, and it learns."""
    part = encoder(reader)
    embedding = part.body.get_input_embeddings()
    mask = torch.ones(1, 2, dtype=torch.long)
    with torch.no_grad():
        embedding.weight[0] = embedding.weight[8]
    states = part(torch.tensor([[0, 7]]), mask)
    torch.testing.assert_close(states, part(torch.tensor([[8, 7]]), mask))
    states.pow(2).sum().backward()
    assert embedding.weight.grad[0].abs().sum() > 0


def test_an_unknown_architecture_is_refused_with_the_nearest_name():
    """The message names the setting and its value, and suggests what was probably meant."""
    with pytest.raises(
        ConfigError, match=r"model\.encoder\.architecture = 'brt' is unknown: did you mean"
    ):
        encoder("bert", architecture="brt")


def test_heads_that_do_not_divide_the_state_are_refused():
    """The message names both settings."""
    with pytest.raises(
        ConfigError, match=r"hidden = 8 is not a multiple of model\.encoder\.heads = 3"
    ):
        encoder("bert", heads=3)


def test_the_encoder_batch_is_padded_with_the_padding_token():
    """The other tests of this file rely on it."""
    batch = tiny_batch()
    assert (batch["encoder_input_ids"][batch["encoder_attention_mask"] == 0] == PAD).all()
