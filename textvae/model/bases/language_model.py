"""A pretrained language model as a part of a text VAE: cut where z enters, and partly trained.

The layers below the cut are frozen. Those above it are trained, frozen, or frozen with
adapters. What is frozen is loaded from the base and not saved again.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    Cache,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights

from textvae.errors import ConfigError
from textvae.model.architectures import (
    CACHE_NAME,
    fuse_activations,
    list_parameters,
    unfreeze_padding_embedding,
)
from textvae.model.bases.base_rows import BaseRows
from textvae.model.bases.layers import check_cut, checkpoint_layers, choose_cut, cut_layers
from textvae.model.bases.lora import add_adapters, is_adapter, merge_adapters
from textvae.model.bases.quantization import (
    Bits,
    keep_in_training_mode,
    list_rounded_tensors,
    skip_initialization,
    take_over_layers,
)
from textvae.model.bases.settings import BaseRecord, PretrainedSettings
from textvae.model.bases.source import find_original
from textvae.model.bases.weights import (
    check_fingerprint,
    copy_weights,
    fingerprint_files,
    fingerprint_weights,
    load_language_model,
    name_base_weights,
    select_rows,
)
from textvae.model.kernels.attention import speed_up_attention
from textvae.model.kernels.dropout import replace_dropouts
from textvae.model.kernels.frozen_linear import cast_frozen_layers_once

_Entry = TypeVar("_Entry")

# The layers of T5 and BART that attend to the encoder.
_CROSS_ATTENTION = re.compile(r"\.block\.\d+\.layer\.1\.|\.encoder_attn")


class LanguageModel(nn.Module):
    """A language model without its loss.

    Args:
        settings: which model it is, and what of it is trained.
        vocab: number of tokens, which may differ from that of the base.
        entry: the share of the layers below the cut; 0 for no cut.
        setting: dotted name of the part, for messages.
        uses_cross_attention: whether the decoder of T5 or BART gets states to attend to.
        bits: the matrices of the layers are rounded to so many bits; None if they are not.

    Attributes:
        lower, upper: the layers below and above the cut; `lower` is None without a cut.
        output: the projection to the vocabulary; None if it has the embedding's weights.
        bias: the bias of the projection, (vocab,), or None.

    Raises:
        ConfigError: the architecture cannot be cut, or there is no record of the base.
    """

    upper: PreTrainedModel

    def __init__(
        self,
        settings: PretrainedSettings,
        vocab: int,
        entry: float,
        setting: str,
        *,
        uses_cross_attention: bool = False,
        bits: Bits | None = None,
    ) -> None:
        super().__init__()
        self.uses_cross_attention = uses_cross_attention
        self.settings = settings
        self.setting = setting
        self.bits = bits
        self.record = settings.require_base(setting)
        with nullcontext() if bits is None else no_init_weights():
            upper, head = _build(self.record, vocab)
        if bits is not None:
            skip_initialization(upper)
        self.is_cross_attending = bool(upper.config.is_encoder_decoder)
        self.output: nn.Linear | None = None
        if not self.record.is_tied:
            self.output = head
        self.bias: nn.Parameter | None = None
        if head.bias is not None or self.record.has_bias:
            self.bias = nn.Parameter(torch.zeros(vocab))
        head.register_parameter("bias", None)  # it is `self.bias` now
        self.lower: PreTrainedModel | None = None
        # The number of layers below the cut.
        self.cut = choose_cut(upper, entry, settings.name, setting)
        if self.cut:
            self.lower, upper = cut_layers(upper, self.cut)
        self.upper = upper
        if settings.train == "lora":
            add_adapters(upper, settings.lora, setting)
        self.freeze()
        self.rows = BaseRows(self.record, self._list_frozen_tables(), vocab)
        for part in (self.lower, self.upper):
            if part is not None and settings.train != "all":
                cast_frozen_layers_once(part)
        if settings.gradient_checkpointing:
            checkpoint_layers(upper, setting)

    @property
    def hidden(self) -> int:
        """The size of a state."""
        return int(self.upper.config.hidden_size)

    @property
    def _first(self) -> PreTrainedModel:
        """The part with the embeddings."""
        return self.upper if self.lower is None else self.lower

    @property
    def embed(self) -> nn.Embedding:
        """The language model's own embedding."""
        module: nn.Embedding = self._first.get_input_embeddings()
        return module

    @property
    def output_weight(self) -> Tensor:
        """The weights of the projection, (vocab, hidden)."""
        if self.output is not None:
            return self.output.weight
        return self.embed.weight

    def run_lower(self, embedded: Tensor, attention_mask: Tensor, cache: Cache | None) -> Tensor:
        """Return the states at the cut, (batch, length, hidden); arguments as in `run_upper`."""
        assert self.lower is not None, "the model is cut"
        return _run(self.lower, embedded, attention_mask, cache, {})

    def run_upper(
        self,
        states: Tensor,
        attention_mask: Tensor,
        cache: Cache | None,
        encoder_states: Tensor | None,
    ) -> Tensor:
        """Return the last states from those at the cut, or from embeddings without a cut.

        Shapes:
            states: (batch, length, hidden)
            attention_mask: (batch, cached length + length), non-zero on real tokens
            encoder_states: (batch, any length, hidden), what the decoder of T5 or BART attends to
            returns: (batch, length, hidden)
        """
        options: dict[str, Any] = {}
        if encoder_states is not None:
            options["encoder_hidden_states"] = encoder_states
        return _run(self.upper, states, attention_mask, cache, options)

    def train(self, mode: bool = True) -> "LanguageModel":
        """Set the mode of training; the layers below the cut stay in evaluation mode."""
        super().train(mode)
        if self.lower is not None:
            self.lower.eval()
        if self.bits is not None:
            keep_in_training_mode(self)
        return self

    def freeze(self) -> None:
        """Freeze what is not trained."""
        for name, value in self.named_parameters():
            value.requires_grad_(not self._is_frozen(name))

    def _list_frozen_tables(self) -> dict[str, Tensor]:
        """Return the frozen weights that have a row for each token, by their names."""
        tables = {self._embedding_name(): self.embed.weight}
        if self.output is not None:
            tables["output.weight"] = self.output.weight
        return {name: weight for name, weight in tables.items() if self._is_frozen(name)}

    def _is_frozen(self, name: str) -> bool:
        """Return whether the weight of this name is not trained."""
        if name.startswith("lower."):
            return True
        # Nothing runs through them, and parameters without a gradient would stop DDP.
        if not self.uses_cross_attention and _CROSS_ATTENTION.search(name):
            return True
        return self.settings.train != "all" and not is_adapter(name)

    # The weights of the base

    def adopt(self, whole: PreTrainedModel, rows: Sequence[int | None]) -> None:
        """Copy all weights of a base, as the model is built.

        Args:
            whole: the base, with its output layer.
            rows: the id of each token in the base's vocabulary; None for a token that it lacks.

        Raises:
            ConfigError: the base cannot be cut.
        """
        body = select_decoder(whole)
        substitute = _substitute_row(whole)
        names = self._name_base_weights()
        del names[self._embedding_name()]
        with torch.no_grad():
            self._copy_layers(body, names)
            embedding = body.get_input_embeddings().weight
            self.embed.weight.copy_(select_rows(embedding, rows, substitute))
            if self.output is not None:
                head = whole.get_output_embeddings()
                self.output.weight.copy_(select_rows(head.weight, rows, substitute))
            if self.bias is not None:
                self.bias.copy_(select_rows(_collect_bias(whole), rows, substitute))
        self.rows.note(rows, self._list_frozen_tables())
        if self.lower is not None:
            with without_dropout(self):
                check_cut(body, self.lower, self.upper, self.setting)

    def list_base_weights(self) -> list[str]:
        """Return the names of the frozen weights, except embeddings that differ from the base's."""
        if not self.record.is_needed:
            return []
        # The outer bias is small, and saved with the model.
        frozen = {
            name
            for name, _ in self.named_parameters()
            if self._is_frozen(name) and not is_adapter(name) and name != "bias"
        }
        frozen |= list_rounded_tensors(self)
        if self.record.has_own_vocabulary and not self.rows.is_used:
            frozen -= {"output.weight", self._embedding_name()}
        return sorted(frozen)

    def load_base_weights(self) -> None:
        """Load these weights from the base.

        Raises:
            ConfigError: the base is missing, or has other weights than it had.
        """
        names = self.list_base_weights()
        if not names:
            return
        settings = self.settings
        record = self.record
        base = find_original(settings.name, f"{self.setting}.name", record.revision)
        whole = load_language_model(
            base.folder,
            is_encoder_decoder=bool(record.config.get("is_encoder_decoder")),
            bits=self.bits,
            setting=self.setting,
        )
        body = select_decoder(whole)
        fingerprint = fingerprint_base(body, base.folder, self.bits)
        check_fingerprint(fingerprint, record, settings.name, self.setting)
        tables = _select(self._list_frozen_tables(), names)
        sources = {name: body.get_input_embeddings().weight for name in tables}
        if "output.weight" in tables:
            sources["output.weight"] = whole.get_output_embeddings().weight
        for name, table in tables.items():
            self.rows.restore(name, table, sources[name])
        others = [name for name in names if name not in tables]
        self._copy_layers(body, _select(self._name_base_weights(), others))

    def _copy_layers(self, body: PreTrainedModel, names: Mapping[str, str]) -> None:
        """Copy weights of a base, or take over its layers if they are rounded.

        Args:
            names: the names of the own weights, each with its name in the base.
        """
        taken = take_over_layers(body, self, names) if self.bits is not None else []
        others = [name for name in names if name not in taken]
        copy_weights(body.state_dict(), self, _select(names, others))
        self.freeze()

    def merge_base(self) -> dict[str, Any]:
        """Merge the adapters; return the settings of a part that needs no base.

        A part that was frozen stays frozen. Any other is from now on trained as a whole.

        Raises:
            ConfigError: the matrices that they would be added to are rounded.
        """
        if self.bits is not None:
            raise ConfigError(
                f"{self.setting}.bits = {self.bits}: adapters cannot be merged into rounded "
                "weights. Save the model without merge; it then needs its base."
            )
        if self.record.is_tied and any(
            is_adapter(name) for name, _ in self.upper.get_input_embeddings().named_parameters()
        ):
            raise ConfigError(
                f"{self.setting}.lora.targets names the embedding, whose weights the output "
                "projection shares: merged, the adapter would change both. Save the model without "
                "merge; it then needs its base."
            )
        merge_adapters(self.upper)
        self.rows = BaseRows.make_unused()
        self.record = self.record.model_copy(update={"is_needed": False})
        train = "none" if self.settings.train == "none" else "all"
        self.settings = self.settings.model_copy(update={"train": train, "base": self.record})
        return {"train": train, "base": self.record.model_dump()}

    def _name_base_weights(self) -> dict[str, str]:
        """Return the names of the layers' weights, each with its name in the base."""
        names = {}
        for name, base_name in name_base_weights(self.upper, self.cut).items():
            names[f"upper.{name}"] = base_name
        if self.lower is not None:
            for name, base_name in name_base_weights(self.lower).items():
                names[f"lower.{name}"] = base_name
        return names

    def _embedding_name(self) -> str:
        """Return the name of the embedding's weights."""
        return next(name for name, value in self.named_parameters() if value is self.embed.weight)


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Keep a module in evaluation mode."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def fingerprint_base(body: PreTrainedModel, folder: Path, bits: Bits | None) -> str:
    """Return a digest of a base's weights as they are in its files.

    Args:
        body: the base, loaded from the folder, without its output layer.
    """
    return fingerprint_weights(body.state_dict()) if bits is None else fingerprint_files(folder)


