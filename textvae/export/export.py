"""Export a model to a folder that encodes and decodes without torch.

The folder has the encoder and one step of the decoder as ONNX files, the tokenizer, and runners in
Python and JavaScript; as a page, it has a web page in place of the Python runner. It appears whole
or not at all.
"""

import shutil
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from textvae.errors import ConfigError, OutputError
from textvae.export.description import describe_model, list_missing_options, require_tokenizer
from textvae.export.recurrent import build_decoder_graph, build_encoder_graph, list_state_names
from textvae.export.rounding import round_weights
from textvae.export.traced import list_cache_states, trace_decoder, trace_encoder
from textvae.inference.bundle import Bundle
from textvae.inference.encode import require_latent
from textvae.model.decoders.recurrent import RecurrentDecoder
from textvae.model.decoders.transformer import TransformerDecoder
from textvae.model.encoders.recurrent import RecurrentEncoder
from textvae.runtime.extras import check_installed
from textvae.runtime.files import clean_up_after_kill, new_folder, replace_folder, write_json
from textvae.uses.records import Export
from textvae.uses.settings import ExportFormat, ExportSettings

DESCRIPTION_FILE = "textvae.json"
_MODEL_FILES = (
    "encoder.onnx",
    "decoder.onnx",
    "tokenizer.json",
    "encoder_tokenizer.json",
    DESCRIPTION_FILE,
)
_RUNNER = "textvae_runner.py"
# package.json tells Node that the scripts are ES modules.
_SCRIPTS = ("textvae.js", "tokenizer.js", "onnx.js", "operators.js", "package.json")
_PAGE = ("index.html", "page.css", "page.js")
_KNOWN_FILES = {*_MODEL_FILES, _RUNNER, *_SCRIPTS, *_PAGE, ".DS_Store"}
# Python keeps the compiled runner in this folder once it has been imported.
_CACHE_FOLDER = "__pycache__"
_COMPILED_RUNNER = "textvae_runner.*.pyc"


def export(bundle: Bundle, folder: Path, settings: ExportSettings) -> Export:
    """Write a model to a folder, as `settings` say.

    Raises:
        ConfigError: a part of the model cannot be exported, or a package is missing.
        OutputError: the folder exists and is not an earlier export that may be replaced, or it
            cannot be written.
    """
    check_installed("export", "ONNX files", "onnx")
    _refuse_other_folder(folder, settings.overwrite)
    _check_model(bundle, settings.format)
    tokenizer = require_tokenizer(bundle)
    plain = replace(bundle, model=_copy_for_export(bundle))
    record = describe_model(plain, *_describe_start(plain))
    graphs = {"encoder.onnx": _build_encoder(plain), "decoder.onnx": _build_decoder(plain)}
    try:
        clean_up_after_kill(folder)
        with new_folder(folder) as staging:
            for name, graph in graphs.items():
                if settings.int8:
                    round_weights(graph)
                (staging / name).write_bytes(graph.SerializeToString())
            tokenizer.save(str(staging / "tokenizer.json"))
            if bundle.encoder_tokenizer is not None:
                bundle.encoder_tokenizer.save(staging / "encoder_tokenizer.json")
            write_json(staging / DESCRIPTION_FILE, record)
            _copy_programs(staging, settings.format)
            sizes = {file.name: file.stat().st_size for file in staging.iterdir()}
            _refuse_other_folder(folder, settings.overwrite)  # building may have taken long
            replace_folder(staging, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{folder}: cannot be written ({reason}); choose another folder."
        ) from error
    return Export(
        folder=str(folder),
        format=settings.format,
        model_bytes=sum(sizes[name] for name in graphs),
        total_bytes=sum(sizes.values()),
        notes=list_missing_options(bundle),
    )


def _refuse_other_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that is in use, unless it is an earlier export that may be replaced.

    Raises:
        OutputError: it is a file, it holds something else, or `overwrite` is False.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; name a new one.")
    names = {entry.name for entry in folder.iterdir()}
    others = _list_foreign_files(folder)
    if others or (names and DESCRIPTION_FILE not in names):
        shown = (others or sorted(names))[0]
        raise OutputError(f"{folder}: holds {shown}, which no export wrote; choose another folder.")
    if names and not overwrite:
        raise OutputError(
            f"{folder}: already holds an export; replace it with --overwrite (overwrite=True), or "
            "choose another folder."
        )


