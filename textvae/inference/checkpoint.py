"""Load a trained model and its tokenizer from a folder, and save them to one."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase

from textvae.data.encoder_tokenizer import ENCODER_TOKENIZER, EncoderTokenizer
from textvae.data.tokenization import read_tokenizer
from textvae.errors import CheckpointError, ConfigError, TextVAEError
from textvae.inference.bundle import Bundle
from textvae.inference.model_folder import WEIGHTS_FILE, check_model_folder
from textvae.inference.settings import DecodingSettings
from textvae.model.modeling import TextVAEModel
from textvae.runtime.device import choose_device
from textvae.runtime.files import let_others_read
from textvae.runtime.libraries import hide_loading_bars
from textvae.schema import validate_settings

# Options of the verbs that the file cannot have: transformers does not know the seed and words,
# and the others would change what a verb returns.
_NOT_IN_FILE = {
    "seed",
    "do_sample",
    "bad_words",
    "num_return_sequences",
    "stop_strings",
    "watermarking_config",
}
# Entries of the file that decoding does not use, whatever they are.
_UNUSED_OPTIONS = ("transformers_version", "max_length", "use_cache", "do_sample")
_SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id")


@hide_loading_bars()
def load_bundle(folder: str | Path, device: str | None = None) -> Bundle:
    """Load a trained model and its tokenizer.

    Raises:
        CheckpointError: the folder is missing, is damaged, or does not hold a text VAE.
    """
    path = Path(folder)
    check_model_folder(path)
    try:
        # Without `ignore_mismatched_sizes`, transformers raises its own error for weights of
        # another size. With it, the report lists them like the missing ones.
        model, report = TextVAEModel.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        tokenizer = read_tokenizer(path)
        encoder_tokenizer = EncoderTokenizer.read(path / ENCODER_TOKENIZER)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path / WEIGHTS_FILE}: is damaged or cut short ({error}); copy it again."
        ) from error
    except TextVAEError as error:
        # Its config describes no model, or a base that it needs is missing.
        raise CheckpointError(f"{path}: cannot be loaded: {error}") from error
    except Exception as error:
        # The libraries, and the packages that a file needs, raise errors without a common base.
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":. ")
        raise CheckpointError(
            f"{path}: cannot be loaded ({reason}). Copy the whole folder again, or train again."
        ) from error
    if model.encoder.has_own_tokens and encoder_tokenizer is None:
        raise CheckpointError(
            f"{path}: has no {ENCODER_TOKENIZER}, the tokenizer of its encoder. "
            "Copy the whole folder again."
        )
    _check_weights(path, report)
    _check_finite(path, model)
    _check_tokenizer(path, model, tokenizer)
    _check_generation_config(path, model)
    if not model.encoder.has_own_tokens:
        encoder_tokenizer = None  # the file is that of a model which this one has replaced
    return Bundle(model.to(choose_device(device)).eval(), tokenizer, encoder_tokenizer)


@hide_loading_bars()
def save_bundle(bundle: Bundle, folder: str | Path, weights: dict[str, Any] | None = None) -> None:
    """Save the model, its tokenizer and its generation settings as safetensors and JSON.

    Args:
        weights: the full weights of a sharded model, whose own parameters are only a part.
    """
    bundle.model.save_pretrained(str(folder), state_dict=weights)
    for file in Path(folder).glob("*.safetensors"):
        let_others_read(file)
    bundle.tokenizer.save_pretrained(str(folder))
    if bundle.encoder_tokenizer is not None:
        bundle.encoder_tokenizer.save(Path(folder) / ENCODER_TOKENIZER)


def _check_weights(path: Path, report: dict[str, Any]) -> None:
    """Refuse weights that do not fit the config, which transformers would initialize at random.

    Raises:
        CheckpointError: weights are missing or have another size.
    """
    mismatched = report.get("mismatched_keys") or []
    missing = sorted([*report["missing_keys"], *(str(key) for key in mismatched)])
    if missing:
        raise CheckpointError(
            f"{path / WEIGHTS_FILE}: does not match config.json; missing or of another size: "
            f"{', '.join(missing[:3])}. Copy the whole folder again."
        )


def _check_finite(path: Path, model: TextVAEModel) -> None:
    """Refuse weights that are infinite or NaN, which would make every output meaningless.

    Raises:
        CheckpointError: some are; the message names the first tensor.
    """
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(
                f"{path / WEIGHTS_FILE}: {name} holds numbers that are not finite, so its "
                "training diverged. Train again, with a lower training.learning_rate."
            )


def _check_tokenizer(path: Path, model: TextVAEModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse the tokenizer of another model, whose tokens would stand for other words.

    Raises:
        CheckpointError: its size or one of its special tokens differs from the model's.
    """
    advice = "it belongs to another model, or is damaged. Copy the whole folder again."
    config = model.config
    if len(tokenizer) != config.vocab_size:
        raise CheckpointError(
            f"{path / 'tokenizer.json'}: has {len(tokenizer):,} tokens, and the model "
            f"{config.vocab_size:,}: {advice}"
        )
    for name in _SPECIAL_TOKENS:
        found = getattr(tokenizer, name)
        expected = getattr(config, name)
        if found is None or found != expected:
            raise CheckpointError(
                f"{path}: its tokenizer has the {name} {found}, and the model {expected}: {advice}"
            )


def _check_generation_config(path: Path, model: TextVAEModel) -> None:
    """Refuse decoding options that no text can be written with.

    transformers replaces a missing or damaged file by options of its own, without a maximum
    length.

    Raises:
        CheckpointError: the file is missing or damaged, or an option is out of range.
    """
    file = path / "generation_config.json"
    config = model.generation_config
    if config.max_new_tokens is None:
        raise CheckpointError(
            f"{file}: is missing or damaged, or has no max_new_tokens. Copy the whole folder again."
        )
    names = DecodingSettings.model_fields.keys() - _NOT_IN_FILE
    values = {name: getattr(config, name, None) for name in names}
    try:
        options = validate_settings(DecodingSettings, values)
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error
    readable = model.decoder.max_length
    if readable is not None and (options.max_new_tokens or 0) > readable:
        raise CheckpointError(
            f"{file}: max_new_tokens = {options.max_new_tokens}, but the decoder has positions for "
            f"{readable} new tokens."
        )
    for name in _SPECIAL_TOKENS:
        found = getattr(config, name, None)
        expected = getattr(model.config, name)
        if type(found) is not int or found != expected:
            raise CheckpointError(
                f"{file}: has the {name} {found!r}, and the model {expected}. "
                "Copy the whole folder again."
            )
    for name, value in config.to_dict().items():
        is_known = name in (*values, *_SPECIAL_TOKENS, *_UNUSED_OPTIONS) or name.startswith("_")
        # Releases of transformers that write all options write these for those that are not used.
        is_used = value is True or value not in (None, 0, 1)  # False equals 0
        if not is_known and is_used:
            raise CheckpointError(
                f"{file}: textvae does not decode with {name} = {value!r}; remove it."
            )
