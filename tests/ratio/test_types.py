"""What every ratio gives, from an exact one: N(1, 1) to N(0, 1), log r = x - 1/2."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Normal

import lfi
from lfi.ratio import Estimate, Ratio

P, Q = Normal(1.0, 1.0), Normal(0.0, 1.0)
DIVERGENCES = [
    lfi.losses.KL(),
    lfi.losses.ReverseKL(),
    lfi.losses.Bernoulli(),
    lfi.losses.Brier(),
    lfi.losses.Spherical(),
    lfi.losses.Exponential(),
    lfi.losses.JensenShannon(),
    lfi.losses.PearsonChiSquared(),
    lfi.losses.AlphaDivergence(0.3),
    lfi.losses.SquaredHellinger(),
]


class Linear(Ratio):
    """log r = slope (x - 1/2), exact for a slope of 1."""

    def __init__(self, slope=1.0):
        self.slope = slope

    def log_ratio(self, x):
        return self.slope * (x - 0.5)


def quantiles(distribution, n=20_000):
    """A sample of n without noise."""
    return distribution.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def exact(divergence):
    """E_q[f(r)] - f(1) by quadrature."""

    def integrand(x):
        h = torch.tensor(x - 0.5)
        return float(divergence.f(h) * Q.log_prob(torch.tensor(x)).exp())

    return quad(integrand, -12, 14, limit=200)[0] - float(divergence.f(torch.tensor(0.0)))


def test_kl_is_half_a_nat():
    estimate = Linear().kl(quantiles(P))
    assert estimate.value == pytest.approx(0.5, abs=1e-10)
    # log r has standard deviation 1 under p; the quantiles miss a little of the tails' variance
    assert estimate.standard_error == pytest.approx(1 / math.sqrt(20_000), rel=1e-3)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_an_exact_ratio_gives_the_divergence(divergence):
    estimate = Linear().divergence(divergence, P.sample((40_000,)), Q.sample((40_000,)))
    assert isinstance(estimate, Estimate)
    assert abs(estimate.value - exact(divergence)) < 5 * estimate.standard_error


def test_a_divergences_standard_error_is_that_of_repetitions():
    estimates = [
        Linear().divergence(lfi.losses.KL(), P.sample((500,)), Q.sample((200,))) for _ in range(400)
    ]
    values = torch.tensor([estimate.value for estimate in estimates])
    claimed = torch.tensor([estimate.standard_error for estimate in estimates])
    # a variance of 400 has relative error sqrt((kurtosis - 1)/400), of r's sample means (r is
    # lognormal with kurtosis 114, so means of 200 have some 3.6) about 0.08
    assert values.var() / claimed.square().mean() == pytest.approx(1, abs=5 * 0.08)
    assert (values.mean() - 0.5).abs() < 5 * values.std() / math.sqrt(400)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
@pytest.mark.parametrize("slope", [0.6, 1.3])
def test_a_wrong_ratio_gives_a_lower_bound(divergence, slope):
    p, q = quantiles(P), quantiles(Q)
    right, wrong = (Linear(s).divergence(divergence, p, q).value for s in (1.0, slope))
    assert wrong < right


def test_equal_densities_have_no_divergence():
    x = torch.randn(100)
    for divergence in DIVERGENCES:
        assert Linear(0.0).divergence(divergence, x, x).value == pytest.approx(0, abs=1e-12)


def test_importance_weights_turn_samples_of_q_into_samples_of_p():
    n = 20_000
    q = Q.sample((n,))
    weights = Linear().importance_weights(q)
    assert weights.log_weights.logsumexp(0) == pytest.approx(0, abs=1e-12)
    assert weights.weights.mean() == pytest.approx(1)
    # sd of r (x - 1) under q: E[r^2 (x - 1)^2] = e E[(x - 1)^2] at x ~ N(2, 1), which is 2 e
    error = (weights.weights * q).mean() - 1
    assert abs(error) < 5 * math.sqrt(2 * math.e / n)
    assert weights.khat < 0.7


def test_the_effective_sample_size_is_what_theory_says():
    # n / E_q[r^2] = n / e; quantiles leave no noise but that of the smoothed tail
    weights = Linear().importance_weights(quantiles(Q))
    assert weights.effective_sample_size == pytest.approx(20_000 / math.e, rel=0.02)


def test_equal_densities_give_equal_weights():
    weights = Linear(0.0).importance_weights(torch.randn(50))
    torch.testing.assert_close(weights.weights, torch.ones(50))
    assert weights.effective_sample_size == pytest.approx(50)
    assert weights.khat == 0


def test_samples_that_p_cannot_have_weigh_nothing():
    class Positive(Ratio):
        def log_ratio(self, x):
            return torch.where(x > 0, 0.0, -math.inf)

    x = torch.linspace(-1, 1, 100)
    weights = Positive().importance_weights(x).weights
    torch.testing.assert_close(weights, torch.where(x > 0, 2.0, 0.0))
    with pytest.raises(ValueError, match="above zero"):
        Positive().importance_weights(-torch.ones(10))


def test_arrays_are_samples_too():
    class FromArrays(Linear):
        def log_ratio(self, x):
            return super().log_ratio(torch.as_tensor(x))

    x = np.random.default_rng(0).normal(size=500)
    assert FromArrays().kl(x).standard_error > 0
    assert len(FromArrays().importance_weights(x).log_weights) == 500
    assert FromArrays().divergence(lfi.losses.KL(), 1 + x, x).value > 0


def test_a_ratio_without_a_log_ratio_is_none():
    with pytest.raises(TypeError, match="abstract"):
        Ratio()


def test_results_tell_themselves_in_a_few_lines():
    weights = Linear().importance_weights(quantiles(Q, 500))
    assert repr(weights).startswith("weights of 500 samples\n  effective sample size ")
    assert "means are dependable" in weights.describe()
    assert repr(Estimate(0.5, 0.0123)) == "0.5 +- 0.012 (standard error)"
