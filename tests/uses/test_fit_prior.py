"""Fitted priors: draws from where the latents are, the same under the same seed, kept with the model."""

import json
import shutil

import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from tests.tiny_run import SETTINGS, train_tiny
from textvae.cli.main import main
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.model.posteriors.deterministic import Point
from textvae.runs.fitted import save_fitted
from textvae.uses.fit_prior.fit import FITTED_PRIORS, load_prior, sample_fitted_prior
from textvae.vae import TextVAE

pytestmark = pytest.mark.xdist_group("fit_prior")  # they share what was fitted
TEXTS = [f"{first} {second}" for first in SENTENCES for second in SENTENCES] * 14


def two_hills(count: int) -> torch.Tensor:
    """Return draws of two unequal, correlated hills in four dimensions, (count, 4)."""
    torch.manual_seed(0)
    z = torch.randn(count, 4) * torch.tensor([0.4, 0.4, 1.0, 0.3])
    z[:, 1] += 0.8 * z[:, 2]
    z[:, 0] += torch.where(torch.rand(count) < 0.7, 3.0, -3.0)
    return z


@pytest.fixture(scope="module", params=FITTED_PRIORS)
def fitted(request):
    """Each kind, fitted on two hills with its own number of steps cut short."""
    z = two_hills(3000)
    with torch.random.fork_rng([]), pytest.MonkeyPatch.context() as patch:
        patch.setattr("textvae.uses.fit_prior.base.TRAINING_STEPS", 800)
        torch.manual_seed(1)
        return request.param, FITTED_PRIORS[request.param].fit(Point(z[300:]), z[:300])


def test_draws_are_as_the_latents_were(fitted):
    """Means, covariances and the share of each hill match; little lies between them."""
    _, prior = fitted
    z, wanted = sample_fitted_prior(prior, 4000, seed=0), two_hills(4000)
    torch.testing.assert_close(z.mean(0), wanted.mean(0), atol=0.25, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), torch.cov(wanted.T), atol=0.45, rtol=0.15)
    assert (z[:, 0] > 0).float().mean() == pytest.approx(0.7, abs=0.05)
    assert (z[:, 0].abs() < 1).float().mean() < 0.08


def test_the_same_seed_draws_the_same_after_saving(fitted, lstm, tmp_path):
    """And another seed others."""
    kind, prior = fitted
    save_fitted(
        tmp_path / kind,
        lstm.bundle,
        "prior",
        {"prior": kind, "sizes": prior.sizes},
        prior.state_dict(),
    )
    again = load_prior(tmp_path / kind, lstm.bundle)
    assert torch.equal(sample_fitted_prior(prior, 5, seed=3), sample_fitted_prior(again, 5, seed=3))
    assert not torch.equal(
        sample_fitted_prior(prior, 5, seed=3), sample_fitted_prior(prior, 5, seed=4)
    )


@pytest.mark.parametrize("kind", FITTED_PRIORS)
def test_a_density_integrates_to_one(kind):
    """On a grid, after a few steps of learning; that of the diffusion is an estimate."""
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


def test_generate_draws_from_it_when_asked(vae, tmp_path):
    """A model that was saved finds its prior again; unasked, it writes as before."""
    vae.save_pretrained(tmp_path)
    kept = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert kept.fit_prior("gaussian_mixture", TEXTS)["texts"] == len(TEXTS)
    again = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert again.generate(6, prior="gaussian_mixture") == kept.generate(6, prior="gaussian_mixture")
    assert again.generate(6) == vae.generate(6)
    with pytest.raises(CheckpointError, match="another model's latents"):
        TextVAE(tiny_vae(seed=1).model, vae.tokenizer, tmp_path).generate(
            2, prior="gaussian_mixture"
        )


def test_what_cannot_be_fitted_is_refused(lstm, tmp_path):
    """An unknown kind, too few sentences, one that was not fitted, a language model."""
    lstm.save_pretrained(tmp_path)
    vae = TextVAE.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="did you mean 'flow'"):
        vae.fit_prior("flows", TEXTS)
    with pytest.raises(DataError, match="6 sentences to fit a prior on: wanted are 500"):
        vae.fit_prior("flow", SENTENCES)
    with pytest.raises(CheckpointError, match=r"no prior was fitted there"):
        vae.generate(2, prior="flow")
    config = type(vae.model.config)(**{**vae.model.config.to_dict(), "latent_dim": 0})
    with pytest.raises(ConfigError, match="is a language model"):
        TextVAE(type(vae.model)(config), vae.tokenizer, tmp_path).fit_prior(
            "gaussian_mixture", TEXTS
        )


def test_the_commands_fit_and_generate(tiny_run, tmp_path, capsys):
    """On a file, or on the run's own training sentences; what comes too early ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    run, file = str(tmp_path / "run"), tmp_path / "some.txt"
    file.write_text("\n".join(TEXTS) + "\n")
    assert main(["generate", run, "--prior", "gaussian_mixture"]) == 2
    assert "no prior was fitted there" in capsys.readouterr().err
    options = ["--kind", "gaussian_mixture", "--json", "--device", "cpu"]
    assert main(["prior", "fit", run, str(file), *options]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == len(TEXTS)
    assert (
        main(
            ["generate", run, "--prior", "gaussian_mixture", "-n", "3", "--json", "--device", "cpu"]
        )
        == 0
    )
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert (
        main(["prior", "fit", run, *options]) == 2
    )  # the tiny run has no hundred training sentences
    assert "wanted are 100 or more" in capsys.readouterr().err


def test_a_run_whose_latents_nothing_drew_to_the_prior_says_that_it_needs_one(tmp_path, capsys):
    """An autoencoder does, unless a technique stands in the KL's place or a fitted prior is asked for."""
    off = {"target_kl": "off", "unit_floor": "off"}
    model = {**SETTINGS["model"], "posterior": {"kind": "deterministic"}}
    for name, techniques in (("plain", off), ("wae", {**off, "mmd": {"weight": 10}})):
        train_tiny(tmp_path / name, model=model, objective={"techniques": techniques})
        assert main(["generate", str(tmp_path / name), "-n", "1", "--device", "cpu"]) == 0
        assert ("textvae prior fit" in capsys.readouterr().err) == (name == "plain")
    run, file = str(tmp_path / "plain"), tmp_path / "some.txt"
    file.write_text("\n".join(TEXTS) + "\n")
    assert (
        main(["prior", "fit", run, str(file), "--kind", "gaussian_mixture", "--device", "cpu"]) == 0
    )
    capsys.readouterr()
    assert main(["generate", run, "-n", "1", "--prior", "gaussian_mixture", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == ""
