"""The training loop: a subclass of transformers' `Trainer`.

It replaces the loss, the order of the batches, the learning-rate schedule, the
evaluation, and the way checkpoints are saved: atomically, and without pickled
arguments. Everything else is left to transformers. Methods whose names begin with
an underscore override internals of `Trainer`;
tests/runtime/test_library_internals.py checks that `Trainer` still calls them.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import set_seed
from datasets import Dataset
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerControl, TrainingArguments
from transformers.trainer import SCHEDULER_NAME

from textvae.data.batching import Batch
from textvae.data.training_batches import TrainingBatches
from textvae.errors import CheckpointError, TrainingError
from textvae.evaluation.doctor import KL_TARGET_TOLERANCE
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import QUICK_MEASURES
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import save_bundle
from textvae.objective.elbo import Objective
from textvae.runs.run import find_best_step
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.runtime.seeds import derive_noise_seed
from textvae.runtime.spacing import take_evenly
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training.fsdp import configure_fsdp
from textvae.training.hub_uploads import HubUploads
from textvae.training.meter import Meter
from textvae.training.optimizer import build_optimizer, clip_gradients, list_unchanged_by_refit
from textvae.training.schedule import TrainingSchedule

# The learning rates of single parts, which replace the common one.
_PART_RATES = ("encoder_learning_rate", "bottleneck_learning_rate", "decoder_learning_rate")


class VAETrainer(Trainer):
    """Trains a text VAE with an objective, following a schedule.

    Args:
        bundle: the model and its tokenizer.
        objective: computes the loss; its techniques' weights are in the model already.
        schedule: decides the learning rate, and how far the run has come.
        batches: the training batches of this process.
        validation: the validation split; `settings.validation_sentences` of it, evenly spaced, are
            used.
        settings: the section `training` of the run's settings.
        arguments: transformers' form of these settings.
        callbacks: as transformers expects them.
        processes: the processes that train the run together.

    Raises:
        ConfigError: the launcher's settings of FSDP do not fit.
    """

    optimizer: Optimizer | None
    lr_scheduler: LambdaLR | None
    control: TrainerControl

    def __init__(
        self,
        bundle: Bundle,
        objective: Objective,
        schedule: TrainingSchedule,
        batches: TrainingBatches,
        validation: Dataset,
        settings: TrainingSettings,
        arguments: TrainingArguments,
        callbacks: list[Any],
        processes: Processes,
    ) -> None:
        rows = take_evenly(range(len(validation)), settings.validation_sentences)
        self.validation = validation.select(rows)
        super().__init__(
            model=bundle.model,
            args=arguments,
            eval_dataset=self.validation,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False  # or Trainer would weight batches by their tokens
        self.bundle = bundle
        self.objective = objective
        self.schedule = schedule
        self.batches = batches
        self.settings = settings
        self.processes = processes
        self.meter = Meter(processes)
        if self.is_fsdp_enabled:
            configure_fsdp(self.accelerator.state.fsdp_plugin, objective.pretraining_share)
        self.run_folder = Path(arguments.output_dir)
        self.uploads: HubUploads | None = None
        self.seed_noise()

    def seed_noise(self) -> None:
        """Seed the random numbers of this process: each process needs different noise.

        The seed depends on the step, so that a resumed run does not repeat the noise of its
        beginning. The first process of a new run uses the run's seed itself.
        """
        set_seed(derive_noise_seed(self.settings.seed, self.schedule.step, self.processes.rank))

    # Batches and the loss

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process.

        Trainer would pass the loader to accelerate, which distributes batches over the processes.
        Ours are divided among the processes already.
        """
        # A stream's loader is another iterable. Trainer only iterates over it.
        return cast(DataLoader[Any], self.batches.build_loader())

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> Tensor:
        """Return the number of sentences in a step, over all processes.

        Trainer counts tokens here, but our loss is an average over sentences.
        """
        count = sum(len(batch["input_ids"]) for batch in batch_samples)
        return self.processes.sum(torch.tensor(count))

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the loss, weighted so that all sentences of an accumulated step count equally.

        Args:
            num_items_in_batch: what `_get_num_items_in_batch` has returned for this step.

        Returns:
            The loss, a scalar, or the loss and its unweighted `LossTerms` if `return_outputs`.
        """
        terms = self.objective(model, inputs, self.schedule.progress)
        self.meter.add(terms, inputs)
        sentences = len(inputs["input_ids"])
        share = 1.0
        if num_items_in_batch is not None:
            share = sentences / float(num_items_in_batch)
        # Trainer divides the loss by the number of accumulated batches, and DDP averages the
        # gradients over the processes. This factor undoes both.
        divisor = self.current_gradient_accumulation_steps * self.processes.count
        loss = terms.loss * share * divisor
        if return_outputs:
            return loss, terms
        return loss

    def training_step(self, *batch: Any, **options: Any) -> Tensor:
        """Compute the gradients of a batch; while the posterior is refitted, of its weights alone."""
        loss: Tensor = super().training_step(*batch, **options)
        refit = self.schedule.refit
        if refit is not None and self.schedule.progress.is_refit:
            # Before they are clipped: the norm must be that of what is trained.
            for parameter in list_unchanged_by_refit(self.bundle.model, refit):
                parameter.grad = None
        return loss

    def compute_loss_context_manager(self) -> AbstractContextManager[None]:
        """Return the context of a forward pass: autocast to mixed precision for a sharded model.

        For other models accelerate has put autocast into the model's `forward`.
        """
        context: AbstractContextManager[None] = nullcontext()
        if self.is_fsdp_enabled:
            context = self.accelerator.autocast()
        return context

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: floating-point operations are not counted."""
        return 0

    def _run_epoch(self, **epoch: Any) -> None:
        """Train for an epoch, unless the run is over.

        A run may have been interrupted after its last step, or is ended early. Trainer would
        take one more step before it asks whether to stop.
        """
        if self.schedule.is_over:
            self.evaluate_unless_done()
            self.control.should_training_stop = True
            return
        super()._run_epoch(**epoch)

    def release_workers(self) -> None:
        """End the processes that load batches.

        The callback handler has the last reference to the loader. If the loader lived on until
        this trainer is garbage, the collector would close the workers' queues before it tells
        them to stop, and then wait five seconds for each of them.
        """
        self.callback_handler.train_dataloader = None

    # The optimizer

    def create_optimizer(self, model: Any = None) -> Optimizer:
        """Return the optimizer, AdamW; the first call builds it."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.bundle.model, self.settings)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LambdaLR:
        """Return torch's scheduler, which takes its factors from our schedule."""
        if self.lr_scheduler is None:
            assert self.optimizer is not None
            # The step that LambdaLR counts is ignored: our schedule may also follow the clock.
            self.lr_scheduler = LambdaLR(
                self.optimizer, lambda _: self.schedule.learning_rate_factor()
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip the gradients; on a CPU with our own function, which is faster there."""
        if self.args.device.type == "cpu" and not self.is_fsdp_enabled:
            return clip_gradients(model.parameters(), self.args.max_grad_norm)
        return super()._clip_grad_norm(model)

    # Logs and evaluations

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the meter's averages to Trainer's log.

        Raises:
            TrainingError: a loss since the last log was not a number.
        """
        if "loss" in logs:  # evaluations are logged without a loss
            self.raise_if_nan()
            logs = {**logs, **self.meter.read_and_clear()}
            if self.schedule.encoder_steps:
                logs["encoder_steps"] = self.schedule.encoder_steps
        super().log(logs, start_time)

    def raise_if_nan(self) -> None:
        """Stop the run if a loss since the last log was not a number; every process must call it.

        Raises:
            TrainingError: a loss was not a number; the message says which settings to lower.
        """
        if not self.meter.is_finite():
            raise self.nan_loss_error()

    def nan_loss_error(self) -> TrainingError:
        """Return the error of a loss that is not a number."""
        newest = checkpoints.find_newest_complete(self.run_folder)
        note = "No checkpoint had been written yet."
        if newest:
            note = f"The last good checkpoint is {newest}."
        return TrainingError(
            f"the loss is not a number at step {self.state.global_step}. {note} "
            f"{_advise_smaller_steps(self.settings)}"
        )

    def evaluate_quick(self) -> dict[str, Any]:
        """Return the quick measures on the validation split, computed by all processes together."""
        # A forward pass through sharded weights takes all processes at once, so each of them
        # evaluates all sentences. Otherwise each evaluates its share.
        processes = SINGLE_PROCESS if self.is_fsdp_enabled else self.processes
        return evaluate(
            self.bundle,
            self.validation,
            measures=QUICK_MEASURES,
            kl_target=self.objective.kl_target,
            processes=processes,
            kl_before_refit=self.find_kl_before_refit(),
        )

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        """Evaluate on the validation split; return the measures with Trainer's prefix `eval_`.

        Trainer regards the checkpoint with the lowest `eval_selection` as the best.

        Raises:
            TrainingError: reconstruction or KL is not a number.
        """
        with self.meter.pause("evaluation"):
            record = self.evaluate_quick()
            self.model.train()  # evaluating has switched dropout off
        if not math.isfinite(record["reconstruction"] + (record["kl"] or 0.0)):
            raise self.nan_loss_error()
        if self.schedule.is_main_phase:
            self.objective.on_evaluation(record)
        metrics = {
            f"eval_{name}": float(value)
            for name, value in record.items()
            if isinstance(value, int | float)
        }
        metrics["eval_selection"] = float("inf")
        if self.is_eligible_as_best(record["kl"]):
            metrics["eval_selection"] = self.objective.selection(record)
        self.log(metrics)
        # For transformers' EarlyStoppingCallback, infinity would be no improvement.
        known = dict(metrics)
        if metrics["eval_selection"] == float("inf"):
            del known["eval_selection"]
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, known)
        return metrics

    def evaluate_unless_done(self) -> None:
        """Evaluate the current step, so that it can become the best, unless that was done before."""
        step = self.state.global_step
        evaluated = [e["step"] for e in self.state.log_history if "eval_selection" in e]
        if step not in evaluated:
            self._determine_best_metric(metrics=self.evaluate(), trial=None)
            self.locate_best()

    def is_eligible_as_best(self, kl: float | None) -> bool:
        """Return whether the current model may become the best one.

        It must be past pretraining and warm-up, and its KL must be near the target. Otherwise a
        collapsed model would be chosen, because it often has the better ELBO. A refit of the
        posterior lowers the KL, and its decoder has passed this test already.

        Args:
            kl: its KL in nats per sentence; None if the posterior has no density.
        """
        if not self.schedule.is_warmed_up:
            return False
        target = self.objective.kl_target
        if target is None or kl is None or self.schedule.is_refitted:
            return True
        return abs(kl / target - 1) <= KL_TARGET_TOLERANCE

    def find_kept_step(self) -> int:
        """Return the step whose model the finished run keeps."""
        best_step = self.find_best_model_step()
        if self.settings.keep == "best" and best_step:
            return best_step
        return self.schedule.step

    def find_best_model_step(self) -> int | None:
        """Return the step of the best model so far, or None.

        A run that is trained longer restarts from its kept model, under the number of its last step.
        """
        best_step = self.state.best_global_step
        if best_step is not None and best_step == self.schedule.restart_step:
            best_step = self.schedule.restart_kept_step or best_step
        return None if best_step is None else int(best_step)

    def find_refitted_step(self) -> int | None:
        """Return the step whose model the refit of the posterior started from.

        It is None before the refit, and in a run without one.
        """
        start = self.schedule.refit_start_step
        if start is None:
            return None
        if self.settings.keep == "last":
            return start
        # As `state.best_global_step`, which may be a step of the refit by now.
        best = find_best_step([entry for entry in self.state.log_history if entry["step"] <= start])
        return best or start

    def find_kl_before_refit(self) -> float | None:
        """Return the validation KL of that model in nats per sentence, or None."""
        if not self.schedule.is_refitted:
            return None
        step = self.find_refitted_step()
        for entry in self.state.log_history:
            if entry["step"] == step and "eval_kl" in entry:
                return float(entry["eval_kl"])
        return None

    def load_refitted_model(self) -> None:
        """Load the best model of the main phase, from which the posterior is refitted."""
        step = self.find_refitted_step()
        if step is not None and step != self.state.global_step:
            self._load_best_model()

    def find_learning_rate_share(self, step: int) -> float | None:
        """Return the learning rate last logged up to a step, as a share of the full one.

        It is None if none was logged by then.
        """
        assert self.lr_scheduler is not None, "the run has been trained"
        rates = [
            entry["learning_rate"]
            for entry in self.state.log_history
            if "learning_rate" in entry and entry["step"] <= step
        ]
        return float(rates[-1] / self.lr_scheduler.base_lrs[0]) if rates else None

    # The Hugging Face Hub

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Do nothing: `HubUploads` opens the repository, before the training begins."""

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Do nothing: `_save_checkpoint` pushes the checkpoint once it is whole.

        Trainer would upload the run folder, with the corpus and pickled arguments in it.
        """

    def push_to_hub(self, *args: Any, **options: Any) -> None:
        """Push the finished run as `textvae push` does; Trainer's arguments have no effect."""
        if self.uploads is not None and self.processes.is_first:
            self.callback_handler.on_push_begin(self.args, self.state, self.control)
            self.uploads.push_final()

    # Checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        """Return the staging folder, where Trainer writes the checkpoint.

        `_save_checkpoint` moves it to its final place.
        """
        return str(self.run_folder / checkpoints.STAGING_FOLDER)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the run's whole state atomically, and keep the newest and the best checkpoint."""
        self.raise_if_nan()
        with self.meter.pause("saving"):
            self.processes.run_on_first(
                lambda: checkpoints.remove_partial_checkpoints(self.run_folder)
            )
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # until each process has written its random state
            self.locate_best()  # Trainer has noted a path in the staging folder
            self.processes.run_on_first(self.finalize_checkpoint)

    def finalize_checkpoint(self) -> None:
        """Move the staged checkpoint to its final place; delete all others except the best."""
        name = f"checkpoint-{self.state.global_step}"
        staged = self.run_folder / checkpoints.STAGING_FOLDER / name
        # Written again, now with the final path of the best checkpoint.
        self.state.save_to_json(str(staged / "trainer_state.json"))
        checkpoints.write_checksums(staged)
        checkpoints.finalize_checkpoint(staged, self.run_folder / name)
        checkpoints.remove_partial_checkpoints(self.run_folder)
        best = Path(self.state.best_model_checkpoint or name).name
        checkpoints.keep_only(self.run_folder, {name, best})
        if self.uploads is not None:
            self.callback_handler.on_push_begin(self.args, self.state, self.control)
            self.uploads.push_checkpoint(self.run_folder / name)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save model and tokenizer, without the pickled arguments that Trainer would add."""
        if self.args.should_save:
            save_bundle(self.bundle, output_dir or self.run_folder, state_dict)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save optimizer and scheduler, and our own state in addition."""
        super()._save_optimizer_and_scheduler(output_dir)
        state = self.collect_our_state()
        if self.args.should_save:
            checkpoints.write_state(Path(output_dir), state)

    def collect_our_state(self) -> dict[str, Any]:
        """Return the state that Trainer does not know, as JSON; every process must call it."""
        # These two gather from all processes.
        batches = self.batches.state_dict()
        meter = self.meter.state_dict()
        self.schedule.note_time()
        # "plan" and "stream" are old names, kept so that existing checkpoints can be resumed.
        return {
            "plan": self.schedule.state_dict(),
            "techniques": self.objective.state_dict(),
            "stream": batches,
            "meter": meter,
        }

    # Resuming

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights.

        Raises:
            CheckpointError: they do not fit this run.
        """
        with checkpoints.explain_load_failure(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse weights that do not fit the model; Trainer would only warn.

        Raises:
            CheckpointError: a tensor is missing, or unknown to the model.
        """
        # Tied weights share their memory and are saved once, under one of their names.
        addresses = {name: value.data_ptr() for name, value in self.model.state_dict().items()}
        # The frozen weights of pretrained base models are not saved with a checkpoint.
        in_bases = set(self.bundle.model.list_base_weights())
        loaded_names = addresses.keys() - set(load_result.missing_keys)
        loaded_addresses = {addresses[name] for name in loaded_names}
        missing = [
            name
            for name in load_result.missing_keys
            if addresses[name] not in loaded_addresses and name not in in_bases
        ]
        if missing:
            raise self.unfit_weights_error("lacks", missing[0])
        if load_result.unexpected_keys:
            raise self.unfit_weights_error("also holds", load_result.unexpected_keys[0])

    def unfit_weights_error(self, verb: str, name: str) -> CheckpointError:
        """Return the error of a checkpoint that "lacks" or "also holds" a tensor of this name."""
        return CheckpointError(
            f"{self.run_folder}: a checkpoint {verb} {name}, so its weights do not fit the model "
            "that settings.yaml describes. Copy the whole run again, or start again with "
            "--overwrite."
        )

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load optimizer, scheduler, our own state and the random state.

        Raises:
            CheckpointError: a file of the checkpoint does not fit this run.
        """
        if checkpoint is None:
            return
        with checkpoints.explain_load_failure(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
            self.load_our_state(checkpoints.read_state(Path(checkpoint)))
        if not (Path(checkpoint) / SCHEDULER_NAME).is_file():
            self.apply_learning_rate()
        # The checkpoint has no random state for this process if fewer processes wrote it.
        self.seed_noise()
        # Trainer loads the random state before the first step, but a run that is over takes none.
        self._load_rng_state(checkpoint)

    def load_our_state(self, state: dict[str, Any]) -> None:
        """Restore the state that a checkpoint holds in addition to Trainer's.

        Args:
            state: what `_save_optimizer_and_scheduler` has written.
        """
        # The state of a finished run that is trained longer has transformers' default.
        self.state.logging_steps = self.args.logging_steps
        self.schedule.load_state_dict(state["plan"])
        refit_start = state["plan"].get("refit_start")
        if refit_start is not None and self.schedule.refit_start_step is None:
            self._forget_refit(refit_start)
        self.objective.load_state_dict(state["techniques"])
        self.meter.load_state_dict(state["meter"])
        self.batches.load_state_dict(state["stream"], is_over=self.schedule.is_ended_early)
        self.locate_best()

    def _forget_refit(self, start: int) -> None:
        """Let no model of a refit be the best: a run that got a later end is in its main phase again.

        A refit lowers the KL, so no later model of the main phase could compete with it.

        Args:
            start: the step at which the refit began.
        """
        evaluations = [entry for entry in self.state.log_history if "eval_selection" in entry]
        for entry in evaluations:
            if entry["step"] > start:
                entry["eval_selection"] = math.inf
        best = find_best_step(evaluations)
        if not (self.run_folder / f"checkpoint-{best}").is_dir():
            # It has made room for those of the refit, so no model of the main phase is left.
            best = None
            for entry in evaluations:
                entry["eval_selection"] = math.inf
        selections = {entry["step"]: entry["eval_selection"] for entry in evaluations}
        self.state.best_global_step = best
        self.state.best_metric = selections.get(best)

    def apply_learning_rate(self) -> None:
        """Set the learning rate of the next step, in a run whose checkpoint has no optimizer.

        The one that the optimizer has was computed before the schedule's state was loaded.
        """
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        factor = self.schedule.learning_rate_factor()
        for group, rate in zip(
            self.optimizer.param_groups, self.lr_scheduler.base_lrs, strict=True
        ):
            group["lr"] = rate * factor

    def locate_best(self) -> None:
        """Set the path of the best checkpoint to the one in the run folder, wherever that is now."""
        if self.state.best_global_step:
            self.state.best_model_checkpoint = str(
                self.run_folder / f"checkpoint-{self.state.best_global_step}"
            )

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random state of this process, if the checkpoint has it.

        Raises:
            CheckpointError: the file does not hold a random state.
        """
        with checkpoints.explain_load_failure(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Load the gradient scaler, but only for a run that has one.

        Trainer would also load a file of that name that somebody else put there, and fail.
        """
        if self.accelerator.scaler is not None:
            super()._load_scaler(checkpoint)


def _advise_smaller_steps(settings: TrainingSettings) -> str:
    """Return which settings to lower after a loss that is not a number, with their values."""
    rates = ("learning_rate", *_PART_RATES)
    written = [name for name in rates if getattr(settings, name) is not None]
    named = " or ".join(f"training.{name} (now {getattr(settings, name):g})" for name in written)
    if settings.max_grad_norm:
        return f"Lower {named} or training.max_grad_norm (now {settings.max_grad_norm:g})."
    return f"Lower {named}, or clip the gradients with training.max_grad_norm=20."
