"""The training loop: a subclass of transformers' `Trainer`.

It replaces the loss, the order of the batches, the learning-rate schedule, the
evaluation, and the way checkpoints are saved: atomically, and without pickled
arguments. Everything else is the library's. Methods whose names begin with an
underscore override or call internals of the library.
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

from textvae.data.batching import Batch
from textvae.data.training_batches import TrainingBatches
from textvae.errors import CheckpointError, TrainingError
from textvae.evaluation.doctor import KL_TARGET_TOLERANCE
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import QUICK_MEASURES
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import save_bundle
from textvae.objective.elbo import Objective
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints
from textvae.training.fsdp import configure_fsdp
from textvae.training.meter import Meter
from textvae.training.optimizer import build_optimizer, clip_gradients
from textvae.training.schedule import TrainingSchedule


class VAETrainer(Trainer):
    """Trains a text VAE with an objective, following a schedule.

    Args:
        bundle: the model and its tokenizer.
        batches: the training batches of this process.
        validation: the validation split.
        callbacks: the library's callbacks.
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
        count = min(settings.validation_sentences, len(validation))
        self.validation = validation.select(range(count))
        super().__init__(
            model=bundle.model,
            args=arguments,
            eval_dataset=self.validation,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False  # or the library would weight batches by tokens
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
        self.seed_noise()

    def seed_noise(self) -> None:
        """Seed the random numbers: each process needs different noise."""
        set_seed(self.settings.seed + self.schedule.step + self.processes.rank)

    # Batches and the loss

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process.

        The library would prepare the loader with accelerate, which shares batches out among
        the processes. The corpus has done so already.
        """
        return cast(DataLoader[Any], self.batches.build_loader())  # the loop only iterates over it

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> Tensor:
        """Return the number of sentences in a step, over all processes.

        The library counts tokens here, but our loss is an average over sentences.
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
        """Return the loss, weighted so that all sentences of an accumulated step count equally."""
        terms = self.objective(model, inputs, self.schedule.progress)
        self.meter.add(terms, inputs)
        sentences = len(inputs["input_ids"])
        share = 1.0
        if num_items_in_batch is not None:
            share = sentences / float(num_items_in_batch)
        # The library and DDP divide by the number of accumulated batches and of processes.
        divisor = self.current_gradient_accumulation_steps * self.processes.count
        loss = terms.loss * share * divisor
        if return_outputs:
            return loss, terms
        return loss

    def compute_loss_context_manager(self) -> AbstractContextManager[None]:
        """Return mixed precision for sharded models; accelerate wraps it into others itself."""
        context: AbstractContextManager[None] = nullcontext()
        if self.is_fsdp_enabled:
            context = self.accelerator.autocast()
        return context

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: floating-point operations are not counted."""
        return 0

    def _run_epoch(self, **epoch: Any) -> None:
        """Train for an epoch, unless the run is over.

        A run may have been interrupted after its last step. The library would take one more
        step before it asks whether to stop.
        """
        if self.schedule.is_over:
            self.control.should_training_stop = True
            return
        super()._run_epoch(**epoch)

    def release_workers(self) -> None:
        """End the processes that load batches.

        The garbage collector would close their queues before it tells them to stop, and then
        wait five seconds for each of them.
        """
        self.callback_handler.train_dataloader = None

    # The optimizer

    def create_optimizer(self, model: Any = None) -> Optimizer:
        """Return AdamW."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.bundle.model, self.settings)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LambdaLR:
        """Return the library's scheduler, which takes its factors from our schedule."""
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
        """Add the meter's averages to the library's log; stop at a loss that is not a number."""
        if "loss" in logs:
            self.raise_if_nan()
            logs = {**logs, **self.meter.read_and_clear()}
            if self.schedule.encoder_steps:
                logs["encoder_steps"] = self.schedule.encoder_steps
        super().log(logs, start_time)

    def raise_if_nan(self) -> None:
        """Stop the run if a loss since the last log was not a number.

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
            f"Lower training.learning_rate (now {self.settings.learning_rate:g}) "
            f"or training.max_grad_norm (now {self.settings.max_grad_norm:g})."
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
        )

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        """Evaluate on the validation split; return the measures with the library's prefix `eval_`.

        The library keeps the checkpoint with the lowest `eval_selection` as the best.

        Raises:
            TrainingError: reconstruction or KL is not a number.
        """
        record = self.evaluate_quick()
        self.model.train()
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
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def is_eligible_as_best(self, kl: float | None) -> bool:
        """Return whether the current model may become the best.

        It must be past pretraining and warm-up, and its KL near the target. Otherwise a
        collapsed model, which often has the better ELBO, would win.
        """
        if not self.schedule.is_warmed_up:
            return False
        target = self.objective.kl_target
        if target is None or kl is None:
            return True
        return abs(kl / target - 1) <= KL_TARGET_TOLERANCE

    # Checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        """Let the library write to a staging folder, which `_save_checkpoint` renames."""
        return str(self.run_folder / checkpoints.STAGING_FOLDER)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the run's whole state atomically, and keep the newest and the best checkpoint."""
        self.raise_if_nan()
        self.processes.run_on_first(lambda: checkpoints.remove_partial_checkpoints(self.run_folder))
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # until each process has written its random state
        self.locate_best()
        self.processes.run_on_first(self.finalize_checkpoint)

    def finalize_checkpoint(self) -> None:
        """Give the staged checkpoint its name; delete all others except the best."""
        name = f"checkpoint-{self.state.global_step}"
        staged = self.run_folder / checkpoints.STAGING_FOLDER / name
        self.state.save_to_json(str(staged / "trainer_state.json"))
        checkpoints.write_checksums(staged)
        checkpoints.finalize_checkpoint(staged, self.run_folder / name)
        checkpoints.remove_partial_checkpoints(self.run_folder)
        best = Path(self.state.best_model_checkpoint or name).name
        checkpoints.keep_only(self.run_folder, {name, best})

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save model and tokenizer, without the pickled arguments that the library would add."""
        if self.args.should_save:
            save_bundle(self.bundle, output_dir or self.run_folder, state_dict)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save our state in addition to the library's."""
        super()._save_optimizer_and_scheduler(output_dir)
        # These two gather from all processes, so every process must call them.
        batches = self.batches.state_dict()
        meter = self.meter.state_dict()
        self.schedule.note_time()
        if self.args.should_save:
            state = {
                "plan": self.schedule.state_dict(),
                "techniques": self.objective.state_dict(),
                "stream": batches,  # the key in existing checkpoints
                "meter": meter,
            }
            checkpoints.write_state(Path(output_dir), state)

    # Resuming

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights; explain a failure."""
        with checkpoints.load_failure_explained(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse weights that do not fit the model; the library would only warn.

        Raises:
            CheckpointError: a tensor is missing, or unknown to the model.
        """
        # Tied weights share their memory and are saved once, under one of their names.
        addresses = {name: value.data_ptr() for name, value in self.model.state_dict().items()}
        in_bases = set(self.bundle.model.list_base_weights())
        loaded_names = addresses.keys() - set(load_result.missing_keys)
        loaded = {addresses[name] for name in loaded_names}
        missing = [
            name
            for name in load_result.missing_keys
            if addresses[name] not in loaded and name not in in_bases
        ]
        if missing:
            raise self._weights_error("lacks", missing[0])
        if load_result.unexpected_keys:
            raise self._weights_error("also holds", load_result.unexpected_keys[0])

    def _weights_error(self, verb: str, name: str) -> CheckpointError:
        """Return the error of a checkpoint with a tensor too few or too many."""
        return CheckpointError(
            f"{self.run_folder}: a checkpoint {verb} {name}, so its weights do not fit the model "
            "that settings.yaml describes. Copy the whole run again, or start again with "
            "--overwrite."
        )

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load the library's state and ours."""
        if checkpoint is None:
            return
        with checkpoints.load_failure_explained(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
            self.load_our_state(checkpoints.read_state(Path(checkpoint)))
        # The checkpoint has no random state of this process if fewer processes wrote it.
        self.seed_noise()
        # The library loads it before the first step, but a run that is over takes no step.
        self._load_rng_state(checkpoint)

    def load_our_state(self, state: dict[str, Any]) -> None:
        """Restore the state that a checkpoint holds in addition to the library's."""
        self.schedule.load_state_dict(state["plan"])
        self.objective.load_state_dict(state["techniques"])
        self.meter.load_state_dict(state["meter"])
        self.batches.load_state_dict(state["stream"])
        self.locate_best()

    def locate_best(self) -> None:
        """Set the path of the best checkpoint, since the run folder may have been moved."""
        if self.state.best_global_step:
            self.state.best_model_checkpoint = str(
                self.run_folder / f"checkpoint-{self.state.best_global_step}"
            )

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random state of this process, if the checkpoint has it."""
        with checkpoints.load_failure_explained(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Load the gradient scaler, but only for a run that has one.

        The library would fail on a foreign file of that name.
        """
        if self.accelerator.scaler is not None:
            super()._load_scaler(checkpoint)
