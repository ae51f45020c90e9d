"""Ways to estimate gradients of distances: against closed forms, through chaos, and by choice."""

import math

import pytest
import torch
from torch.distributions import LogNormal, Normal

import lfi
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.inference.minimum_distance.ways import choose_way

BANDWIDTH = 1.0
MMD = lfi.discrepancies.MMD(lfi.kernels.Gaussian(BANDWIDTH))
WAYS = (Distances.pathwise, Distances.differences, Distances.smoothed)
DATA = torch.tensor([[-0.5], [0.1], [0.7], [2.0]])


def normal(theta, rng: torch.Generator):
    noise = torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype)
    return theta[:, :1] + theta[:, 1:] * noise


def chaotic(theta, rng: torch.Generator):
    """Each parameter plus the sine of a uniform phase, which all turn many thousand times.

    So noise is of one law at all parameters, and true derivatives along it tell nothing of them.
    """
    phase = torch.rand(theta.shape, generator=rng, dtype=theta.dtype)
    return theta + torch.sin(2 * math.pi * (phase + 12_345.678 * theta.sum(1, keepdim=True)))


def problems(data, weights=None):
    one = torch.zeros(1, dtype=torch.long)
    return DistanceProblems(data[None], one, one, weights)


def simulator(simulate, dim=1, differentiable=True):
    prior = {f"shift{i}": Normal(0.0, 1.0) for i in range(dim)}
    return lfi.Simulator(simulate, prior=prior, differentiable=differentiable)


def exact_gradient(u, weights):
    """That of the MMD between a normal distribution and weighted data, by its closed form."""
    u = u.clone().requires_grad_()
    mean, variance = u[0], (2 * u[1]).exp()
    wide = BANDWIDTH**2 + variance
    within = BANDWIDTH / (BANDWIDTH**2 + 2 * variance).sqrt()
    across = BANDWIDTH / wide.sqrt() * torch.exp(-((DATA[:, 0] - mean) ** 2) / (2 * wide))
    return torch.autograd.grad(within - 2 * (weights * across).sum(), u)[0]


# pathwise and by differences, gradients of a biased estimate are those of its bias too
@pytest.mark.parametrize(
    ("way", "estimator"),
    [(way, lfi.discrepancies.Unbiased()) for way in WAYS]
    + [(Distances.smoothed, lfi.discrepancies.Biased())],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_every_way_gives_the_exact_gradient(way, estimator):
    discrepancy = lfi.discrepancies.MMD(MMD.kernel, estimator)
    prior = {"mean": Normal(0.0, 2.0), "sd": LogNormal(0.0, 0.5)}
    distances = Distances(lfi.Simulator(normal, prior=prior, differentiable=True), discrepancy, 10)
    weights, u, rows = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), torch.tensor([[0.3, -0.2]]), 1_000
    many = problems(DATA, weights).repeated(rows), u.repeat(rows, 1)
    found = way(distances, *many, torch.full((2,), 0.02), 1)  # of 10,000 points
    error = found.std(0) / math.sqrt(rows)
    assert ((found.mean(0) - exact_gradient(u[0], weights[0])).abs() < 3 * error).all()


def twice_jensen_shannon(u):
    """That of N(0, 1) and N(u0, exp u1), on a grid."""
    grid = torch.linspace(-10, 10, 4_001, dtype=u.dtype)
    p, q = Normal(0.0, 1.0).log_prob(grid), Normal(u[0], u[1].exp()).log_prob(grid)
    middle = torch.logaddexp(p, q) - math.log(2)
    return (p.exp() * (p - middle) + q.exp() * (q - middle)).sum() * (grid[1] - grid[0])


def transported(u):
    """The square of the Wasserstein distance of N(0, 1) and N(u0, exp u1)."""
    return u[0].square() + (u[1].exp() - 1).square()


