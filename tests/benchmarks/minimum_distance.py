"""Minimum-distance estimates: of contaminated data, and through scientific simulators.

contaminated    Of 200 numbers 10% or so come from Normal(5, 1), others from Normal(0, 1); a normal
                model is fitted by the MMD of a Gaussian kernel, 200 data sets at once. How often
                the posterior bootstrap's 95% region and intervals cover the closest parameters
                (those of 10^6 draws, for which the kernel's mean under the model is exact), and how
                far the means of its draws and of the likelihood's posterior lie from Normal(0, 1).
lotka_volterra  100 simulations at sbibm's first parameters, in logarithms: the largest error of an
                estimate, in deviations of its draws.
lorenz96        Likewise of 100 forecasts.
g_and_k         Location and scale of 50 numbers of the g-and-k distribution, by 128 simulations a
                step with optimal weights, and by as many with equal ones: root mean squares of how
                far estimates are from the closest parameters (by quadrature over the noise), over
                the standard deviation of the closest parameters of 200 other data sets.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import LogNormal, Normal, Uniform

import lfi
from simulators import g_and_k, lorenz96, lotka_volterra

CASES = ("contaminated", "lotka_volterra", "lorenz96", "g_and_k")
BANDWIDTH, SHARE, FAR = 1.5, 0.1, 5.0
SETS, SIZE, REPLICATES, DRAWS = 200, 200, 200, 10**6
PRIOR = {"mean": Normal(0.0, 3.0), "sd": LogNormal(0.0, 1.0)}


def minimum_distance(case: str, seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return how many points were simulated, and the figures of a case."""
    return {
        "contaminated": contaminated,
        "lotka_volterra": through_lotka_volterra,
        "lorenz96": through_lorenz96,
        "g_and_k": weighed_by_noise,
    }[case](seed, brief)


