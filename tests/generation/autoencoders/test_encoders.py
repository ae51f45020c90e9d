"""A perturbed encoder draws its code and noise of the size that it is given."""

import math

import pytest
import torch
from torch import nn

from lfi import autoencoders as terms
from lfi.generation.autoencoders.encoders import Encoder


def encoder(scale, *, sphere):
    layer = nn.Linear(2, 4, bias=False, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(4, 2) * 3)
    return Encoder(terms.PerturbedEncoder(scale), layer, 4, sphere=sphere)


def rng():
    return torch.Generator().manual_seed(1)


def test_noise_is_added_to_what_the_network_gives():
    x = torch.ones(20_000, 2, dtype=torch.float32)
    z = encoder(0.5, sphere=False).draw(x, rng()).detach()
    # the spread of a mean of 20,000 is 0.5 / 141, and that of a deviation 0.5 / 200
    torch.testing.assert_close(z.mean(0), torch.tensor([3.0, 3, 0, 0]).float(), atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), torch.full((4,), 0.5).float(), atol=0.02, rtol=0)


@pytest.mark.parametrize("length", [0.1, 10.0])
def test_on_a_sphere_noise_is_relative_to_its_radius_whatever_the_network_gives(length):
    x = torch.tensor([[length, 0.0]]).float().expand(20_000, 2)
    z = encoder(0.2, sphere=True).draw(x, rng()).detach()
    torch.testing.assert_close(z.norm(dim=1), torch.full((20_000,), 2.0).float())
    # across, noise of 0.2 at radius 2 stays 0.2 but for terms of second order
    torch.testing.assert_close(z[:, 1:].std(0), torch.full((3,), 0.2).float(), atol=0.01, rtol=0)
    assert math.isclose(z[:, 0].mean(), 2 - 3 * 0.2**2 / 4, abs_tol=0.01)
