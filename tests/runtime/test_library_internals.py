"""Internals of other libraries that textvae relies on: private names, and methods it overrides.

A release may rename one of them without notice, and a run could then break without
an error: nothing would call an override, or beam search would not find a cache. Each
entry says why textvae needs it. `make test-lowest` and `make test-newest` check them
with the lowest and the newest versions.
"""

import ast
import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import torch.distributed.distributed_c10d
import transformers
from transformers import Cache, GenerationMixin, PreTrainedModel, Trainer, TrainingArguments
from transformers.generation import utils as generation

import textvae
from textvae.model.architectures import CACHE_NAME
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.training.trainer import VAETrainer


@dataclass(frozen=True)
class Internal:
    """A function of another library: its first parameters, and why textvae relies on it."""

    owner: Any
    name: str
    parameters: str
    reason: str


# Methods of transformers that textvae overrides; transformers must still call them.
OVERRIDES = [
    Internal(
        Trainer,
        "_get_num_items_in_batch",
        "self batch_samples device",
        "counts sentences in place of tokens",
    ),
    Internal(
        Trainer, "_clip_grad_norm", "self model", "clips without a second pass over the gradients"
    ),
    Internal(
        Trainer,
        "_get_output_dir",
        "self trial",
        "stages a checkpoint under another name until it is whole",
    ),
    Internal(Trainer, "_save_checkpoint", "self model trial", "publishes checkpoints atomically"),
    Internal(
        Trainer,
        "_save",
        "self output_dir state_dict",
        "saves the bundle, without pickled arguments",
    ),
    Internal(
        Trainer,
        "_push_from_checkpoint",
        "self checkpoint_folder",
        "pushes a checkpoint without the corpus and pickled arguments",
    ),
    Internal(
        Trainer,
        "init_hf_repo",
        "self token private",
        "opens the repository on the first process alone, with our messages",
    ),
    Internal(
        Trainer,
        "_save_optimizer_and_scheduler",
        "self output_dir",
        "saves the state of the schedule and the techniques",
    ),
    Internal(
        Trainer,
        "_load_optimizer_and_scheduler",
        "self checkpoint",
        "resumes the schedule and the techniques",
    ),
    Internal(Trainer, "get_train_dataloader", "self", "makes batches by length, or reads a stream"),
    Internal(
        Trainer,
        "compute_loss",
        "self model inputs return_outputs num_items_in_batch",
        "returns the loss of the objective",
    ),
    Internal(
        Trainer, "compute_loss_context_manager", "self", "leaves mixed precision to the model"
    ),
    Internal(
        Trainer, "floating_point_ops", "self inputs", "skips a count that does not fit our inputs"
    ),
    Internal(Trainer, "create_optimizer", "self model", "builds parameter groups of our own"),
    Internal(
        Trainer,
        "create_scheduler",
        "self num_training_steps optimizer",
        "follows the training schedule",
    ),
    Internal(
        Trainer,
        "training_step",
        "self model inputs num_items_in_batch",
        "drops the gradients of what does not train while the posterior is refitted",
    ),
    Internal(
        Trainer,
        "log",
        "self logs start_time",
        "adds our metrics, and stops when the loss is not a number",
    ),
    Internal(
        GenerationMixin,
        "_prepare_cache_for_generation",
        "self generation_config model_kwargs",
        "makes the decoder's own cache",
    ),
    Internal(
        GenerationMixin,
        "prepare_inputs_for_generation",
        f"self input_ids next_sequence_length {CACHE_NAME} attention_mask",
        "passes z and the cache to each step",
    ),
    Internal(
        PreTrainedModel, "_init_weights", "self module", "keeps the weights that constructors set"
    ),
]
# Private or undocumented functions that textvae calls, and cache methods that `generate` calls.
CALLED = [
    Internal(
        Trainer,
        "_determine_best_metric",
        "self metrics trial",
        "lets the last model of a run that is finished early become the best one",
    ),
    Internal(
        Trainer,
        "_load_best_model",
        "self",
        "loads the best model of the main phase, from which the posterior is refitted",
    ),
    Internal(
        GenerationMixin,
        "_sample",
        "self input_ids logits_processor stopping_criteria generation_config",
        "decodes with a logits processor that keeps state for each row",
    ),
    Internal(Cache, "reorder_cache", "self beam_idx", "lets recurrent states follow their beams"),
    Internal(
        Cache,
        "get_seq_length",
        "self layer_idx",
        "returns how many tokens a recurrent state has read",
    ),
    Internal(Cache, "batch_select_indices", "self indices", "selects rows of a recurrent state"),
    Internal(Cache, "batch_repeat_interleave", "self repeats", "repeats rows of a recurrent state"),
    Internal(
        Cache,
        "crop",
        "self tokens_to_remove",
        "raises an error for a recurrent state, which cannot go back",
    ),
    Internal(Cache, "reset", "self", "empties a recurrent state"),
    Internal(datasets.Dataset, "__getitems__", "self keys", "reads a batch of rows at once"),
    Internal(
        torch.cpu,
        "_is_avx512_bf16_supported",
        "",
        "shows whether the CPU multiplies bf16 numbers in hardware",
    ),
    Internal(
        torch.cpu,
        "_is_amx_tile_supported",
        "",
        "shows whether the CPU multiplies bf16 numbers in hardware",
    ),
    Internal(
        torch.distributed.distributed_c10d,
        "_get_default_store",
        "",
        "lets one process report an error for all",
    ),
]
# Attributes that textvae sets or reads, with the source that must use them, and why.
ATTRIBUTES = {
    "_n_gpu": (
        TrainingArguments,
        "one GPU per process; otherwise Trainer splits batches over all visible GPUs",
    ),
    "_created_lr_scheduler": (
        inspect.getmodule(Trainer),
        "Trainer saves and steps the schedule that we created",
    ),
    "current_gradient_accumulation_steps": (
        inspect.getmodule(Trainer),
        "all sentences of an accumulated step have the same weight",
    ),
    "model_accepts_loss_kwargs": (
        inspect.getmodule(Trainer),
        "Trainer must not weight the loss by tokens",
    ),
    "is_fsdp_enabled": (
        inspect.getmodule(Trainer),
        "sharded weights are saved and measured differently",
    ),
    "model_wrapped": (inspect.getmodule(Trainer), "steps of the encoder alone also go through DDP"),
    "_supports_sdpa": (inspect.getmodule(PreTrainedModel), "attention takes the fast path"),
    "_is_hf_initialized": (
        inspect.getmodule(PreTrainedModel),
        "adapters start at zero; transformers would initialize them as other layers",
    ),
}
# Private names of the standard library, of scikit-learn, and of textvae itself.
ELSEWHERE = {
    "_attn_implementation": "transformers has no public name for the attention of a config",
    "_cast_input_dtype": "peft converts the inputs of its adapters so",
    "_replace": "the documented method of named tuples",
    "_version": "torch counts the changes of a tensor; a test of frozen layers relies on it",
    "_ActionsContainer": "argparse has no public name for a parser or a group",
    "_SubParsersAction": "argparse has no public name for it",
    "_actions": "argparse has no public list of a parser's options",
    "_group_actions": "argparse has no public list of a group's options",
    "_get_formatter": "argparse has no public name for the formatter of a help text",
    "_optionals": "argparse has no public name for the group of the options",
    "_ml_flow": "transformers' tracker keeps its library there",
    "_trackio": "transformers' tracker keeps its library there",
    "_wandb": "transformers' tracker keeps its library there",
    "_exit": "os._exit is documented",
    "_n_features_out": "scikit-learn's documented protocol",
}


