"""Fitted priors: samples follow the latents, depend on the seed, and are saved with the model."""

import json
import shutil

import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from tests.tiny_run import LABELLED, SETTINGS, table, train_tiny
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.model.posteriors.deterministic import Point
from textvae.model.posteriors.flow import FlowPosterior, FlowSettings
from textvae.runs.fitted import save_fitted
from textvae.uses.fit_prior.fit import (
    FITTED_PRIORS,
    fit_on_posterior,
    load_prior,
    sample_fitted_prior,
)
from textvae.uses.settings import PriorKind
from textvae.vae import TextVAE

pytestmark = pytest.mark.xdist_group("fit_prior")  # one process fits each kind once
TEXTS = [f"{first} {second}" for first in SENTENCES for second in SENTENCES] * 14


def two_clusters(count: int) -> torch.Tensor:
    """Return samples of two unequal clusters with correlated dimensions, (count, 4)."""
    torch.manual_seed(0)
    z = torch.randn(count, 4) * torch.tensor([0.4, 0.4, 1.0, 0.3])
    z[:, 1] += 0.8 * z[:, 2]
    z[:, 0] += torch.where(torch.rand(count) < 0.7, 3.0, -3.0)
    return z


@pytest.fixture(scope="module", params=FITTED_PRIORS)
def fitted(request):
    """Each kind, fitted on two clusters with fewer steps than by default."""
    z = two_clusters(3000)
    with torch.random.fork_rng([]), pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 800)
        torch.manual_seed(1)
        return request.param, FITTED_PRIORS[request.param].fit(Point(z[300:]), z[:300])


def test_samples_are_distributed_like_the_latents(fitted):
    """Means, covariances and the share of each cluster match; few samples lie between them."""
    _, prior = fitted
    z = sample_fitted_prior(prior, 4000, seed=0)
    expected = two_clusters(4000)
    torch.testing.assert_close(z.mean(0), expected.mean(0), atol=0.25, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), torch.cov(expected.T), atol=0.45, rtol=0.15)
    assert (z[:, 0] > 0).float().mean() == pytest.approx(0.7, abs=0.05)
    assert (z[:, 0].abs() < 1).float().mean() < 0.08


def test_the_same_seed_gives_the_same_samples_after_loading(fitted, lstm, tmp_path):
    """Another seed gives other samples."""
    kind, prior = fitted
    record = {"prior": kind, "sizes": prior.sizes}
    save_fitted(tmp_path / kind, lstm.bundle, "prior", record, prior.state_dict())
    loaded = load_prior(tmp_path / kind, lstm.bundle)
    samples = sample_fitted_prior(prior, 5, seed=3)
    assert torch.equal(samples, sample_fitted_prior(loaded, 5, seed=3))
    assert not torch.equal(samples, sample_fitted_prior(prior, 5, seed=4))


@pytest.mark.parametrize("kind", FITTED_PRIORS)
def test_a_density_integrates_to_one(kind):
    """It is summed on a grid after a few training steps; the diffusion's is an estimate."""
    torch.manual_seed(0)
    z = torch.randn(600, 2) * 0.5 + torch.tensor([0.5, -0.5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 100)
        patch.setattr("textvae.uses.fit_prior.diffusion.BATCH_SIZE", 256)
        prior = FITTED_PRIORS[kind].fit(Point(z[60:]), z[:60])
    line = torch.linspace(-3, 3, 41)
    with torch.no_grad():
        density = prior.log_prob(torch.cartesian_prod(line, line)).exp()
    assert float(density.sum()) * 0.15**2 == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "kind", [name for name, one in FITTED_PRIORS.items() if one.min_latent == 1]
)
def test_a_prior_of_one_dimension_has_the_mean_and_deviation_of_the_latents(kind):
    """It is fitted with fewer steps than by default."""
    torch.manual_seed(0)
    z = torch.randn(1000, 1) * 0.5 + 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 100)
        prior = FITTED_PRIORS[kind].fit(Point(z[100:]), z[:100])
    samples = sample_fitted_prior(prior, 2000, seed=0)
    assert samples.shape == (2000, 1)
    assert samples.mean() == pytest.approx(2, abs=0.1)
    assert samples.std() == pytest.approx(0.5, abs=0.1)


def test_a_flow_of_one_dimension_is_refused_with_the_kinds_that_fit(tmp_path):
    """Its couplings change one half of z, given the other half."""
    tiny_vae(latent=1).save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="has 1: choose from gaussian_mixture, diffusion"):
        vae.fit_prior("flow", TEXTS)


def test_generate_uses_a_fitted_prior_only_when_asked(vae, tmp_path):
    """A loaded model finds its prior; without `prior` it generates as before."""
    kind: PriorKind = "gaussian_mixture"
    vae.save_pretrained(tmp_path)
    fitted_vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert fitted_vae.fit_prior(kind, TEXTS)["texts"] == len(TEXTS)
    loaded = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert loaded.generate(6, prior=kind, seed=1) == fitted_vae.generate(6, prior=kind, seed=1)
    assert loaded.generate(6, seed=1) == vae.generate(6, seed=1)
    other = TextVAE(tiny_vae(seed=1).model, vae.tokenizer, tmp_path)
    with pytest.raises(CheckpointError, match="another model's latents"):
        other.generate(2, prior=kind)