def _build(record: BaseRecord, vocab: int) -> tuple[PreTrainedModel, nn.Linear]:
    """Return a language model with random weights, without and with its output layer.

    Args:
        vocab: number of tokens, which may differ from that of the base.
    """
    config = record.build_config()
    config.vocab_size = vocab
    # The ids of the base's own tokenizer; textvae has its own record of them.
    config.pad_token_id = None if config.pad_token_id is None else 0
    config.bos_token_id = None
    config.eos_token_id = None
    factory = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    whole = factory.from_config(config, trust_remote_code=False, dtype=torch.float32)
    body = replace_dropouts(unfreeze_padding_embedding(select_decoder(whole)))
    return speed_up_attention(fuse_activations(body)), whole.get_output_embeddings()


def select_decoder(whole: PreTrainedModel) -> PreTrainedModel:
    """Return the part of a language model that maps tokens to states."""
    if whole.config.is_encoder_decoder:
        return whole.get_decoder()
    body: PreTrainedModel = whole.base_model
    return body


def _select(table: Mapping[str, _Entry], names: Collection[str]) -> dict[str, _Entry]:
    """Return the entries of a table that have one of the names."""
    return {name: entry for name, entry in table.items() if name in names}


def _substitute_row(whole: PreTrainedModel) -> int:
    """Return the row that a token starts from if the base lacks it.

    It is the token with which texts of the base start, or else end.
    """
    config = whole.config.get_text_config()
    for name in ("decoder_start_token_id", "bos_token_id", "eos_token_id"):
        token = getattr(config, name, None)
        if isinstance(token, int) and 0 <= token < config.vocab_size:
            return token
    return 0


