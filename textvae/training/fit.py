"""Fitting: wire a prepared run's data, objective, plan and loop, train it, and keep what shall last."""

import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import PrinterCallback, TrainingArguments
from transformers.integrations import TensorBoardCallback

from textvae.data.arrow import read_number_column
from textvae.data.streaming.loading import open_stream
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.objective.elbo import Objective
from textvae.objective.techniques import ModelFacts
from textvae.runs.run import Run
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import is_bf16_fast
from textvae.runtime.files import flush_to_disk
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.settings.run import Settings
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training.batch_shares import share_buckets
from textvae.training.callbacks import ConsoleCallback, ScheduleCallback
from textvae.training.encoder_training import EncoderTrainingCallback
from textvae.training.model_card import write_model_card
from textvae.training.preparation import INIT_FOLDER
from textvae.training.schedule import TrainingSchedule
from textvae.training.trainer import VAETrainer
from textvae.vae import TextVAE

_UNUSED_LOG_KEYS = (  # the library's, of a planned end, or of what was trained since the last interruption
    "train_samples_per_second",
    "train_steps_per_second",
    "total_flos",
    "train_loss",
    "train_runtime",
)


_NEVER_STEPS = 10**9  # steps: looks and checkpoints come when the plan says


def fit(run: Run, device: torch.device, processes: Processes) -> None:
    """Train the run to its end, from its newest checkpoint if it has one."""
    settings = run.read_settings()
    processes.run_on_first(lambda: checkpoints.remove_partial_checkpoints(run.folder))
    newest = checkpoints.checkpoint_to_resume(run.folder)
    if device.type == "cpu":
        keep_freed_memory()
    bundle = load_bundle(run.folder / INIT_FOLDER, str(device))
    if settings.training.compile:
        for part in (bundle.model.encoder, bundle.model.decoder):
            part.compile(dynamic=True)  # lengths and batches differ from step to step
    trainer = build_trainer(run, settings, bundle, device, processes)
    console = ConsoleCallback(trainer.schedule, trainer.objective.kl_target)
    if processes.is_first:
        _say_if_older(run.folder, newest)
        trainer.add_callback(console)
        if "tensorboard" in settings.training.trackers:
            trainer.add_callback(_build_tensorboard_callback(run.folder / "logs", newest))
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    finally:
        console.close()  # an error's message begins on a line of its own
        trainer.release_workers()
    evaluate_and_save(run, trainer, processes)


