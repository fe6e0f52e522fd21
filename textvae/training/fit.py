"""Train a prepared run: connect data, objective, schedule and loop, train, save the final model."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainingArguments

from textvae.data.arrow import require_known_tokens
from textvae.data.frozen_states import remove_states
from textvae.data.run_corpus import open_corpus
from textvae.evaluation.doctor import format_diagnosis
from textvae.evaluation.evaluate import evaluate_quick
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.messages import print_lines, print_warning
from textvae.model.modeling import TextVAEModel
from textvae.objective.elbo import Objective
from textvae.objective.techniques import ModelFacts
from textvae.objective.techniques.base import EncoderTokens, Refit
from textvae.runs.run import INIT_FOLDER, PROGRESS_FILE, Run
from textvae.runtime.allocator import keep_freed_memory
from textvae.runtime.device import is_bf16_fast, require_lstm_in_bf16
from textvae.runtime.files import flush_to_disk, remove
from textvae.runtime.machine import describe_machine
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.runtime.signals import StopSignals
from textvae.settings.run import Settings
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training.callbacks import ConsoleCallback, OrderlyEndCallback, ScheduleCallback
from textvae.training.encoder_training import EncoderTrainingCallback
from textvae.training.frozen_states import cache_frozen_states, open_cached_validation
from textvae.training.hooks import NO_HOOKS, Hooks
from textvae.training.hub_uploads import HubUploads, check_uploads
from textvae.training.model_card import write_model_card
from textvae.training.posterior_refit import PosteriorRefitCallback
from textvae.training.progress_log import ProgressCallback
from textvae.training.sample_tables import SampleTableCallback
from textvae.training.schedule import TrainingSchedule, read_clock
from textvae.training.trackers import (
    TENSORBOARD,
    build_tensorboard_callback,
    choose_trackers,
    list_trainer_trackers,
)
from textvae.training.trainer import VAETrainer
from textvae.vae import TextVAE

# What transformers' Trainer logs at the end. These numbers would be wrong for a resumed run:
# they refer to the planned number of steps, or to the time since the last interruption.
_UNUSED_LOG_KEYS = (
    "train_samples_per_second",
    "train_steps_per_second",
    "total_flos",
    "train_loss",
    "train_runtime",
)

# A number of steps or epochs that no run reaches. Our schedule, and not transformers' Trainer,
# decides when evaluations and checkpoints are due and when the run ends.
_NEVER = 10**9


def fit(
    run: Run,
    device: torch.device,
    processes: Processes,
    signals: StopSignals,
    *,
    ends_early: bool = False,
    hooks: Hooks = NO_HOOKS,
) -> None:
    """Train the run to its end, from its newest checkpoint if it has one.

    Args:
        device: the device of this process.
        signals: a signal ends the training after the current step, with a checkpoint.
        ends_early: end the run at its newest checkpoint instead of training.
        hooks: what the caller adds to the training.

    Raises:
        CheckpointError: the run has checkpoints, but cannot be resumed from any of them.
        TrainingError: the loss or a measure is not a number.
    """
    settings = run.read_settings()
    trackers = choose_trackers(settings.training.trackers)  # a resumed run may be elsewhere now
    processes.run_on_first(lambda: checkpoints.remove_partial_checkpoints(run.folder))
    newest = checkpoints.find_checkpoint_to_resume(run.folder)
    if device.type == "cpu":
        keep_freed_memory()  # otherwise each step would return memory to the system and get it again
    bundle = load_bundle(run.folder / INIT_FOLDER, str(device))
    if settings.training.compile:
        compile_parts(bundle.model)
    trainer = build_trainer(run, settings, bundle, device, processes, signals, hooks=hooks)
    if settings.training.push_to_hub:
        trainer.uploads = HubUploads(run, bundle, settings.training)
        processes.run_on_first(trainer.uploads.open)
    if ends_early:
        trainer.schedule.end_early()
    console = ConsoleCallback(trainer.schedule, trainer.objective.kl_target, has_bar=hooks.progress)
    if processes.is_first:
        _warn_if_older(run.folder, newest)
        trainer.add_callback(console)
        trainer.add_callback(ProgressCallback(run, trainer.schedule))
        if not trainer.is_fsdp_enabled:  # sharded weights take all processes to write texts
            trainer.add_callback(SampleTableCallback(run, trainer))
        if TENSORBOARD in trackers:
            trainer.add_callback(build_tensorboard_callback(run.folder / "logs", newest))
    for callback in hooks.callbacks:
        trainer.add_callback(callback)
    trainer.add_callback(OrderlyEndCallback(trainer.schedule))  # after those that may end the run
    try:
        with signals.defer():
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        if signals.received is not None:  # it came when no step was left
            signals.stop()
    finally:
        console.close()  # so that an error message begins on a new line
        trainer.release_workers()
        if trainer.uploads is not None:
            trainer.uploads.close()
    evaluate_and_save(run, trainer, processes)
    if trainer.uploads is not None:
        processes.run_on_first(trainer.push_to_hub)


def check_trainable(run: Run, device: torch.device) -> None:
    """Check that a run can be trained on this machine, without changing anything.

    `fit` checks the corpus, too, but then a finished run that is made longer has lost its model.

    Raises:
        TextVAEError: its corpus is damaged, the hub to push to cannot be asked, a tracker is
            missing, or the machine cannot train it in bf16, as the settings ask.
    """
    settings = run.read_settings()
    choose_trackers(settings.training.trackers)
    check_uploads(settings.training, run.folder)
    if settings.training.uses_bf16(is_bf16_fast(device)) and settings.model.has_lstm():
        require_lstm_in_bf16(device)
    if run.is_finished():
        _check_corpus(run, load_bundle(run.folder, "cpu"))


def compile_parts(model: TextVAEModel) -> None:
    """Compile the encoder and the decoder when they are first called (`training.compile`)."""
    for part in (model.encoder, model.decoder):
        part.compile(dynamic=True)  # lengths and batch sizes differ from step to step


def build_trainer(
    run: Run,
    settings: Settings,
    bundle: Bundle,
    device: torch.device,
    processes: Processes = SINGLE_PROCESS,
    signals: StopSignals | None = None,
    *,
    hooks: Hooks = NO_HOOKS,
) -> VAETrainer:
    """Return the trainer of a run, with the run's batches, objective and schedule.

    Raises:
        CheckpointError: the corpus is damaged, or belongs to another model.
        ConfigError: this machine cannot train the model in bf16, as the settings ask.
    """
    training = settings.training
    if training.uses_bf16(is_bf16_fast(device)) and settings.model.has_lstm():
        require_lstm_in_bf16(device)
    corpus = open_corpus(run.folder / "corpus", settings.data)
    objective = build_objective(settings, bundle, device)
    _check_corpus(run, bundle)
    start = read_clock(training)
    if not run.is_streamed():
        processes.run_on_first(
            lambda: cache_frozen_states(
                run, bundle, objective, training.validation_sentences, hooks.progress
            )
        )
    preparation_seconds = read_clock(training) - start
    batches = corpus.open_batches(training, bundle.collator, processes)
    is_endless = batches.batches_per_epoch is None
    steps_per_epoch = _NEVER  # a stream has no epochs
    if batches.batches_per_epoch is not None:
        steps_per_epoch = math.ceil(batches.batches_per_epoch / training.accumulate)
    schedule = TrainingSchedule(
        training,
        steps_per_epoch,
        objective.pretraining_share,
        _find_refit(objective, bundle),
    )
    schedule.preparation_seconds = preparation_seconds
    trainer = (hooks.trainer or VAETrainer)(
        bundle=bundle,
        objective=objective,
        schedule=schedule,
        batches=batches,
        validation=open_cached_validation(run, training.validation_sentences),
        settings=training,
        arguments=_build_training_arguments(run, training, device, is_endless),
        callbacks=[
            ScheduleCallback(
                schedule,
                batches,
                training.patience,
                processes,
                signals or StopSignals(),
                _copy_word_vectors(settings, bundle) if objective.pretraining_share else None,
            )
        ],
        processes=processes,
    )
    trainer.add_callback(EncoderTrainingCallback(trainer))
    if schedule.refit is not None:
        trainer.add_callback(PosteriorRefitCallback(trainer, schedule.refit))
    trainer.remove_callback(PrinterCallback)  # it would print every log as a dict
    return trainer


def _copy_word_vectors(settings: Settings, initial: Bundle) -> Tensor | None:
    """Return a copy of the decoder's embedding, (vocab, size), if it starts from word vectors.

    Args:
        initial: the model at the start of the run, also if the run is resumed.
    """
    if getattr(settings.model.decoder, "vectors", None) is None:
        return None
    weight: Tensor = initial.model.get_submodule("decoder").embed.weight
    return weight.detach().clone()


def _check_corpus(run: Run, bundle: Bundle) -> None:
    """Check that the corpus of a run is whole and belongs to its model.

    Raises:
        CheckpointError: a split is missing or damaged, or has unknown tokens.
    """
    splits = ["validation"] if run.is_streamed() else ["train", "validation"]
    for split in splits:
        source = str(run.folder / "corpus" / f"{split}.arrow")
        require_known_tokens(run.open_split(split), bundle.model.config.vocab_size, source)


def build_objective(settings: Settings, bundle: Bundle, device: torch.device) -> Objective:
    """Return the objective, with the weights of its techniques on the device.

    During training the model holds these weights as its `auxiliary`. So they are saved with it
    and, with several processes, their gradients are averaged like the others.
    """
    tokenizer = bundle.tokenizer
    # Word dropout replaces words by this token. Byte-level tokenizers have no unknown token.
    blank_id = tokenizer.unk_token_id
    if blank_id is None:
        blank_id = tokenizer.pad_token_id
    facts = ModelFacts(
        latent=bundle.model.config.latent_dim,
        vocab=len(tokenizer),
        start_id=tokenizer.bos_token_id,
        blank_id=blank_id,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        own_encoder_tokens=_describe_encoder_tokens(bundle),
    )
    torch.manual_seed(settings.training.seed)  # for the initial weights of techniques
    objective = Objective(settings.objective, facts)
    bundle.model.auxiliary = objective.modules.to(device)
    return objective


def _find_refit(objective: Objective, bundle: Bundle) -> Refit | None:
    """Return the refit of the posterior at the end of the run.

    It is None if no technique asks for one, or if this posterior has no variances to refit.
    """
    refit = objective.refit
    if refit is None or refit.moves_means or bundle.model.posterior.list_variance_weights():
        return refit
    return None


def _describe_encoder_tokens(bundle: Bundle) -> EncoderTokens | None:
    """Return the special tokens of an encoder with a tokenizer of its own, or None."""
    tokenizer = bundle.encoder_tokenizer
    if tokenizer is None:
        return None
    return EncoderTokens(tokenizer.frame_ids, tokenizer.blank_id, tokenizer.pad_id)


def _build_training_arguments(
    run: Run, training: TrainingSettings, device: torch.device, is_endless: bool
) -> TrainingArguments:
    """Return the arguments of transformers' Trainer.

    Args:
        is_endless: whether the batches never end, as those of a stream.
    """
    max_steps = training.steps or -1  # -1: bounded by epochs
    if is_endless and training.steps is None:
        max_steps = _NEVER  # Trainer requires a bound, since a stream has no length
    arguments = TrainingArguments(
        output_dir=str(run.folder.resolve()),
        num_train_epochs=_find_max_epochs(training),
        max_steps=max_steps,
        ignore_data_skip=is_endless,  # a stream restores its own position
        gradient_accumulation_steps=training.accumulate,
        max_grad_norm=training.max_grad_norm,
        bf16=training.uses_bf16(is_bf16_fast(device)),
        use_cpu=device.type == "cpu",
        ddp_find_unused_parameters=False,  # each step uses every parameter
        seed=training.seed,
        logging_strategy="steps",
        logging_steps=training.logging_steps,
        logging_nan_inf_filter=False,  # a loss that is not finite must be noticed
        eval_strategy="steps",
        eval_steps=_NEVER,  # ScheduleCallback requests evaluations and checkpoints
        save_strategy="steps",
        save_steps=_NEVER,
        metric_for_best_model="selection",
        greater_is_better=False,
        load_best_model_at_end=training.keep == "best",
        remove_unused_columns=False,
        push_to_hub=training.push_to_hub,
        hub_model_id=training.hub_model_id,
        hub_strategy=training.hub_strategy,
        hub_private_repo=training.hub_private_repo,
        hub_revision=training.hub_revision,
        hub_always_push=training.hub_always_push,
        report_to=list_trainer_trackers(choose_trackers(training.trackers)) or "none",
        disable_tqdm=True,
    )
    # One GPU per process: Trainer would split each batch over all GPUs that it sees.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _find_max_epochs(training: TrainingSettings) -> float:
    """Return the number of epochs after which transformers' Trainer should end the run."""
    if training.max_minutes is not None:
        return _NEVER  # our schedule ends the run by the clock, or after `training.epochs`
    if training.epochs is not None:
        return training.epochs
    return training.most_epochs


