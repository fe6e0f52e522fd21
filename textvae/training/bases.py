"""The bases of a new run: found, checked and described before anything is computed."""

import math
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.row_report import print_note
from textvae.data.tokenization import TokenizerSettings, read_users_tokenizer
from textvae.errors import ConfigError
from textvae.model.bases.lora import Trained, check_peft
from textvae.model.bases.memory import check_memory
from textvae.model.bases.pooling import describe_pooling
from textvae.model.bases.roles import check_decoder, check_encoder, check_vocabulary
from textvae.model.bases.settings import BaseSettings, PretrainedSettings
from textvae.model.bases.source import Base, find_base
from textvae.model.decoders.pretrained import PretrainedDecoderSettings
from textvae.model.encoders.pretrained import PretrainedEncoderSettings, check_sentence_states
from textvae.schema import PartSettings
from textvae.settings.run import Settings

_FLOAT32_BYTES = 4
_ENCODER = "model.encoder.name"
_DECODER = "model.decoder.name"

# An encoder may have more tokens for a text than the decoder, which cuts it at data.max_tokens.
_ENCODER_TOKENS_PER_TOKEN = 2
_SPECIAL_TOKENS = 8
_START_AND_END = 2

# Their positions begin after the id of their padding token.
_COUNT_FROM_PADDING = (
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "longformer",
    "luke",
    "mluke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)


@dataclass(frozen=True)
class Bases:
    """The pretrained models that the parts of a run start from; None for a part without one."""

    encoder: Base | None
    decoder: Base | None

    def locate_tokenizer(self, settings: TokenizerSettings) -> TokenizerSettings:
        """Return the settings of the tokenizer, with the folder of a pretrained decoder's."""
        if self.decoder is None:
            return settings
        return settings.model_copy(update={"path": str(self.decoder.folder)})

    def load_encoder_tokenizer(self, max_tokens: int) -> EncoderTokenizer | None:
        """Return the tokenizer of a pretrained encoder, or None.

        Args:
            max_tokens: the most tokens of a text for the decoder.

        Raises:
            ConfigError: the base has no tokenizer that can be used.
        """
        base = self.encoder
        if base is None:
            return None
        tokenizer = _read_tokenizer(base, _ENCODER)
        pooling = describe_pooling(base.folder)
        limits = [
            tokenizer.model_max_length,
            _count_positions(base.config) or math.inf,
            (pooling.max_length if pooling else None) or math.inf,
            _ENCODER_TOKENS_PER_TOKEN * max_tokens + _SPECIAL_TOKENS,
        ]
        return EncoderTokenizer.from_base(tokenizer, int(min(limits)))


def find_bases(settings: Settings, device: torch.device) -> Bases:
    """Return the bases of a run after checking that they fit their roles and the memory.

    Raises:
        ConfigError: a base is missing, cannot take its role, or needs too much memory.
    """
    encoder = _find(settings.model.encoder, _ENCODER)
    decoder = _find(settings.model.decoder, _DECODER)
    if settings.objective.kind == "language_model":
        encoder = None
    reserved = 0
    if encoder is not None:
        check_encoder(encoder, _ENCODER)
        check_states(settings, encoder)
        _read_tokenizer(encoder, _ENCODER)
        reserved = _check_memory(encoder, settings, device, reserved, is_encoder=True)
    if decoder is not None:
        check_decoder(decoder, _DECODER)
        _read_tokenizer(decoder, _DECODER)
        _check_memory(decoder, settings, device, reserved, is_encoder=False)
        check_positions(settings, decoder.config)
    for role, base in (("encoder", encoder), ("decoder", decoder)):
        if base is not None:
            print_note(
                f"the {role} starts from {base.name}: {base.parameters / 1e6:,.1f} million "
                f"parameters, {base.bytes / 1e6:,.0f} MB, license {base.license or 'not stated'}."
            )
    return Bases(encoder, decoder)


def check_positions(settings: Settings, config: PreTrainedConfig) -> None:
    """Check that a pretrained decoder has positions for the longest sentence.

    Args:
        config: of the base, or of the layers that it consists of.

    Raises:
        ConfigError: there are too few; the message says how many are needed.
    """
    part = settings.model.decoder
    positions = _count_positions(config)
    if not isinstance(part, BaseSettings) or positions is None:
        return
    added = 0
    if isinstance(part, PretrainedDecoderSettings):
        if "prefix" in settings.model.conditioning:
            added += part.prefix
        if "memory" in settings.model.conditioning:
            added += part.slots
    needed = settings.data.max_tokens + _START_AND_END + added
    if positions < needed:
        for_z = f", {added} of them for z" if added else ""
        raise ConfigError(
            f"{_DECODER} = {part.name!r} ({config.model_type}) has {positions:,} positions, and "
            f"sentences of data.max_tokens = {settings.data.max_tokens:,} need {needed:,}{for_z}: "
            f"lower data.max_tokens to {max(0, positions - _START_AND_END - added):,} or less."
        )


def check_states(settings: Settings, base: Base) -> None:
    """Check that a base has sentence embeddings if these are what the encoder should return.

    Raises:
        ConfigError: it is no sentence encoder, or its files are damaged.
    """
    part = settings.model.encoder
    if not isinstance(part, PretrainedEncoderSettings):
        return
    check_sentence_states(part, describe_pooling(base.folder))


def _count_positions(config: PreTrainedConfig) -> int | None:
    """Return the most tokens of a text; None if there is no limit, as with T5's relative positions."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _COUNT_FROM_PADDING:
        positions -= config.pad_token_id + 1
    return positions


def _find(part: PartSettings, setting: str) -> Base | None:
    """Return the base of a part, or None for a part that starts from random weights."""
    if not isinstance(part, BaseSettings):
        return None
    if part.base is not None:
        raise ConfigError(
            f"{setting.removesuffix('.name')}.base is filled in when the model is built: "
            "leave it out."
        )
    if isinstance(part, PretrainedSettings) and part.train == "lora":
        check_peft(setting.removesuffix(".name"))
    return find_base(part.name, setting, part.revision)


def _read_tokenizer(base: Base, setting: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a base, unchanged.

    Raises:
        ConfigError: the base has none, or that of another model.
    """
    tokenizer = read_users_tokenizer(base.folder, f"{setting} = {base.name!r}")
    check_vocabulary(base, tokenizer, setting)
    return tokenizer


def _check_memory(
    base: Base, settings: Settings, device: torch.device, reserved: int, *, is_encoder: bool
) -> int:
    """Refuse a base that does not fit into the memory; return the bytes that it needs."""
    part = settings.model.encoder if is_encoder else settings.model.decoder
    trains: Trained = "none"
    lora_rank = 0
    if isinstance(part, PretrainedSettings):
        trains = part.train
        lora_rank = part.lora.rank
    return check_memory(
        base,
        _ENCODER if is_encoder else _DECODER,
        device,
        reserved=reserved,
        role="encoder" if is_encoder else "decoder",
        trains=trains,
        dtype_bytes=_FLOAT32_BYTES,
        batch_tokens=settings.training.batch_tokens,
        lora_rank=lora_rank,
    )