# of points and data that are many enough for the bias of samples to be less than the noise
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    ("discrepancy", "exact", "rows"),
    [
        (lfi.discrepancies.LearnedDivergence(ridge=1e-4), twice_jensen_shannon, 100),
        (lfi.discrepancies.Wasserstein1D(2.0), transported, 100),
        (lfi.discrepancies.SlicedWasserstein(), transported, 100),
        # of samples of epsilon a hundredth of their variance, the divergence is nearly this
        (lfi.discrepancies.Sinkhorn(epsilon=0.1, tolerance=1e-3), transported, 20),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_learned_and_transported_distances_have_the_exact_gradient(discrepancy, exact, rows, way):
    prior = {"mean": Normal(0.0, 2.0), "sd": LogNormal(0.0, 0.5)}
    of = lfi.Simulator(normal, prior=prior, differentiable=True)
    data = Normal(0.0, 1.0).icdf((torch.arange(400) + 0.5) / 400)[:, None]
    u = torch.tensor([0.5, -0.2])
    many = problems(data).repeated(rows), u.repeat(rows, 1)
    found = way(Distances(of, discrepancy, 100), *many, torch.full((2,), 0.02), 1)
    at = u.double().requires_grad_()
    (gradient,) = torch.autograd.grad(exact(at), at)
    error = found.std(0) / math.sqrt(rows)
    assert ((found.mean(0) - gradient).abs() < 3 * error).all()


@pytest.mark.parametrize("way", WAYS[1:], ids=lambda way: way.__name__)
def test_problems_that_share_simulations_have_gradients_of_the_same(way):
    distances = Distances(simulator(chaotic, differentiable=False), MMD, 10)
    two = torch.zeros(2, dtype=torch.long)
    weights = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    together = DistanceProblems(DATA[None], two, two, weights, shared=True)
    distances.way = way
    found = distances.gradient(together, torch.ones(2, 1), torch.ones(1), 1)
    assert torch.equal(found[0], found[1])
    assert distances.simulations == (20 if way is Distances.differences else 30)
    apart = DistanceProblems(DATA[None], two, two, weights)
    found = distances.gradient(apart, torch.ones(2, 1), torch.ones(1), 1)
    assert not torch.equal(found[0], found[1])


def chosen(of, dim, discrepancy=None):
    mmd = lfi.discrepancies.MMD(lfi.kernels.Gaussian(math.sqrt(dim)))  # as wide as points are apart
    distances = Distances(of, discrepancy or mmd, 16)
    data, one = torch.zeros(5, dim), torch.ones(dim)
    choose_way(distances, problems(data), torch.full((1, dim), 0.5), one, 0.05 * one, 1)
    return distances.way, distances.wide


def test_the_way_that_varies_least_for_its_cost_is_chosen():
    smooth = lambda theta: theta + torch.randn_like(theta)
    assert chosen(simulator(smooth, 2), 2) == (Distances.pathwise, 1)
    assert chosen(simulator(smooth, 2, False), 2) == (Distances.differences, 1)
    for differentiable in (True, False):
        assert chosen(simulator(chaotic, 1, differentiable), 1) == (Distances.differences, 4)
        many = simulator(chaotic, 16, differentiable)
        for discrepancy in (None, lfi.discrepancies.SlicedWasserstein()):
            assert chosen(many, 16, discrepancy) == (Distances.smoothed, 4)


def closest(x, weights):
    """Shifts of `chaotic` with the least MMD to weighted x, (n,) and (b, n), on a grid."""
    noise = torch.sin(2 * math.pi * (torch.arange(200, dtype=x.dtype) + 0.5) / 200)
    grid = torch.linspace(-1, 1, 801, dtype=x.dtype)
    apart = x[:, None, None] - grid[:, None] - noise
    return grid[(weights @ torch.exp(-(apart**2) / (2 * BANDWIDTH**2)).mean(2)).argmax(1)]


def test_a_shift_is_found_through_chaos_and_its_bootstrap():
    n, rng = 60, torch.Generator().manual_seed(1)
    x = 0.3 + torch.sin(2 * math.pi * torch.rand(n, generator=rng))
    settings = {"discrepancy": MMD, "points": 16, "starts": 2, "steps": 120, "bootstrap": 80}
    found = lfi.fit_minimum_distance(
        simulator(chaotic), x[:, None], **settings, seed=1, progress=False
    )
    exact = closest(x, torch.ones(1, n))[0]
    weights = torch.distributions.Dirichlet(torch.ones(n)).sample((1_000,))
    deviation = closest(x, weights).std()
    # simulations add a part of the data's noise: found.noise of the draws' deviation
    assert abs(float(found.theta) - float(exact)) < 0.5 * deviation
    assert found.converged, found
    # 80 draws tell a deviation to 8%, 1,000 exact ones to 2%, and noise adds to it
    assert float(found.draws.theta.std()) == pytest.approx(float(deviation), rel=0.3)


def test_many_shifts_are_found_through_chaos():
    n, dim = 60, 6
    rng = torch.Generator().manual_seed(1)
    truth = torch.linspace(-0.5, 0.5, dim)
    x = truth + torch.sin(2 * math.pi * torch.rand(n, dim, generator=rng))
    found = lfi.fit_minimum_distance(
        simulator(chaotic, dim),
        x,
        points=32,
        starts=1,
        steps=150,
        bootstrap=None,
        seed=1,
        progress=False,
    )
    # means scatter by (1/2 / n)^(1/2) about the truth, and the MMD's estimates little more
    assert ((found.theta - truth).abs() < 4 * math.sqrt(0.5 / n)).all()
