"""Attention in training: the same values and gradients as torch's fused attention."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    DynamicCache,
    LlamaConfig,
    LlamaModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tests.tiny import draws
from textvae.model.kernels import attention
from textvae.model.kernels.attention import attend, speed_up_attention

BATCH, HEADS, LENGTH, SIZE = 3, 4, 7, 8


@pytest.fixture
def always(monkeypatch):
    """Use the plain formula whenever there are gradients, also in single precision."""
    monkeypatch.setattr(attention, "_is_faster", lambda *_: torch.is_grad_enabled())


class Layer(nn.Module):
    """What transformers' attention reads from a layer."""

    def __init__(self, groups: int, is_causal: bool) -> None:
        super().__init__()
        self.num_key_value_groups = groups
        self.is_causal = is_causal


def build_inputs(groups: int = 1, keys: int = LENGTH) -> list[torch.Tensor]:
    """Return queries, keys and values with gradients."""
    shapes = [(HEADS, LENGTH), (HEADS // groups, keys), (HEADS // groups, keys)]
    return [
        draws(BATCH, heads, length, SIZE, seed=seed).requires_grad_()
        for seed, (heads, length) in enumerate(shapes)
    ]


def compute(function: Any, inputs: list[torch.Tensor], *arguments: Any, **options: Any) -> Any:
    """Return the output of an attention, and the gradients of its inputs."""
    output, _ = function(arguments[0], *inputs, *arguments[1:], **options)
    upstream = torch.linspace(-1, 1, output.numel()).view(output.shape)
    return output, *torch.autograd.grad(output, inputs, upstream)


def is_real(lengths: list[int], keys: int = LENGTH) -> torch.Tensor:
    """Return the mask of sentences of these lengths, (batch, 1, 1, keys)."""
    return (torch.arange(keys) < torch.tensor(lengths).unsqueeze(1))[:, None, None]


MASKS: dict[str, Any] = {
    "none": None,
    "sentences of unequal lengths": is_real([7, 4, 1]).expand(-1, 1, LENGTH, -1),
    "causal and padded": is_real([7, 4, 1]) & torch.ones(LENGTH, LENGTH).tril().bool(),
    "added": torch.where(is_real([7, 2, 5]), 0.0, -1e9).expand(-1, 1, LENGTH, -1),
}


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.usefixtures("always")
def test_values_and_gradients_are_those_of_the_fused_attention(groups, is_causal, mask):
    """Query heads that share a key head, hidden keys, and hidden later positions."""
    layer = Layer(groups, is_causal)
    inputs = build_inputs(groups)
    found = compute(attend, inputs, layer, MASKS[mask], scaling=0.3)
    expected = compute(sdpa_attention_forward, inputs, layer, MASKS[mask], scaling=0.3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.usefixtures("always")
def test_a_position_bias_is_added_and_gets_its_gradient(mask, is_causal):
    layer = Layer(1, is_causal)
    bias = draws(1, HEADS, LENGTH, LENGTH, seed=9).requires_grad_()
    gradients = []
    functions: list[Any] = [attend, sdpa_attention_forward]
    for function in functions:
        output, _ = function(layer, *build_inputs(), MASKS[mask], position_bias=bias)
        output.square().sum().backward()
        gradients.append(bias.grad)
        bias.grad = None
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


def test_there_may_be_more_keys_than_positions(always):
    """Those of a memory, which every position reads, come with a mask."""
    inputs = build_inputs(keys=LENGTH + 2)
    later = torch.ones(LENGTH, LENGTH).tril().bool()
    mask = torch.cat([torch.ones(LENGTH, 2).bool(), later], 1)[None, None]
    found = compute(attend, inputs, Layer(1, True), mask)
    expected = compute(sdpa_attention_forward, inputs, Layer(1, True), mask)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("hidden", [False, torch.finfo(torch.float32).min, -torch.inf])
def test_a_position_without_a_key_gets_finite_numbers(always, dtype, hidden):
    """Whatever the mask of its keys is made of."""
    mask = torch.full((BATCH, 1, LENGTH, LENGTH), hidden)
    inputs = [tensor.detach().to(dtype).requires_grad_() for tensor in build_inputs()]
    for tensor in compute(attend, inputs, Layer(1, False), mask):
        assert tensor.isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "dropout", "keys", "is_plain"),
    [
        (torch.bfloat16, 0.0, 7, True),
        (torch.float32, 0.0, 7, False),
        (torch.float32, 0.1, 7, True),
        (torch.bfloat16, 0.0, 600, False),
    ],
)
def test_the_plain_formula_is_used_where_it_is_faster(monkeypatch, dtype, dropout, keys, is_plain):
    """In bf16 and with dropout, unless the text is so long that its scores take much memory."""
    inputs = [tensor.detach().to(dtype).requires_grad_() for tensor in build_inputs(keys=keys)]
    called: list[bool] = []

    def note(query: torch.Tensor, *_: Any) -> torch.Tensor:
        called.append(True)
        return query

    monkeypatch.setattr(attention, "_attend_plainly", note)
    attend(Layer(1, False), inputs[0], inputs[1], inputs[2], None, dropout=dropout)
    assert bool(called) == is_plain


def test_dropout_keeps_the_mean(always):
    query, key, value = (
        tensor.detach()[:1, :1].expand(4000, -1, -1, -1) for tensor in build_inputs()
    )
    torch.manual_seed(0)
    output, _ = attend(Layer(1, False), query, key, value, None, dropout=0.3)
    whole, _ = attend(Layer(1, False), query, key, value, None)
    assert not torch.equal(output, whole)
    torch.testing.assert_close(output.mean(0), whole.mean(0), rtol=0, atol=0.06)


SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "vocab_size": 30,
    "attention_dropout": 0.0,
}
MODELS = {
    "bert": lambda: BertModel(BertConfig(**SIZES, attention_probs_dropout_prob=0.0)),
    "llama": lambda: LlamaModel(LlamaConfig(**SIZES, num_key_value_heads=2)),
}


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.usefixtures("always")
def test_a_model_trains_as_with_the_fused_attention(family, monkeypatch):
    """The padding is hidden, and without gradients the fused attention runs."""
    torch.manual_seed(0)
    model = MODELS[family]().eval()
    ids = torch.randint(0, 30, (3, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] + [0] * 5])
    weight = model.get_input_embeddings().weight
    results = []
    for change in (lambda model: model, speed_up_attention):
        states = change(model)(input_ids=ids, attention_mask=mask).last_hidden_state
        (gradient,) = torch.autograd.grad(states[mask.bool()].square().sum(), weight)
        results.append((states[mask.bool()], gradient))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)
    assert model.config._attn_implementation == "textvae"
    monkeypatch.setattr(attention, "_attend_plainly", None)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(states[mask.bool()], results[0][0])


