"""Proposals: densities against torch's and on grids, draws by their moments, natural steps."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from lfi.networks import FlowProposal, MixtureProposal, NaturalSteps

N = 4_000


def mixture():
    """Two correlated components in two dimensions."""
    torch.manual_seed(3)
    proposal = MixtureProposal(2, components=2)
    with torch.no_grad():
        proposal.root += torch.tensor([[0.2, 9.0], [-0.4, 0.1]])  # above the diagonal: ignored
        proposal.logits += torch.tensor([0.5, -0.5])
    return proposal


def test_a_mixture_has_the_density_of_torch():
    proposal = mixture()
    normals = MultivariateNormal(proposal.location, scale_tril=proposal.root.tril())
    expected = MixtureSameFamily(Categorical(logits=proposal.logits), normals)
    v = torch.randn(20, 2).float()
    assert torch.allclose(proposal.log_prob(v), expected.log_prob(v), atol=1e-5)


@pytest.mark.parametrize("proposal", [mixture(), FlowProposal(2, width=8)], ids=["mixture", "flow"])
def test_draws_have_the_moments_of_the_density(proposal):
    edge = torch.linspace(-6, 6, 121).float()
    grid = torch.cartesian_prod(edge, edge)
    with torch.no_grad():
        mass = proposal.log_prob(grid).exp() * 0.1**2
        draws = proposal.sample(N, torch.Generator().manual_seed(0))
    assert (mass.sum() - 1).abs() < 1e-3
    mean = mass @ grid
    error = draws.std(0) / math.sqrt(N)
    assert ((draws.mean(0) - mean).abs() < 5 * error).all()
    second = draws.square()
    error = second.std(0) / math.sqrt(N)
    assert ((second.mean(0) - mass @ grid.square()).abs() < 5 * error).all()


@pytest.mark.parametrize("proposal", [mixture(), FlowProposal(2, width=8)], ids=["mixture", "flow"])
def test_there_may_be_no_draws(proposal):
    assert proposal.sample(0, torch.Generator()).shape == (0, 2)


def test_natural_steps_do_not_depend_on_units():
    # in units a thousandth as large everything moves a thousand times as far
    moved = []
    for unit in (1.0, 1e-3):
        proposal = MixtureProposal(2, scale=unit)
        optimiser = NaturalSteps(proposal, lr=0.1)
        v = unit * torch.tensor([[0.5, 1.0], [-2.0, 0.3]]).float()
        for _ in range(3):
            optimiser.zero_grad()
            (-proposal.log_prob(v) @ torch.tensor([1.0, 0.4]).float()).backward()
            optimiser.step()
        moved.append((proposal.location / unit, proposal.root / unit))
    for one, other in zip(*moved, strict=True):
        assert torch.allclose(one, other, rtol=1e-4)


def test_a_natural_step_is_the_inverse_fisher_information_times_the_gradient():
    proposal = MixtureProposal(1, scale=0.5)
    v, rate = torch.tensor([[0.8]]).float(), 1e-3
    proposal.log_prob(v).sum().neg().backward()
    NaturalSteps(proposal, lr=rate).step()
    z = 0.8 / 0.5  # of N(m, s^2): information 1/s^2 of m and 2 of log s
    assert proposal.location.item() == pytest.approx(rate * 0.5 * z, rel=1e-4)
    assert math.log(proposal.root.item() / 0.5) == pytest.approx(rate * (z**2 - 1) / 2, rel=1e-2)
