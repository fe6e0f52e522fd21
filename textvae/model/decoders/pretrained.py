"""Pretrained decoders: a causal language model, or the decoder of T5 or BART, conditioned on z.

z enters at the embeddings or, with `entry`, between two layers. The layers below the
entry are frozen and do not depend on z.
"""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    Cache,
    DynamicCache,
    EncoderDecoderCache,
    PreTrainedModel,
)

from textvae.errors import ConfigError
from textvae.model.architectures import CACHE_NAME, unfreeze_padding_embedding
from textvae.model.bases.layers import (
    TwoPartCache,
    check_cut,
    checkpoint_layers,
    cut_layers,
    find_layers,
)
from textvae.model.bases.lora import Trained, add_adapters, is_adapter, merge_adapters
from textvae.model.bases.roles import check_decoder
from textvae.model.bases.settings import BaseRecord, PretrainedSettings
from textvae.model.bases.source import find_base, find_original
from textvae.model.bases.weights import (
    check_fingerprint,
    copy_weights,
    fingerprint_weights,
    load_language_model,
    measure_logits,
    name_base_weights,
    select_rows,
)
from textvae.model.conditioning import Signals
from textvae.model.decoders.base import Decoder
from textvae.model.decoders.key_value_memory import KeyValueMemory
from textvae.model.kernels.frozen_linear import cast_frozen_layers_once

_SETTING = "model.decoder"

# The layers of T5 and BART that attend to the encoder.
_CROSS_ATTENTION = re.compile(r"\.block\.\d+\.layer\.1\.|\.encoder_attn")


class PretrainedDecoderSettings(PretrainedSettings):
    """A pretrained language model, what of it is trained, and where z enters."""

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(
        "HuggingFaceTB/SmolLM2-135M", description="a language model: a hub name or a folder"
    )
    train: Trained = Field("lora", description="what is trained: all, lora (adapters) or none")
    entry: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="where z enters: 0 at the embeddings, 0.6 at 60 % of the layers",
    )
    prefix: int = Field(4, gt=0, description="number of prefix vectors, if z is a prefix")
    slots: int = Field(
        2, gt=0, le=4, description="number of keys and values per layer, if z is a memory"
    )


