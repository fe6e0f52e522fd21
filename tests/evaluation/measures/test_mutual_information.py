"""Mutual information, active units and shuffled latents, against known values."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Independent, Normal

from tests.linear_gaussian import LATENT, NOISE, LinearGaussian, build_inputs
from tests.tiny import draws, tiny_dataset, tiny_vae
from textvae.evaluation.measures import MEASURES, ModelOutputs, run_model
from textvae.evaluation.measures.mutual_information import (
    DENSITY_ROWS_AT_ONCE,
    estimate_mutual_information,
    is_at_cap,
)
from textvae.evaluation.measures.shuffled_latent import choose_others_of_label
from textvae.model.posteriors import DiagonalGaussian
from textvae.model.posteriors.von_mises_fisher import VonMisesFisher


def make_outputs(mean, logvar, seed=5):
    """Return the model outputs of these posteriors, with one draw each."""
    n = len(mean)
    latent = mean + torch.exp(0.5 * logvar) * draws(*mean.shape, seed=seed)
    ones = torch.ones(n)
    return ModelOutputs(
        DiagonalGaussian(mean, logvar), latent, torch.zeros_like(mean), ones, ones, ones, ones
    )


def information(outputs):
    return MEASURES["information"](replace(build_inputs(LinearGaussian(n=2)), outputs=outputs))


def spread_out(n, between, within):
    """Return outputs whose means vary by `between`, with posteriors of deviation `within`."""
    mean = between * draws(n, 2)
    return make_outputs(mean, torch.full_like(mean, 2 * math.log(within)))


def test_the_densities_of_all_pairs_equal_a_slow_loop():
    """The loop takes each log q(z_i | x_j) from torch.distributions."""
    z = draws(5, 3).double()
    mean = draws(7, 3, seed=1).double()
    logvar = draws(7, 3, seed=2).double()
    slow = torch.empty(5, 7, dtype=torch.float64)
    for i in range(5):
        for j in range(7):
            q = Independent(Normal(mean[j], torch.exp(0.5 * logvar[j])), 1)
            slow[i, j] = q.log_prob(z[i])
    torch.testing.assert_close(
        DiagonalGaussian(mean, logvar).log_prob_pairs(z),
        slow,
        rtol=1e-6,
        atol=1e-6,
    )


def test_the_information_equals_a_slow_loop():
    """It is the mean of log q(z | x) - log q(z), with q(z) the average of the posteriors."""
    outputs = spread_out(40, 1.0, 0.5)
    table = outputs.posterior.map(torch.Tensor.double).log_prob_pairs(outputs.latent.double())
    slow = []
    for i in range(40):
        average = sum(math.exp(value) for value in table[i]) / 40
        slow.append(float(table[i, i]) - math.log(average))
    assert estimate_mutual_information(outputs, slice(0, 40)) == pytest.approx(sum(slow) / 40)


@pytest.mark.parametrize(("between", "within"), [(0.5, 1.0), (1.0, 1.0), (1.5, 0.5)])
def test_the_information_of_a_gaussian_channel_equals_its_closed_form(between, within):
    """For many sentences, I = sum over dimensions of ln(1 + between^2 / within^2) / 2."""
    record = information(spread_out(3 * DENSITY_ROWS_AT_ONCE + 5, between, within))
    exact = 2 * 0.5 * math.log(1 + between**2 / within**2)
    assert record["mi_full"] == pytest.approx(exact, abs=0.06)
    assert record["mi_batch32"] <= record["mi_full"] + 0.05


def test_the_information_of_the_exact_posterior_is_that_between_x_and_z():
    """It is ln det(I + W'W / noise^2) / 2."""
    model = LinearGaussian(n=3000)
    exact = 0.5 * torch.log(1 + model.weight.square().sum(0) / NOISE**2).sum()
    record = MEASURES["information"](build_inputs(model))
    assert record["mi_full"] == pytest.approx(exact.item(), abs=0.06)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 500])
def test_no_estimate_exceeds_its_cap(n):
    """For posteriors that are far apart, the estimates reach their caps."""
    record = information(spread_out(n, 1000.0, 0.01))
    assert record["mi_full"] <= record["mi_full_cap"] + 1e-9
    assert record["mi_batch32"] <= record["mi_batch32_cap"] + 1e-9
    assert record["mi_full_cap"] == pytest.approx(math.log(n))
    assert record["mi_batch32_cap"] == pytest.approx(math.log(min(n, 32)))
    assert record["mi_full"] == pytest.approx(math.log(n), abs=1e-6)