def _run(
    body: PreTrainedModel,
    embedded: Tensor,
    attention_mask: Tensor,
    cache: Cache | None,
    options: dict[str, Any],
) -> Tensor:
    """Return the last states of a transformer, (batch, length, hidden).

    Shapes:
        embedded: (batch, length, hidden)
        attention_mask: (batch, cached length + length), non-zero on real tokens
    """
    # Positions count real tokens only. Without this, a prompt that `generate` pads on the
    # left would start at a later position than the same prompt alone.
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -embedded.shape[1] :]
    accepted = list_parameters(type(body).forward)
    if "position_ids" in accepted:
        options = {**options, "position_ids": positions}
    elif "embed_positions" in dict(body.named_children()):
        embedded = embedded + _correct_positions(body, positions, attention_mask)
    name = CACHE_NAME if CACHE_NAME in accepted else "past_key_values"
    states: Tensor = body(
        inputs_embeds=embedded,
        attention_mask=attention_mask,
        use_cache=cache is not None,
        **{name: cache},
        **options,
    ).last_hidden_state
    return states


def check_positions_of_base(body: PreTrainedModel, setting: str) -> None:
    """Check that the positions of a text can be chosen, whatever padding is to its left.

    Raises:
        ConfigError: the model computes them in a way of its own.
    """
    table = dict(body.named_children()).get("embed_positions")
    if table is None or "position_ids" in list_parameters(type(body).forward):
        return
    if not isinstance(table, nn.Embedding):
        raise ConfigError(
            f"{setting}: a {body.config.model_type} model counts positions in a way that textvae "
            "does not know. Choose another model, for example a BART, T5, Llama or GPT-2."
        )


def _correct_positions(body: PreTrainedModel, positions: Tensor, mask: Tensor) -> Tensor:
    """Return what to add to the embeddings, so that BART uses these positions.

    Decoders like BART's add the embeddings of positions themselves, and count padding on the left.

    Shapes:
        positions: (batch, length); mask: (batch, cached length + length)
        returns (batch, length, hidden)
    """
    table: Any = body.embed_positions
    offset = getattr(table, "offset", 0)  # BART's first positions are those of padding
    counted = torch.arange(mask.shape[1], device=mask.device)[-positions.shape[1] :]
    weight: Tensor = table.weight
    rows = nn.functional.embedding(positions + offset, weight)
    correction: Tensor = rows - nn.functional.embedding(counted + offset, weight)
    return correction


def _collect_bias(whole: PreTrainedModel) -> Tensor:
    """Return the bias of a language model's logits, (vocab,); zeros if it has none."""
    head = whole.get_output_embeddings()
    bias: Tensor = head.weight.new_zeros(len(head.weight))
    if head.bias is not None:
        bias = bias + head.bias
    outer = dict(whole.named_buffers()).get("final_logits_bias")
    if outer is not None:
        bias = bias + outer.flatten()
    return bias
