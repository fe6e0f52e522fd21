"""The weights of a base: load them, copy them into a part of a text VAE, and recognize them.

A text VAE does not keep the weights of its bases that it never changes. It loads them
from the base again, and refuses a base whose weights have changed since.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.bases.files import list_weight_files
from textvae.model.bases.layers import find_layers
from textvae.model.bases.lora import get_original_name, is_adapter
from textvae.model.bases.quantization import (
    Bits,
    build_loading_options,
    check_quantization,
    keep_in_training_mode,
)
from textvae.model.bases.settings import BaseRecord

_PROBE_TOKENS = 8
_POOLER = "pooler."  # serves classification; textvae does not use it
_TOLERANCE = 1e-3
_MAX_SHARE_OF_CAP = 0.9
_FINGERPRINT_VALUES = 16  # of each tensor


def load_language_model(
    folder: Path, *, is_encoder_decoder: bool, bits: Bits | None = None, setting: str = ""
) -> PreTrainedModel:
    """Return a base with its output layer, in single precision.

    Args:
        bits: round the matrices of its layers to so many bits.
        setting: dotted name of the part, for messages.

    Raises:
        ConfigError: its weights do not fit its config, or cannot be rounded on this machine.
    """
    factory = AutoModelForSeq2SeqLM if is_encoder_decoder else AutoModelForCausalLM
    if bits is None:
        return _load(factory, folder, "encoder.", {})
    check_quantization(bits, setting)
    whole = _load(factory, folder, "encoder.", build_loading_options(bits))
    keep_in_training_mode(whole)
    return whole


def load_encoder_model(folder: Path) -> PreTrainedModel:
    """Return a base without a head, in single precision.

    Raises:
        ConfigError: its weights do not fit its config.
    """
    return _load(AutoModel, folder, "decoder.", {})


def _load(factory: Any, folder: Path, unused: str, options: dict[str, Any]) -> PreTrainedModel:
    """Load a model from a folder with a class of transformers, without running foreign code.

    Args:
        unused: how the names of weights begin that an encoder-decoder model may lack.
        options: further arguments of `from_pretrained`.

    Raises:
        ConfigError: weights are missing or have another size; transformers would make up random
            ones.
    """
    # Without `ignore_mismatched_sizes`, transformers raises its own error for weights of
    # another size. With it, the report lists them like the missing ones.
    model, report = factory.from_pretrained(
        str(folder),
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **options,
    )
    if not model.config.is_encoder_decoder:
        unused = _POOLER
    missing = [
        str(key)
        for key in (*report["missing_keys"], *(report.get("mismatched_keys") or ()))
        if not str(key).startswith((unused, f"model.{unused}", _POOLER))
    ]
    if missing:
        raise ConfigError(
            f"the weights in {folder} do not fit its config.json; missing or of another size: "
            f"{', '.join(sorted(missing)[:3])}. Copy or download it again."
        )
    whole: PreTrainedModel = model.eval()
    return whole


def fingerprint_weights(weights: Mapping[str, Tensor]) -> str:
    """Return a digest of the names, shapes and first values of weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.flatten()[:_FINGERPRINT_VALUES].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def fingerprint_files(folder: Path) -> str:
    """Return a digest of the weights in the files of a base, for a base that is rounded as it is loaded.

    What rounding gives may depend on the release of its package.
    """
    first_rows: dict[str, Tensor] = {}
    for file in list_weight_files(folder, str(folder)):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                part = tensors.get_slice(name)
                first_rows[name] = part[:1] if part.get_shape() else tensors.get_tensor(name)
    return fingerprint_weights(first_rows)


