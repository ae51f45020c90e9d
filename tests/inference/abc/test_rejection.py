"""Rejection: exactly as many as asked for, the closest; failures are rejected and counted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from support import conjugate
from support.abc_models import MODELS, NORMAL, fails
from support.conjugate import ExactCritic
from torch.distributions import Normal, Uniform

import lfi
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.simulation import Simulations, as_prior

DISCREPANCIES = (
    lfi.discrepancies.MMD(),
    lfi.discrepancies.Energy(),
    lfi.discrepancies.Wasserstein1D(),
    lfi.discrepancies.SlicedWasserstein(),
    lfi.discrepancies.Sinkhorn(relative=0.3),
    lfi.discrepancies.Moments(covariances=True),
    lfi.discrepancies.ClassifierDiscrepancy(),
    lfi.discrepancies.LSDD(width=1.0, ridge=0.01),
)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
each_discrepancy = pytest.mark.parametrize(
    "discrepancy", DISCREPANCIES, ids=lambda discrepancy: type(discrepancy).__name__
)


@pytest.fixture(scope="module")
def simulations(float64_throughout):
    """One record for each model, in float64."""
    return {
        model.name: lfi.simulate(model.simulator, 4_000, seed=1, progress=False) for model in MODELS
    }


def line(n=100):
    """Simulations whose distance from 0 is their row."""
    x = torch.arange(float(n))[:, None]
    return Simulations.from_arrays(x / n + 0.001, x, prior={"a": Uniform(0.0, 2.0)})


def plain(x_obs, theta, x):
    return lambda x: (x - x_obs).norm(dim=1)


class Plain:
    adaptive = False
    from_observation = staticmethod(plain)


def noisy(theta, rng: torch.Generator):
    return theta + torch.randn(theta.shape, generator=rng, dtype=theta.dtype)


def test_trials_are_compared_whatever_their_order(tmp_path):
    simulator = lfi.Simulator(noisy, prior={"mean": Normal(0.0, 2.0)}, trials=20)
    x_obs = Normal(1.0, 1.0).icdf((torch.arange(20) + 0.5) / 20)[:, None]
    simulations = lfi.simulate(simulator, 20_000, seed=1)
    accepted = lfi.abc_rejection(simulations, x_obs, quantile=0.01)
    turned = replace(simulations, x=simulations.x.flip(1))
    again = lfi.abc_rejection(turned, x_obs.flip(0), quantile=0.01)
    assert torch.equal(accepted.theta, again.theta)
    # The posterior is N(20 / 20.25, 1 / 20.25), of sd .222. What is accepted adds the tolerance:
    # here a tenth, and the error of 200 draws' sd is a twentieth.
    assert 0.222 * 0.75 < accepted.sd.item() < 0.222 * 1.35
    assert abs(accepted.mean.item() - 20 / 20.25) < 5 * accepted.sd.item() / 200**0.5
    stored = lfi.simulate(simulator, 300, seed=1, store=tmp_path / "store")
    assert stored.trials == lfi.Simulations.open(tmp_path / "store").trials == 20
    assert stored[:100].trials == (stored + stored).trials == 20
    arrays = simulations.theta, simulations.x
    made = lfi.Simulations.from_arrays(*arrays, prior=simulations.prior, trials=20)
    elsewhere = lfi.abc_rejection(made, x_obs, quantile=0.01)
    assert torch.equal(elsewhere.theta, accepted.theta)
    with pytest.raises(ValueError, match=r"trials is 10, so that x must be \(n, 10, \*event\)"):
        lfi.Simulations.from_arrays(*arrays, prior=simulations.prior, trials=10)
    few = simulator.with_summary(lambda x: x.mean(1))
    assert lfi.simulate(few, 100, seed=1).trials is None


def test_trials_of_other_units_count_alike():
    units = torch.tensor([1.0, 1e6])

    def scaled(theta, rng: torch.Generator):
        return noisy(theta, rng) * units

    x_obs = noisy(torch.zeros(20, 2), torch.Generator().manual_seed(1))
    found = []
    for simulate, observed in ((noisy, x_obs), (scaled, x_obs * units)):
        prior = {"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}
        simulations = lfi.simulate(lfi.Simulator(simulate, prior=prior, trials=20), 1_000, seed=1)
        found.append(lfi.abc_rejection(simulations, observed, number=50).theta)
    assert torch.equal(*found)


@each_model
@each_discrepancy
def test_theta_is_exact_given_the_accepted_data(model, discrepancy, simulations):
    record = simulations[model.name]
    accepted = lfi.abc_rejection(record, model.x_obs, discrepancy=discrepancy, number=200)
    ranks = model.ranks(accepted.theta, accepted.x)
    # 16 cases: one in 600 such suites has a p-value below 1e-4 by chance
    assert kstest(ranks.numpy(), "uniform").pvalue > 1e-4
    implied = model.posterior(accepted.x).mean()
    spread = model.posterior(accepted.x).std()
    total = math.sqrt((spread**2).mean() + implied.var())  # of the mixture over accepted data
    error = total / math.sqrt(200)
    assert abs(accepted.mean.item() - implied.mean()) < 5 * error
    # And the data are close. The mean of 10 trials knows half of what the sufficient mean of all
    # 20 does: a discrepancy of whole samples, of more than half the efficiency of the best, comes
    # closer than it.
    exact = model.posterior(model.x_obs[None]).mean()
    near = (record.x[:, :10].mean(dim=(1, 2)) - model.x_obs.mean()).abs().argsort()[:200]
    by_half = model.posterior(record.x[near]).mean()
    assert np.square(implied - exact).mean() < np.square(by_half - exact).mean()


def test_the_posterior_of_accepted_means_is_that_of_quadrature(simulations):
    """d <= e says |mean - mean_obs| <= sqrt(e): the ABC posterior is a closed form."""
    accepted = lfi.abc_rejection(
        simulations["normal"], NORMAL.x_obs, discrepancy=lfi.discrepancies.Moments(), tolerance=1.0
    )
    theta = torch.linspace(-12, 14, 20_001)
    near = torch.special.ndtr((2.0 - theta) * 20**0.5) - torch.special.ndtr((0.0 - theta) * 20**0.5)
    density = torch.exp(-theta.square() / 18) * near  # observed mean 1, tolerance 1
    density = density / density.sum()
    mean = (density * theta).sum()
    sd = (density * (theta - mean).square()).sum().sqrt()
    n = len(accepted)
    assert abs(accepted.mean.item() - mean) < 5 * sd / math.sqrt(n)
    assert abs(accepted.sd.item() - sd) < 5 * sd / math.sqrt(2 * n)
    assert (accepted.distances <= 1.0).all()
    assert accepted.tolerance == 1.0


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ({"number": 7}, 7),
        ({"quantile": 0.07}, 7),
        ({"quantile": 0.001}, 1),
        ({"quantile": 1.0}, 100),
        ({"tolerance": 7.0}, 8),
        ({"tolerance": 7.5}, 8),
    ],
)
def test_as_many_as_asked_for_are_accepted(how, count):
    accepted = lfi.abc_rejection(line(), torch.zeros(1), discrepancy=Plain(), **how)
    assert len(accepted) == count
    assert accepted.distances.tolist() == [float(i) for i in range(count)]
    assert accepted.tolerance == how.get("tolerance", count - 1.0)
    assert accepted.simulations == 100
    assert accepted.acceptance == count / 100
    torch.testing.assert_close(accepted.weights, torch.full((count,), 1 / count))
    assert accepted.ess == pytest.approx(count)


def test_a_fitted_ratio_accepts_what_its_posterior_cannot_tell_apart():
    # exact: theta ~ N(0, I), x = theta + N(0, I), so that theta given x is N(x / 2, 1 / 2)
    ratio = RatioPosterior(ExactCritic(), as_prior(conjugate.prior), Recovers.RATIO, (2,))
    record = lfi.simulate(conjugate.model(), 4_000, seed=1)
    x_obs = torch.tensor([0.6, -0.4])
    accepted = lfi.abc_rejection(record, x_obs, discrepancy=lfi.abc.FittedRatio(ratio), number=200)
    # Jeffreys' divergence is 2 |x / 2 - x_obs / 2|^2: the closest data are the accepted ones, but
    # for 512 draws of the prior in place of all. They are well within the closest 300.
    away = (record.x - x_obs).norm(dim=1)
    assert (accepted.x - x_obs).norm(dim=1).max() < away.sort().values[300]
    z = (accepted.theta - accepted.x / 2) / 0.5**0.5
    assert (z.mean(dim=0).abs() < 5 / 200**0.5).all()
    assert ((z.square().mean(dim=0) - 1).abs() < 5 * (2 / 200) ** 0.5).all()


def test_of_equal_distances_the_earlier_are_accepted():
    same = Simulations.from_arrays(
        torch.linspace(0.1, 1.9, 50)[:, None], torch.ones(50, 1), prior={"a": Uniform(0.0, 2.0)}
    )
    accepted = lfi.abc_rejection(same, torch.zeros(1), discrepancy=Plain(), number=10)
    torch.testing.assert_close(accepted.theta, same.theta[:10])


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"number": 5, "quantile": 0.1},
        {"number": 0},
        {"number": 101},
        {"quantile": 0.0},
        {"quantile": 1.2},
        {"tolerance": -1.0},
        {"tolerance": math.nan},
        {"tolerance": math.inf},
    ],
)
def test_what_cannot_be_accepted_is_refused(how):
    named = f"^{next(iter(how))} must be" if len(how) == 1 else "^give exactly one of quantile"
    for simulations in (line(), line(2)):
        with pytest.raises(ValueError, match=named):
            lfi.abc_rejection(simulations, torch.zeros(1), discrepancy=Plain(), **how)


def test_observations_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        lfi.abc_rejection(line(), torch.tensor([math.nan]), number=3)


def test_failures_are_rejected_and_counted():
    simulator = lfi.Simulator(fails, prior={"p": Uniform(0.0, 1.0)})
    record = lfi.simulate(simulator, 4_000, seed=1)
    accepted = lfi.abc_rejection(record, torch.zeros(1), discrepancy=Plain(), tolerance=0.0)
    assert accepted.failed == int((~record.valid).sum()) == 4_000 - len(accepted)
    # of theta given no failure the density is 2 (1 - theta): mean 1/3, variance 1/18
    assert abs(accepted.mean.item() - 1 / 3) < 5 * math.sqrt(1 / 18 / len(accepted))
    with pytest.raises(ValueError, match="quantile must .* have a distance"):
        lfi.abc_rejection(record, torch.zeros(1), discrepancy=Plain(), quantile=0.9)


def test_a_record_of_failures_only_is_refused():
    record = Simulations.from_arrays(
        torch.full((3, 1), 0.5), torch.full((3, 1), math.nan), prior={"a": Uniform(0.0, 1.0)}
    )
    with pytest.raises(ValueError, match="none of 3"):
        lfi.abc_rejection(record, torch.zeros(1), number=1)


def test_the_global_random_state_is_left_alone(simulations):
    before = torch.get_rng_state()
    lfi.abc_rejection(
        simulations["normal"],
        NORMAL.x_obs,
        discrepancy=lfi.discrepancies.SlicedWasserstein(),
        number=5,
    )
    assert torch.equal(before, torch.get_rng_state())