def normal(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw a number for each mean and standard deviation."""
    return theta[:, 0] + theta[:, 1] * torch.randn(len(theta), generator=rng)


def contaminated(seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return coverage and bias under contamination."""
    sets, replicates = (2, 20) if brief else (SETS, REPLICATES)
    rng = torch.Generator().manual_seed(seed)
    x = _contaminated((sets, SIZE), rng)
    simulator = lfi.Simulator(normal, prior=PRIOR, differentiable=True)
    found = lfi.fit_minimum_distance(
        simulator,
        x,
        discrepancy=lfi.discrepancies.MMD(lfi.kernels.Gaussian(BANDWIDTH)),
        bootstrap=replicates,
        starts=2,
        steps=30 if brief else 300,
        points=16,
        seed=seed,
    )
    closest = _closest(_contaminated((10_000 if brief else DRAWS,), rng))
    draws = torch.stack([each.draws.theta for each in found]).double()
    draws[..., 1] = draws[..., 1].log()
    region = [_covers(each, closest) for each in draws]
    ends = torch.quantile(draws, torch.tensor([0.025, 0.975], dtype=draws.dtype), dim=1)
    inside = ((ends[0] < closest) & (closest < ends[1])).double().mean(0)
    means, likelihood = draws.mean((0, 1)), _likelihood(x.double()).mean(0)
    figures = {
        "region coverage": sum(region) / sets,
        "interval coverage, mean": float(inside[0]),
        "interval coverage, log sd": float(inside[1]),
        "converged": sum(each.converged for each in found) / sets,
        "noise": max(each.noise for each in found),
        "bias of mean": float(means[0]),
        "bias of log sd": float(means[1]),
        "bias of mean, closest": float(closest[0]),
        "bias of log sd, closest": float(closest[1]),
        "bias of mean, likelihood": float(likelihood[0]),
        "bias of log sd, likelihood": float(likelihood[1]),
    }
    return sum(each.simulations for each in found), figures


def through_lotka_volterra(seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return the errors of an estimate of the predators' and preys' rates."""
    logarithms = lambda x: x.clamp(min=1e-10).log()
    simulator = lfi.simulation.as_simulator(lotka_volterra).with_summary(logarithms)
    return _recovered(simulator, lotka_volterra.true_parameters[0], 8, seed, brief)


def through_lorenz96(seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return the errors of an estimate of the closure's parameters."""
    simulator = lfi.simulation.as_simulator(lorenz96)
    return _recovered(simulator, torch.tensor(lorenz96.theta_true), 32, seed, brief)


def weighed_by_noise(seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return errors of estimates with optimal and with equal weights of as many simulations."""
    fits, n, sets = (1, 20, 10) if brief else (10, 50, 200)
    prior = {name: Uniform(0.0, 10.0) for name in ("location", "scale")}
    made = lfi.simulation.Pushforward(_location_and_scale, Normal(0.0, 1.0))
    simulator = lfi.Simulator(made, prior=prior, differentiable=True)
    truth = torch.tensor([[3.0, 1.0]])
    x = simulator(truth.expand((sets + 1) * n, 2), seed=seed).reshape(sets + 1, n)
    kernel = lfi.kernels.fixed(lfi.kernels.Gaussian(), x[0, :, None], x[0, :, None])
    closest = torch.stack([_closest_by_quadrature(each, kernel) for each in x])
    biased, unbiased = lfi.discrepancies.Biased(), lfi.discrepancies.Unbiased()
    ways = {
        "optimal weights": (biased, lfi.discrepancies.OptimalWeights()),
        "equal weights": (biased, None),
        "equal weights, unbiased": (unbiased, None),
    }
    figures: dict[str, float] = {}
    simulations: list[int] = []
    for name, (estimator, weights) in ways.items():
        found = [
            lfi.fit_minimum_distance(
                simulator,
                x[0, :, None],
                discrepancy=lfi.discrepancies.MMD(kernel, estimator),
                weights=weights,
                bootstrap=None,
                starts=1,
                steps=10 if brief else 30,
                points=128,
                seed=seed + i,
            )
            for i in range(fits)
        ]
        simulations += [each.simulations for each in found]
        apart = torch.stack([each.theta.double() for each in found]) - closest[0]
        error = apart.square().mean(0).sqrt() / closest[1:].std(0)
        figures |= {f"error of location, {name}": float(error[0])}
        figures |= {f"error of scale, {name}": float(error[1])}
    return sum(simulations), figures


def _location_and_scale(theta: Tensor, u: Tensor) -> Tensor:
    """Return numbers of the g-and-k distribution with g = 2 and k = 0.5, (n, 2) and (n, m)."""
    shape = theta.new_tensor([2.0, 0.5]).expand(len(theta), 2)
    return g_and_k.quantile(u, torch.cat([theta, shape], dim=1))


def _closest_by_quadrature(x: Tensor, kernel: lfi.kernels.Gaussian) -> Tensor:
    """Return the location and scale closest to a sample, by the trapezoidal rule over the noise."""
    x = x.double()[:, None]
    u = torch.linspace(-8.5, 8.5, 801, dtype=torch.float64)
    weight = (-u.square() / 2).softmax(0)

    def distance(log_theta: Tensor) -> Tensor:
        y = _location_and_scale(log_theta.exp()[None], u[None])[0, :, None]
        return weight @ kernel(y, y) @ weight - 2 * (kernel(x, y) @ weight).mean()

    return _least(distance, torch.tensor([3.0, 1.0], dtype=torch.float64).log()).exp()


def _recovered(
    simulator: lfi.Simulator, truth: Tensor, points: int, seed: int, brief: bool
) -> tuple[int, Mapping[str, float]]:
    n, steps, starts, replicates = (10, 10, 1, 2) if brief else (100, 150, 2, 20)
    theta = truth.to(simulator.prior.dtype)
    x = simulator(theta.expand(n, -1), seed=seed)
    found = lfi.fit_minimum_distance(
        simulator, x, starts=starts, steps=steps, points=points, bootstrap=replicates, seed=seed
    )
    deviation = found.draws.theta.std(0)
    relative = deviation / theta
    return found.simulations, {
        "error in deviations": float(((found.theta - theta) / deviation).abs().max()),
        "largest relative deviation": float(relative.max()),
        "converged": float(found.converged),
        "settled": float(found.starts.settled[0]),
        "starts that found it": float(found.starts.same.sum()),
        "noise": found.noise,
    }


def _contaminated(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Draw data of which each is far away with the probability of contamination."""
    far = torch.rand(shape, generator=rng) < SHARE
    return torch.randn(shape, generator=rng) + FAR * far


def _closest(x: Tensor) -> Tensor:
    """Return the mean and log sd of the normal distribution closest to a sample, exactly."""
    x = x.double()

    def distance(theta: Tensor) -> Tensor:
        mean, variance = theta[0], (2 * theta[1]).exp()
        wide = BANDWIDTH**2 + variance
        across = torch.exp(-((x - mean) ** 2) / (2 * wide)).mean() / wide.sqrt()
        return 1 / (BANDWIDTH**2 + 2 * variance).sqrt() - 2 * across

    return _least(distance, torch.zeros(2, dtype=torch.float64))


def _least(function: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Return where a smooth function is least, by quasi-Newton steps."""
    theta = start.clone().requires_grad_()
    newton = torch.optim.LBFGS([theta], max_iter=100, line_search_fn="strong_wolfe")

    def value() -> Tensor:
        newton.zero_grad()
        found = function(theta)
        found.backward()
        return found

    newton.step(value)
    return theta.detach()


def _covers(draws: Tensor, point: Tensor) -> bool:
    """Return whether the ellipse of draws that holds 95% of them holds a point."""
    centre = draws.mean(0)
    precision = torch.linalg.inv(draws.T.cov())
    apart = torch.cat([draws, point[None]]) - centre
    distances = (apart @ precision * apart).sum(1)
    return bool(distances[-1] <= torch.quantile(distances[:-1], 0.95))


def _likelihood(x: Tensor) -> Tensor:
    """Return posterior means of mean and log sd by the likelihood, on a grid about its maximum."""
    n, centre, spread = x.shape[1], x.mean(1), x.std(1)
    grid = torch.linspace(-5, 5, 101, dtype=x.dtype) / math.sqrt(n)
    mean = (centre[:, None] + spread[:, None] * grid)[:, :, None]
    log_sd = (spread.log()[:, None] + grid)[:, None, :]
    squares = ((x - centre[:, None]) ** 2).sum(1)[:, None, None]
    squares = squares + n * (mean - centre[:, None, None]) ** 2
    density = -n * log_sd - squares / (2 * (2 * log_sd).exp())
    density = density - mean**2 / 18 - log_sd**2 / 2  # the prior, in the logarithm of sd
    weight = density.flatten(1).softmax(1).reshape(density.shape)
    return torch.stack([(weight * mean).sum((1, 2)), (weight * log_sd).sum((1, 2))], dim=1)
