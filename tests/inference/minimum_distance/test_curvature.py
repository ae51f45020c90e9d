"""Curvatures of distances at their minimum, against closed forms."""

import math

import pytest
import torch
from torch.distributions import LogNormal, Normal

import lfi
from lfi.inference.minimum_distance.curvature import FLOOR, _axes, _of_embeddings, curvature_at
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances

ONE = torch.zeros(1, dtype=torch.long)


def normal(theta, rng: torch.Generator):
    noise = torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype)
    return theta[:, :1] + theta[:, 1:] * noise


@pytest.mark.parametrize("differentiable", [True, False])
@pytest.mark.parametrize(
    ("discrepancy", "of_mean"),
    [
        # that of -2 (1 + 2)^(-1/2) exp(-mean^2 / 6), and of 2 E |mean + 2^(1/2) z|
        (lfi.discrepancies.MMD(lfi.kernels.Gaussian(1.0)), 2 / 3**1.5),
        (lfi.discrepancies.Energy(), 2 / math.sqrt(math.pi)),
    ],
    ids=["MMD", "energy"],
)
def test_embeddings_tell_the_curvature_of_normal_distributions(
    discrepancy, of_mean, differentiable
):
    prior = {"mean": Normal(0.0, 2.0), "sd": LogNormal(0.0, 0.5)}
    simulator = lfi.Simulator(normal, prior=prior, differentiable=differentiable)
    distances = Distances(simulator, discrepancy, 16)
    problems = DistanceProblems(torch.zeros(1, 5, 1), ONE, ONE)
    steps, u = torch.tensor([0.05, 0.05]), torch.zeros(1, 2)
    each = _of_embeddings(distances, problems, u, steps, torch.ones(2), 1)
    error = each.std(1) / math.sqrt(each.shape[1])
    assert (each.mean(1) - of_mean).abs()[0, 0, 0] < 3 * error[0, 0, 0]
    assert each.mean(1).abs()[0, 0, 1] < 3 * error[0, 0, 1]
    values, _, _ = _axes(each)
    assert (values > 0).all()


SMALL = 0.03


def correlated(theta, rng: torch.Generator):
    """The sum and a little of the difference of two parameters, beside noise of both.

    That of the sum has second derivatives of its own, of mean zero, at equal parameters.
    """
    noise = torch.randn(len(theta), 2, generator=rng, dtype=theta.dtype)
    total, apart = theta.sum(1), theta[:, 0] - theta[:, 1]
    first = total + (1 + apart.square()) * noise[:, 0]
    return torch.stack([first, SMALL * apart + noise[:, 1]], dim=1)


def test_an_axis_a_thousand_times_flatter_is_seen():
    prior = {"first": Normal(0.0, 1.0), "second": Normal(0.0, 1.0)}
    simulator = lfi.Simulator(correlated, prior=prior, differentiable=True)
    distances = Distances(simulator, lfi.discrepancies.MMD(lfi.kernels.Gaussian(1.0)), 32)
    grid = Normal(0.0, 1.0).icdf((torch.arange(30) + 0.5) / 30)
    problems = DistanceProblems(torch.cartesian_prod(grid, grid)[None], ONE, ONE)
    inverse, least, _ = curvature_at(
        distances, problems, torch.zeros(1, 2), torch.ones(2), rounds=50, seed=1
    )
    assert least > FLOOR
    weak = torch.tensor([1.0, -1.0]) / math.sqrt(2)
    # of normals of two dimensions 2/9, times the squares of derivatives along the axis
    exact = 2 / 9 * 2 * SMALL**2
    # its three standard errors are less than itself, as the least says
    assert 0.5 < exact * (weak @ inverse[0] @ weak) < 2
