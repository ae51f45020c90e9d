"""Rewards are the functional gradient of the divergence that the generator's loss is for."""

import pytest
import torch
import torch.nn.functional as F

import lfi
from lfi.generation.imitation.rewards import rewards_of

H = torch.linspace(-3, 3, 13)


@pytest.mark.parametrize(
    "loss, expected",
    [
        (lfi.losses.Bernoulli(), F.softplus(H)),  # -log(1 - D)
        (lfi.losses.NonSaturating(), -F.softplus(-H) - 1),  # log D, less a constant
        (lfi.losses.ReverseKL(), H - 1),
        (lfi.losses.Wasserstein(), H),
        (lfi.losses.LeastSquares(), -(H - 1).square() / 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rewards_are_those_of_the_literature(loss, expected):
    torch.testing.assert_close(rewards_of(loss, H, H), expected)


@pytest.mark.parametrize("name", ["KL", "Bernoulli", "SquaredHellinger", "Triangular", "Jeffreys"])
def test_rewards_are_minus_the_gradient_of_the_divergence_in_q(name):
    divergence = getattr(lfi.losses, name)()
    p, q = torch.rand(2, 9).softmax(1)
    q.requires_grad_()
    h = p.log() - q.log()
    (q * divergence.f(h)).sum().backward()
    torch.testing.assert_close(rewards_of(divergence, h, h).detach(), -q.grad)


@pytest.mark.parametrize("kind", [lfi.losses.Relativistic, lfi.losses.RelativisticPaired])
def test_a_relative_reward_is_an_average_over_the_experts_steps(kind):
    h_p = torch.randn(20)
    expected = -F.softplus(h_p[:, None] - H).mean(0)
    torch.testing.assert_close(rewards_of(kind(), h_p, H), expected)