class PretrainedDecoder(Decoder):
    """A pretrained language model, with z in its embeddings, attention or output.

    Attributes:
        lower, body: the layers below the entry of z (None if it enters at the embeddings), and
            those above.
    """

    Settings = PretrainedDecoderSettings
    starts_from_base = True
    default_conditioning: ClassVar[tuple[str, ...]] = ("memory", "output")
    body: PreTrainedModel

    def __init__(
        self,
        settings: PretrainedDecoderSettings,
        vocab: int,
        latent: int,
        channels: Sequence[str],
    ) -> None:
        super().__init__()
        record = settings.require_base(_SETTING)
        self.settings = settings
        self.uses_cross_attention = "cross_attention" in channels
        self.learning_rate = settings.choose_learning_rate()
        self.logit_cap = record.logit_cap
        self.logit_scale = record.logit_scale
        body, head = build_language_model(record, vocab)
        self.is_cross_attending = bool(body.config.is_encoder_decoder)
        self.output: nn.Linear | None = None
        if not record.is_tied:
            self.output = head
        self.bias: nn.Parameter | None = None
        if head.bias is not None or record.has_bias:
            self.bias = nn.Parameter(torch.zeros(vocab))
        head.register_parameter("bias", None)  # it is `self.bias` now
        self.lower: PreTrainedModel | None = None
        self.cut = 0  # number of layers below the entry
        if settings.entry:
            if self.is_cross_attending:
                raise ConfigError(
                    f"{_SETTING}.entry does not work with the decoder of a "
                    f"{body.config.model_type} model: set it to 0."
                )
            layers = len(find_layers(body))
            if layers < 2:
                raise ConfigError(
                    f"{_SETTING}.entry: {settings.name} has only one layer, so z cannot enter "
                    "between two: set it to 0."
                )
            # At least one layer is below the entry, and at least one above it.
            self.cut = min(max(1, round(settings.entry * layers)), layers - 1)
            self.lower, body = cut_layers(body, self.cut)
            self.has_frozen_layers_below = True
        self.body = body
        if settings.train == "lora":
            add_adapters(body, settings.lora, _SETTING)
        self.freeze()
        for part in (self.lower, self.body):
            if part is not None and settings.train != "all":
                cast_frozen_layers_once(part)
        self.prefix = settings.prefix if "prefix" in channels else 0
        self.slots = settings.slots if "memory" in channels else 0
        self._refuse_checkpointing_with_memory()
        if settings.gradient_checkpointing:
            checkpoint_layers(body, _SETTING)
        positions = getattr(body.config, "max_position_embeddings", None)
        if positions is not None:
            self.max_length = positions - self.prefix - self.slots
        hidden = body.config.hidden_size
        self.signal_shapes = {
            "embedding": (hidden,),
            "prefix": (settings.prefix, hidden),
            "output": (hidden,),
        }
        if self.is_cross_attending:
            self.signal_shapes["cross_attention"] = (settings.slots, hidden)
        else:
            self.memory = KeyValueMemory(body, settings.slots)
            self.signal_shapes["memory"] = self.memory.shape

    def freeze(self) -> None:
        """Freeze what is not trained."""
        for name, value in self.named_parameters():
            value.requires_grad_(not self._is_frozen(name))

    def _is_frozen(self, name: str) -> bool:
        """Return whether the weight of this name is not trained."""
        if name.startswith("lower."):
            return True
        # Nothing runs through them, and parameters without a gradient would stop DDP.
        if not self.uses_cross_attention and _CROSS_ATTENTION.search(name):
            return True
        return self.settings.train != "all" and not is_adapter(name)

    def _refuse_checkpointing_with_memory(self) -> None:
        """Refuse two settings that do not go together.

        Raises:
            ConfigError: transformers would drop the memory when it computes layers again.
        """
        if self.settings.gradient_checkpointing and self.slots:
            raise ConfigError(
                f"{_SETTING}.gradient_checkpointing does not work with the conditioning 'memory': "
                "transformers drops the keys and values of z when it computes a layer again. "
                "Choose another model.conditioning, for example prefix, or switch it off."
            )

    def train(self, mode: bool = True) -> "PretrainedDecoder":
        """Set the mode of training; what is frozen below the entry stays in evaluation mode."""
        super().train(mode)
        if self.lower is not None:
            self.lower.eval()
        return self

    @property
    def embed(self) -> nn.Embedding:  # type: ignore[override]
        """The language model's own embedding."""
        module: nn.Embedding = self._first.get_input_embeddings()
        return module

    @property
    def output_weight(self) -> Tensor:
        """The weights of the projection, (vocab, hidden)."""
        if self.output is not None:
            return self.output.weight
        return self.embed.weight

    @property
    def output_bias(self) -> Tensor | None:
        """The bias of the projection, (vocab,), or None."""
        return self.bias

    def new_cache(self) -> Cache:
        """Return an empty cache; the first pass adds the keys and values of z."""
        if self.is_cross_attending:
            config = self.body.config
            return EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        cache = DynamicCache(config=self.body.config)
        if self.lower is None:
            return cache
        return TwoPartCache(DynamicCache(config=self.lower.config), cache)

    def count_cached_tokens(self, cache: Cache) -> int:
        """Return how many tokens a cache contains, without the prefix and the memory."""
        tokens = int(cache.get_seq_length())
        if not isinstance(cache, TwoPartCache):
            tokens -= self.prefix + self.slots
        return max(0, tokens)

    @classmethod
    def open_base(
        cls, settings: PretrainedDecoderSettings
    ) -> tuple[PretrainedDecoderSettings, PreTrainedModel]:
        """Return the settings with a record of the base, and the base."""
        base = find_base(settings.name, f"{_SETTING}.name", settings.revision)
        check_decoder(base, f"{_SETTING}.name")
        whole = load_language_model(base.folder, is_encoder_decoder=base.config.is_encoder_decoder)
        body = decoder_of(whole)
        record = BaseRecord(
            config=whole.config.to_dict(),
            revision=base.revision,
            license=base.license,
            fingerprint=fingerprint_weights(body.state_dict()),
            is_tied=whole.get_output_embeddings().weight is body.get_input_embeddings().weight,
            **measure_logits(whole, body, f"{_SETTING}.name"),
        )
        return settings.model_copy(update={"base": record}), whole

    def adopt(self, whole: PreTrainedModel, rows: Sequence[int | None]) -> None:
        """Copy the weights of a base, as the model is built.

        Args:
            whole: the base, with its output layer.
            rows: the id of each token in the base's vocabulary; None for a token that it lacks.
        """
        body = decoder_of(whole)
        embedding = body.get_input_embeddings().weight
        head = whole.get_output_embeddings()
        substitute = self._substitute_row(whole)
        with torch.no_grad():
            self._copy(
                body.state_dict(),
                [name for name in self._body_names() if name != self._embedding_name()],
            )
            self.embed.weight.copy_(select_rows(embedding, rows, substitute))
            if self.output is not None:
                self.output.weight.copy_(select_rows(head.weight, rows, substitute))
            if self.bias is not None:
                self.bias.copy_(select_rows(_bias_of(whole), rows, substitute))
        if self.lower is not None:
            self._check_cut(body)

    def _check_cut(self, whole: PreTrainedModel) -> None:
        """Check that the layers below and above the entry compute what the base does.

        Raises:
            ConfigError: its architecture cannot be cut.
        """
        assert self.lower is not None, "z enters at the embeddings"
        with _without_dropout(self):
            check_cut(whole, self.lower, self.body, _SETTING)

    def _substitute_row(self, whole: PreTrainedModel) -> int:
        """Return the row that a token starts from if the base lacks it.

        It is the token with which texts of the base start, or else end.
        """
        config = whole.config.get_text_config()
        for name in ("decoder_start_token_id", "bos_token_id", "eos_token_id"):
            token = getattr(config, name, None)
            if isinstance(token, int) and 0 <= token < config.vocab_size:
                return token
        return 0

    @torch.no_grad()
    def first_signals(self, token: int) -> dict[str, tuple[Tensor, float]]:
        """Return how each signal of z starts: a constant, and the standard deviation of z's part.

        Prefix and memory start as what the language model has for its first token, which it
        expects before every text. What is added to states starts at zero.

        Args:
            token: the id of the start token.
        """
        # Dropout would add noise, which would differ between the processes of a run.
        with _without_dropout(self):
            return self._compute_first_signals(token)

    def _compute_first_signals(self, token: int) -> dict[str, tuple[Tensor, float]]:
        """Return what `first_signals` does."""
        ids = torch.tensor([[token]], device=self.embed.weight.device)
        mask = torch.ones_like(ids)
        states = self.embed(ids)
        if self.lower is not None:
            states = self.compute_lower_states(states, mask)
        scale = float(states.std())
        first: dict[str, tuple[Tensor, float]] = {}
        for name, shape in self.signal_shapes.items():
            if name == "prefix":
                first[name] = (states[0].expand(shape), scale)
            elif name == "memory" and self.slots:
                memory = self.memory.of_states(self.body, states)
                first[name] = (memory, 0.1 * float(memory.std()))
            elif name in ("embedding", "output"):
                first[name] = (torch.zeros(shape), 0.0)
        return first

    def list_base_weights(self) -> list[str]:
        """Return the names of the frozen weights, except embeddings that differ from the base's."""
        record = self.settings.require_base(_SETTING)
        if not record.is_needed:
            return []
        # The outer bias is small, and saved with the model.
        frozen = {
            name
            for name, _ in self.named_parameters()
            if self._is_frozen(name) and not is_adapter(name) and name != "bias"
        }
        if record.has_own_vocabulary:
            frozen -= {"output.weight", self._embedding_name()}
        return sorted(frozen)

    def load_base_weights(self) -> None:
        """Load the frozen weights from the base."""
        names = self.list_base_weights()
        if not names:
            return
        settings = self.settings
        record = settings.require_base(_SETTING)
        base = find_original(settings.name, f"{_SETTING}.name", record.revision)
        whole = load_language_model(
            base.folder, is_encoder_decoder=bool(record.config.get("is_encoder_decoder"))
        )
        body = decoder_of(whole)
        weights = body.state_dict()
        check_fingerprint(weights, record, settings.name, _SETTING)
        self._copy(weights, names)
        if "output.weight" in names and self.output is not None:
            with torch.no_grad():
                self.output.weight.copy_(whole.get_output_embeddings().weight)

    def _copy(self, weights: Mapping[str, Tensor], names: Collection[str]) -> None:
        """Copy the weights of these names from the base."""
        base_names = self._body_names()
        copy_weights(
            weights, self, {name: base_names[name] for name in names if name in base_names}
        )

    def _body_names(self) -> dict[str, str]:
        """Return the names of the layers' weights, each with its name in the base."""
        names = {
            f"body.{name}": base_name
            for name, base_name in name_base_weights(self.body, self.cut).items()
        }
        if self.lower is not None:
            for name, base_name in name_base_weights(self.lower).items():
                names[f"lower.{name}"] = base_name
        return names

    def _embedding_name(self) -> str:
        """Return the name of the embedding's weights."""
        return next(name for name, value in self.named_parameters() if value is self.embed.weight)

    def merge_base(self) -> dict[str, Any]:
        """Merge the adapters; the part is then one that is trained as a whole."""
        merge_adapters(self.body)
        record = self.settings.require_base(_SETTING).model_copy(update={"is_needed": False})
        self.settings = self.settings.model_copy(update={"train": "all", "base": record})
        return {"train": "all", "base": record.model_dump()}

    @property
    def _first(self) -> PreTrainedModel:
        """The part with the embeddings."""
        return self.body if self.lower is None else self.lower

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the states, (batch, length, hidden), multiplied by the model's scale of logits."""
        states = self.embed(input_ids)
        if self.lower is not None:
            states = self.compute_lower_states(states, attention_mask, cache)
        return self.continue_from(states, attention_mask, signals, cache)

    @torch.no_grad()
    def compute_lower_states(
        self, embedded: Tensor, attention_mask: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """Return the states at the entry of z, (batch, length, hidden), without gradient."""
        assert self.lower is not None, "z enters at the embeddings"
        lower_cache = cache.lower if isinstance(cache, TwoPartCache) else None
        return _run(self.lower, embedded, attention_mask, lower_cache, {})

    def continue_from(
        self,
        states: Tensor,
        attention_mask: Tensor,
        signals: Signals,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the states above the entry of z from those at the entry, (batch, length, hidden)."""
        if isinstance(cache, TwoPartCache):
            cache = cache.upper
        if "embedding" in signals:
            states = states + signals["embedding"].to(states.dtype).unsqueeze(1)
        is_first_pass = cache is None or cache.get_seq_length() == 0
        added = self.prefix + self.slots
        if added:
            ones = attention_mask.new_ones(len(states), added)
            attention_mask = torch.cat([ones, attention_mask], dim=1)
        if "memory" in signals and is_first_pass:
            if cache is None:
                cache = DynamicCache(config=self.body.config)
            self.memory.fill(cache, signals["memory"], self.body)
        skipped = 0
        if "prefix" in signals and is_first_pass:
            states = torch.cat([signals["prefix"].to(states.dtype), states], dim=1)
            skipped = self.prefix
        options: dict[str, Any] = {}
        if "cross_attention" in signals:
            options["encoder_hidden_states"] = signals["cross_attention"].to(states.dtype)
        states = _run(self.body, states, attention_mask, cache, options)[:, skipped:]
        if "output" in signals:
            states = states + signals["output"].to(states.dtype).unsqueeze(1)
        if self.logit_scale != 1.0:
            states = states * self.logit_scale
        return states


@contextmanager
def _without_dropout(module: nn.Module) -> Iterator[None]:
    """Keep a module in evaluation mode."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def build_language_model(record: BaseRecord, vocab: int) -> tuple[PreTrainedModel, nn.Linear]:
    """Return a language model with random weights, without and with its output layer.

    Args:
        vocab: number of tokens, which may differ from that of the base.
    """
    fields = dict(record.config)
    model_type = fields.pop("model_type")
    config = AutoConfig.for_model(model_type, **fields)
    config.vocab_size = vocab
    # The ids of the base's own tokenizer; textvae has its own record of them.
    config.pad_token_id = None if config.pad_token_id is None else 0
    config.bos_token_id = None
    config.eos_token_id = None
    factory = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    whole = factory.from_config(config, trust_remote_code=False, dtype=torch.float32)
    return unfreeze_padding_embedding(decoder_of(whole)), whole.get_output_embeddings()


def decoder_of(whole: PreTrainedModel) -> PreTrainedModel:
    """Return the part of a language model that maps tokens to states."""
    if whole.config.is_encoder_decoder:
        return whole.get_decoder()
    body: PreTrainedModel = whole.base_model
    return body


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
    accepted = inspect.signature(body.forward).parameters
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


def _correct_positions(body: PreTrainedModel, positions: Tensor, mask: Tensor) -> Tensor:
    """Return what to add to the embeddings, so that BART uses these positions.

    It adds the embeddings of positions itself, and counts padding on the left.

    Shapes:
        positions: (batch, length); mask: (batch, cached length + length)
        returns (batch, length, hidden)
    """
    table: Any = body.embed_positions
    counted = torch.arange(mask.shape[1], device=mask.device)[-positions.shape[1] :]
    weight: Tensor = table.weight
    rows = nn.functional.embedding(positions + table.offset, weight)
    correction: Tensor = rows - nn.functional.embedding(counted + table.offset, weight)
    return correction


def _bias_of(whole: PreTrainedModel) -> Tensor:
    """Return the bias of a language model's logits, (vocab,); zeros if it has none."""
    head = whole.get_output_embeddings()
    bias: Tensor = head.weight.new_zeros(len(head.weight))
    if head.bias is not None:
        bias = bias + head.bias
    outer = dict(whole.named_buffers()).get("final_logits_bias")
    if outer is not None:
        bias = bias + outer.flatten()
    return bias
