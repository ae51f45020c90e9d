"""Conditional flows: inverses, Jacobians, integrals, and the regression that they start from."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch.distributions import MultivariateNormal

from lfi.networks import ConditionalFlow, conditional_gaussian
from lfi.networks.conditional_gaussian import regression
from lfi.networks.flows import BOUND, moved
from lfi.runtime import isolated, torch_rng

each_size = pytest.mark.parametrize("size", [1, 2, 3, 5])


def flow_of(size, condition=2, seed=0, scale=0.3, *, by_entry=False):
    """A flow in float64 whose every part does something; `by_entry`, with independent entries."""
    with isolated(seed):
        shape = {"width": 8, "layers": 1, "bins": 4, "by_entry": by_entry}
        flow = ConditionalFlow(size, condition, **shape).double()
        for parameter in flow.parameters():
            parameter.data += scale * torch.randn(parameter.shape)
    flow.whitening.root.data.diagonal().clamp_(min=0.5)
    flow.entries_active.fill_(by_entry)
    flow.independent.fill_(by_entry)
    return flow.requires_grad_(False)


each_kind = pytest.mark.parametrize("by_entry", [False, True])


@each_kind
@each_size
def test_data_return_to_the_noise_they_came_from(size, by_entry):
    flow, condition = flow_of(size, by_entry=by_entry), torch.randn(50, 2)
    z = torch.randn(50, size)
    embedded = flow.embed(condition)
    y = flow(z, condition)
    v, _ = flow.whitening(y, condition, embedded[:, 2:], independent=by_entry)
    for coupling in flow.used:
        v, _ = coupling(v, embedded[:, 2:])
    torch.testing.assert_close(v, z, rtol=1e-6, atol=1e-6)


@each_kind
@each_size
def test_the_density_is_that_of_noise_over_the_jacobian_of_sampling(size, by_entry):
    flow, condition, z = flow_of(size, by_entry=by_entry), torch.randn(4, 2), torch.randn(4, size)
    y = flow(z, condition)
    for i in range(4):
        jacobian = torch.autograd.functional.jacobian(
            lambda one, i=i: flow(one[None], condition[i : i + 1])[0], z[i]
        )
        noise = -z[i].square().sum() / 2 - size / 2 * math.log(2 * math.pi)
        expected = noise - jacobian.det().abs().log()
        got = flow.log_prob(y[i : i + 1], condition[i : i + 1])[0]
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


def test_a_density_in_one_dimension_integrates_to_one():
    flow = flow_of(1)
    y = torch.linspace(-60, 60, 120_001)[:, None]
    for condition in torch.randn(3, 1, 2):
        density = flow.log_prob(y, condition.expand(len(y), -1)).exp()
        # the trapezoid rule leaves the kinks of the splines, of the order of the step squared
        assert torch.trapezoid(density, y[:, 0]).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_density_in_two_dimensions_integrates_to_one():
    flow, condition = flow_of(2, scale=0.15), torch.randn(1, 2)
    grid = torch.linspace(-25, 25, 1_001)
    y = torch.cartesian_prod(grid, grid)
    density = flow.log_prob(y, condition.expand(len(y), -1)).exp()
    assert density.sum().item() * 0.05**2 == pytest.approx(1, abs=1e-4)


def test_samples_have_the_density():
    flow, condition = flow_of(1), torch.tensor([[0.5, -1.0]])
    z = torch.randn(4_000, 1)
    y = torch.linspace(-60, 60, 120_001)
    density = flow.log_prob(y[:, None], condition.expand(len(y), -1)).exp()
    below = torch.cumulative_trapezoid(density, y)
    samples = flow(z, condition.expand(len(z), -1))[:, 0]
    share = below[torch.searchsorted(y, samples).clamp(1, len(below)) - 1]
    assert kstest(share.numpy(), "uniform").pvalue > 1e-4  # fails once in 10,000 seeds


def test_a_flow_starts_from_the_regression(monkeypatch):
    monkeypatch.setattr(conditional_gaussian, "RIDGES", [1e-12])
    condition = torch.randn(500, 2)
    mix = torch.tensor([[1.0, 0.5], [0.0, 2.0], [-1.0, 0.3]])
    root = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.7, 0.0], [0.0, -0.2, 0.1]])
    y = condition @ mix.T + 3 + torch.randn(500, 3) @ root.T
    flow = ConditionalFlow(3, 2, width=8).double()
    flow.fit_from_data(y, condition)
    design = torch.cat([condition, torch.ones(500, 1)], 1)
    left_out = torch.stack(
        [
            design[i] @ torch.linalg.lstsq(design[rest], y[rest]).solution
            for i in range(500)
            for rest in [torch.arange(500) != i]
        ]
    )
    covariance = (y - left_out).T @ (y - left_out) / 500
    law = MultivariateNormal(design @ torch.linalg.lstsq(design, y).solution, covariance)
    torch.testing.assert_close(flow.log_prob(y, condition), law.log_prob(y), rtol=0, atol=1e-6)


def test_the_regression_is_not_led_astray_by_columns_of_noise():
    x, y = torch.randn(100, 90), torch.randn(100, 1)
    coefficients, _, residuals = regression(x, y)
    # least squares would leave out-of-sample residuals of sd sqrt(1 + 90 / 9) = 3.3
    assert (torch.randn(1_000, 90) @ coefficients).std() < 0.5
    assert residuals.std() < 1.3


def test_without_its_splines_a_flow_is_gaussian():
    flow = flow_of(2)
    flow.splines_active.fill_(False)
    y, condition = torch.randn(6, 2, requires_grad=True), torch.randn(1, 2).expand(6, -1)
    (slope,) = torch.autograd.grad(flow.log_prob(y, condition).sum(), y)
    # the slope of a log density that is quadratic is linear in y: six points in two dimensions
    design = torch.cat([y.detach(), torch.ones(6, 1)], 1)
    residual = slope - design @ torch.linalg.lstsq(design, slope).solution
    assert residual.abs().max() < 1e-8


def test_independent_entries_have_densities_of_their_own():
    flow = flow_of(3, by_entry=True)
    flow.splines_active.fill_(False)
    y, condition = torch.randn(4, 3), torch.randn(1, 2).expand(4, -1)

    def density(*entries):
        return flow.log_prob(torch.stack(entries, 1), condition)

    # log p(y) = sum_i log p_i(y_i): no second difference in two entries
    for i, j in ((0, 1), (0, 2), (1, 2)):
        near, far = y.clone(), y.clone()
        near[:, i] += 1
        far[:, j] += 1
        both = near + far - y
        values = [density(*part.T) for part in (both, near, far, y)]
        torch.testing.assert_close(values[0] - values[1] - values[2] + values[3], torch.zeros(4))


def test_independent_entries_start_with_the_deviations_of_residuals():
    condition, noise = torch.randn(4_000, 2), torch.randn(4_000, 3)
    root = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.5, -0.5, 0.1]])
    y = condition @ torch.randn(2, 3) + noise @ root.T
    flow = ConditionalFlow(3, 2, width=8, by_entry=True).double()
    flow.fit_from_data(y, condition)
    flow.whitening.make_independent()
    found = 1 / flow.whitening.root.diagonal()
    # standard error of a deviation: 1 / sqrt(2 n) of it, .011
    torch.testing.assert_close(found, root.square().sum(1).sqrt(), rtol=0.045, atol=0)


def test_beyond_the_bound_splines_leave_values_alone():
    flow = flow_of(3)
    v = torch.full((1, 3), BOUND + 1)
    context = torch.randn(1, 8)
    for coupling in flow.couplings:
        out, log_slope = coupling(v, context)
        assert torch.equal(out, v)
        assert log_slope.item() == 0


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 20])
def test_any_two_entries_are_parted_by_some_layer(size):
    layers = [moved(size, layer) for layer in range(2 * size.bit_length())]
    for i in range(size):
        assert any(layer[i] for layer in layers)
        for j in range(i):
            assert any(layer[i] != layer[j] for layer in layers)


def test_gradients_reach_what_is_given():
    flow, condition = flow_of(2), torch.randn(5, 2, requires_grad=True)
    flow(torch.randn(5, 2), condition).sum().backward()
    assert (condition.grad != 0).all()


def test_equal_seeds_build_equal_flows_whatever_the_default_dtype():
    built = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        with isolated(1):
            built.append(ConditionalFlow(3, 2, width=8))
    torch.set_default_dtype(torch.float64)
    states = [flow.state_dict() for flow in built]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_noise_is_repeated_by_its_generator():
    flow = flow_of(3)
    assert torch.equal(flow.noise(4, torch_rng(1)), flow.noise(4, torch_rng(1)))