def needed(entry: Internal) -> str:
    """Return the message for an entry that the installed versions no longer satisfy."""
    owner = getattr(entry.owner, "__name__", entry.owner)
    return (
        f"{owner}.{entry.name} differs in the installed version "
        f"(transformers {transformers.__version__}, datasets {datasets.__version__}, "
        f"torch {torch.__version__}). textvae needs it: it {entry.reason}."
    )


@pytest.mark.parametrize("entry", [*OVERRIDES, *CALLED], ids=lambda entry: entry.name)
def test_an_internal_function_has_the_parameters_we_rely_on(entry):
    """The first parameters have the expected names and order; others may follow."""
    assert hasattr(entry.owner, entry.name), needed(entry)
    expected = entry.parameters.split()
    found = list(inspect.signature(getattr(entry.owner, entry.name)).parameters)
    assert found[: len(expected)] == expected, f"{needed(entry)} Expected {expected}, got {found}."


@pytest.mark.parametrize("entry", OVERRIDES, ids=lambda entry: entry.name)
def test_the_library_still_calls_what_we_override(entry):
    """An override that nothing calls would have no effect, without an error."""
    module = generation if entry.owner is GenerationMixin else inspect.getmodule(entry.owner)
    assert module is not None
    assert f".{entry.name}(" in inspect.getsource(module), needed(entry)
    ours = VAETrainer if entry.owner is Trainer else TextVAEModel
    assert entry.name in vars(ours), (
        f"{ours.__name__} no longer overrides {entry.name}: remove it from this list."
    )


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_library_still_uses_the_attributes_we_set_or_read(name):
    """Setting an attribute that the library does not read has no effect."""
    source, reason = ATTRIBUTES[name]
    assert name in inspect.getsource(source), (
        f"{source.__name__} no longer uses {name}. textvae needs it: {reason}."
    )


def test_generate_looks_for_a_cache_under_the_name_we_give_it():
    """Beam search reorders only the first cache that it finds under its own list of names."""
    theirs = generation.ALL_CACHE_NAMES[0]
    assert theirs == CACHE_NAME, (
        f"transformers {transformers.__version__} calls a cache {theirs!r}, textvae calls it "
        f"{CACHE_NAME!r}: update textvae.model.architectures.CACHE_NAME, or beams lose their state."
    )
    assert "cache" in {field.name for field in fields(TextVAEOutput)}


def test_every_private_name_of_a_library_is_in_this_list():
    """A new use of a private name needs an entry that says why."""
    known = {entry.name for entry in (*OVERRIDES, *CALLED)} | ATTRIBUTES.keys() | ELSEWHERE.keys()
    paths = list(Path(textvae.__file__).parent.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    used: dict[str, str] = {}
    for path, tree in trees.items():
        known |= defined_names(tree)
        used |= dict.fromkeys(private_names(tree), path.name)
    assert {name: file for name, file in used.items() if name not in known} == {}


def defined_names(tree):
    """Return the functions, classes, methods and `self` attributes that a module defines."""
    names = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "self"
        ):
            names.add(node.attr)
    return names


def private_names(tree):
    """Return the private names that a module imports, or reads from other objects."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("textvae"):
            names += [alias.name for alias in node.names]
    return {name for name in names if name.startswith("_") and not name.startswith("__")}
