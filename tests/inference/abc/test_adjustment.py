"""Regression adjustment: weighted least squares, and a regression of what it leaves."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import lfi

N = 400


def quantiles(n=N):
    """A standard normal sample without noise."""
    return Normal(0.0, 1.0).icdf((torch.arange(n) + 0.5) / n)


def setting():
    s, weights = torch.randn(N, 3), torch.rand(N)
    u = s @ torch.randn(3, 2) + torch.randn(N, 2)
    return u, s, torch.randn(3), weights / weights.sum()


def test_parameters_move_along_the_weighted_regression():
    u, s, s_obs, weights = setting()
    design = torch.cat([torch.ones(N, 1), s], dim=1) * weights.sqrt()[:, None]
    fitted = np.linalg.lstsq(design.numpy(), (u * weights.sqrt()[:, None]).numpy(), rcond=None)[0]
    moved = lfi.abc.LocalLinear(ridge=0.0)(u, s, s_obs, weights)
    torch.testing.assert_close(moved, u - (s - s_obs) @ torch.from_numpy(fitted[1:]))


def test_units_of_summaries_do_not_matter():
    u, s, s_obs, weights = setting()
    scale = torch.tensor([1e-4, 1.0, 1e4])
    for adjustment in (lfi.abc.LocalLinear(), lfi.abc.Heteroscedastic()):
        torch.testing.assert_close(
            adjustment(u, s, s_obs, weights), adjustment(u, s * scale, s_obs * scale, weights)
        )


def test_an_exact_line_is_taken_out_whatever_the_weights():
    _, s, s_obs, weights = setting()
    u = 2 * s[:, :2] + 1
    for adjustment in (lfi.abc.LocalLinear(ridge=0.0), lfi.abc.Heteroscedastic(ridge=0.0)):
        moved = adjustment(u, s, s_obs, weights)
        torch.testing.assert_close(moved, (2 * s_obs[:2] + 1).expand(N, 2))


def test_what_is_left_is_scaled_to_the_spread_at_the_observation():
    s = torch.linspace(-2, 2, N)[torch.randperm(N)][:, None]
    z = quantiles()[torch.randperm(N)][:, None]
    u = s + torch.exp(0.8 * s) * z  # the sd at s is exp(0.8 s)
    weights = torch.full((N,), 1 / N)
    for observed in (-1.0, 0.0):
        moved = lfi.abc.Heteroscedastic()(u, s, torch.tensor([observed]), weights)
        plain = lfi.abc.LocalLinear()(u, s, torch.tensor([observed]), weights)
        # The slope of log residual^2 on s is 1.6 with standard error (4.93 / sum s^2)^(1/2), 4.93
        # being the variance of the log of a chi-square variable; the level's is (4.93 / N)^(1/2).
        # Half of that is an error of the log sd. So is the sample's, (1 / 2N)^(1/2).
        error = (4.93 / s.square().sum() + 4.93 / N).sqrt() / 2 + (1 / (2 * N)) ** 0.5
        assert abs(moved.std().log() - 0.8 * observed) < 5 * error
        assert abs(plain.std().log() - 0.8 * observed) > 5 * error


def test_residuals_are_scaled_by_a_weighted_regression_of_their_log_squares():
    u, s, s_obs, weights = setting()
    u, root = u / 1_000, weights.sqrt()[:, None]
    design = torch.cat([torch.ones(N, 1), s - s_obs], dim=1) * root
    level = np.linalg.lstsq(design.numpy(), (u * root).numpy(), rcond=None)[0]
    left = u - (design / root) @ torch.from_numpy(level)
    squares = left.square().log() * root
    slope = torch.from_numpy(np.linalg.lstsq(design.numpy(), squares.numpy(), rcond=None)[0][1:])
    expected = torch.from_numpy(level[0]) + left * torch.exp(-(s - s_obs) @ slope / 2)
    moved = lfi.abc.Heteroscedastic(ridge=0.0)(u, s, s_obs, weights)
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-9)  # the floor is 1e-12


def test_a_residual_of_zero_stays_at_the_regression():
    s, left = torch.arange(-2.0, 3.0)[:, None], torch.tensor([1.0, -1.0, 0.0, -1.0, 1.0])[:, None]
    u = 3 + 2 * s + left  # which is orthogonal to a line, and as large on both sides
    equal = torch.full((5,), 0.2)
    moved = lfi.abc.Heteroscedastic(ridge=0.0)(u, s, torch.ones(1), equal)
    torch.testing.assert_close(moved, 5 + left)


def test_a_summary_reduces_data_of_any_shape():
    x, weights = torch.randn(N, 20, 2), torch.full((N,), 1 / N)
    u, x_obs = x.mean(dim=1), torch.randn(20, 2)
    moved = lfi.abc.LocalLinear(lambda x: x.mean(dim=1), ridge=0.0)(u, x, x_obs, weights)
    torch.testing.assert_close(moved, x_obs.mean(dim=0).expand(N, 2))


def test_a_summary_that_never_varies_moves_nothing():
    u, s, s_obs, weights = setting()
    constant = torch.cat([s, torch.ones(N, 1)], dim=1)
    observed = torch.cat([s_obs, torch.ones(1)])
    torch.testing.assert_close(
        lfi.abc.LocalLinear()(u, constant, observed, weights),
        lfi.abc.LocalLinear()(u, s, s_obs, weights),
    )


def test_too_few_parameters_or_broken_summaries_are_refused():
    u, s, s_obs, weights = setting()
    with pytest.raises(ValueError, match="4 accepted simulations are too few"):
        lfi.abc.LocalLinear()(u[:4], s[:4], s_obs, weights[:4])
    assert lfi.abc.LocalLinear()(u[:5], s[:5], s_obs, weights[:5]).shape == (5, 2)
    with pytest.raises(ValueError, match="not finite"):
        lfi.abc.LocalLinear(torch.log)(u, s, s_obs, weights)
    one_lost = lambda x: torch.where(x == s[3], torch.nan, x)
    with pytest.raises(ValueError, match="not finite"):
        lfi.abc.LocalLinear(one_lost)(u, s, s_obs, weights)
    with pytest.raises(ValueError, match="ridge must be at least 0"):
        lfi.abc.LocalLinear(ridge=-1e-3)
