"""The launcher: from a corpus and settings to a trained run folder.

First everything that can be refused is tried in a folder beside the run's own;
only then does the run folder appear, whole, and training begins.
"""

import errno
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from transformers import PrinterCallback, TrainingArguments
from transformers.integrations import TensorBoardCallback
from transformers.utils import logging as transformers_logging

from textvae.batching import LengthBuckets
from textvae.bundle import Bundle, choose_device, load_bundle, save_bundle
from textvae.card import write_card
from textvae.configuration import TextVAEConfig
from textvae.corpus import column, prepare
from textvae.errors import CheckpointError, ConfigError, DataError, OutputError
from textvae.evaluation import evaluate
from textvae.measures import QUICK
from textvae.modeling import TextVAEModel
from textvae.objective import Objective
from textvae.recipe import resolved
from textvae.run import Run
from textvae.settings import Settings, read_settings
from textvae.sources import SPLIT_NAMES, Rows
from textvae.techniques import Facts
from textvae.tokenization import build_tokenizer
from textvae.training import checkpoints
from textvae.training.callbacks import ConsoleCallback, PlanCallback
from textvae.training.plan import Plan
from textvae.training.settings import TrainingSettings
from textvae.training.trainer import VAETrainer
from textvae.vae import TextVAE

NEVER = 10**9  # steps: looks and checkpoints come when the plan says
INIT = "init"  # inside a run: the model it started from, with --init


def train(
    corpus: str | Path | Iterable[str] | datasets.Dataset | datasets.DatasetDict | None = None,
    output: str | Path = "runs/vae",
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    init: str | Path | None = None,
    device: str | None = None,
    **sections: Mapping[str, Any],
) -> TextVAE:
    """Train a text VAE and return it.

    Args:
        corpus: a path or name as on the command line, or the sentences themselves.
        output: the run folder.
        config, overrides, sections: settings, as a YAML file, as `section.key=value`, as mappings.
        resume: go on with an interrupted run; its settings stand.
        overwrite: replace a run that stands at `output`.
        init: a run whose model and tokenizer to start from.
        device: cpu or cuda; by default a GPU if there is one.

    Raises:
        TextVAEError: something was refused; nothing is then left half-written.
    """
    run = Run(Path(output))
    target = choose_device(device)
    quiet_libraries()
    with full_disk_explained(run.folder):
        if resume:
            refuse_changes(run, corpus, config, overrides, init, sections)
        else:
            named = {"data": {"corpus": str(corpus)}} if isinstance(corpus, str | Path) else {}
            base = inherited(Run(Path(init))) if init else {}
            settings = read_settings(config, list(overrides), base, **{**sections, **named})
            given = None if named or corpus is None else rows_of_object(corpus, settings.data.text_column)
            on_first_process(target, lambda: set_up(run, settings, given, init, overwrite))
        if not run.is_finished:
            fit(run, target)
    return TextVAE.from_pretrained(run.folder, device)


