"""Bridges: many log ratios by one network, and the coordinates they see."""

from itertools import pairwise

import pytest
import torch
from torch.distributions import MultivariateNormal

from lfi.networks import Bridges, Whiten, inverse_root, moments
from lfi.ratio.telescoping.waymarks import Waymarks, even_coefficients

BRIDGES, SIZE = 5, 3
ROUNDING = {"atol": 1e-4, "rtol": 1e-4}  # float32: a thousand roundings of values of order one


def stirred(quadratic=True):
    """A network whose every parameter and buffer matters."""
    network = Bridges(SIZE, BRIDGES, width=8, layers=1, quadratic=quadratic)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    roots = torch.randn(BRIDGES + 1, SIZE, SIZE)
    network.fit_from_moments(torch.randn(BRIDGES + 1, SIZE), roots @ roots.mT + torch.eye(SIZE))
    return network


def alone(network, k):
    """The k-th bridge as a network of one bridge."""
    one = Bridges(**(network.spec | {"bridges": 1}))
    each = {"scale", "shift", "read", "constant", "slope", "form", "centre", "whitener"}
    state = network.state_dict()
    one.load_state_dict({n: t[k : k + 1] if n in each else t for n, t in state.items()})
    return one


def spd(size):
    root = torch.randn(size, size)
    return root @ root.T / size + 0.5 * torch.eye(size)


@pytest.mark.parametrize("quadratic", [True, False])
def test_all_bridges_together_are_each_alone(quadratic):
    network, z = stirred(quadratic), torch.randn(7, SIZE, dtype=torch.float32)
    one_by_one = torch.cat([alone(network, k)(z) for k in range(BRIDGES)])
    torch.testing.assert_close(network(z), one_by_one, **ROUNDING)


@pytest.mark.parametrize("quadratic", [True, False])
def test_successive_waymarks_meet_their_own_bridges(quadratic):
    network = stirred(quadratic)
    z = torch.randn(BRIDGES + 1, 7, SIZE, dtype=torch.float32)
    h_p, h_q = network.successive(z)
    assert h_p.shape == h_q.shape == (BRIDGES, 7)
    for k in range(BRIDGES):
        torch.testing.assert_close(h_p[k], network(z[k])[k], **ROUNDING)
        torch.testing.assert_close(h_q[k], network(z[k + 1])[k], **ROUNDING)


def test_without_the_trunk_bridges_are_quadratic():
    network = stirred().double()
    z = torch.randn(BRIDGES + 1, 7, SIZE)
    steps = [network.successive(z + t, with_trunk=False)[0] for t in range(4)]
    third = steps[3] - 3 * steps[2] + 3 * steps[1] - steps[0]
    torch.testing.assert_close(third, torch.zeros(BRIDGES, 7), atol=1e-9, rtol=0)
    assert (network.successive(z)[0] - steps[0]).abs().max() > 1e-3


def test_exact_bridges_of_gaussians_telescope_to_their_log_ratio():
    of_p, of_q = ((torch.randn(SIZE), spd(SIZE)) for _ in range(2))
    mean, covariance = Waymarks(even_coefficients(BRIDGES)).moments(of_p, of_q)
    network = Bridges(SIZE, BRIDGES).double()
    network.fit_from_moments(mean, covariance)
    precision = covariance.inverse()
    potential = (precision @ mean[..., None]).squeeze(-1)
    constant = -0.5 * ((potential * mean).sum(-1) + covariance.logdet())
    # log N(z; m, C) = -z'P z/2 + (P m)'z + constant; a bridge is the difference of two of them,
    # written about its centre and in whitened coordinates
    P, b, c = (t[:-1] - t[1:] for t in (-precision / 2, potential, constant))
    centre, root = network.centre[:, 0], torch.linalg.inv(network.whitener)
    at_centre = (P @ centre[..., None]).squeeze(-1)
    with torch.no_grad():
        network.form.copy_(root @ P @ root)
        network.slope.copy_(root @ (2 * at_centre + b)[..., None])
        trace = network.form.diagonal(dim1=1, dim2=2).sum(1)
        network.constant.copy_((c + ((at_centre + b) * centre).sum(1) + trace)[:, None])
    z = torch.randn(20, SIZE)
    p, q = (MultivariateNormal(*of).log_prob(z) for of in (of_p, of_q))
    with torch.no_grad():
        each = network(z)
    laws = [MultivariateNormal(m, C) for m, C in zip(mean, covariance, strict=True)]
    exact = torch.stack([a.log_prob(z) - b.log_prob(z) for a, b in pairwise(laws)])
    torch.testing.assert_close(each, exact, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(each.sum(0), p - q, atol=1e-9, rtol=1e-9)


def test_bridges_begin_undecided():
    assert (Bridges(4, 2)(torch.randn(6, 4, dtype=torch.float32)) == 0).all()


def test_networks_are_float32_whatever_the_default():
    network = Bridges(4, 2)  # the default is float64 here
    assert {t.dtype for t in network.state_dict().values()} == {torch.float32}
    assert Whiten(3)(torch.zeros(1, 3)).dtype == torch.float32


def test_a_bridge_is_whitened_for_what_it_compares():
    mean, covariance = torch.randn(2, SIZE), torch.stack([spd(SIZE), spd(SIZE)])
    network = Bridges(SIZE, 1).double()
    network.fit_from_moments(mean, covariance)
    half = (mean[1] - mean[0]) / 2
    pooled = covariance.mean(0) + half[:, None] * half  # of both waymarks, half of each
    white = network.whitener[0] @ pooled @ network.whitener[0]
    torch.testing.assert_close(white, torch.eye(SIZE))
    torch.testing.assert_close(network.centre[0, 0], mean.mean(0))


def test_a_quadratic_form_in_whitened_coordinates_has_mean_zero():
    network = Bridges(SIZE, 1).double()
    x = torch.randn(500, SIZE) @ spd(SIZE)
    mean, covariance = moments(x)
    network.fit_from_moments(mean.expand(2, -1), covariance.expand(2, -1, -1))
    with torch.no_grad():
        network.form.copy_(torch.randn(1, SIZE, SIZE))
        network.slope.copy_(torch.randn(1, SIZE, 1))
    assert network(x).mean().item() == pytest.approx(0.0, abs=1e-10)


# Whitening.


def test_whitened_samples_have_mean_zero_and_unit_covariance():
    x = torch.randn(1_000, 4) @ torch.randn(4, 4) + 5
    layer = Whiten(4).double()
    layer.fit_from_moments(*moments(x))
    mean, covariance = moments(layer(x))
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-10, rtol=0)
    torch.testing.assert_close(covariance, torch.eye(4), atol=1e-10, rtol=0)


def test_directions_without_variance_are_dropped():
    x = torch.randn(1_000, 3)
    x[:, 1] = 2.0  # constant
    x[:, 2] = x[:, 0]  # a copy
    layer = Whiten(3).double()
    layer.fit_from_moments(*moments(x))
    z = layer(x)
    assert z.isfinite().all()
    assert moments(z)[1].trace().item() == pytest.approx(1.0)  # of one direction
    assert (inverse_root(torch.zeros(2, 2)) == 0).all()


def test_moments_are_those_of_the_sample():
    x = torch.randn(100, 3)
    mean, covariance = moments(x)
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(covariance, torch.cov(x.T, correction=0))
    assert moments(x.float())[1].dtype == torch.float64