def build_trainer(
    run: Run,
    settings: Settings,
    bundle: Bundle,
    device: torch.device,
    processes: Processes = SINGLE_PROCESS,
) -> VAETrainer:
    """Wire data, objective, plan and loop."""
    training, tokenizer = settings.training, bundle.tokenizer
    arguments = _build_training_arguments(run, training, device)
    splits, stream, buckets = {"validation": run.open_split("validation")}, None, None
    if run.is_streamed():
        stream = open_stream(
            run.folder / "corpus",
            settings.data,
            tokenizer,
            seed=training.seed,
            batch_tokens=training.batch_tokens,
            batch_sentences=training.batch_sentences,
            workers=training.workers,
            rank=processes.rank,
            processes=processes.count,
        )
    else:
        splits["train"] = run.open_split("train")
        buckets = share_buckets(read_number_column(splits["train"], "length"), training, processes)
    blank = tokenizer.pad_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
    torch.manual_seed(training.seed)  # for techniques' own weights
    special = tokenizer.bos_token_id, blank, tokenizer.eos_token_id, tokenizer.pad_token_id
    facts = ModelFacts(bundle.model.config.latent_dim, len(tokenizer), *special)
    objective = Objective(settings.objective, facts)
    bundle.model.auxiliary = objective.modules.to(device)
    plan = TrainingSchedule(
        training,
        _NEVER_STEPS if buckets is None else -(-len(buckets) // training.accumulate),
        objective.pretraining_share,
    )
    callbacks: list[Any] = [ScheduleCallback(plan, buckets, training.patience, processes)]
    trainer = VAETrainer(
        bundle, objective, plan, buckets, splits, training, arguments, callbacks, processes, stream
    )
    trainer.add_callback(EncoderTrainingCallback(trainer))
    trainer.remove_callback(PrinterCallback)
    return trainer


def _build_training_arguments(
    run: Run, training: TrainingSettings, device: torch.device
) -> TrainingArguments:
    """Return the library's arguments: what our settings leave to it."""
    bounded = training.epochs is not None and training.max_minutes is None
    arguments = TrainingArguments(
        output_dir=str(run.folder.resolve()),
        num_train_epochs=training.epochs
        if bounded
        else training.most_epochs
        if training.max_minutes is None
        else _NEVER_STEPS,
        max_steps=training.steps or (_NEVER_STEPS if run.is_streamed() else -1),
        ignore_data_skip=run.is_streamed(),  # a stream goes on by itself
        gradient_accumulation_steps=training.accumulate,
        max_grad_norm=training.max_grad_norm,
        bf16=is_bf16_fast(device) if training.bf16 == "auto" else training.bf16,
        use_cpu=device.type == "cpu",
        ddp_find_unused_parameters=False,  # every part uses all of its parameters
        seed=training.seed,
        logging_strategy="steps",
        logging_steps=training.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=_NEVER_STEPS,
        save_strategy="steps",
        save_steps=_NEVER_STEPS,
        metric_for_best_model="selection",
        greater_is_better=False,
        load_best_model_at_end=True,
        remove_unused_columns=False,
        report_to=[name for name in training.trackers if name != "tensorboard"] or "none",
        disable_tqdm=True,
    )
    arguments._n_gpu = min(
        1, arguments.n_gpu
    )  # one GPU a process; the library would split batches over all it sees
    return arguments


def _say_if_older(run: Path, resumed: Path | None) -> None:
    """Say so where a run goes on from an older checkpoint because the newest is damaged."""
    found = checkpoints.list_checkpoints(run)
    if resumed is not None and resumed != found[-1]:
        broken = checkpoints.damage(found[-1])
        tqdm.write(
            f"warning: {broken} is missing or damaged; the run goes on from {resumed.name}.",
            file=sys.stderr,
        )


def _build_tensorboard_callback(folder: Path, resumed: Path | None) -> TensorBoardCallback:
    """Return the library's TensorBoard callback, writing to `folder`.

    Steps that were logged before an interruption and are taken again would be shown twice: TensorBoard is told
    to forget them.
    """
    from torch.utils.tensorboard import SummaryWriter

    step = 0 if resumed is None else checkpoints.step_of(resumed)
    return TensorBoardCallback(SummaryWriter(str(folder), purge_step=step + 1))


def evaluate_and_save(run: Run, trainer: VAETrainer, processes: Processes) -> None:
    """Measure the kept model, on all processes; save it on the first."""
    trainer.accelerator.unwrap_model(
        trainer.model, keep_fp32_wrapper=False
    )  # measured in single precision
    record = trainer.evaluate_quick()
    weights = (
        trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    )  # put together
    processes.run_on_first(lambda: _save_final_model(run, trainer, record, weights))


def _save_final_model(
    run: Run, trainer: VAETrainer, record: dict[str, Any], weights: dict[str, Any] | None
) -> None:
    """Save the kept model at the run's root, with its card, and drop what only training needed."""
    trainer.bundle.model.auxiliary = torch.nn.ModuleDict()
    entries = [
        {name: entry[name] for name in entry if name not in _UNUSED_LOG_KEYS}
        for entry in trainer.state.log_history
    ]
    history = [entry for entry in entries if entry.keys() - {"step", "epoch"}]
    stream = {} if trainer.stream is None else {"stream": trainer.stream.record}
    run.write_json(
        "training.json",
        {
            "seconds": trainer.schedule.seconds,
            "steps": trainer.schedule.step,
            **stream,
            "history": history,
        },
    )
    staged = run.folder / checkpoints.STAGING_FOLDER
    save_bundle(trainer.bundle, staged, weights)
    write_model_card(
        run, TextVAE.from_pretrained(staged, str(trainer.args.device)), record, "validation", staged
    )
    for file in sorted(
        staged.iterdir(), key=lambda file: file.suffix == ".safetensors"
    ):  # the weights come last
        flush_to_disk(file)
        file.replace(run.folder / file.name)
    tidy(run)


def tidy(run: Run) -> None:
    """Remove from a finished run what only training needed, unless that has been done."""
    checkpoints.remove_partial_checkpoints(run.folder)
    start = run.folder / INIT_FOLDER
    if start.is_dir():  # it goes last, and with one rename: while it is there, so may be the rest
        checkpoints.keep_only(run.folder, set())
        start.replace(run.folder / checkpoints.STAGING_FOLDER)
        checkpoints.remove_partial_checkpoints(run.folder)
