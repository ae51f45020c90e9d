"""Real NVP: a density that integrates to one, exact inverses and Jacobians."""

import math

import torch

from lfi.networks import RealNVP


def bent(size, couplings=4):
    """Return a flow whose weights are far from its start."""
    torch.manual_seed(0)
    flow = RealNVP(size, couplings=couplings, width=8)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return flow.double()


def test_the_density_integrates_to_one_on_a_grid():
    flow, step = bent(2), 0.1
    axis = torch.arange(-15, 15, step)
    grid = torch.cartesian_prod(axis, axis)
    density = flow.log_prob(grid).exp().detach()
    # the rule is exact but for what lies outside, and for bends far narrower than a step
    assert abs(float(density.sum()) * step**2 - 1) < 1e-3


def test_codes_and_samples_undo_each_other_and_slopes_are_autograds():
    flow, z = bent(5), torch.randn(4, 5)
    y = flow(z)
    back, log_det = flow.codes(y)
    torch.testing.assert_close(back, z)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: flow.codes(row[None])[0][0]))(y)
    torch.testing.assert_close(log_det, jacobian.slogdet().logabsdet)


def test_a_start_is_independent_gaussians_and_one_entry_is_gaussian():
    y = torch.randn(50, 3) * torch.tensor([1.0, 5.0, 0.1]) + 2
    flow = RealNVP(3).double()
    flow.fit_from_data(y)
    exact = torch.distributions.Normal(y.mean(0), y.std(0, correction=0)).log_prob(y).sum(1)
    torch.testing.assert_close(flow.log_prob(y), exact, rtol=1e-5, atol=1e-5)  # of float32 weights
    alone = RealNVP(1)
    assert not alone.couplings
    assert math.isclose(
        alone.log_prob(torch.zeros(1, 1).float()).item(), -math.log(2 * math.pi) / 2
    )
