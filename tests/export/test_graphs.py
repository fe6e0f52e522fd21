"""The graphs that are built by hand compute what the model computes."""

import numpy as np
import onnxruntime
import pytest
import torch

from tests.tiny import BOS, VOCAB, draws, small, stirred, tiny_model, tiny_tokenizer
from textvae.export.graph import OPSET
from textvae.export.recurrent import build_decoder_graph, build_encoder_graph
from textvae.export.rounding import round_rows, round_weights
from textvae.inference.bundle import Bundle
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import POSTERIORS

IDS = torch.randint(4, VOCAB, (3, 7), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([7, 4, 1])
MASK = (torch.arange(7) < LENGTHS[:, None]).long()


def build(
    posterior="gaussian",
    encoder=None,
    decoder=None,
    conditioning=("initial_state",),
    vocab=VOCAB,
):
    """Return a tiny recurrent model with these parts."""
    torch.manual_seed(0)
    is_spherical = posterior == "von_mises_fisher"
    config = TextVAEConfig(
        latent_dim=4,
        vocab_size=vocab,
        encoder_vocab_size=vocab,
        encoder_settings=encoder or small(ENCODERS, "lstm"),
        decoder_settings=decoder or small(DECODERS, "lstm"),
        posterior_settings={"kind": posterior, "pooling": ["last", "max", "mean"]},
        prior_settings={"kind": "uniform_sphere" if is_spherical else "standard_normal"},
        conditioning=list(conditioning),
    )
    model = stirred(TextVAEModel(config)).eval()
    if posterior == "batch_norm_gaussian":
        model.posterior.running_mean.normal_()
        model.posterior.running_variance.uniform_(0.5, 2)
    return model


def run(graph, **inputs):
    """Return the outputs of a graph by name."""
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def check_encoder(model):
    """Compare mean and logvar of sentences of unequal lengths."""
    outputs = run(build_encoder_graph(model), input_ids=IDS.numpy(), attention_mask=MASK.numpy())
    with torch.no_grad():
        q = model.encode(IDS, MASK)
    tensors = {name: q.tensors[name].numpy() for name in outputs}
    for name, value in outputs.items():
        np.testing.assert_allclose(value, tensors[name], rtol=1e-3, atol=1e-4)
    return outputs


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_encoder_computes_every_posterior(posterior):
    """Padding does not matter, and only Gaussians have a log-variance."""
    outputs = check_encoder(build(posterior))
    assert ("logvar" in outputs) == ("gaussian" in posterior)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_the_encoder_computes_every_recurrence(kind, is_bidirectional):
    """In both directions and in one, with two layers."""
    check_encoder(build(encoder=small(ENCODERS, kind, bidirectional=is_bidirectional)))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("tie", [True, False])
def test_the_decoder_computes_the_logits_step_by_step(kind, tie):
    """The first pass reads the start and a token, the second one the rest, from the state."""
    conditioning = ("initial_state", "every_step", "embedding", "output")
    model = build(decoder=small(DECODERS, kind, tie=tie), conditioning=conditioning)
    graph = build_decoder_graph(Bundle(model, tiny_tokenizer()))
    z = draws(3, 4)
    ids = IDS.clone()
    ids[:, 0] = BOS
    with torch.no_grad():
        expected = model(input_ids=ids, latent=z).logits.numpy()
    ids[:, 0] = VOCAB  # stands for the start token
    states = {
        value.name: np.full((1, 3, 8), 9, np.float32)  # the start replaces it
        for value in graph.graph.input
        if "." in value.name
    }
    first = run(graph, input_ids=ids[:, :2].numpy(), z=z.numpy(), **states)
    states = {name: first[f"next.{name}"] for name in states}
    rest = run(graph, input_ids=ids[:, 2:].numpy(), z=z.numpy(), **states)
    logits = np.concatenate([first["logits"], rest["logits"]], axis=1)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_a_conditional_model_is_exported_with_one_label():
    """The label's vector is part of the graph."""
    model = tiny_model(labels={"sad": 1, "glad": 2})
    graph = build_decoder_graph(Bundle(model, tiny_tokenizer(), fixed_label_id=1))
    z = draws(2, 4)
    states = {name: np.zeros((1, 2, 8), np.float32) for name in ("h.0", "c.0", "h.1", "c.1")}
    start = np.full((2, 1), VOCAB)
    outputs = run(graph, input_ids=start, z=z.numpy(), **states)
    with torch.no_grad():
        ids = torch.full((2, 1), BOS)
        expected = model(input_ids=ids, latent=z, label_ids=torch.tensor([1, 1])).logits
    np.testing.assert_allclose(outputs["logits"], expected.numpy(), rtol=1e-3, atol=1e-4)


def test_a_graph_states_its_opset_and_its_free_sizes():
    """Batch and length are free, and the opset is the one that the documentation names."""
    graph = build_encoder_graph(build())
    assert [opset.version for opset in graph.opset_import] == [OPSET]
    for value in graph.graph.input:
        assert [size.dim_param for size in value.type.tensor_type.shape.dim] == ["batch", "length"]


def test_rounding_is_off_by_half_a_step_at_most():
    """A step is the largest weight of the row, divided by 127; a row of zeros stays."""
    matrix = draws(5, 7).numpy() * np.array([[1], [100], [0.01], [3], [0]], dtype=np.float32)
    rounded, scales = round_rows(matrix)
    assert rounded.dtype == np.int8
    assert np.all(np.abs(rounded * scales[:, None] - matrix) <= scales[:, None] * 0.501)
    assert np.all(rounded[4] == 0)


def test_rounded_graphs_are_close_and_small():
    """The results differ by about a percent, and large matrices take a byte per weight."""
    model = build(encoder=small(ENCODERS, "lstm") | {"hidden": 64, "embedding": 64})
    exact, rounded = build_encoder_graph(model), build_encoder_graph(model)
    round_weights(rounded, min_elements=4_000)
    assert rounded.ByteSize() < 0.4 * exact.ByteSize()
    inputs = {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()}
    difference = run(rounded, **inputs)["mean"] - run(exact, **inputs)["mean"]
    assert 0 < np.abs(difference).max() < 0.3
