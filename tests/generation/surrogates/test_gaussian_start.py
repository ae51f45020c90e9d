"""The Gaussian start: its loss is a Gaussian's, it undoes itself, and it finds a known Gaussian."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from lfi.generation.surrogates.gaussian_start import GaussianStart, fit_start
from lfi.networks.conditional_gaussian import MAX_FULL
from lfi.training import Shuffled, TrainSettings


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def rough(size, condition, width=16):
    """A start none of whose networks is zero."""
    start = GaussianStart(size, condition, width=width)
    gaussian = start.gaussian
    with torch.no_grad():
        for layer in (gaussian.mean, gaussian.log_scale, gaussian.mix):
            if layer is not None:
                layer.weight.normal_(0, 0.1)
    return start


@pytest.mark.parametrize("size", [1, 4, MAX_FULL + 1])
def test_what_is_whitened_comes_back(size):
    start, condition = rough(size, 2), single(20, 2)
    y = 3 * single(20, size)
    torch.testing.assert_close(
        start.colour(start.whiten(y, condition), condition), y, rtol=1e-4, atol=1e-4
    )


def test_the_loss_is_that_of_a_gaussian_up_to_its_constant():
    start, condition, y = rough(3, 2), single(7, 2), single(7, 3)
    mean = start.colour(torch.zeros_like(y), condition)
    columns = [start.colour(e.expand(7, 3), condition) - mean for e in torch.eye(3).float()]
    root = torch.stack(columns, dim=2)  # y = mean + root e
    exact = MultivariateNormal(mean, root @ root.mT)
    constant = 1.5 * torch.log(torch.tensor(2 * torch.pi))
    expected = -exact.log_prob(y).mean() - constant
    torch.testing.assert_close(start.loss(y, condition), expected.float(), rtol=1e-4, atol=1e-4)


def test_a_gaussian_of_theta_is_found():
    n, condition = 4_000, 2 * torch.rand(4_000, 1, dtype=torch.float32) - 1
    z = single(n, 2)
    sd = (0.5 * condition[:, 0]).exp()
    y = torch.stack(
        [2 * condition[:, 0] + sd * z[:, 0], sd * (0.8 * z[:, 0] + 0.6 * z[:, 1])], dim=1
    )
    start = GaussianStart(2, 1, width=16)
    batches = Shuffled((y[500:], condition[500:]), (y[:500], condition[:500]), size=256)
    history = fit_start(start, batches, TrainSettings(steps=300), seed=1)
    best = (z.square().sum(1) / 2 + 2 * sd.log() + torch.log(torch.tensor(0.6))).mean()
    assert history.best_step is not None
    with torch.no_grad():
        loss, e = start.loss(y, condition), start.whiten(y, condition)
    assert abs(loss - best) < 0.05  # nats that 300 steps leave
    # 4,000 rows: the standard error of a variance is 0.022; and what training leaves
    assert (e.T.cov() - torch.eye(2).float()).abs().max() < 5 * 0.022 + 0.05


def test_many_entries_are_scaled_one_by_one():
    start, condition = rough(MAX_FULL + 1, 2, width=8), single(5, 2)
    e = single(5, MAX_FULL + 1)
    y = start.colour(e, condition)
    e[:, 0] += 1.0
    assert ((start.colour(e, condition) - y)[:, 1:] == 0).all()