def test_a_collapsed_posterior_has_no_information():
    """When all posteriors equal the prior, both estimates are 0."""
    record = information(make_outputs(torch.zeros(100, 3), torch.zeros(100, 3)))
    assert record["mi_full"] == pytest.approx(0, abs=1e-9)
    assert record["mi_batch32"] == pytest.approx(0, abs=1e-9)


def test_active_units_are_the_dimensions_whose_mean_varies():
    """A unit is active if the variance (n - 1) is at least 0.01."""
    mean = draws(50, 6)
    mean = (mean - mean.mean(0)) / mean.std(0)
    mean = mean * torch.tensor([0.0, 0.0099, 0.0101, 1.0, 0.0, 25.0]).sqrt() + 3.0
    outputs = make_outputs(mean, draws(50, 6))
    inputs = replace(build_inputs(LinearGaussian(n=2)), outputs=outputs)
    record = MEASURES["active_units"](inputs)
    assert (record["active_units"], record["latent_dim"]) == (3, 6)
    curve = dict(zip(record["active_units_thresholds"], record["active_units_curve"], strict=True))
    assert curve == {
        1e-4: 4,
        3e-4: 4,
        1e-3: 4,
        3e-3: 4,
        1e-2: 3,
        3e-2: 2,
        0.1: 2,
        0.3: 2,
        1.0: curve[1.0],
    }
    assert 1 <= curve[1.0] <= 2  # rounding decides on the unit whose variance is 1


def measure_units(mean, logvar):
    """Return the record of active units of these posteriors."""
    inputs = replace(build_inputs(LinearGaussian(n=2)), outputs=make_outputs(mean, logvar))
    return MEASURES["active_units"](inputs)


def make_means(variances, n=400):
    """Return means, (n, units), whose units are independent and have these variances."""
    mean = draws(n, len(variances)).double()
    whitened = torch.linalg.qr(mean - mean.mean(0)).Q * math.sqrt(n - 1)
    return (whitened * torch.tensor(variances).double().sqrt()).float()


def test_the_information_of_a_unit_is_that_of_a_gaussian_channel():
    """It is ln(1 + between / within) / 2 where the noise is the same for all sentences."""
    variances = [0.0, 0.1, 1.0, 4.0]
    mean = make_means(variances)
    record = measure_units(mean, torch.full_like(mean, math.log(0.5)))
    expected = [0.5 * math.log1p(variance * 399 / 400 / 0.5) for variance in variances]
    assert record["information_by_dimension"] == pytest.approx(expected, abs=1e-4)


def test_a_unit_of_noise_has_no_information_although_it_has_a_kl():
    """A floor on the KL can be filled with a variance that is not that of the prior."""
    mean = make_means([1.0, 1.0, 0.0, 0.0])
    logvar = torch.full_like(mean, math.log(0.1))
    record = measure_units(mean, logvar)
    assert record["information_by_dimension"][2:] == pytest.approx([0, 0], abs=1e-6)
    assert record["effective_units"] == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("equal", [1, 3, 32])
def test_equal_units_are_as_many_effective_ones(equal):
    """The others carry nothing."""
    mean = make_means([1.0] * equal + [0.0] * (32 - equal))
    record = measure_units(mean, torch.full_like(mean, -1.0))
    assert record["effective_units"] == pytest.approx(equal, rel=1e-3)
    assert record["beyond_ten_share"] == pytest.approx(max(0, equal - 10) / equal, abs=1e-3)


def test_a_floor_per_unit_buys_active_units_but_no_effective_ones():
    """26 units just above the usual threshold change none of the other numbers by much."""
    strong = [14.0, 10.0, 7.0, 5.0, 2.0, 1.5]
    logvar = torch.zeros(400, 32)
    without = measure_units(make_means([*strong, *[0.0] * 26]), logvar)
    bought = measure_units(make_means([*strong, *[0.04] * 26]), logvar)
    assert (without["active_units"], bought["active_units"]) == (6, 32)
    assert without["active_units_strict"] == bought["active_units_strict"] == 6
    assert bought["effective_units"] == pytest.approx(without["effective_units"], rel=0.25)
    assert bought["beyond_ten_share"] < 0.1


def test_a_posterior_that_does_not_split_into_units_has_no_effective_number():
    """Its record leaves the number out, as that of the KL of each dimension."""
    inputs = build_inputs(LinearGaussian(n=5))
    points = 2**0.5 * torch.nn.functional.normalize(draws(5, 2), dim=1)
    outputs = replace(inputs.outputs, posterior=VonMisesFisher(points, 80.0), kl=torch.ones(5, 1))
    record = MEASURES["active_units"](replace(inputs, outputs=outputs))
    assert "effective_units" not in record


