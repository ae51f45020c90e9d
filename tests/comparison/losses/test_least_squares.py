"""The least-squares GAN's loss: its optimum, its value, and where its generator goes."""

import pytest
import torch
from torch.distributions import Normal

from lfi.comparison import CriticLoss, GeneratorLoss, LeastSquares, Recovers, Triangular

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def risk(h):
    """The expectation of the loss over both, exactly."""
    return (P * (h - 1) ** 2).sum() / 2 + (Q * (h + 1) ** 2).sum() / 2


def test_the_best_critic_is_the_difference_over_the_sum():
    best = ((P - Q) / (P + Q)).requires_grad_()
    (slope,) = torch.autograd.grad(risk(best), best)  # and the risk is strictly convex
    torch.testing.assert_close(slope, torch.zeros(4), atol=1e-15, rtol=0)
    assert torch.equal(best.sign(), (P / Q).log().sign())
    assert LeastSquares.recovers is Recovers.SIGN


def test_the_best_value_is_half_the_triangular_divergence():
    best = 1 - risk((P - Q) / (P + Q))
    torch.testing.assert_close(best, (Q * Triangular().f((P / Q).log())).sum() / 2)


def test_the_loss_is_the_mean_over_samples_and_zero_is_worth_nothing():
    h_p, h_q = torch.randn(30), torch.randn(50)
    expected = ((h_p - 1) ** 2).mean() / 2 + ((h_q + 1) ** 2).mean() / 2
    torch.testing.assert_close(LeastSquares()(h_p, h_q), expected)
    taken_for_data = ((h_q - 1) ** 2).mean() / 2
    torch.testing.assert_close(LeastSquares().generator(h_p, h_q), taken_for_data)
    assert LeastSquares().value(torch.zeros(3), torch.zeros(3)) == 0
    assert isinstance(LeastSquares(), CriticLoss)
    assert isinstance(LeastSquares(), GeneratorLoss)


@pytest.mark.parametrize("mean", [-2.0, -0.5, 0.5, 2.0])
def test_through_the_exact_critic_the_generator_goes_to_the_data(mean):
    z = Normal(0.0, 1.0).icdf((torch.arange(4_000) + 0.5) / 4_000)
    at = torch.tensor(mean, requires_grad=True)
    x = at + z
    log_r = (-(x**2) + (x - mean) ** 2) / 2  # the data are N(0, 1)
    (gradient,) = torch.autograd.grad(LeastSquares().generator(x, (log_r / 2).tanh()), at)
    assert gradient.sign() == at.detach().sign()
