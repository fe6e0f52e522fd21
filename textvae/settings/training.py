"""The settings of training: how long, how fast, and how often to evaluate."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from textvae.errors import ConfigError
from textvae.schema import MAX_PROCESSES, StrictSettings
from textvae.settings.trainer_names import TRAINER_NAMES

HubStrategy = Literal["end", "every_save", "checkpoint", "all_checkpoints"]

_Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(StrictSettings):
    """How long to train, how fast, and how often to evaluate.

    `epochs`, `steps` and `max_minutes` bound a run. Without any of them the run is
    open-ended: it trains until the validation ELBO has not improved for `patience`
    evaluations, then the learning rate cools down.
    """

    foreign_names = TRAINER_NAMES

    epochs: float | None = Field(
        None, gt=0, description="passes over the corpus at which training ends"
    )
    steps: int | None = Field(
        None, gt=0, description="updates of the weights at which training ends"
    )
    max_minutes: float | None = Field(
        None, gt=0, description="time of training; the schedules adapt to it"
    )
    clock: Literal["wall", "processor"] = Field(
        "wall",
        description="what max_minutes counts: wall-clock time, or the processor time of the "
        "training process (of all its threads), which other programs do not lengthen",
    )
    seed: int = Field(
        1,
        ge=0,
        lt=2**31,
        description="seed of the initial weights, the order of batches and all sampling",
    )
    learning_rate: float = Field(5e-3, gt=0, description="of AdamW, at its highest")
    encoder_learning_rate: float | None = Field(
        None, gt=0, description="for the encoder and the posterior; default: learning_rate"
    )
    bottleneck_learning_rate: float | None = Field(
        None,
        gt=0,
        description="for the posterior and the conditioning; default: as encoder and decoder",
    )
    decoder_learning_rate: float | None = Field(
        None, gt=0, description="for the decoder and the conditioning; default: learning_rate"
    )
    warmup_steps: int = Field(
        200, ge=0, description="steps in which the learning rate rises from 0"
    )
    betas: tuple[_Share, _Share] = Field(
        (0.9, 0.98), description="decay rates of AdamW's averages, per step"
    )
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, times the learning rate")
    max_grad_norm: float = Field(
        20.0, ge=0, description="for the loss in nats per sentence; 0: no clipping"
    )
    batch_tokens: int = Field(
        512, ge=1, description="most tokens per batch, padding included, over all processes"
    )
    batch_sentences: int | None = Field(
        None, ge=1, description="most sentences per batch, over all processes"
    )
    accumulate: int = Field(1, ge=1, description="batches per step")
    bf16: bool | Literal["auto"] = Field(
        "auto",
        description="auto: only if the processor multiplies bf16 in hardware; frozen models always "
        "compute as with auto",
    )
    compile: bool = Field(
        False, description="torch.compile encoder and decoder (`textvae docs scaling` says when)"
    )
    evaluations: int = Field(8, ge=1, description="evaluations during a bounded run")
    evaluate_steps: int = Field(
        1000, ge=1, description="steps between evaluations of an open-ended run, one epoch at most"
    )
    validation_sentences: int = Field(
        1000, ge=1, description="most sentences per evaluation, evenly spaced"
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="checkpoint that the run ends with: the best on the validation split, or the "
        "last, at the end of the schedule",
    )
    patience: int = Field(
        4, ge=1, description="evaluations without improvement before an open-ended run cools down"
    )
    most_epochs: int = Field(200, ge=1, description="upper bound of an open-ended run")
    logging_steps: int = Field(20, ge=1, description="steps between lines of the log")
    trackers: list[str] | Literal["auto"] = Field(
        "auto",
        description="experiment trackers by transformers' names, such as tensorboard or wandb; "
        "none for none; auto: tensorboard if it is installed",
    )
    workers: int = Field(0, ge=0, le=MAX_PROCESSES, description="processes that load batches")
    push_to_hub: bool = Field(
        False, description="push the model to the Hugging Face Hub, as hub_strategy says"
    )
    hub_model_id: str | None = Field(
        None, description="repository to push to, owner/name; default: the run folder's name"
    )
    hub_strategy: HubStrategy = Field(
        "every_save",
        description="end: the finished run alone; every_save: each saved model as well; "
        "checkpoint: and the newest checkpoint, in last-checkpoint; all_checkpoints: each one",
    )
    hub_private_repo: bool = Field(False, description="create the repository as a private one")
    hub_revision: str | None = Field(
        None, description="branch to push to; default: the main branch"
    )
    hub_always_push: bool = Field(
        False, description="push a saved model even if the last push is still under way"
    )

    @field_validator("trackers", mode="before")
    @classmethod
    def list_trackers(cls, trackers: object) -> object:
        """Accept a single name, and `none`, as `report_to` of transformers' Trainer does."""
        if not isinstance(trackers, str) or trackers == "auto":
            return trackers
        return [] if trackers == "none" else [trackers]

    @model_validator(mode="after")
    def check_hub(self) -> Self:
        """Refuse settings of a push if nothing is pushed.

        Raises:
            ConfigError: push_to_hub is false.
        """
        names = (
            "hub_model_id",
            "hub_revision",
            "hub_private_repo",
            "hub_always_push",
            "hub_strategy",
        )
        for name in names:
            is_changed = getattr(self, name) != type(self).model_fields[name].default
            if not self.push_to_hub and is_changed:
                raise ConfigError(
                    f"training.{name} = {getattr(self, name)!r} has no effect, because nothing is "
                    "pushed: set training.push_to_hub=true, or leave it out."
                )
        return self

    def uses_bf16(self, is_fast: bool) -> bool:
        """Return whether products are in bf16, on a device that multiplies it fast or not."""
        return is_fast if self.bf16 == "auto" else self.bf16
