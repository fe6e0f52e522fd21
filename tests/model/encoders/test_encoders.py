"""Encoders: every entry of the table keeps the contract; recurrent ones agree with torch's own."""

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


def read(part, batch):
    return part(batch["encoder_input_ids"], batch["encoder_attention_mask"])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_an_encoder_returns_one_state_per_token_of_the_size_it_names(reader):
    """The states are (batch, length, hidden)."""
    part, batch = encoder(reader), tiny_batch()
    assert read(part, batch).shape == (*batch["encoder_input_ids"].shape, part.hidden)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_what_lies_under_padding_never_reaches_a_real_state(reader):
    """Changing the ids under the padding changes no real state."""
    part, batch = encoder(reader), tiny_batch()
    ids, mask = batch["encoder_input_ids"], batch["encoder_attention_mask"]
    noisy = torch.where(mask.bool(), ids, torch.full_like(ids, 7))
    torch.testing.assert_close(part(noisy, mask)[mask.bool()], part(ids, mask)[mask.bool()])


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_sentence_is_read_the_same_in_a_batch_as_alone(reader):
    """Longer batch mates change no real state."""
    part, sentences = encoder(reader), tiny_ids()
    together = read(part, tiny_batch(sentences))
    for states, sentence in zip(together, sentences, strict=True):
        alone = read(part, tiny_batch([sentence]))[0]
        torch.testing.assert_close(states[: len(alone)], alone)


@pytest.mark.parametrize("reader", ENCODER_SETTINGS)
def test_a_bidirectional_encoder_sees_the_last_token_from_the_first(reader):
    """Unless it reads one way only, the first state depends on the last real token."""
    part, (sentence,) = encoder(reader), tiny_ids([6])
    other = [*sentence[:-1], 4 + sentence[-1] % 10]
    first, changed = (read(part, tiny_batch([ids]))[0, 0] for ids in (sentence, other))
    assert not torch.allclose(first, changed)


@pytest.mark.parametrize("kind", CELLS)
def test_a_one_way_recurrent_encoder_does_not_see_ahead(kind):
    """Without the backward direction, a later token changes no earlier state."""
    part, (sentence,) = encoder(kind, bidirectional=False), tiny_ids([6])
    other = [*sentence[:-1], 4 + sentence[-1] % 10]
    before, after = (read(part, tiny_batch([ids]))[0, :5] for ids in (sentence, other))
    torch.testing.assert_close(before, after)
    assert part.hidden == SIZES["hidden"]


@pytest.mark.parametrize("kind", CELLS)
def test_the_backward_direction_reads_each_sentence_reversed(kind):
    """Its half of the states equals reversing by hand, sentence by sentence, without padding."""
    part, sentences = encoder(kind, layers=1), tiny_ids()
    states = read(part, tiny_batch(sentences))[..., SIZES["hidden"] :]
    for row, sentence in zip(states, sentences, strict=True):
        ids = tiny_batch([sentence])["encoder_input_ids"]
        backwards, _ = part.backwards[0](part.embed(ids.flip(1)))
        torch.testing.assert_close(row[: ids.shape[1]], backwards.flip(1)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_stacked_bidirectional_layers_equal_those_of_torch_over_packed_sentences(kind):
    """Two layers with the same weights give the states of torch's own bidirectional cell."""
    part, batch = encoder(kind), tiny_batch()
    reference = same_weights(part, CELLS[kind])
    lengths = batch["encoder_attention_mask"].sum(1)
    embedded = part.embed(batch["encoder_input_ids"])
    packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    real = batch["encoder_attention_mask"].bool()
    torch.testing.assert_close(read(part, batch)[real], expected[real])


def same_weights(part: RecurrentEncoder, cell: type[nn.LSTM] | type[nn.GRU]) -> nn.LSTM | nn.GRU:
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


def test_the_mirror_of_a_padded_sentence_leaves_padding_where_it_is():
    """Real places swap within the sentence's own length; the mirror undoes itself."""
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    mirror = find_reversed_positions(mask)
    assert mirror.tolist() == [[2, 1, 0, 3, 4], [4, 3, 2, 1, 0]]
    torch.testing.assert_close(mirror.gather(1, mirror), torch.arange(5).expand(2, -1))


def test_encoder_dropout_is_off_in_evaluation():
    """Two readings are equal in eval mode and differ in training."""
    part, batch = encoder("lstm", dropout=0.5), tiny_batch()
    torch.testing.assert_close(read(part, batch), read(part, batch), rtol=0, atol=0)
    part.train()
    assert not torch.equal(read(part, batch), read(part, batch))


@pytest.mark.parametrize(
    "reader", [name for name in ENCODER_SETTINGS if ENCODER_SETTINGS[name]["kind"] == "transformer"]
)
def test_token_0_is_a_word_like_any_other(reader):
    """In a tokenizer of the user's own it may be one: its embedding learns, and it takes a place."""
    part = encoder(reader)
    embedding, mask = part.body.get_input_embeddings(), torch.ones(1, 2, dtype=torch.long)
    with torch.no_grad():
        embedding.weight[0] = embedding.weight[8]
    states = part(torch.tensor([[0, 7]]), mask)
    torch.testing.assert_close(states, part(torch.tensor([[8, 7]]), mask))
    states.pow(2).sum().backward()
    assert embedding.weight.grad[0].abs().sum() > 0


def test_an_unknown_architecture_is_refused_with_the_nearest():
    """The message names the key, what came and what was probably meant."""
    with pytest.raises(
        ConfigError, match=r"model\.encoder\.architecture = 'brt' is unknown: did you mean"
    ):
        encoder("bert", architecture="brt")


def test_heads_that_do_not_divide_the_state_are_refused():
    """The message names both settings."""
    with pytest.raises(
        ConfigError, match=r"hidden = 8 does not divide among model\.encoder\.heads = 3"
    ):
        encoder("bert", heads=3)


def test_the_encoder_batch_is_padded_with_the_padding_token():
    """What these tests call padding is padding."""
    batch = tiny_batch()
    assert (batch["encoder_input_ids"][batch["encoder_attention_mask"] == 0] == PAD).all()