def quiet_libraries() -> None:
    """Leave the terminal to our own bar."""
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn a write that failed into a message; half-written checkpoints are swept away."""
    try:
        yield
    except OSError as error:
        checkpoints.sweep(folder)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"{folder}: the disk is full. Make room, then go on with --resume.") from error
        raise OutputError(f"{folder}: cannot be written: {error}") from error


def on_first_process(device: torch.device, work: Any) -> None:
    """Do the work once, while the other processes of a distributed launch wait."""
    state = PartialState(cpu=device.type == "cpu")
    if state.is_main_process:
        work()
    state.wait_for_everyone()


def refuse_changes(run: Run, *changes: Any) -> None:
    """Refuse what would change a resumed run: it keeps its settings.

    Raises:
        CheckpointError: there is no such run.
        ConfigError: settings were given as well.
    """
    if not run.folder.is_dir():
        raise CheckpointError(f"{run.folder}: there is no run to resume; leave --resume out to start one.")
    _ = run.settings
    if any(changes):
        raise ConfigError("a resumed run keeps its corpus and settings; give --output and --resume alone.")


def inherited(run: Run) -> dict[str, Any]:
    """Return the settings a run started from another must share with it."""
    settings = run.settings.model_dump(mode="json")
    return {"model": settings["model"], "tokenizer": settings["tokenizer"]}


def rows_of_object(corpus: Any, text_column: str) -> dict[str, Rows]:
    """Return the rows of sentences, of a data set, or of a mapping from splits to either, given from Python."""
    if isinstance(corpus, Mapping):
        unknown = [split for split in corpus if split not in SPLIT_NAMES]
        if unknown or "train" not in corpus:
            raise DataError(f"the splits given are {', '.join(map(str, corpus))}; wanted are train, validation, test.")
        return {SPLIT_NAMES[split]: rows_of_object(part, text_column)["train"] for split, part in corpus.items()}
    if isinstance(corpus, datasets.Dataset | datasets.IterableDataset):
        return {"train": lambda: iter(corpus)}
    sentences = list(corpus)
    return {"train": lambda: ({text_column: sentence} for sentence in sentences)}


def set_up(
    run: Run, settings: Settings, given: dict[str, Rows] | None, init: str | Path | None, overwrite: bool
) -> None:
    """Prepare corpus, tokenizer and first model beside the run folder, then give it its name.

    Raises:
        OutputError: another run, or something else, stands there.
    """
    folder = run.folder
    if folder.exists() and not overwrite and any(folder.iterdir() if folder.is_dir() else [folder]):
        what = "a run" if (folder / "settings.yaml").is_file() else "something"
        raise OutputError(
            f"{folder}: holds {what} already. Choose another --output, or --resume it, or --overwrite it."
        )
    beside = folder.with_name(f".{folder.name}.preparing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        prepare_run(Run(beside), settings, given, init)
        if folder.exists():
            shutil.rmtree(folder)
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def prepare_run(run: Run, settings: Settings, given: dict[str, Rows] | None, init: str | Path | None) -> None:
    """Fill a run folder with all that training needs."""
    start = load_bundle(init, "cpu") if init else None

    def tokenizer_for(sentences: Iterator[str]) -> Any:
        return start.tokenizer if start else build_tokenizer(settings.tokenizer, sentences)

    tokenizer, counts = prepare(settings.data, settings.training.seed, run.folder / "corpus", tokenizer_for, given)
    train_counts = counts["tokenized"]["train"]
    settings = resolved(settings, train_counts["tokens"] / train_counts["sentences"])
    torch.manual_seed(settings.training.seed)
    model = start.model if start else build_model(settings, tokenizer)
    longest = max(column(run.split(split), "length").max() for split in ("train", "validation", "test"))
    model.generation_config.update(max_new_tokens=int(longest) + 1, do_sample=True, top_k=0)
    save_bundle(Bundle(model, tokenizer), run.folder / INIT)
    settings.save(run.folder / "settings.yaml")


def build_model(settings: Settings, tokenizer: Any) -> TextVAEModel:
    """Return the model the settings describe, with random weights."""
    parts = settings.model
    return TextVAEModel(
        TextVAEConfig(
            latent_dim=parts.latent_dim,
            vocab_size=len(tokenizer),
            encoder_vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            encoder=parts.encoder.model_dump(),
            writer=parts.decoder.model_dump(),
            posterior=parts.posterior.model_dump(),
            prior=parts.prior.model_dump(),
            conditioning=list(parts.conditioning),
        )
    )


def fit(run: Run, device: torch.device) -> None:
    """Train the run to its end, from its newest checkpoint if it has one."""
    settings = run.settings
    checkpoints.sweep(run.folder)
    bundle = load_bundle(run.folder / INIT, str(device))
    trainer = build_trainer(run, settings, bundle, device)
    done = checkpoints.checkpoints(run.folder)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    on_first_process(device, lambda: finish(run, trainer))


def build_trainer(run: Run, settings: Settings, bundle: Bundle, device: torch.device) -> VAETrainer:
    """Wire data, objective, plan and loop."""
    training, tokenizer = settings.training, bundle.tokenizer
    splits = {name: run.split(name) for name in ("train", "validation")}
    buckets = LengthBuckets(
        column(splits["train"], "length"), training.batch_tokens, training.batch_sentences, training.seed
    )
    blank = tokenizer.pad_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
    objective = Objective(settings.objective, Facts(settings.model.latent_dim, tokenizer.bos_token_id, blank))
    arguments = training_arguments(run, training, device)
    plan = Plan(training, -(-len(buckets) // (training.accumulate * arguments.world_size)))
    callbacks: list[Any] = [PlanCallback(plan, buckets, training.patience)]
    if "tensorboard" in training.trackers:
        callbacks.append(tensorboard(run.folder / "logs"))
    trainer = VAETrainer(bundle, objective, plan, buckets, splits, training, arguments, callbacks)
    trainer.remove_callback(PrinterCallback)
    if trainer.is_world_process_zero():
        trainer.add_callback(ConsoleCallback(plan, objective.kl_target))
    return trainer


def training_arguments(run: Run, training: TrainingSettings, device: torch.device) -> TrainingArguments:
    """Return the library's arguments: what our settings leave to it."""
    bounded = training.epochs is not None and training.max_minutes is None
    return TrainingArguments(
        output_dir=str(run.folder.resolve()),
        num_train_epochs=training.epochs
        if bounded
        else training.most_epochs
        if training.max_minutes is None
        else NEVER,
        max_steps=training.steps or -1,
        gradient_accumulation_steps=training.accumulate,
        max_grad_norm=training.max_grad_norm,
        bf16=bf16_pays(device) if training.bf16 == "auto" else training.bf16,
        use_cpu=device.type == "cpu",
        seed=training.seed,
        logging_strategy="steps",
        logging_steps=training.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=NEVER,
        save_strategy="steps",
        save_steps=NEVER,
        metric_for_best_model="selection",
        greater_is_better=False,
        load_best_model_at_end=True,
        remove_unused_columns=False,
        report_to=[name for name in training.trackers if name != "tensorboard"] or "none",
        disable_tqdm=True,
    )


def bf16_pays(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def tensorboard(folder: Path) -> TensorBoardCallback:
    """Return the library's TensorBoard callback, writing to `folder`."""
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoardCallback(SummaryWriter(str(folder)))


def finish(run: Run, trainer: VAETrainer) -> None:
    """Save the kept model at the run's root, with its card, and drop what only training needed."""
    trainer.model.eval()
    history = list(trainer.state.log_history)
    run.write("training.json", {"seconds": trainer.plan.seconds, "steps": trainer.plan.step, "history": history})
    record = evaluate(trainer.bundle, trainer.validation, measures=QUICK, kl_target=trainer.objective.kl_target)
    staged = run.folder / checkpoints.STAGING
    save_bundle(trainer.bundle, staged)
    write_card(run, TextVAE(trainer.bundle.model, trainer.bundle.tokenizer), record, "validation", staged)
    for file in sorted(staged.iterdir(), key=lambda file: file.suffix == ".safetensors"):  # the weights come last
        file.replace(run.folder / file.name)
    checkpoints.sweep(run.folder)
    checkpoints.keep_only(run.folder, set())
    shutil.rmtree(run.folder / INIT)
