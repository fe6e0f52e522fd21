"""The settings of training."""

from typing import Annotated, Literal

from pydantic import Field

from textvae.schema import StrictSettings

_Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(StrictSettings):
    """How long, how fast, how often to look.

    With neither `epochs`, `steps` nor `max_minutes`, training goes on until the
    validation ELBO has not improved for `patience` looks, then cools down.
    """

    epochs: float | None = Field(None, gt=0)
    steps: int | None = Field(None, gt=0)
    max_minutes: float | None = Field(
        None, gt=0, description="wall clock; the schedules fit themselves to it"
    )
    seed: int = Field(1, ge=0, lt=2**31)
    learning_rate: float = Field(5e-3, gt=0)
    encoder_learning_rate: float | None = Field(
        None, gt=0, description="of encoder and posterior; the same without"
    )
    warmup_steps: int = Field(200, ge=0)
    betas: tuple[_Share, _Share] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(
        20.0, ge=0, description="of the loss in nats a sentence; 0: not clipped"
    )
    batch_tokens: int = Field(
        512, ge=1, description="most tokens in a batch, of all processes, padding included"
    )
    batch_sentences: int | None = Field(
        None, ge=1, description="most sentences in a batch, of all processes"
    )
    accumulate: int = Field(1, ge=1, description="batches a step")
    bf16: bool | Literal["auto"] = Field(
        "auto", description="auto: where the processor multiplies bf16 in hardware"
    )
    compile: bool = Field(
        False, description="torch.compile encoder and decoder (see docs/scaling.md for when)"
    )
    evaluations: int = Field(8, ge=1, description="looks at the validation split in a bounded run")
    evaluate_steps: int = Field(
        1000, ge=1, description="steps between looks in an open-ended run, an epoch at most"
    )
    validation_sentences: int = Field(1000, ge=1, description="most sentences a look takes")
    patience: int = Field(
        4, ge=1, description="looks without improvement before an open-ended run cools down"
    )
    most_epochs: int = Field(200, ge=1, description="bound of an open-ended run")
    logging_steps: int = Field(20, ge=1)
    trackers: list[str] = Field(
        ["tensorboard"], description="names transformers knows; [] for none"
    )
    workers: int = Field(0, ge=0, description="processes that load batches")
