"""Techniques with weights: they are trained and resumed, and left out of the finished model."""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import textvae
from tests.tiny_run import train_tiny
from textvae.runs.run import Run
from textvae.training import checkpoints
from textvae.training import fit as fitting
from textvae.training.trainer import VAETrainer

RUNS = {
    "adversary": {"adversarial": {"hidden": 8}, "denoising": {}, "bag_of_words": {"hidden": 8}},
    "refined": {"semi_amortized": {"steps": 1}, "latent_dropout": {}},
    "weighted": {"iwae": {"draws": 2}},
}


class InterruptedTrainer(VAETrainer):
    """Stops after the eighth of twelve steps; the first checkpoint is at the sixth."""

    def training_step(self, *args, **options):
        """Train a step, or stop."""
        if self.state.global_step == 8:
            raise KeyboardInterrupt
        return super().training_step(*args, **options)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(name, tmp_path, monkeypatch):
    """Techniques draw random numbers and have weights, and both are restored."""
    objective = {"techniques": RUNS[name]}
    train_tiny(tmp_path / "unbroken", objective=objective)
    monkeypatch.setattr(fitting, "VAETrainer", InterruptedTrainer)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path / "broken", objective=objective)
    monkeypatch.setattr(fitting, "VAETrainer", VAETrainer)
    newest = checkpoints.find_newest_complete(tmp_path / "broken")
    assert newest is not None
    saved = load_file(newest / "model.safetensors")
    assert any(key.startswith("auxiliary.") for key in saved) == (name == "adversary")
    textvae.train(output=tmp_path / "broken", resume=True, device="cpu")
    unbroken, resumed = (
        load_file(tmp_path / run / "model.safetensors") for run in ("unbroken", "broken")
    )
    assert unbroken.keys() == resumed.keys()
    assert not any(key.startswith("auxiliary.") for key in unbroken)
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)


def test_without_a_kl_term_the_best_checkpoint_has_the_best_reconstruction(tmp_path):
    """If the loss does not penalize the KL, the ELBO falls while the model learns."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({"mutual_information_machine": {}}, "eval_reconstruction"),
        ({"iwae": {}}, "eval_elbo"),
    ]
    for number, (techniques, measure) in enumerate(cases):
        train_tiny(
            tmp_path / str(number),
            objective={"techniques": techniques},
            training={"warmup_steps": 0},
        )
        history = Run(tmp_path / str(number)).read_json("training.json")["history"]
        evaluations = [entry for entry in history if "eval_selection" in entry]
        assert evaluations
        assert all(abs(entry["eval_selection"]) == abs(entry[measure]) for entry in evaluations)
