"""Adversarial posteriors against exact ones: `black_boxes.py adversarial_posterior`.

    two_moons, slcp        C2ST (0.5 is perfect) of 2,000 draws against as many of sbibm's reference
                           draws of observations 1-5, by sbibm's network; published figures of
                           GATSBI after 10,000 simulations are .876 and .933
    linear Gaussian        100 parameters under a Matern prior, observed with noise: C2ST of ten
                           fixed projections, to a line each, at three observations, and how many of
                           new simulations' parameters the central 90% intervals of these
                           projections, and of the parameters, hold
    ..., ratio             the same of `lfi.NeuralRatio`

Settings are lfi's own. Corrected draws are those of `posterior.corrected()`.
"""

import importlib
import math
import time
from collections.abc import Callable, Mapping
from functools import cache

import torch
from posterior_tasks import judged, reference
from torch.distributions import MultivariateNormal

import lfi
from lfi.runtime import torch_rng

TASKS = ("two_moons", "slcp")
LINEAR, RATIO = "linear Gaussian", "linear Gaussian, ratio"
CASES = (*TASKS, LINEAR, RATIO)
SIMULATIONS, DRAWS = 10_000, 2_000
BRIEF = lfi.AdversarialPosterior(
    settings=lfi.AdversarialSettings(steps=10),
    start_steps=10,
    correction_settings=lfi.TrainSettings(steps=10),
)
SIZE, LENGTH, NOISE, LINES = 100, 10.0, 0.5, 10
PROJECTED = 2_000  # draws whose projections are judged
INTERVALS = {LINEAR: (500, 1_000), RATIO: (10, 500)}  # new simulations, and draws of each


def run(case: str, seed: int, brief: bool) -> tuple[int, Mapping[str, float]]:
    """Return the number of simulations and figures of a case."""
    budget = 500 if brief else SIMULATIONS
    run_one = of_task if case in TASKS else of_linear_gaussian
    return budget, run_one(case, budget, seed, brief)


def of_task(case: str, budget: int, seed: int, brief: bool) -> dict[str, float]:
    """Return the C2ST of draws, as they come and corrected."""
    module, draws = importlib.import_module(f"simulators.{case}"), 200 if brief else DRAWS
    simulations = lfi.simulate(module, budget, seed=seed, progress=False)
    begin = time.process_time()
    method = BRIEF if brief else lfi.AdversarialPosterior()
    posterior = lfi.fit_posterior(simulations, method=method, seed=seed, progress=False)
    found = {"fit cpu seconds": time.process_time() - begin}
    held_out = lfi.simulate(module, 50 if brief else 200, seed=seed + 10**6, progress=False)
    for name, one in {"": posterior, "corrected ": posterior.corrected()}.items():
        scores, drawn = [], []
        for observation in (1,) if brief else (1, 2, 3, 4, 5):
            exact = reference(case, observation)[:draws]
            x = module.observations[observation - 1]
            drawn.append(one.draw(draws, x, seed=seed + observation))
            scores.append(judged("network", exact, drawn[-1].theta))
        told = {f"{name}C2ST {i} of {draws}": score for i, score in enumerate(scores, 1)}
        found |= told | {f"{name}C2ST": sum(scores) / len(scores)}
        if name:
            found["largest k-hat"] = max(each.khat for each in drawn)
            found["least effective share"] = min(each.ess / draws for each in drawn)
        checks = lfi.check(one, held_out, seed=seed)
        found[f"{name}least coverage minus level"] = (checks.coverage - checks.levels).min().item()
    return found


class LinearGaussian:
    """theta ~ N(0, Matern 3/2), x = theta + 0.5 noise, and its exact posterior."""

    def __init__(self) -> None:
        place = torch.arange(SIZE, dtype=torch.float64)
        r = math.sqrt(3) * (place[:, None] - place).abs() / LENGTH
        covariance, eye = (1 + r) * torch.exp(-r), torch.eye(SIZE, dtype=torch.float64)
        self.gain = torch.linalg.solve(covariance + NOISE**2 * eye, covariance).T
        self.posterior_covariance = NOISE**2 * (self.gain + self.gain.T) / 2
        prior = MultivariateNormal(torch.zeros(SIZE, dtype=torch.float64), covariance)

        def simulate(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
            noise = torch.randn(theta.shape, generator=rng, dtype=theta.dtype)
            return theta + NOISE * noise

        self.simulator = lfi.Simulator(simulate, prior=prior)
        lines = torch.randn(LINES, SIZE, generator=torch_rng(0), dtype=torch.float64)
        self.lines = lines / lines.norm(dim=1, keepdim=True)

    def posterior(self, x: torch.Tensor) -> MultivariateNormal:
        """Return the exact posterior of one observation."""
        return MultivariateNormal(self.gain @ x, self.posterior_covariance)


linear_gaussian = cache(LinearGaussian)


def of_linear_gaussian(case: str, budget: int, seed: int, brief: bool) -> dict[str, float]:
    """Return the C2ST of projections, and the coverage of central intervals."""
    problem = linear_gaussian()
    simulations = lfi.simulate(problem.simulator, budget, seed=seed, progress=False)
    begin = time.process_time()
    if case == RATIO:
        few = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=10), rank=0, head_layers=None)
        method, sampler = (few, lfi.samplers.Importance()) if brief else (lfi.NeuralRatio(), None)
    else:
        method, sampler = BRIEF if brief else lfi.AdversarialPosterior(), None
    posterior = lfi.fit_posterior(simulations, method=method, seed=seed, progress=False)
    found = {"fit cpu seconds": time.process_time() - begin}
    count, draws = (3, 50) if brief else INTERVALS[case]
    held_out = lfi.simulate(problem.simulator, count, seed=seed + 10**6, progress=False)

    def drawn(number: int, n: int) -> torch.Tensor:
        x = held_out.x[:number]
        return posterior.sample(n, x, seed=seed, sampler=sampler).to(problem.lines)

    found |= projected_c2st(problem, drawn, held_out.x, brief)
    begin = time.process_time()
    theta = drawn(count, draws)
    found["draw cpu seconds"] = (time.process_time() - begin) / count
    for name, matrix in {"projections": problem.lines, "parameters": torch.eye(SIZE)}.items():
        matrix = matrix.to(theta)
        rank = (theta @ matrix.T < (held_out.theta.to(theta) @ matrix.T)[:, None]).double().mean(1)
        found[f"coverage of 90%, {name}"] = ((rank > 0.05) & (rank < 0.95)).double().mean().item()
    return found


def projected_c2st(
    problem: LinearGaussian,
    drawn: Callable[[int, int], torch.Tensor],
    x: torch.Tensor,
    brief: bool,
) -> dict[str, float]:
    """Return the C2ST of ten projections, their mean and their largest over three observations."""
    number, n = (1, 100) if brief else (3, PROJECTED)
    theta, scores = drawn(number, n), []
    for own, one in zip(theta, x[:number], strict=True):
        z = torch.randn(n, SIZE, generator=torch_rng(1), dtype=torch.float64)
        exact = problem.posterior(one.double())
        exact = exact.loc + z @ exact.scale_tril.T
        scores += [
            judged("network", exact @ line[:, None], own @ line[:, None])
            for line in problem.lines[: 2 if brief else LINES]
        ]
    return {
        f"C2ST of projections, {n} draws": sum(scores) / len(scores),
        "largest C2ST of a projection": max(scores),
    }