def _warn_if_older(run_folder: Path, resumed: Path | None) -> None:
    """Warn if a run continues from an older checkpoint because the newest is damaged.

    Args:
        resumed: the checkpoint from which the run continues; None for a new run.
    """
    if resumed is None:
        return
    newest = checkpoints.list_checkpoints(run_folder)[-1]
    if resumed != newest:
        damaged = checkpoints.find_damaged_file(newest)
        print_warning(f"{damaged} is missing or damaged; the run continues from {resumed.name}.")


def evaluate_and_save(run: Run, trainer: VAETrainer, processes: Processes) -> None:
    """Save the final model, and judge it, on the first process.

    At the end of the training, transformers' Trainer has loaded the best checkpoint, unless the
    last one should be kept.
    """
    accelerator = trainer.accelerator
    # This removes accelerate's wrapper for mixed precision from the model, since the measures
    # should be computed in single precision.
    accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    # Sharded weights are gathered here, because that takes all processes, and only the first
    # one saves them.
    weights = None
    if trainer.is_fsdp_enabled:
        weights = accelerator.get_state_dict(trainer.model)
    state = {**trainer.collect_our_state(), "best_selection": trainer.state.best_metric}
    processes.run_on_first(lambda: _save_final_model(run, trainer, weights, state))


