"""Mixtures of Student distributions: a density that integrates to one and fits its points."""

import math

import pytest
import torch

from lfi.inference.samplers.student_mixture import COMPONENTS, StudentMixture, fit_mixture


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ring(n=4_000):
    angle = 2 * math.pi * torch.rand(n, generator=seeded())
    radius = 1 + 0.05 * torch.randn(n, generator=seeded())
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def equal(m, n):
    return torch.full((m, n), -math.log(n))


def test_the_density_integrates_to_one():
    mixture = fit_mixture(ring()[None], equal(1, 4_000), seeded())
    axis = torch.linspace(-8, 8, 801)
    grid = torch.cartesian_prod(axis, axis)
    mass = mixture.log_density(grid[None]).exp().sum() * (axis[1] - axis[0]) ** 2
    # cells of 0.02 are fine enough for what is 0.05 wide; some 1e-4 of Student's tails are outside
    assert mass.item() == pytest.approx(1, abs=2e-3)


def test_the_density_is_the_sum_of_students():
    mixture = fit_mixture(torch.randn(2, 500, 3), equal(2, 500), seeded())
    u = torch.randn(2, 7, 3)
    for j in range(2):
        terms = []
        for k in range(COMPONENTS):
            factor = mixture.factors[j, k]
            z = torch.linalg.solve(factor @ factor.T, (u[j] - mixture.centres[j, k]).T).T
            square = ((u[j] - mixture.centres[j, k]) * z).sum(1)
            student = torch.lgamma(torch.tensor(4.0)) - torch.lgamma(torch.tensor(2.5))
            student = student - 1.5 * math.log(5 * math.pi) - factor.logdet()
            terms.append(student - 4 * torch.log1p(square / 5) + mixture.log_shares[j, k])
        torch.testing.assert_close(mixture.log_density(u)[j], torch.stack(terms).logsumexp(0))


def test_draws_have_the_density_that_is_stated():
    """Importance weights of another mixture average to one: both are normalised and cover."""
    mixture = fit_mixture(ring()[None], equal(1, 4_000), seeded())
    u = mixture.sample(20_000, seeded())
    centres = mixture.centres + 0.02
    other = StudentMixture(mixture.log_shares, centres, mixture.factors)
    weights = (other.log_density(u) - mixture.log_density(u)).exp()
    assert abs(weights.mean() - 1) < 5 * weights.std() / math.sqrt(20_000)


def test_a_ring_is_covered_along_the_ring():
    """Half the draws or more lie within four thicknesses of it; of one Gaussian, one in seven."""
    u = fit_mixture(ring()[None], equal(1, 4_000), seeded()).sample(4_000, seeded())[0]
    near = ((u.norm(dim=1) - 1).abs() < 0.2).double().mean()
    assert near > 0.5


@pytest.mark.parametrize("seed", range(20))
def test_a_few_heavy_points_of_single_precision_are_fitted(seed):
    """Their copies are each other's nearest: a covariance of rank one, up to rounding."""
    rng = seeded(seed)
    u = torch.randn(1, 400, 4, generator=rng)
    u[0, :20] += 10 * torch.randn(20, 4, generator=rng)
    log_weights = torch.zeros(1, 400)
    log_weights[0, :20] = 3.5
    mixture = fit_mixture((0.02 * u - 3).float(), log_weights.log_softmax(-1), seeded(1))
    assert mixture.factors.isfinite().all() and mixture.factors.dtype == torch.float32