@torch.no_grad()
def measure_logits(whole: PreTrainedModel, body: PreTrainedModel, setting: str) -> dict[str, Any]:
    """Find out how a language model computes logits from states: their scale, cap and bias.

    Families scale or cap their logits by settings with different names. So the scale is measured,
    and the result is compared with the model's own logits.

    Returns:
        `logit_scale`, `logit_cap` and `has_bias` of a base's record.

    Raises:
        ConfigError: the model computes its logits in another way.
    """
    if body is whole:
        raise ConfigError(
            f"{setting}: the layers of a {whole.config.model_type} model cannot be used without "
            "its output projection. Choose another model, for example a Llama, Qwen, Gemma or GPT-2."
        )
    head = whole.get_output_embeddings()
    vocab = head.weight.shape[0]
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(vocab, (2, _PROBE_TOKENS), generator=random)
    if whole.config.is_encoder_decoder:
        encoder_states = whole.get_encoder()(input_ids=ids).last_hidden_state
        states = body(input_ids=ids, encoder_hidden_states=encoder_states).last_hidden_state
        logits = whole(input_ids=ids, decoder_input_ids=ids).logits
    else:
        states = body(input_ids=ids).last_hidden_state
        logits = whole(input_ids=ids).logits
    cap = getattr(whole.config.get_text_config(), "final_logit_softcapping", None)
    outer_bias = getattr(whole, "final_logits_bias", None)
    raw = head(states)
    target = logits
    if cap is not None:
        # Logits near the cap have lost too many digits to be compared.
        is_sound = (logits.abs() < _MAX_SHARE_OF_CAP * cap).float()
        target = cap * torch.atanh((logits / cap).clamp(-_MAX_SHARE_OF_CAP, _MAX_SHARE_OF_CAP))
        target = target * is_sound
        raw = raw * is_sound
    if outer_bias is not None:
        target = target - outer_bias
    scale = float((raw * target).sum() / (raw * raw).sum())
    if abs(scale - 1) < _TOLERANCE:
        scale = 1.0
    computed = head(states * scale)
    if outer_bias is not None:
        computed = computed + outer_bias
    if cap is not None:
        computed = cap * torch.tanh(computed / cap)
    if not (computed - logits).norm() / logits.norm() < _TOLERANCE:
        raise ConfigError(
            f"{setting}: a {whole.config.model_type} model computes its logits in a way that "
            "textvae does not know. Choose another model, for example a Llama, Qwen, Gemma or GPT-2."
        )
    return {
        "logit_scale": scale,
        "logit_cap": None if cap is None else float(cap),
        "has_bias": outer_bias is not None,
    }


def name_base_weights(body: PreTrainedModel, first_layer: int = 0) -> dict[str, str]:
    """Return the names of a transformer's weights, each with its name in the base.

    Args:
        body: a base, or a part of its layers, perhaps with adapters.
        first_layer: the number that its first layer has in the base.
    """
    path = ""
    if first_layer:
        layers = find_layers(body)
        path = next(name for name, module in body.named_modules() if module is layers) + "."
    names = {}
    for name in body.state_dict():
        if is_adapter(name):
            continue
        base_name = get_original_name(name)
        if first_layer and base_name.startswith(path):
            number, rest = base_name.removeprefix(path).split(".", 1)
            base_name = f"{path}{int(number) + first_layer}.{rest}"
        names[name] = base_name
    return names


def check_fingerprint(fingerprint: str, record: BaseRecord, name: str, setting: str) -> None:
    """Check that a base has the weights that it had when the model was built.

    Args:
        fingerprint: of the weights that it has now.

    Raises:
        ConfigError: it has other weights.
    """
    if record.fingerprint is not None and fingerprint != record.fingerprint:
        raise ConfigError(
            f"{setting}: the weights of {name} have changed since this model was trained on them. "
            "Put the original weights back, or train again."
        )


@torch.no_grad()
def copy_weights(source: Mapping[str, Tensor], target: nn.Module, names: Mapping[str, str]) -> None:
    """Copy weights of a base into a module.

    Args:
        names: the names of the module's weights, each with its name in the base.

    Raises:
        ConfigError: the base lacks a weight, or has it in another shape.
    """
    own = target.state_dict()
    for name, base_name in names.items():
        if base_name not in source or source[base_name].shape != own[name].shape:
            raise ConfigError(
                f"the base has no weight {base_name} of shape {tuple(own[name].shape)}: "
                "it is not the model that this one was built on."
            )
        own[name].copy_(source[base_name])


def select_rows(matrix: Tensor, rows: Sequence[int | None], substitute: int) -> Tensor:
    """Return the rows of an embedding for another vocabulary, (tokens, size) or (tokens,).

    Args:
        rows: the row of each token in the base; None for a token that the base does not have.
        substitute: the row that such a token starts from.
    """
    numbers = [substitute if row is None else row for row in rows]
    return matrix[torch.tensor(numbers)].clone()
