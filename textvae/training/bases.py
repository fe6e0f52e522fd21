"""The bases of a new run: found, checked and described before anything is computed."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from textvae.data.base_tokenizers import check_decoder_tokenizer
from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.labels import Labels
from textvae.data.tokenization import TokenizerSettings, read_users_tokenizer
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.messages import print_note
from textvae.model.bases.language_model import select_decoder
from textvae.model.bases.lora import Trained, check_peft
from textvae.model.bases.memory import check_memory
from textvae.model.bases.pooling import check_plain_texts, describe_pooling
from textvae.model.bases.quantization import Bits, check_quantization
from textvae.model.bases.roles import check_decoder, check_encoder, check_vocabulary
from textvae.model.bases.settings import BaseSettings, PretrainedSettings
from textvae.model.bases.source import Base, find_base
from textvae.model.building import OpenedBases, check_parts, choose_conditioning, open_bases
from textvae.model.decoders.base import AUTO
from textvae.model.decoders.key_value_memory import can_have_memory
from textvae.model.decoders.pretrained import PretrainedDecoderSettings
from textvae.model.decoders.side_tuned import SideTunedDecoderSettings
from textvae.model.encoders.pretrained import (
    PretrainedEncoder,
    PretrainedEncoderSettings,
    check_sentence_states,
)
from textvae.schema import PartSettings
from textvae.settings.run import Settings
from textvae.training.tokenizer_source import locate_saved_tokenizer

_FLOAT32_BYTES = 4
_ENCODER = "model.encoder.name"
_DECODER = "model.decoder.name"

# Stand for the labels of a corpus before it is read.
_UNREAD_LABELS = ("one", "other")

# An encoder may have more tokens for a text than the decoder, which cuts it at data.max_tokens.
_ENCODER_TOKENS_PER_TOKEN = 2
_MOST_ENCODER_TOKENS = 8192  # that an encoder reads only because its base has no lower limit
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
    """The pretrained models that the parts of a run start from; None for a part without one.

    Attributes:
        opened: their weights, loaded for the model; None if the model exists already.
    """

    encoder: Base | None
    decoder: Base | None
    opened: OpenedBases | None = None

    def fit_to_corpus(self, sentences: int) -> "Bases":
        """Return the bases with numbers in place of every `auto` in the settings of their parts.

        Args:
            sentences: how many there are to train on.
        """
        opened = self.opened
        if opened is None:
            return self
        encoder_settings = opened.encoder_settings.fit_to_corpus(sentences)
        decoder_settings = opened.decoder_settings.fit_to_corpus(sentences)
        opened = replace(
            opened, encoder_settings=encoder_settings, decoder_settings=decoder_settings
        )
        return replace(self, opened=opened)

    def locate_tokenizer(self, settings: TokenizerSettings) -> TokenizerSettings:
        """Return the settings of the tokenizer, with the path of a pretrained decoder's or a saved one.

        Raises:
            ConfigError: a saved tokenizer is missing, or cannot be used.
        """
        if self.decoder is None:
            return locate_saved_tokenizer(settings)
        return settings.model_copy(update={"path": str(self.decoder.folder)})

    def load_encoder_tokenizer(
        self, max_tokens: int, *, is_whole: bool = False
    ) -> EncoderTokenizer | None:
        """Return the tokenizer of a pretrained encoder, or None.

        Args:
            max_tokens: the most tokens of a text for the decoder.
            is_whole: whether the encoder reads a text as far as its base does, for the sentence
                embeddings of its base, and not only as far as the decoder writes it.

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
        ]
        if not is_whole or min(limits) > _MOST_ENCODER_TOKENS:
            limits.append(_count_encoder_tokens(max_tokens))
        return EncoderTokenizer.from_base(tokenizer, int(min(limits)))

    def report(self) -> None:
        """Print a note about each base: its name, its size and its license."""
        for role, base in (("encoder", self.encoder), ("decoder", self.decoder)):
            if base is not None:
                print_note(
                    f"the {role} starts from {base.name}: {base.parameters / 1e6:,.1f} million "
                    f"parameters, {base.bytes / 1e6:,.0f} MB, license "
                    f"{base.license or 'not stated'}."
                )


def open_run_bases(settings: Settings, device: torch.device) -> tuple[Bases, Settings]:
    """Return the bases of a run, and its settings with what depends on the bases in them.

    Everything that can be checked without the corpus is checked here, since preparing a large
    corpus takes long.

    Raises:
        ConfigError: a base cannot be used, or settings of the model do not go together.
    """
    _refuse_ineffective(settings)
    bases = find_bases(settings, device)
    is_conditioning_chosen = settings.model.conditioning != AUTO
    settings = _choose_auto(settings, bases.decoder)
    if bases.decoder is not None:
        check_positions(settings, bases.decoder.config)
        check_decoder_tokenizer(bases.locate_tokenizer(settings.tokenizer))
    is_language_model = settings.objective.kind == "language_model"
    opened = open_bases(settings.model, is_language_model=is_language_model)
    settings = _replace_impossible_memory(settings, opened, is_chosen=is_conditioning_chosen)
    labels = None
    if settings.data.label is not None:
        labels = Labels(settings.data.label, _UNREAD_LABELS, (1,) * len(_UNREAD_LABELS))
    check_parts(
        settings.model,
        opened,
        labels=labels,
        is_language_model=is_language_model,
        device=device,
    )
    bases.report()
    return replace(bases, opened=opened), settings


