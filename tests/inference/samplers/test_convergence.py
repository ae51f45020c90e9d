"""Nested R-hat and the effective size of many chains, against theory."""

import pytest
import torch
from torch.distributions import Normal

from lfi.inference.samplers.convergence import many_chains_ess, nested_r_hat


def test_r_hat_is_one_for_chains_that_forgot_their_start():
    start, end = torch.randn(2, 4_000, 2)
    # B is the variance of 8 means of 500, less its expectation: its standard error is
    # sqrt(2 / 7) / 500 = 0.001, and R-hat - 1 half of that
    assert (nested_r_hat(start, end) - 1).abs().max() < 5 * 0.0005


def test_r_hat_measures_what_the_start_still_explains():
    start, noise = torch.randn(2, 40_000, 1)
    end = 0.6 * start + 0.8 * noise
    # by quadrature of the normal law: an eighth's mean and the variance inside eighths
    edges = Normal(0.0, 1.0).icdf(torch.arange(1, 8) / 8)
    density = (
        Normal(0.0, 1.0)
        .log_prob(torch.cat([edges.new_tensor([-50.0]), edges, edges.new_tensor([50.0])]))
        .exp()
    )
    means = 8 * (density[:-1] - density[1:])
    between = 0.36 * means.var()
    within = 1 - 0.36 * means.square().mean()
    assert nested_r_hat(start, end).item() == pytest.approx(
        (1 + between / within).sqrt().item(), rel=0.01
    )


def test_chains_that_cannot_leave_their_mode_are_seen():
    start = torch.cat([torch.randn(1_000, 1) - 9, torch.randn(1_000, 1) + 9])
    stuck = torch.cat([torch.randn(1_000, 1) - 9, torch.randn(1_000, 1) + 9])
    assert nested_r_hat(start, stuck).item() > 5


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_effective_sample_size_is_what_theory_says(memory):
    """Of autoregressive chains: var of a mean of L is s^2 / L^2 (L + 2 sum (L - k) memory^k)."""
    chains, length = 2_000, 10
    noise = torch.randn(chains, length, 1)
    states = [noise[:, 0]]
    for i in range(1, length):
        states.append(memory * states[-1] + (1 - memory**2) ** 0.5 * noise[:, i])
    lags = torch.arange(1, length)
    inflation = 1 + 2 * ((1 - lags / length) * memory**lags).sum().item()
    ess = chains * length / inflation
    # a variance of 2,000 means errs by sqrt(2 / 2,000) = 3%, and is capped at all the states
    assert many_chains_ess(torch.stack(states, 1)) == pytest.approx(ess, rel=0.15)
