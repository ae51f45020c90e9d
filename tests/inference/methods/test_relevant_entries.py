"""Which entries of x tell of theta: where that is known, and how often chance keeps one."""

import math

import pytest
import torch
from scipy.stats import binom

import lfi
from lfi.inference.methods.relevant_entries import relevant_entries
from simulators import bernoulli_glm_raw, gaussian_linear, slcp, slcp_distractors

N = 2_000


def data(x, noise=20, seed=3):
    """Put entries beside twenty of noise, (n, 20 + k)."""
    rng = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(len(x), noise, generator=rng), x], dim=1)


def uniform(dim=1, n=N, seed=1):
    return 2 * torch.rand(n, dim, generator=torch.Generator().manual_seed(seed)) - 1


def normal(dim=1, n=N, seed=2):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def kept(theta, x, seed=1):
    return relevant_entries(theta, data(x), seed=seed)[20:].tolist()


def test_the_eight_of_a_hundred_entries_of_slcp_are_found():
    simulations = lfi.simulate(slcp_distractors, 1_000, seed=1)
    seen = relevant_entries(*simulations.ok(), seed=1)
    alone = lfi.simulate(slcp, 1_000, seed=1)
    torch.testing.assert_close(alone.theta, simulations.theta)
    columns = {tuple(column) for column in alone.x.T.tolist()}
    found = {tuple(column) for column in simulations.x[:, seen].T.tolist()}
    assert found == columns


@pytest.mark.parametrize("simulator", [gaussian_linear, bernoulli_glm_raw])
def test_nothing_is_left_out_where_every_entry_tells(simulator):
    simulations = lfi.simulate(simulator, N, seed=1)
    assert relevant_entries(*simulations.ok(), seed=1).all()


DEPENDENT = {
    "mean": lambda theta, z: theta + z,
    "spread": lambda theta, z: torch.exp(theta) * z,
    "square": lambda theta, z: theta.square() + 0.3 * z,
    "skewness, at equal mean and variance": lambda theta, z: (
        torch.where(theta > 0, z.exp(), -z.exp()) - theta.sign() * math.exp(0.5)
    ),
    "oscillation": lambda theta, z: torch.sin(40 * theta) + 0.1 * z,
    "rare events": lambda theta, z: (z + theta > 2).float(),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_dependence_is_seen(name):
    theta = uniform()
    beside = 0.5 * theta + normal(seed=9)  # or all would be kept, since nothing is seen
    assert kept(theta, torch.cat([DEPENDENT[name](theta, normal()), beside], 1)) == [True, True]


def test_the_sign_of_a_product_of_parameters_is_seen():
    theta = uniform(2)
    x = theta.prod(1, keepdim=True).sign() * normal().abs()
    assert kept(theta, x) == [True]


def test_a_measurement_of_the_noise_in_another_entry_stays():
    theta, noise = uniform(), normal()
    further = noise + normal(seed=5)  # depends on the noise that was kept for the first
    assert kept(theta, torch.cat([theta + noise, noise, further], 1)) == [True, True, True]


def test_many_entries_that_tell_a_little_each_stay_together():
    theta = uniform()
    weak = 0.06 * theta + normal(60)  # correlations of .035, which one entry does not show
    x = torch.cat([theta + normal(seed=7), weak], 1)
    assert relevant_entries(theta, data(x), seed=1).all()


def test_constant_and_heavy_tailed_entries_of_nothing_but_noise_are_left_out():
    theta = uniform()
    cauchy, signs = normal(seed=5) / normal(seed=6), normal(seed=7).sign()
    x = torch.cat([theta + normal(), torch.ones(N, 1), cauchy, signs], 1)
    assert kept(theta, x) == [True, False, False, False]


def test_noise_is_kept_about_once_in_a_hundred_times():
    runs, wrong = 100, 0
    for seed in range(runs):
        theta, x = uniform(n=500, seed=seed), normal(30, n=500, seed=1_000 + seed)
        x[:, :1] += 2 * theta
        seen = relevant_entries(theta, x, seed=seed)
        # the tests of theta, of other entries and of all together each keep one in a hundred
        wrong += int(seen[1:].any())
    assert wrong <= binom.ppf(0.9999, runs, 0.03)


def test_all_stay_where_little_can_be_told():
    theta, x = uniform(n=499), data(uniform(n=499))
    assert relevant_entries(theta, x, seed=1).all()  # few simulations
    theta = uniform()
    assert relevant_entries(theta, normal(30), seed=1).all()  # nothing is seen to depend
    assert relevant_entries(theta, data(theta, noise=512), seed=1).all()  # too many entries
    few = torch.cat([theta + normal(4), normal(seed=8)], 1)
    assert relevant_entries(theta, few, seed=1).all()  # one of five would be left out
