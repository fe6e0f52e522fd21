"""The training loop: transformers' `Trainer`, subclassed once.

Ours are the objective, the order of batches, the plan of the run, what a look
at the validation split means, and checkpoints that are whole and hold no
pickled arguments. Everything else is the library's.
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

from textvae.data.batching import Batch, LengthBuckets
from textvae.data.streaming.loading import StreamLoader
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
    """Trains a text VAE by an objective, to a plan."""

    optimizer: Optimizer | None
    lr_scheduler: LambdaLR | None
    control: TrainerControl

    def __init__(
        self,
        bundle: Bundle,
        objective: Objective,
        plan: TrainingSchedule,
        buckets: LengthBuckets | None,
        splits: dict[str, Dataset],
        settings: TrainingSettings,
        arguments: TrainingArguments,
        callbacks: list[Any],
        processes: Processes,
        stream: StreamLoader | None = None,
    ) -> None:
        most = min(settings.validation_sentences, len(splits["validation"]))
        self.validation = splits["validation"].select(range(most))
        super().__init__(
            model=bundle.model,
            args=arguments,
            train_dataset=splits.get("train"),
            eval_dataset=self.validation,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False  # or the library would weigh by tokens
        self.bundle, self.objective, self.schedule, self.buckets = bundle, objective, plan, buckets
        self.settings, self.processes, self.stream = settings, processes, stream
        self.meter = Meter(processes)
        if self.is_fsdp_enabled:
            configure_fsdp(self.accelerator.state.fsdp_plugin, objective.pretraining_share)
        self.run_folder = Path(arguments.output_dir)

        self.seed_noise()

    def seed_noise(self) -> None:
        """Give each process noise of its own."""
        set_seed(self.settings.seed + self.schedule.step + self.processes.rank)

    # What is trained on

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches, in length buckets; they are shared out among the processes already."""
        if self.stream is not None:
            return cast(DataLoader[Any], self.stream)  # the loop only iterates over it
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.buckets,
            collate_fn=self.bundle.collator,
            num_workers=self.settings.workers,
            generator=torch.Generator(),  # its own, or each start of the workers would draw from the run's
            persistent_workers=self.settings.workers > 0,
        )

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> Tensor:
        """Count the step's sentences, on all processes; not tokens, for the loss is an average over sentences."""
        count = sum(len(batch["input_ids"]) for batch in batch_samples)
        return self.processes.sum(torch.tensor(count))

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the objective, weighted so that every sentence of an accumulated step counts alike."""
        terms = self.objective(model, inputs, self.schedule.progress)
        self.meter.add(terms, inputs)
        sentences = len(inputs["input_ids"])
        share = 1.0 if num_items_in_batch is None else sentences / float(num_items_in_batch)
        parts = (
            self.current_gradient_accumulation_steps * self.processes.count
        )  # which the library divides by
        loss = terms.loss * share * parts
        return (loss, terms) if return_outputs else loss

    def compute_loss_context_manager(self) -> AbstractContextManager[None]:
        """Return mixed precision where the model does not bring its own: sharded ones don't."""
        return self.accelerator.autocast() if self.is_fsdp_enabled else nullcontext()

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted."""
        return 0

    def _run_epoch(self, **epoch: Any) -> None:
        """Train for an epoch, unless the run was interrupted after its last step: the library takes one step first."""
        if self.schedule.is_over:
            self.control.should_training_stop = True
            return
        super()._run_epoch(**epoch)

    def release_workers(self) -> None:
        """End the processes that load batches.

        The garbage collector would close their queues before it tells them to stop, and then wait five seconds for
        each of them.
        """
        self.callback_handler.train_dataloader = None

    # How it is optimised

    def create_optimizer(self, model: Any = None) -> Optimizer:
        """Return AdamW."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.bundle.model, self.settings)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LambdaLR:
        """Return a schedule that asks the plan."""
        if self.lr_scheduler is None:
            assert self.optimizer is not None
            self.lr_scheduler = LambdaLR(
                self.optimizer, lambda step: self.schedule.learning_rate_factor()
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip, on a CPU without the library's pass over gradients that are short enough."""
        if self.args.device.type == "cpu" and not self.is_fsdp_enabled:
            return clip_gradients(model.parameters(), self.args.max_grad_norm)
        return super()._clip_grad_norm(model)

    # What is said on the way

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the meter with the library's own figures; stop at a loss that is not a number."""
        if "loss" in logs:
            self.raise_if_nan()
            inner = (
                {"encoder_steps": self.schedule.encoder_steps}
                if self.schedule.encoder_steps
                else {}
            )
            logs = {**logs, **self.meter.read(), **inner}
        super().log(logs, start_time)

    def raise_if_nan(self) -> None:
        """Stop the run if the loss since the last report was not a number.

        Raises:
            TrainingError: with the step, and what to lower.
        """
        if not self.meter.is_finite():
            raise self.nan_loss_error()

    def nan_loss_error(self) -> TrainingError:
        """Return the error that says where, what is kept, and what to lower."""
        good = checkpoints.find_newest_complete(self.run_folder)
        kept = (
            f"The last good checkpoint is {good}."
            if good
            else "No checkpoint had been written yet."
        )
        return TrainingError(
            f"the loss is not a number at step {self.state.global_step}. {kept} "
            f"Lower training.learning_rate (now {self.settings.learning_rate:g}) "
            f"or training.max_grad_norm (now {self.settings.max_grad_norm:g})."
        )

    def evaluate_quick(self) -> dict[str, Any]:
        """Return the quick measures on the validation split, each process having read its share of it."""
        target = self.objective.kl_target
        readers = (
            SINGLE_PROCESS if self.is_fsdp_enabled else self.processes
        )  # sharded weights have all read all, in step
        return evaluate(
            self.bundle,
            self.validation,
            measures=QUICK_MEASURES,
            kl_target=target,
            processes=readers,
        )

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        """Look at the validation split."""
        record = self.evaluate_quick()
        self.model.train()
        if not math.isfinite(record["reconstruction"] + (record["kl"] or 0.0)):
            raise self.nan_loss_error()
        numbers = {name: value for name, value in record.items() if isinstance(value, int | float)}
        if self.schedule.is_main_phase:
            self.objective.on_evaluation(record)
        metrics = {f"eval_{name}": float(value) for name, value in numbers.items()}
        eligible = self.is_eligible_as_best(record["kl"])
        metrics["eval_selection"] = self.objective.selection(record) if eligible else float("inf")
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def is_eligible_as_best(self, kl: float | None) -> bool:
        """Whether a model may become the best: after prelude and warm-up, its KL near the target (or collapsed win)."""
        target = self.objective.kl_target
        return self.schedule.is_warmed_up and (
            target is None or kl is None or abs(kl / target - 1) <= KL_TARGET_TOLERANCE
        )

    # What is kept

    def _get_output_dir(self, trial: Any) -> str:
        """Let the library write beside; `_save_checkpoint` gives the folder its name."""
        return str(self.run_folder / checkpoints.STAGING_FOLDER)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save all of the run's state, atomically, and keep the newest and the best."""
        self.raise_if_nan()
        self.processes.run_on_first(lambda: checkpoints.remove_partial_checkpoints(self.run_folder))
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process has written its random state
        self.locate_best()
        self.processes.run_on_first(self.finalize_checkpoint)

    def finalize_checkpoint(self) -> None:
        """Give the staged checkpoint its name, and drop all but the newest and the best."""
        name = f"checkpoint-{self.state.global_step}"
        staged = self.run_folder / checkpoints.STAGING_FOLDER / name
        self.state.save_to_json(str(staged / "trainer_state.json"))
        checkpoints.write_checksums(staged)
        checkpoints.finalize_checkpoint(staged, self.run_folder / name)
        checkpoints.remove_partial_checkpoints(self.run_folder)
        checkpoints.keep_only(
            self.run_folder, {name, Path(self.state.best_model_checkpoint or name).name}
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save model and tokenizer; the library would add its pickled arguments."""
        if self.args.should_save:
            save_bundle(self.bundle, output_dir or self.run_folder, state_dict)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save our state beside the library's, before the checkpoint counts as done."""
        super()._save_optimizer_and_scheduler(output_dir)
        stream = self.stream.state_dict() if self.stream else None  # of all processes
        meter = self.meter.state_dict()  # of all processes, too
        self.schedule.note_time()
        if self.args.should_save:
            state = {
                "plan": self.schedule.state_dict(),
                "techniques": self.objective.state_dict(),
                "stream": stream,
                "meter": meter,
            }
            checkpoints.write_state(Path(output_dir), state)

    # How a run is resumed

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights; the library would leave those that are missing as they are."""
        with checkpoints.load_failure_explained(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse weights that are not those of the model; tied weights are saved once.

        Raises:
            CheckpointError: some are missing, or there are others.
        """
        places = {name: value.data_ptr() for name, value in self.model.state_dict().items()}
        loaded = {places[name] for name in places.keys() - set(load_result.missing_keys)}
        missing = [name for name in load_result.missing_keys if places[name] not in loaded]
        for verb, names in (("lacks", missing), ("also holds", load_result.unexpected_keys)):
            if names:
                raise CheckpointError(
                    f"{self.run_folder}: a checkpoint {verb} {names[0]}, so its weights are not those of the model "
                    "that settings.yaml describes. Copy the run again, whole, or start again with --overwrite."
                )

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load the library's state and ours."""
        if checkpoint is None:
            return
        with checkpoints.load_failure_explained(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
            self.load_our_state(checkpoints.read_state(Path(checkpoint)))
        self.seed_noise()  # the checkpoint may have no random state of this process
        self._load_rng_state(
            checkpoint
        )  # the library does so before the first step, which may not come

    def load_our_state(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds beside the library's own state."""
        self.schedule.load_state_dict(state["plan"])
        self.objective.load_state_dict(state["techniques"])
        self.meter.load_state_dict(state["meter"])
        if self.stream is not None:
            self.stream.load_state_dict(state["stream"])
        self.locate_best()

    def locate_best(self) -> None:
        """Say where the best checkpoint is: in the run's folder as it is now, which may have been moved."""
        if self.state.best_global_step:
            self.state.best_model_checkpoint = str(
                self.run_folder / f"checkpoint-{self.state.best_global_step}"
            )

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random state of this process, if the checkpoint has it."""
        with checkpoints.load_failure_explained(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Load the scaler of a run in fp16; others have none, whatever the folder holds."""
        if self.accelerator.scaler is not None:
            super()._load_scaler(checkpoint)
