"""Cut a pretrained transformer in two, so that z can enter between its layers.

The lower part maps token embeddings to the states between the two; the upper part
continues from these states, as if they were its embeddings. One after the other they
compute what the whole transformer computes. Architectures do not tell how they treat
embeddings before the first layer, so `check_cut` compares the two on random tokens.
"""

import copy
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from textvae.errors import ConfigError
from textvae.model.architectures import UNTRIED_ARCHITECTURE_ERRORS

_TOLERANCE = 1e-3  # of the states of the two parts, relative to those of the whole
_PROBE_TOKENS = 7
_CHECKPOINTING = "activation_checkpointing_enable"


class TwoPartCache(Cache):
    """The caches of the lower and the upper part; `generate` treats them as one."""

    is_compileable = False
    is_croppable = False

    def __init__(self, lower: Cache, upper: Cache) -> None:
        super().__init__(layers=[])
        self.lower = lower
        self.upper = upper

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens so far."""
        return int(self.lower.get_seq_length())

    # The base class implements these layer by layer, and has no layers here.

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let each beam continue from the beam with this index."""
        self.lower.reorder_cache(beam_idx)
        self.upper.reorder_cache(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Select the rows with these indices."""
        self.lower.batch_select_indices(indices)
        self.upper.batch_select_indices(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row, its copies next to each other."""
        self.lower.batch_repeat_interleave(repeats)
        self.upper.batch_repeat_interleave(repeats)

    def reset(self) -> None:
        """Forget all tokens."""
        self.lower.reset()
        self.upper.reset()

    def crop(self, tokens_to_remove: int) -> None:
        """Remove the last tokens."""
        self.lower.crop(tokens_to_remove)
        self.upper.crop(tokens_to_remove)


class _NoEmbedding(nn.Module):
    """Stands for an embedding of positions in the upper part: the lower part has added it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, ids: Tensor, *args: Any, **options: Any) -> Tensor:
        """Return zeros, (*shape of ids, size)."""
        return torch.zeros(*ids.shape, self.size, device=ids.device)


def find_layers(body: PreTrainedModel) -> nn.ModuleList:
    """Return the list of a transformer's layers.

    Raises:
        ConfigError: no list in it has as many entries as its config has layers.
    """
    for module in body.modules():
        if isinstance(module, nn.ModuleList) and len(module) == body.config.num_hidden_layers:
            return module
    raise ConfigError(
        f"the layers of a {body.config.model_type} model could not be found: "
        "set model.decoder.entry to 0."
    )


def checkpoint_layers(body: PreTrainedModel, setting: str) -> None:
    """Let a transformer compute its states again in the backward pass instead of storing them.

    Args:
        setting: dotted name of the part, for the message.

    Raises:
        ConfigError: its architecture cannot do this.
    """
    if not body.supports_gradient_checkpointing:
        raise ConfigError(
            f"{setting}.gradient_checkpointing does not work with a {body.config.model_type} "
            "model: leave it out."
        )
    # Later releases of transformers have renamed the method, and warn of the old name.
    is_renamed = _CHECKPOINTING in vars(PreTrainedModel)
    enable = getattr(body, _CHECKPOINTING if is_renamed else "gradient_checkpointing_enable")
    enable({"use_reentrant": False})


def choose_cut(body: PreTrainedModel, entry: float, name: str, setting: str) -> int:
    """Return how many layers are below the entry of z; 0 for no cut.

    Args:
        entry: the share of the layers below it.
        name: the name of the base, for messages.
        setting: dotted name of the part, for messages.

    Raises:
        ConfigError: a decoder that attends to an encoder is to be cut, or one of a single layer.
    """
    if not entry:
        return 0
    if body.config.is_encoder_decoder:
        raise ConfigError(
            f"{setting}.entry does not work with the decoder of a {body.config.model_type} model: "
            "set it to 0."
        )
    layers = len(find_layers(body))
    if layers < 2:
        raise ConfigError(
            f"{setting}.entry: {name} has only one layer, so z cannot enter between two: "
            "set it to 0."
        )
    # At least one layer is below the cut, and at least one above it.
    return min(max(1, round(entry * layers)), layers - 1)


def cut_layers(body: PreTrainedModel, cut: int) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return the layers below `cut` and those from it on, as two transformers.

    `body` itself becomes the lower part. No layer is copied.

    Args:
        cut: number of layers in the lower part, above 0.
    """
    upper = _copy_modules(body)
    _keep_layers(body, 0, cut)
    _keep_layers(upper, cut, len(find_layers(upper)))
    _remove_last_norm(body)
    _remove_embeddings(upper)
    # What both parts have, such as a norm before the first layer, is trained in the upper one only.
    in_lower = set(body.parameters())
    for module in upper.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in in_lower:
                setattr(module, name, nn.Parameter(parameter.detach().clone()))
    return body, upper


def check_can_be_cut(body: PreTrainedModel, cut: int, setting: str) -> None:
    """Check that a transformer can be cut, and leave it as it is.

    Raises:
        ConfigError: its two parts would not compute what it does.
    """
    lower, upper = cut_layers(_copy_modules(body), cut)
    check_cut(body, lower, upper, setting)


def _copy_modules(body: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of a transformer that has the same parameters, not copies of them.

    Buffers are copied, since transformers fills only one of two equal ones as it loads a model.
    """
    shared = {id(parameter): parameter for parameter in body.parameters()}
    copied: PreTrainedModel = copy.deepcopy(body, shared)
    return copied


def _keep_layers(body: PreTrainedModel, start: int, end: int) -> None:
    """Remove all layers but those from `start` to `end`, and number the rest from 0."""
    layers = find_layers(body)
    kept = list(layers)[start:end]
    types = getattr(body.config, "layer_types", None)
    del layers[:]
    layers.extend(kept)
    body.config.num_hidden_layers = len(kept)
    if types is not None:
        body.config.layer_types = types[start:end]
    # The attention of each layer finds its keys and values in a cache by this number.
    for module in layers.modules():
        layer: Any = module
        for name in ("layer_idx", "layer_id"):
            if isinstance(vars(module).get(name), int):
                setattr(layer, name, getattr(layer, name) - start)


def _remove_last_norm(lower: PreTrainedModel) -> None:
    """Replace what follows the layers by the identity: the upper part has it."""
    layers = find_layers(lower)
    parent = next(module for module in lower.modules() if layers in module.children())
    is_after = False
    for name, child in list(parent.named_children()):
        # Rotary embeddings also come after the layers, but have no weights.
        if is_after and any(True for _ in child.parameters()):
            setattr(parent, name, nn.Identity())
        is_after = is_after or child is layers


def _remove_embeddings(upper: PreTrainedModel) -> None:
    """Remove the embeddings of tokens and positions: the lower part has added them."""
    words = upper.get_input_embeddings()
    in_layers = set(find_layers(upper).modules())
    for parent in list(upper.modules()):
        for name, child in list(parent.named_children()):
            if child is words:
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Embedding) and child not in in_layers:
                setattr(parent, name, _NoEmbedding(child.embedding_dim))


@torch.no_grad()
def check_cut(
    whole: PreTrainedModel, lower: PreTrainedModel, upper: PreTrainedModel, setting: str
) -> None:
    """Check that the two parts compute what the whole transformer does.

    Raises:
        ConfigError: they do not, so the architecture treats its embeddings in a way of its own.
    """
    random = torch.Generator().manual_seed(0)
    words = whole.get_input_embeddings()
    ids = torch.randint(whole.config.vocab_size, (2, _PROBE_TOKENS), generator=random)
    embedded = words(ids)
    expected = whole(inputs_embeds=embedded).last_hidden_state
    is_same = False
    with suppress(*UNTRIED_ARCHITECTURE_ERRORS):
        between = lower(inputs_embeds=embedded).last_hidden_state
        computed = upper(inputs_embeds=between).last_hidden_state
        is_same = bool((computed - expected).norm() < _TOLERANCE * expected.norm())
    if not is_same:
        raise ConfigError(
            f"{setting}.entry: a {whole.config.model_type} model cannot be cut between its "
            "layers, because its two parts do not compute what the whole does. Set it to 0."
        )


def scale_to_unit(states: Tensor) -> Tensor:
    """Return states, (..., size), each divided by its root mean square.

    Families scale their embeddings and states very differently.
    """
    return nn.functional.rms_norm(states, states.shape[-1:])
