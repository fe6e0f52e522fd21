"""Distillation: learn from what trained models expect at each place, beside the word that stands there.

    (1 - weight) * -log p(word) + weight * cross-entropy(teachers' distribution, p)

(Hinton et al. 2015, arXiv:1503.02531, at temperature 1). A teacher of the
student's own sizes, trained on the same text, is a regulariser: the student
ends better than its teacher (born-again networks, Furlanello et al. 2018,
arXiv:1805.04770). Of several teachers it learns the average.

A VAE teaches with a z drawn from its own posterior, anew each time: what the
student's z does not tell is averaged out. A language model as the teacher of a
VAE pulls it to where z is not used.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor

from textvae.batching import Batch
from textvae.bundle import Bundle, load_bundle
from textvae.errors import ConfigError
from textvae.projection import SoftTarget
from textvae.techniques.base import Progress, Technique, TechniqueSettings


def absolute(folder: str) -> str:
    """Return a path that a run can be resumed with from anywhere."""
    return str(Path(folder).expanduser().absolute())


class DistillationSettings(TechniqueSettings):
    """Whose expectations, and how much they count."""

    kind: Literal["distillation"] = "distillation"
    teacher: Annotated[
        tuple[Annotated[str, AfterValidator(absolute)], ...],
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    ] = Field(min_length=1, description="a run's folder, or several")
    weight: float = Field(0.6, ge=0, le=1, description="of the teachers; the word itself has the rest")

    def check(self, bundle: Bundle) -> None:
        """Refuse a teacher that is missing, or speaks of other tokens or labels.

        Raises:
            CheckpointError: it cannot be loaded.
            ConfigError: it has another vocabulary, or is conditional in another way.
        """
        for folder in self.teacher:
            teacher, mend = load_bundle(folder, "cpu"), "train it on this corpus, with these tokenizer settings"
            if teacher.tokenizer.get_vocab() != bundle.tokenizer.get_vocab():
                raise ConfigError(
                    f"objective.techniques.distillation.teacher = {folder} has other tokens "
                    f"({len(teacher.tokenizer):,}) than this model ({len(bundle.tokenizer):,}): {mend}."
                )
            if teacher.labels is not None and teacher.labels != bundle.labels:
                raise ConfigError(
                    f"objective.techniques.distillation.teacher = {folder} is conditioned on labels that this model "
                    "does not have: take one without."
                )


class Distillation(Technique):
    """Mixes the teachers' distributions into the targets; an autoencoder's start is not taught."""

    Settings = DistillationSettings

    @cached_property
    def teachers(self) -> list[Bundle]:
        """The teachers, in evaluation mode."""
        bundles = [load_bundle(folder, "cpu") for folder in self.settings.teacher]
        for bundle in bundles:
            bundle.model.eval().requires_grad_(False)
        return bundles

    def teach(self, batch: Batch, progress: Progress) -> Sequence[SoftTarget]:
        """Return what each teacher expects."""
        if progress.is_prelude:
            return ()
        share = self.settings.weight / len(self.teachers)
        return [expectation(teacher, batch, share) for teacher in self.teachers]


@torch.no_grad()
def expectation(teacher: Bundle, batch: Batch, share: float) -> SoftTarget:
    """Return what a teacher expects at each place of a batch, given a draw of its own z."""
    model = teacher.model.to(batch["input_ids"].device)
    latent: Tensor = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"]).sample()
    signals = model.signals(latent, batch.get("label_ids") if teacher.labels else None)
    states = model.decoder(batch["input_ids"], batch["attention_mask"], signals)
    return SoftTarget(states, model.decoder.output_weight, model.decoder.output_bias, share)
