"""O-rings: a logistic regression on temperature, and the flights' data."""

import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import torch

from simulators import o_rings


def test_distress_comes_independently_with_its_odds():
    n, theta = 20_000, torch.tensor([[-1.0, -2.0]])
    x = o_rings.simulate(theta.expand(n, 2), torch.Generator().manual_seed(1))
    share = torch.from_numpy(scipy.special.expit(-1 - 2 * o_rings.warmth.numpy()))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    z = (x - share) / (share * (1 - share)).sqrt()
    assert (z.mean(dim=0).abs() < 5 / n**0.5).all()
    products = (z.T @ z / n).fill_diagonal_(0.0)
    assert products.abs().max() < 6 / n**0.5  # of 253 pairs


def test_log_likelihood_is_scipys_also_at_large_odds():
    theta, x = torch.tensor([[-1.0, -2.0], [1.0, 0.5]]), o_rings.x_obs.double()
    share = scipy.special.expit((theta[:, :1] + theta[:, 1:] * o_rings.warmth).numpy())
    exact = torch.from_numpy(scipy.stats.bernoulli.logpmf(x, share).sum(axis=1))
    torch.testing.assert_close(o_rings.log_likelihood(theta, x), exact)
    assert o_rings.log_likelihood(1e4 * theta, x).isfinite().all()


def test_the_most_likely_parameters_are_those_of_the_textbooks():
    # Agresti, Categorical Data Analysis: odds 15.043 - 0.232 t
    x = o_rings.x_obs.double()
    objective = lambda t: -o_rings.log_likelihood(torch.tensor(t)[None], x).item()
    level, slope = scipy.optimize.minimize(objective, [0.0, 0.0]).x
    assert slope / 10 == pytest.approx(-0.2322, abs=5e-5)
    assert level - 7 * slope == pytest.approx(15.043, abs=5e-3)
