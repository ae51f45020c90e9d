"""What every ratio gives, from a ratio that is known exactly: N(1, 1) over N(0, 1)."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.ratio import Ratio

N = 4_000


class Exact(Ratio):
    """log N(x; 1, 1) / N(x; 0, 1)."""

    def log_ratio(self, x):
        return torch.as_tensor(x).flatten() - 0.5


def quantiles(mean):
    """A sample without noise."""
    return Normal(mean, 1.0).icdf((torch.arange(N) + 0.5) / N)


# The quantiles leave out the mass beyond 1/(2 N): a bias of a few parts in 1,000 of these values.
@pytest.mark.parametrize(
    "divergence, truth",
    [
        (lfi.KL(), 0.5),
        (lfi.ReverseKL(), 0.5),
        (lfi.SquaredHellinger(), 2 - 2 * math.exp(-1 / 8)),
    ],
)
def test_divergences_of_an_exact_ratio_are_exact(divergence, truth):
    estimate = Exact().divergence(divergence, quantiles(1.0), quantiles(0.0))
    assert estimate.value == pytest.approx(truth, rel=0.02)
    noisy = Exact().divergence(divergence, 1 + torch.randn(N), torch.randn(N))
    assert abs(noisy.value - truth) < 5 * noisy.standard_error


def test_kl_is_the_mean_log_ratio_over_p():
    estimate = Exact().kl(quantiles(1.0))
    assert estimate.value == pytest.approx(0.5, abs=1e-6)  # symmetric quantiles
    assert estimate.standard_error == pytest.approx(1 / math.sqrt(N), rel=0.01)


def test_importance_weights_turn_q_into_p():
    x = torch.randn(20_000)
    weights = Exact().importance_weights(x)
    assert weights.weights.mean() == pytest.approx(1.0)
    # The variance of r under q is e - 1: an effective sample size of n/e.
    assert weights.effective_sample_size == pytest.approx(20_000 / math.e, rel=0.1)
    assert weights.khat < 0.7
    mean = (weights.weights * x).mean()
    # E_q[r^2 (x - 1)^2] = e E[(x - 1)^2] for x ~ N(2, 1), 2 e in all.
    assert abs(mean - 1) < 5 * math.sqrt(2 * math.e / 20_000)


def test_arrays_are_samples_too():
    x = np.random.default_rng(0).normal(size=500)
    assert Exact().kl(x).standard_error > 0
    assert len(Exact().importance_weights(x).log_weights) == 500