@pytest.mark.parametrize(
    ("information", "cap", "expected"),
    [
        (6.89, 6.91, True),
        (5.92, 6.91, True),
        (5.9, 6.91, False),
        (0.0, 0.69, False),
        (0.0, 0, False),
    ],
)
def test_an_estimate_within_a_nat_of_its_cap_is_at_its_cap(information, cap, expected):
    """Where the cap itself is small, half of it decides."""
    assert is_at_cap(information, cap) == expected


def test_a_decoder_that_ignores_the_latent_loses_nothing_by_shuffling():
    """The increase is 0."""
    model = LinearGaussian(scale=(0.0, 0.0))
    record = MEASURES["shuffled_latent"](build_inputs(model))
    assert record["shuffled_latent_increase"] == pytest.approx(0, abs=1e-5)


def test_shuffled_latents_cost_what_the_closed_form_says():
    """With the exact posterior, E|x - Wz'|^2 - E|x - Wz|^2 = 2 tr(W'W) for an independent z'."""
    model = LinearGaussian(n=4000)
    expected = model.weight.square().sum().item() / NOISE**2
    record = MEASURES["shuffled_latent"](build_inputs(model))
    assert record["shuffled_latent_increase"] == pytest.approx(expected, rel=0.05)


def test_no_sentence_keeps_its_own_latent():
    """With two distant sentences, both cost much more."""
    model = LinearGaussian(n=2)
    model.points = torch.tensor([[30.0, 0.0, 0.0], [-30.0, 0.0, 0.0]])
    assert MEASURES["shuffled_latent"](build_inputs(model))["shuffled_latent_increase"] > 100


def test_the_outputs_are_in_the_order_of_the_data_set():
    """They are, whatever the order of the batches is."""
    model = LinearGaussian()
    ids = 4 + torch.arange(200).unsqueeze(1)
    q = model.encode(ids, torch.ones_like(ids))
    outputs = build_inputs(model).outputs
    torch.testing.assert_close(outputs.mean, q.mean)
    torch.testing.assert_close(outputs.kl, model.prior.kl(q, outputs.latent))
    assert outputs.latent.shape == (200, LATENT)


def test_a_unit_that_tells_the_label_alone_is_not_active():
    """Its posterior is the label's prior, so it has no KL either."""
    label_mean = torch.tensor([[2.0, 0.0], [-2.0, 0.0]]).repeat(20, 1)
    means = label_mean + torch.tensor([0.0, 1.0]) * draws(40, 2)
    outputs = replace(make_outputs(means, torch.zeros_like(means)), label_mean=label_mean)
    record = MEASURES["active_units"](replace(build_inputs(LinearGaussian(n=2)), outputs=outputs))
    assert record["active_units"] == 1
    first, second = record["information_by_dimension"]
    assert first == pytest.approx(0.0, abs=1e-6)
    assert second > 0.2


def test_latents_are_shuffled_among_the_sentences_of_a_label():
    """Only a sentence that is alone with its label gets the latent of another label."""
    label_ids = torch.tensor([0, 1, 0, 1, 2, 1])
    others = choose_others_of_label(torch.tensor([5, 0, 4, 2, 1, 3]), label_ids)
    assert (others != torch.arange(6)).all()
    has_company = label_ids != 2
    assert (label_ids[others] == label_ids)[has_company].all()


def test_the_outputs_have_the_mean_of_each_sentences_prior():
    """A prior without labels, and one that is fixed, is the same for all sentences."""
    vae = tiny_vae(labels={"calm": 3, "wild": 1})
    label_ids = torch.tensor([0, 1, 1, 0, 0, 1])
    names = [["calm", "wild"][label] for label in label_ids]
    labels = vae.bundle.labels
    assert labels is not None
    dataset = tiny_dataset(vae.bundle).add_column(labels.column, names)
    outputs = run_model(vae.bundle, dataset)
    expected = vae.model.prior.mean.detach()[label_ids]
    torch.testing.assert_close(outputs.label_mean, expected)
    torch.testing.assert_close(outputs.offset, outputs.mean - expected)
    for bundle in (vae.with_label("wild").bundle, tiny_vae().bundle):
        outputs = run_model(bundle, tiny_dataset(bundle))
        assert outputs.label_mean is None
        torch.testing.assert_close(outputs.offset, outputs.mean)
