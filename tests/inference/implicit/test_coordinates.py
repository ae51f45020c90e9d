"""Coordinates that training starts from."""

import torch
from torch.distributions import Normal

from lfi.inference.implicit.coordinates import AutoregressiveCoordinates, GaussianCoordinates
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.start import return_to_start
from lfi.networks import VectorCritic, VectorGenerator
from lfi.networks.conditional_gaussian import standard_normal_log_prob


def test_bent_coordinates_have_an_inverse_and_its_jacobian():
    coordinates = AutoregressiveCoordinates(4)
    coordinates.base.fit_from_moments(torch.arange(4.0), torch.eye(4) + 0.5)
    for weight in coordinates.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    w = torch.randn(3, 4).float()
    v, log_det = coordinates.inverse(w)
    there, back = coordinates(v)
    torch.testing.assert_close(there, w, rtol=1e-4, atol=1e-4, check_dtype=False)
    torch.testing.assert_close(back, -log_det, rtol=1e-4, atol=1e-4, check_dtype=False)
    total = lambda w: coordinates.inverse(w)[0].sum(0)
    jacobian = torch.autograd.functional.jacobian(total, w).permute(1, 0, 2)
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(
        log_det, expected.to(log_det), rtol=1e-4, atol=1e-4, check_dtype=False
    )
    coordinates.reset()
    plain = coordinates.base.inverse(w)[0]
    torch.testing.assert_close(coordinates.inverse(w)[0], plain, rtol=1e-5, atol=1e-5)


def test_a_funnel_is_one_of_the_bent_coordinates():
    """z_0 ~ N(0, 1), z_1 ~ N(0, exp(z_0 / 5)): a log scale that is linear in what comes before."""
    coordinates = AutoregressiveCoordinates(2)
    with torch.no_grad():
        coordinates.straight.weight[3, 0] = 0.1  # of the second log scale, by the first w
    z = torch.randn(50, 2)
    w, log_det = coordinates(z)
    exact = Normal(0.0, 1.0).log_prob(z[:, 0]) + Normal(0.0, (z[:, 0] / 10).exp()).log_prob(z[:, 1])
    torch.testing.assert_close(
        standard_normal_log_prob(w) + log_det, exact, rtol=1e-3, atol=1e-3, check_dtype=False
    )


def test_a_return_to_the_start_leaves_a_density_that_is_exact():
    networks = VectorGenerator(2, width=8), VectorCritic([(2,)], width=8)
    q = ImplicitDistribution(*networks, AutoregressiveCoordinates(2), GaussianCoordinates(2))
    return_to_start(q)
    v = q.draw(5, torch.Generator().manual_seed(1))
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).float()
    torch.testing.assert_close(v, z)
    log_density = standard_normal_log_prob(v)
    torch.testing.assert_close(
        q.log_density(v), log_density, rtol=1e-5, atol=1e-5, check_dtype=False
    )