def test_a_model_that_asks_for_the_name_of_its_attention_is_left_alone():
    """Some models choose what they compute by the name, such as which keys to read."""
    model = AutoModel.from_config(
        AutoConfig.for_model(
            "deepseek_v32", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=9
        )
    )
    assert speed_up_attention(model).config._attn_implementation == "sdpa"


def test_other_kinds_of_attention_are_left_alone():
    model = BertModel._from_config(BertConfig(**SIZES), attn_implementation="eager")
    assert speed_up_attention(model).config._attn_implementation == "eager"


def test_a_saved_model_does_not_name_it(tmp_path):
    """Plain transformers knows the folder."""
    speed_up_attention(MODELS["llama"]()).save_pretrained(tmp_path)
    assert "textvae" not in (tmp_path / "config.json").read_text()
    assert LlamaModel.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_a_cache_is_read(always):
    """Teacher-forced positions after cached ones, as in infilling."""
    torch.manual_seed(0)
    model = speed_up_attention(MODELS["llama"]().eval())
    ids = torch.randint(0, 30, (2, 6))
    whole = model(input_ids=ids).last_hidden_state
    cache = DynamicCache(config=model.config)
    first = model(input_ids=ids[:, :3], past_key_values=cache).last_hidden_state
    second = model(input_ids=ids[:, 3:], past_key_values=cache).last_hidden_state
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-4, atol=1e-5)
