"""Check before loading that a base can take its role: read text as an encoder, or write it as a decoder.

An encoder can be any text model that `AutoModel` builds, also a decoder-only one, as many
embedding models are, or the encoder of a T5 or BART model. A decoder needs causal attention, a
key-value cache and weights that project its states to the vocabulary; it can be the decoder of a T5
or BART model.
"""

from transformers import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING,
    MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING,
    MODEL_MAPPING,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from textvae.errors import ConfigError
from textvae.model.architectures import has_key_value_cache, is_causal
from textvae.model.bases.source import Base

_CAUSAL_EXAMPLES = (
    "name a causal language model, for instance openai-community/gpt2, "
    "HuggingFaceTB/SmolLM2-135M or Qwen/Qwen3-0.6B"
)
_TEXT_EXAMPLES = "name a model of text, for instance google-bert/bert-base-uncased"
# Parts of the names under which configs hold those of other inputs than text.
_MEDIA = ("vision", "image", "video", "audio", "speech", "codec")
# Where architectures keep the projection to the vocabulary if it is not the embedding's.
_OUTPUT_WEIGHTS = (
    "lm_head.weight",
    "lm_head.decoder.weight",
    "lm_head.out_proj.weight",
    "cls.predictions.decoder.weight",
    "generator_lm_head.weight",
    "output_projection.weight",
    "embed_out.weight",
)


def check_encoder(base: Base, setting: str) -> None:
    """Check that a base can encode texts.

    Args:
        setting: the key under which the user wrote the base's name, for messages.

    Raises:
        ConfigError: it takes pictures or sound, or has no encoder.
    """
    _find_text_model(base, setting, _TEXT_EXAMPLES)
    if base.config.is_encoder_decoder:
        _check_has_half(base, "encoder", setting)


def check_decoder(base: Base, setting: str) -> None:
    """Check that a base can generate text from left to right.

    Args:
        setting: the key under which the user wrote the base's name, for messages.

    Raises:
        ConfigError: it sees the tokens that it should predict, keeps no key-value cache, has no
            output weights, or takes pictures or sound.
    """
    model = _find_text_model(base, setting, _CAUSAL_EXAMPLES)
    label = _label(base, setting)
    if base.config.is_encoder_decoder:
        if type(base.config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            raise ConfigError(f"{label} does not generate text: {_CAUSAL_EXAMPLES}.")
        _check_has_half(base, "decoder", setting)
    elif not is_causal(base.config):
        raise ConfigError(
            f"{label} sees the tokens that it should predict, so it can only be an encoder: "
            f"{_CAUSAL_EXAMPLES}."
        )
    elif not has_key_value_cache(model, base.config):
        raise ConfigError(
            f"{label} keeps no key-value cache to continue a text from: {_CAUSAL_EXAMPLES}."
        )
    _check_has_output(base, label)


def check_vocabulary(base: Base, tokenizer: PreTrainedTokenizerBase, setting: str) -> None:
    """Check that the embedding of a base has a row for each token of its tokenizer.

    It may have more: many are padded to a round number. Check the tokenizer before special tokens
    that it lacks are added.

    Raises:
        ConfigError: the tokenizer has more tokens, so it belongs to another model.
    """
    rows = _count_embedding_rows(base.config)
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if rows is not None and largest >= rows:
        raise ConfigError(
            f"{_label(base, setting)}: its tokenizer has token ids up to {largest:,}, but its "
            f"embedding has {rows:,} rows (ids 0 to {rows - 1:,}). The tokenizer belongs to "
            "another model: copy the one of this model to its folder."
        )


def _label(base: Base, setting: str) -> str:
    """Return what begins a message: the setting, its value and the architecture."""
    return f"{setting} = {base.name!r} ({base.config.model_type})"


def _find_text_model(base: Base, setting: str, instead: str) -> type[PreTrainedModel]:
    """Return the class of a base without its head.

    Raises:
        ConfigError: transformers has no such class, or it takes or makes more than text.
    """
    label = _label(base, setting)
    kind = type(base.config)
    try:
        found = MODEL_MAPPING[kind]
        # A few architectures have a second class for the same config.
        model: type[PreTrainedModel] = found[0] if isinstance(found, tuple) else found
        modalities = model.input_modalities
    except (KeyError, ImportError, ValueError) as error:
        # Some models for pictures and sound need further packages.
        raise ConfigError(f"{label} is not a model that AutoModel builds: {instead}.") from error
    kinds = {modalities} if isinstance(modalities, str) else set(modalities)
    if any(word in part for word in _MEDIA for part in base.config.sub_configs):
        kinds.add("image or audio")
    speaks = (
        kind in MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING or kind in MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING
    )
    if kinds != {"text"} or model.main_input_name != "input_ids" or speaks:
        raise ConfigError(f"{label} is a model of images or sound, not of text alone: {instead}.")
    return model


def _check_has_half(base: Base, half: str, setting: str) -> None:
    """Check that the files of an encoder-decoder model have the weights of one of its halves.

    Raises:
        ConfigError: the files have only the other half.
    """
    if not any(f".{half}." in f".{name}" for name in base.shapes):
        raise ConfigError(
            f"{_label(base, setting)} has no weights of its {half} in its files: "
            "name the whole encoder-decoder model."
        )


def _check_has_output(base: Base, label: str) -> None:
    """Check that the files have the weights of the projection to the vocabulary.

    Raises:
        ConfigError: they are missing, and the embedding does not serve as output.
    """
    if getattr(base.config, "tie_word_embeddings", True):
        return
    if any(f".{name}".endswith(f".{end}") for name in base.shapes for end in _OUTPUT_WEIGHTS):
        return
    architectures = ", ".join(base.config.architectures or ["a model without a head"])
    raise ConfigError(
        f"{label} has no output weights (lm_head) in its files, which hold {architectures}; its "
        "config says that they differ from the embedding. Name the language model that it comes "
        f"from, or {_CAUSAL_EXAMPLES}."
    )


def _count_embedding_rows(config: PreTrainedConfig) -> int | None:
    """Return the size of the vocabulary, or None if the config has several."""
    rows = getattr(config, "vocab_size", None)
    return rows if isinstance(rows, int) else None
