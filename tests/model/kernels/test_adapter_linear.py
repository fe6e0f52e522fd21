"""LoRA layers whose addition is part of a product: the same values and gradients as peft's."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tests.tiny import draws
from textvae.model.kernels.adapter_linear import fuse_adapters

pytest.importorskip("peft")

from peft import LoraConfig, inject_adapter_in_model

BASES: dict[str, Any] = {
    "linear": lambda: nn.Linear(6, 5),
    "no bias": lambda: nn.Linear(6, 5, bias=False),
    "GPT-2": lambda: Conv1D(5, 6),
}


def build_layers(base: str, dropout: float = 0.0) -> tuple[Any, Any]:
    """Return a layer with an adapter that adds something, as peft's and as ours."""
    torch.manual_seed(0)
    config = LoraConfig(
        r=3, target_modules=["0"], lora_dropout=dropout, fan_in_fan_out=base == "GPT-2"
    )
    plain: Any = inject_adapter_in_model(config, nn.Sequential(BASES[base]()))
    with torch.no_grad():
        plain[0].lora_B["default"].weight.copy_(draws(5, 3, seed=4))
    fused = copy.deepcopy(plain)
    fuse_adapters(fused)
    assert type(fused[0]) is not type(plain[0])
    return plain[0], fused[0]


def run(layer: Any, inputs: torch.Tensor) -> tuple[Any, ...]:
    """Return the output, and the gradients of the input and of the adapter."""
    inputs = inputs.clone().requires_grad_()
    output = layer(inputs)
    trained = [weight for weight in layer.parameters() if weight.requires_grad]
    return output, *torch.autograd.grad(output.float().square().sum(), [inputs, *trained])


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
def test_values_and_gradients_are_those_of_peft(base, shape):
    plain, fused = build_layers(base)
    inputs = draws(*shape)
    torch.testing.assert_close(run(fused, inputs), run(plain, inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_they_are_near_single_precision(base, dtype):
    """The inputs may be rounded already."""
    plain, fused = build_layers(base)
    expected = run(plain, draws(2, 3, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run(fused, draws(2, 3, 6).to(dtype))
    assert found[0].dtype == torch.bfloat16
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0.1, atol=0.5)


def test_dropout_is_on_the_input_of_the_addition():
    plain, fused = build_layers("linear", dropout=0.5)
    for layer in (plain, fused):
        layer.train()
    inputs = draws(2, 6)
    results = []
    for layer in (plain, fused):
        torch.manual_seed(1)
        results.append(layer(inputs))
    torch.testing.assert_close(results[0], results[1])


def test_a_merged_adapter_and_one_switched_off_are_left_to_peft():
    plain, fused = build_layers("linear")
    inputs = draws(2, 6)
    fused.enable_adapters(False)
    torch.testing.assert_close(fused(inputs), plain.base_layer(inputs))
    fused.enable_adapters(True)
    fused.merge()
    torch.testing.assert_close(fused(inputs), plain(inputs))


def test_hooks_of_the_matrix_see_its_own_product():
    """Wrappers of a layer may keep its output, and change its gradient."""
    plain, fused = build_layers("linear")
    seen: list[torch.Tensor] = []
    fused.base_layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
    fused.base_layer.register_full_backward_hook(lambda *_: None)
    inputs = draws(2, 3, 6)
    run(fused, inputs)
    torch.testing.assert_close(seen[0], plain.base_layer(inputs))


def test_inputs_and_matrices_may_be_in_bf16():
    """As in peft, the adapter computes in its own type."""
    plain, fused = build_layers("linear")
    inputs = draws(2, 3, 6).bfloat16()
    results = []
    for layer in (plain, fused):
        layer.base_layer.bfloat16()
        results.append(layer(inputs))
    assert results[1].dtype == torch.bfloat16
    torch.testing.assert_close(results[1], results[0], rtol=0.02, atol=0.02)


def test_a_layer_can_be_pickled():
    """Fitted estimators of scikit-learn are saved so."""
    _, fused = build_layers("linear")
    copied = pickle.loads(pickle.dumps(fused))
    torch.testing.assert_close(copied(draws(2, 6)), fused(draws(2, 6)))
