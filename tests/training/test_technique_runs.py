"""Techniques in a run: their own weights are trained, resumed with the run, and left out of the finished model."""

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


class Dying(VAETrainer):
    """Stops after the eighth of twelve steps; the first checkpoint is at the sixth."""

    def training_step(self, *given, **more):
        """Train, or die."""
        if self.state.global_step == 8:
            raise KeyboardInterrupt
        return super().training_step(*given, **more)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(name, tmp_path, monkeypatch):
    """With random numbers and weights of the techniques' own in play."""
    objective = {"techniques": RUNS[name]}
    train_tiny(tmp_path / "whole", objective=objective)
    monkeypatch.setattr(fitting, "VAETrainer", Dying)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path / "broken", objective=objective)
    monkeypatch.setattr(fitting, "VAETrainer", VAETrainer)
    saved = load_file(checkpoints.find_newest_complete(tmp_path / "broken") / "model.safetensors")
    assert any(key.startswith("auxiliary.") for key in saved) == (name == "adversary")
    textvae.train(output=tmp_path / "broken", resume=True, device="cpu")
    whole, resumed = (
        load_file(tmp_path / run / "model.safetensors") for run in ("whole", "broken")
    )
    assert whole.keys() == resumed.keys()
    assert not any(key.startswith("auxiliary.") for key in whole)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_the_best_checkpoint_of_a_free_kl_is_that_of_the_best_reconstruction(tmp_path):
    """Its ELBO falls while it learns."""
    for number, (techniques, measure) in enumerate(
        [({"mutual_information_machine": {}}, "eval_reconstruction"), ({"iwae": {}}, "eval_elbo")]
    ):
        train_tiny(
            tmp_path / str(number),
            objective={"techniques": techniques},
            training={"warmup_steps": 0},
        )
        history = Run(tmp_path / str(number)).read_json("training.json")["history"]
        looks = [entry for entry in history if "eval_selection" in entry]
        assert looks
        assert all(abs(entry["eval_selection"]) == abs(entry[measure]) for entry in looks)
