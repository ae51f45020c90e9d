"""Lipschitz networks: the bound holds, and slopes do not fade."""

import pytest
import torch

from lfi.networks.critics.lipschitz import LipschitzCritic


@pytest.mark.parametrize("size", [1, 3, 40])
def test_no_two_points_differ_by_more_than_their_distance(size):
    critic = LipschitzCritic(size, width=16)
    x, y = (3 * torch.randn(500, size, dtype=torch.float32) for _ in range(2))
    rise = (critic(x) - critic(y)).abs()
    assert (rise <= (x - y).norm(dim=1) * (1 + 1e-5)).all()


@pytest.mark.parametrize("size", [2, 40])
def test_the_slope_does_not_fade_with_depth(size):
    """Orthonormal columns keep a gradient's norm on the way back; only the first layer may cut it,
    where there are more entries than hidden units."""
    critic = LipschitzCritic(size, width=16, layers=8)
    x = torch.randn(200, size, dtype=torch.float32, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    norm = slope.norm(dim=1)
    assert (norm <= 1 + 1e-5).all()
    if size > 16:
        torch.testing.assert_close(norm, torch.ones_like(norm), rtol=1e-5, atol=0)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="width must be even"):
        LipschitzCritic(2, width=15)