def _list_foreign_files(folder: Path) -> list[str]:
    """Return the names in a folder that neither an export nor the use of its runner leaves there."""
    foreign = []
    for entry in sorted(folder.iterdir()):
        if entry.name == _CACHE_FOLDER and entry.is_dir() and not entry.is_symlink():
            others = [file.name for file in entry.iterdir() if not _is_compiled_runner(file)]
            foreign += [f"{_CACHE_FOLDER}/{name}" for name in sorted(others)]
        elif entry.name not in _KNOWN_FILES:
            foreign.append(entry.name)
    return foreign


def _is_compiled_runner(file: Path) -> bool:
    """Return whether a file is one that Python writes when it imports the runner."""
    return file.match(_COMPILED_RUNNER) and file.is_file() and not file.is_symlink()


def _check_model(bundle: Bundle, file_format: ExportFormat) -> None:
    """Refuse a model that has no latent, no label where it needs one, or parts that have no graph.

    Raises:
        ConfigError: a part cannot be exported; the message says what would do.
    """
    require_latent(bundle)
    model = bundle.model
    if bundle.labels is not None and bundle.fixed_label_id is None:
        raise ConfigError(
            "this model was trained with labels, and an export has one of them: choose it with "
            "--label NAME, or with vae.with_label(NAME).export(...)."
        )
    kind = (model.config.decoder_settings or {}).get("kind")
    if not isinstance(model.decoder, RecurrentDecoder | TransformerDecoder):
        raise ConfigError(
            f"model.decoder.kind = {kind!r} cannot be exported: expected lstm, gru or transformer. "
            "Use the run itself, or train with one of these decoders."
        )
    if file_format == "page" and not _is_recurrent(bundle):
        raise ConfigError(
            "a page computes recurrent models only, and this run's encoder or decoder is none: "
            "export it with format = onnx, and run it with onnxruntime-web."
        )
    if not _is_recurrent(bundle):
        check_installed("export", "ONNX files of transformers", "onnxscript")


def _is_recurrent(bundle: Bundle) -> bool:
    """Return whether encoder and decoder are both recurrent, so that both graphs are built by hand."""
    model = bundle.model
    return isinstance(model.encoder, RecurrentEncoder) and isinstance(
        model.decoder, RecurrentDecoder
    )


def _copy_for_export(bundle: Bundle) -> Any:
    """Return the model on the CPU, in single precision, with adapters merged."""
    model = bundle.model.copy_without_bases()
    return model.to("cpu", torch.float32).eval()


def _describe_start(bundle: Bundle) -> tuple[list[int], dict[str, list[int | str]]]:
    """Return the ids that the decoder reads first, and the shapes of its states."""
    decoder: Any = bundle.model.decoder
    vocab = bundle.model.config.vocab_size
    if isinstance(decoder, TransformerDecoder):
        prefix = [vocab + slot for slot in range(decoder.prefix)]
        return [*prefix, bundle.tokenizer.bos_token_id], list_cache_states(decoder)
    shape: list[int | str] = [1, "batch", decoder.hidden]
    names = [name for layer in range(decoder.layers) for name in list_state_names(decoder, layer)]
    return [vocab], dict.fromkeys(names, shape)


@torch.no_grad()
def _build_encoder(bundle: Bundle) -> Any:
    """Return the encoder as an `onnx.ModelProto`."""
    if isinstance(bundle.model.encoder, RecurrentEncoder):
        return build_encoder_graph(bundle.model)
    return trace_encoder(bundle.model)


@torch.no_grad()
def _build_decoder(bundle: Bundle) -> Any:
    """Return one step of the decoder as an `onnx.ModelProto`."""
    if isinstance(bundle.model.decoder, RecurrentDecoder):
        return build_decoder_graph(bundle)
    return trace_decoder(bundle)


def _copy_programs(staging: Path, file_format: ExportFormat) -> None:
    """Copy the runners, or the page, into the folder."""
    package = files("textvae.export")
    sources = {name: package / "web" / name for name in _SCRIPTS}
    if file_format == "page":
        sources |= {name: package / "web" / name for name in _PAGE}
    else:
        sources[_RUNNER] = package / "runner.py"
    for name, source in sources.items():
        with as_file(source) as file:
            shutil.copyfile(file, staging / name)
