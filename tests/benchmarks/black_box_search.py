"""Search through a surrogate of a black box, 5,000 true simulations in five rounds.

lynx_hare        lynxes and hares, of which neither gradient nor likelihood is used, against 10,000
                 draws of the exact posterior.
gaussian_linear  sbibm's ten parameters and first observation, whose posterior is known exactly.
sir_gillespie    a stochastic epidemic that has no derivative; an observation of its own for each
                 seed, made with parameters drawn from the prior.

optimum: its largest distance from the exact posterior's mean, in exact deviations; of sir_gillespie
from the parameters that made the data, in the posterior's deviations. mean and sd: the largest
error of a marginal mean, in exact deviations, and of a deviation, relative. C2ST: sbibm's
classifier, 4,000 draws of each. moved: how far the last round moved a mean, in deviations.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import lfi
from lfi.runtime import numpy_rng
from lfi.simulation import as_simulator
from simulators import gaussian_linear, lynx_hare, sir_gillespie

CASES = ("lynx_hare", "gaussian_linear", "sir_gillespie")
MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (lynx_hare, gaussian_linear, sir_gillespie)
}
REFERENCE = Path(__file__).parent.parent / "reference" / "lynx_hare.npz"
BUDGET, DRAWS = 5_000, 4_000
BRIEF = lfi.SurrogateLikelihood(
    proposal=None, width=8, gaussian_steps=10, settings=lfi.TrainSettings(steps=10)
)


def exact(case: str) -> Tensor | None:
    """Return draws of a case's exact posterior, None where it is not known."""
    if case == "lynx_hare":
        with np.load(REFERENCE) as file:
            return torch.from_numpy(file["samples"]).double()
    if case == "gaussian_linear":
        torch.manual_seed(0)
        return gaussian_linear.posterior(gaussian_linear.x_obs.double()).sample((10_000,))
    return None


def run(case: str, seed: int, brief: bool) -> tuple[int, dict[str, float]]:
    """Return the simulations that were made, and the figures of a case."""
    simulator = as_simulator(MODULES[case])
    true = simulator.prior.sample(1, seed=numpy_rng(1_000 + seed))
    x_obs = simulator(true, seed=seed)[0] if simulator.x_obs is None else simulator.x_obs
    short = {"budget": 200, "method": BRIEF} if brief else {"budget": BUDGET}
    found = lfi.search(simulator, x_obs, **short, seed=seed, progress=False)
    draws = found.draw(500 if brief else DRAWS, seed=seed).theta.double()
    figures, reference = {"moved": found.moved}, exact(case)
    if reference is None:
        off = (found.theta.double() - true[0].double()) / draws.std(0)
        return found.simulations, {"optimum": float(off.abs().max()), **figures}
    mean, sd = reference.mean(0), reference.std(0)
    return found.simulations, {
        "optimum": float(((found.theta.double() - mean) / sd).abs().max()),
        "mean": float(((draws.mean(0) - mean) / sd).abs().max()),
        "sd": float((draws.std(0) / sd - 1).abs().max()),
        "C2ST": lfi.c2st(reference[: len(draws)], draws, seed=1).statistic,
        **figures,
    }
