"""The Gaussian start: its loss is a Gaussian's, it undoes itself, and it finds a known Gaussian."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from lfi.generation.surrogates.gaussian_start import FULL, GaussianStart, fit_start
from lfi.training import Shuffled


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def rough(size, given, width=16):
    """A start whose factor is not the identity."""
    start = GaussianStart(size, given, width=width)
    with torch.no_grad():
        start.factor[-1][-1].weight.mul_(10)
    return start


@pytest.mark.parametrize("size", [1, 4, FULL + 1])
def test_what_is_whitened_comes_back(size):
    start, given = rough(size, 2), single(20, 2)
    y = 3 * single(20, size)
    torch.testing.assert_close(start.colour(start.whiten(y, given), given), y, rtol=1e-4, atol=1e-4)


def test_the_loss_is_that_of_a_gaussian_up_to_its_constant():
    start, given, y = rough(3, 2), single(7, 2), single(7, 3)
    mean, logs, below = start(given)
    factor = torch.diag_embed(logs.exp())
    factor[:, [1, 2, 2], [0, 0, 1]] = below
    law = MultivariateNormal(mean, precision_matrix=factor.mT @ factor)
    constant = 1.5 * torch.log(torch.tensor(2 * torch.pi))
    expected = -law.log_prob(y).mean() - constant
    torch.testing.assert_close(start.loss(y, given), expected.float(), rtol=1e-4, atol=1e-4)


def test_a_gaussian_of_theta_is_found():
    n, given = 4_000, 2 * torch.rand(4_000, 1, dtype=torch.float32) - 1
    z = single(n, 2)
    sd = (0.5 * given[:, 0]).exp()
    y = torch.stack([2 * given[:, 0] + sd * z[:, 0], sd * (0.8 * z[:, 0] + 0.6 * z[:, 1])], dim=1)
    start = GaussianStart(2, 1, width=16)
    batches = Shuffled((y[500:], given[500:]), (y[:500], given[:500]), size=256)
    history = fit_start(start, batches, steps=300, seed=1)
    best = (z.square().sum(1) / 2 + 2 * sd.log() + torch.log(torch.tensor(0.6))).mean()
    assert history.best_step is not None
    with torch.no_grad():
        loss, e = start.loss(y, given), start.whiten(y, given)
    assert abs(loss - best) < 0.05  # nats that 300 steps leave
    # 4,000 rows: the standard error of a variance is 0.022; and what training leaves
    assert (e.T.cov() - torch.eye(2).float()).abs().max() < 5 * 0.022 + 0.05


def test_many_entries_are_scaled_one_by_one():
    start = GaussianStart(FULL + 1, 2, width=8)
    assert not start.full
    given = single(5, 2)
    e = single(5, FULL + 1)
    mean, logs, _ = start(given)
    torch.testing.assert_close(start.colour(e, given), mean + e * (-logs).exp())