def test_a_prior_that_cannot_be_fitted_or_loaded_is_refused(lstm, tmp_path):
    """An unknown kind, too few sentences, a prior that was not fitted, or a language model."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="did you mean 'flow'"):
        vae.fit_prior("flows", TEXTS)  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match="got 6 sentences to fit a prior on; flow needs at least 500"
    ):
        vae.fit_prior("flow", SENTENCES)
    with pytest.raises(CheckpointError, match=r"no prior was fitted there"):
        vae.generate(2, prior="flow")
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    language_model = TextVAE(type(vae.model)(config), vae.tokenizer, tmp_path)
    with pytest.raises(ConfigError, match="is a language model"):
        language_model.fit_prior("gaussian_mixture", TEXTS)


def test_no_prior_is_fitted_on_a_conditional_model(tmp_path):
    """No text would be generated from it; the model is refused before its sentences are read."""
    tiny_vae(labels={"one": 3, "two": 3}).save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    for model in (vae, vae.with_label("one")):
        with pytest.raises(ConfigError, match="does not depend on labels, but this model does"):
            model.fit_prior("gaussian_mixture")
    assert not (tmp_path / "fitted").exists()


def test_the_commands_fit_and_generate(tiny_run, tmp_path, capsys):
    """They fit on a file or on the run's training sentences; wrong input ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run = str(tmp_path / "run")
    file = tmp_path / "some.txt"
    file.write_text("\n".join(TEXTS) + "\n")
    assert main(["generate", run, "--prior", "gaussian_mixture"]) == 2
    assert "no prior was fitted there" in capsys.readouterr().err
    options = ["--kind", "gaussian_mixture", "--json", "--device", "cpu"]
    assert main(["prior", "fit", run, str(file), *options]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == len(TEXTS)
    generate = ["generate", run, "--prior", "gaussian_mixture", "-n", "3"]
    assert main([*generate, "--json", "--device", "cpu"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    # The tiny run has fewer than a hundred training sentences.
    assert main(["prior", "fit", run, *options]) == 2
    assert "needs at least 100" in capsys.readouterr().err


def test_a_run_that_was_not_matched_to_its_prior_recommends_fitting_one(tmp_path, capsys):
    """A plain autoencoder does, but not with MMD in place of the KL, nor with a fitted prior."""
    off = {"target_kl": "off", "unit_floor": "off"}
    model = {**SETTINGS["model"], "posterior": {"kind": "deterministic"}}
    for name, techniques in (("plain", off), ("wae", {**off, "mmd": {"weight": 10}})):
        train_tiny(tmp_path / name, model=model, objective={"techniques": techniques})
        capsys.readouterr()  # the verdict at the end of training may recommend it, too
        assert main(["generate", str(tmp_path / name), "-n", "1", "--device", "cpu"]) == 0
        assert ("textvae prior fit" in capsys.readouterr().err) == (name == "plain")
    run = str(tmp_path / "plain")
    file = tmp_path / "some.txt"
    file.write_text("\n".join(TEXTS) + "\n")
    fit = ["prior", "fit", run, str(file), "--kind", "gaussian_mixture", "--device", "cpu"]
    assert main(fit) == 0
    capsys.readouterr()
    with_prior = ["--prior", "gaussian_mixture", "--seed", "1", "--device", "cpu"]
    assert main(["generate", run, "-n", "1", *with_prior]) == 0
    assert capsys.readouterr().err == ""


def test_no_prior_is_recommended_to_a_conditional_run(tmp_path, capsys):
    """Fitting one would be refused, but its samples are as far from its sentences."""
    model = {
        **SETTINGS["model"],
        "posterior": {"kind": "deterministic"},
        "prior": "standard_normal",
    }
    off = {"target_kl": "off", "unit_floor": "off"}
    run = tmp_path / "run"
    train_tiny(
        run,
        table(LABELLED),
        data={"label": "label"},
        model=model,
        objective={"techniques": off},
    )
    capsys.readouterr()
    assert main(["generate", str(run), "-n", "1", "--device", "cpu"]) == 0
    error = capsys.readouterr().err
    assert "do not lie where its sentences do" in error
    assert "prior fit" not in error


@pytest.mark.parametrize("kind", ["gaussian_mixture", "flow", "diffusion"])
def test_a_prior_is_fitted_on_the_samples_of_a_flow_posterior(kind, monkeypatch):
    """Its weights, through which samples have gradients, are those of the model."""
    monkeypatch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 50)
    torch.manual_seed(0)
    posterior = FlowPosterior(FlowSettings(pooling=["last"]), 6, 3, is_bidirectional=False)
    q = posterior(torch.randn(600, 5, 6), torch.ones(600, 5))
    assert q.sample().requires_grad
    prior = fit_on_posterior(q, FITTED_PRIORS[kind])
    assert prior.sample(4).shape == (4, 3)