def _choose_auto(settings: Settings, decoder: Base | None) -> Settings:
    """Return the settings with what depends on the decoder's base in place of `auto`."""
    chosen = choose_conditioning(settings.model, None if decoder is None else decoder.config)
    model = settings.model.model_copy(update={"conditioning": chosen})
    return settings.model_copy(update={"model": model})


def _refuse_ineffective(settings: Settings) -> None:
    """Refuse settings without effect on a pretrained encoder.

    Settings of saved runs are not refused: earlier releases accepted these.

    Raises:
        ConfigError: there is dropout for an LSTM that is not there, or a technique that shapes
            states which nothing trains.
    """
    encoder = settings.model.encoder
    if not isinstance(encoder, PretrainedEncoderSettings):
        return
    if not encoder.lstm and encoder.dropout not in (0, "auto"):
        raise ConfigError(
            f"model.encoder.dropout = {encoder.dropout} is applied to the states that the LSTM of "
            "the encoder reads, and it has no LSTM: leave it out, or set model.encoder.lstm."
        )
    if not encoder.has_trained_states and "word_similarity" in settings.objective.techniques:
        raise ConfigError(
            "objective.techniques.word_similarity shapes the states of the encoder, and with "
            "model.encoder.train = 'none' they do not change: leave the technique out, train "
            "the encoder (train = lora), or set model.encoder.lstm."
        )


def _replace_impossible_memory(
    settings: Settings, opened: OpenedBases, *, is_chosen: bool
) -> Settings:
    """Return the settings with a prefix in place of a memory that the decoder's base cannot have.

    Args:
        is_chosen: whether the user chose the conditioning.

    Raises:
        ConfigError: the user chose the memory.
    """
    names = settings.model.conditioning
    base = opened.decoder
    if "memory" not in names or base is None or base.config.is_encoder_decoder:
        return settings
    # The states of rounded layers depend on the whole batch, so a comparison would say little.
    if _get_bits(settings.model.decoder) or can_have_memory(select_decoder(base)):
        return settings
    model_type = base.config.model_type
    if is_chosen:
        raise ConfigError(
            f"model.conditioning: a {model_type} model cannot attend to a memory, because its "
            "layers do not keep keys and values as others do. Use prefix in place of memory."
        )
    names = tuple("prefix" if name == "memory" else name for name in names)
    print_note(
        f"z conditions the decoder by {' and '.join(names)}, since a {model_type} model cannot "
        "attend to a memory."
    )
    model = settings.model.model_copy(update={"conditioning": names})
    return settings.model_copy(update={"model": model})


def find_bases(settings: Settings, device: torch.device) -> Bases:
    """Return the bases of a run after checking that they fit their roles and the memory.

    Raises:
        ConfigError: a base is missing, cannot take its role, or needs too much memory.
    """
    _check_bits(settings.model.decoder, device)
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
    return Bases(encoder, decoder)


def lengthen_encoder_tokenizer(
    initial: Bundle, max_tokens: int, max_tokens_before: int
) -> EncoderTokenizer | None:
    """Return the encoder's tokenizer of an existing model, for sentences that may be longer.

    Args:
        initial: the model to start from (--init).
        max_tokens: the most tokens of a text for the decoder, in the new run.
        max_tokens_before: the same in the run of the model.
    """
    tokenizer = initial.encoder_tokenizer
    encoder = initial.model.encoder
    if tokenizer is None or not isinstance(encoder, PretrainedEncoder):
        return tokenizer
    limit = tokenizer.max_length
    if limit is None or limit < _count_encoder_tokens(max_tokens_before):
        return tokenizer  # the base itself has no room for more
    pooling = encoder.pooling
    limits = [
        _count_positions(encoder.body.config) or math.inf,
        (pooling.max_length if pooling else None) or math.inf,
        _count_encoder_tokens(max_tokens),
    ]
    return tokenizer.truncate_at(max(limit, int(min(limits))))


def _count_encoder_tokens(max_tokens: int) -> int:
    """Return the room for an encoder's tokens of a text of that many tokens for the decoder."""
    return _ENCODER_TOKENS_PER_TOKEN * max_tokens + _SPECIAL_TOKENS


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
    if part.is_embedder:
        tokenizer = _read_tokenizer(base, _ENCODER)
        check_plain_texts(
            base.folder, is_cased=tokenizer("Aa")["input_ids"] != tokenizer("aa")["input_ids"]
        )


def _count_positions(config: PreTrainedConfig) -> int | None:
    """Return the most tokens of a text; None if there is no limit, as with T5's relative positions."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _COUNT_FROM_PADDING:
        positions -= config.pad_token_id + 1
    return positions


def _check_bits(decoder: PartSettings, device: torch.device) -> None:
    """Check that the weights of a decoder can be rounded, if they should be.

    Raises:
        ConfigError: they cannot on this machine.
    """
    bits = _get_bits(decoder)
    if bits is not None:
        check_quantization(bits, _DECODER.removesuffix(".name"), device.type)


def _get_bits(part: PartSettings) -> Bits | None:
    """Return to how many bits the weights of a part are rounded, or None."""
    if isinstance(part, PretrainedDecoderSettings | SideTunedDecoderSettings):
        return part.bits
    return None


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
    bits = _get_bits(part)
    further: dict[str, Any] = {} if bits is None else {"bits": bits}
    if isinstance(part, SideTunedDecoderSettings):
        further["depth_with_gradients"] = 0.0  # they pass only through the LSTM at its side
    elif isinstance(part, PretrainedDecoderSettings):
        further["depth_with_gradients"] = 1 - part.entry
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
        **further,
    )