def _save_final_model(
    run: Run, trainer: VAETrainer, weights: dict[str, Any] | None, state: dict[str, Any]
) -> None:
    """Save the final model to the run folder, with its card; remove what only training needed.

    Args:
        weights: the whole weights of a sharded model; None if this process has them in the model.
        state: what is needed to train the run longer.
    """
    trainer.bundle.model.auxiliary = torch.nn.ModuleDict()  # weights of techniques are not saved
    _write_training_log(run, trainer, state)
    staging = run.folder / checkpoints.STAGING_FOLDER
    save_bundle(trainer.bundle, staging, weights)
    vae = TextVAE.from_pretrained(staging, str(trainer.args.device))
    record = evaluate_quick(run, vae.bundle)
    write_model_card(run, vae, record, "validation", staging)
    # The weights are moved last: with them the run counts as finished.
    for file in sorted(staging.iterdir(), key=lambda file: file.suffix == ".safetensors"):
        flush_to_disk(file)
        file.replace(run.folder / file.name)
    remove_training_files(run)
    print_lines(format_diagnosis(record))


def _write_training_log(run: Run, trainer: VAETrainer, state: dict[str, Any]) -> None:
    """Write training.json: seconds, steps, what a stream has read, and the logged values.

    `seconds` are those of the training, with `evaluation_seconds` and `saving_seconds` in them.
    `best_step` is the step that was best on the validation split, None if no step could become the
    best one. `kept_step` is the step whose model was kept, and `kept_learning_rate` the learning rate at
    that step, as a share of the full one; it is near 0 if the schedule had come to its end.
    `kl_before_refit` is the validation KL that the refit of the posterior started from, or None.
    `state` is the state of the schedule, the techniques and the stream, with which the run can be
    trained longer.
    """
    history = []
    for logged in trainer.state.log_history:
        entry = {name: logged[name] for name in logged if name not in _UNUSED_LOG_KEYS}
        # Nothing else is in the last entry, in which Trainer sums up the run.
        if entry.keys() - {"step", "epoch"}:
            history.append(entry)
    log: dict[str, Any] = {"seconds": trainer.schedule.seconds, "steps": trainer.schedule.step}
    for reason, seconds in trainer.meter.seconds.items():
        log[f"{reason}_seconds"] = seconds
    kept_step = trainer.find_kept_step()
    log["best_step"] = trainer.find_best_model_step()
    log["kept_step"] = kept_step
    # A run may keep the model from before its refit, if that is the better one.
    refit_start = trainer.schedule.refit_start_step
    is_refitted = refit_start is not None and kept_step > refit_start
    log["kl_before_refit"] = trainer.find_kl_before_refit() if is_refitted else None
    # The refit has a schedule of its own; the decoder's ended where the refit began.
    decoder_step = kept_step if refit_start is None else min(kept_step, refit_start)
    log["kept_learning_rate"] = trainer.find_learning_rate_share(decoder_step)
    log["environment"] = {
        **describe_machine(trainer.args.device),
        "bf16": trainer.settings.uses_bf16(is_bf16_fast(trainer.args.device)),
        "processes": trainer.processes.count,
    }
    log |= trainer.batches.describe_reading()
    log["history"] = history
    log["state"] = state
    run.write_json("training.json", log)


def remove_training_files(run: Run) -> None:
    """Remove from a finished run what only training needed, unless that was done before."""
    checkpoints.remove_partial_checkpoints(run.folder)
    initial = run.folder / INIT_FOLDER
    # The initial model is removed last, and with one rename. If it is absent, everything was
    # removed before, and a checkpoint in the run is the user's own.
    if initial.is_dir():
        checkpoints.keep_only(run.folder, set())
        remove(run.folder / PROGRESS_FILE)  # training.json has all of it
        remove_states(run.folder / "corpus")
        initial.replace(run.folder / checkpoints.STAGING_FOLDER)
        checkpoints.remove_partial_checkpoints(run.folder)
