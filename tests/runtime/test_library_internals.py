"""What textvae uses of other libraries without their promise to keep it: private names, hooks that are overridden.

A release that renames one of them can break a run without an error: an override
that nothing calls, a cache that beam search does not find. Each entry says why
it is needed. `make test-lowest` and `make test-newest` check them at both ends.
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
from textvae.model.decoders.base import CACHE_NAME
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.training.trainer import VAETrainer


@dataclass(frozen=True)
class Internal:
    """A function of another library: its leading parameters, and what relies on it."""

    owner: Any
    name: str
    parameters: str
    reason: str


OVERRIDES = [  # methods of transformers that we replace, which it must still call
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
        "_save_optimizer_and_scheduler",
        "self output_dir",
        "saves the plan's and the techniques' state",
    ),
    Internal(
        Trainer,
        "_load_optimizer_and_scheduler",
        "self checkpoint",
        "resumes the plan and the techniques",
    ),
    Internal(Trainer, "get_train_dataloader", "self", "batches by length, or reads a stream"),
    Internal(
        Trainer,
        "compute_loss",
        "self model inputs return_outputs num_items_in_batch",
        "is the objective",
    ),
    Internal(
        Trainer, "compute_loss_context_manager", "self", "leaves mixed precision to the model"
    ),
    Internal(
        Trainer, "floating_point_ops", "self inputs", "skips a count that our inputs do not fit"
    ),
    Internal(Trainer, "create_optimizer", "self model", "builds parameter groups of our own"),
    Internal(Trainer, "create_scheduler", "self num_training_steps optimizer", "follows the plan"),
    Internal(
        Trainer,
        "log",
        "self logs start_time",
        "adds our figures and stops at a loss that is not a number",
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
CALLED = [  # private or undocumented functions that we call, and methods of a cache that `generate` calls
    Internal(
        GenerationMixin,
        "_sample",
        "self input_ids logits_processor stopping_criteria generation_config",
        "decodes where a processor may remember rows",
    ),
    Internal(Cache, "reorder_cache", "self beam_idx", "lets recurrent states follow their beams"),
    Internal(
        Cache,
        "get_seq_length",
        "self layer_idx",
        "tells how many tokens a recurrent state has read",
    ),
    Internal(Cache, "batch_select_indices", "self indices", "selects rows of a recurrent state"),
    Internal(Cache, "batch_repeat_interleave", "self repeats", "repeats rows of a recurrent state"),
    Internal(Cache, "crop", "self tokens_to_remove", "is refused by a recurrent state"),
    Internal(Cache, "reset", "self", "empties a recurrent state"),
    Internal(datasets.Dataset, "__getitems__", "self keys", "reads a batch of rows at once"),
    Internal(torch.cpu, "_is_avx512_bf16_supported", "", "tells where products in bf16 are fast"),
    Internal(torch.cpu, "_is_amx_tile_supported", "", "tells where products in bf16 are fast"),
    Internal(
        torch.distributed.distributed_c10d,
        "_get_default_store",
        "",
        "lets one process report an error for all",
    ),
]
ATTRIBUTES = {  # private attributes that we set or read: name, the library's source that must use it, and why
    "_n_gpu": (
        TrainingArguments,
        "one GPU per process; otherwise Trainer splits batches over all that it sees",
    ),
    "_created_lr_scheduler": (
        inspect.getmodule(Trainer),
        "Trainer saves and steps the schedule that we created",
    ),
    "current_gradient_accumulation_steps": (
        inspect.getmodule(Trainer),
        "sentences of an accumulated step count alike",
    ),
    "model_accepts_loss_kwargs": (
        inspect.getmodule(Trainer),
        "Trainer must not weigh the loss by tokens",
    ),
    "is_fsdp_enabled": (
        inspect.getmodule(Trainer),
        "sharded weights are saved and measured in another way",
    ),
    "model_wrapped": (inspect.getmodule(Trainer), "steps of the encoder alone go through DDP"),
    "_supports_sdpa": (inspect.getmodule(PreTrainedModel), "attention takes the fast path"),
}
ELSEWHERE = {  # private names of the standard library and of scikit-learn, and our own
    "_SubParsersAction": "argparse has no public name for it",
    "_exit": "os._exit is documented",
    "_n_features_out": "scikit-learn's documented protocol",
}


def needed(entry: Internal) -> str:
    """Return the message of an entry that no longer holds."""
    owner = getattr(entry.owner, "__name__", entry.owner)
    return (
        f"{owner}.{entry.name} differs in the installed version (transformers {transformers.__version__}, datasets "
        f"{datasets.__version__}, torch {torch.__version__}). textvae needs it: it {entry.reason}."
    )


@pytest.mark.parametrize("entry", [*OVERRIDES, *CALLED], ids=lambda entry: entry.name)
def test_an_internal_function_has_the_parameters_we_rely_on(entry):
    """Their names and their order are the expected ones; more may follow."""
    assert hasattr(entry.owner, entry.name), needed(entry)
    expected = entry.parameters.split()
    found = list(inspect.signature(getattr(entry.owner, entry.name)).parameters)
    assert found[: len(expected)] == expected, f"{needed(entry)} Expected {expected}, got {found}."


@pytest.mark.parametrize("entry", OVERRIDES, ids=lambda entry: entry.name)
def test_the_library_still_calls_what_we_override(entry):
    """An override that nothing calls would be ignored in silence."""
    module = generation if entry.owner is GenerationMixin else inspect.getmodule(entry.owner)
    assert f".{entry.name}(" in inspect.getsource(module), needed(entry)
    ours = VAETrainer if entry.owner is Trainer else TextVAEModel
    assert entry.name in vars(ours), (
        f"{ours.__name__} no longer overrides {entry.name}: remove it from this list."
    )


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_library_still_uses_the_attributes_we_set_or_read(name):
    """An attribute of another name would be set for nobody."""
    source, reason = ATTRIBUTES[name]
    assert name in inspect.getsource(source), (
        f"{source.__name__} no longer uses {name}. textvae needs it: {reason}."
    )


def test_generate_looks_for_a_cache_under_the_name_we_give_it():
    """Beam search reorders the first cache it finds under these names, and none other."""
    theirs = generation.ALL_CACHE_NAMES[0]
    assert theirs == CACHE_NAME, (
        f"transformers {transformers.__version__} calls a cache {theirs!r}, textvae calls it {CACHE_NAME!r}: "
        "update textvae.model.decoders.base.CACHE_NAME, or beams lose their states."
    )
    assert "cache" in {field.name for field in fields(TextVAEOutput)}


def test_every_private_name_of_a_library_is_in_this_list():
    """Whoever uses another one says here what needs it."""
    known = {entry.name for entry in (*OVERRIDES, *CALLED)} | ATTRIBUTES.keys() | ELSEWHERE.keys()
    paths = list(Path(textvae.__file__).parent.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    own = set().union(*(defined_names(tree) for tree in trees.values()))
    used = {name: path.name for path, tree in trees.items() for name in private_names(tree)}
    assert {name: used[name] for name in used if name not in known | own} == {}


def defined_names(tree):
    """Return the names that a module defines: functions, classes, methods, and the attributes it sets on `self`."""
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
    """Return the private names that a module reads from other objects or imports."""
    found = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        if not (node.module or "").startswith("textvae"):
            found += [alias.name for alias in node.names]
    return {name for name in found if name.startswith("_") and not name.startswith("__")}
