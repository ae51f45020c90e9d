"""Exact posteriors of simulators with a likelihood: draws by annealing, and which observations.

Draws are those of `lfi.samplers.SMC` on prior times likelihood: particles that start as draws of
the prior and go through tempered posteriors, so that no mode is lost. They are checked against
quadrature, conjugacy and reference draws in tests/simulators/test_exact_posteriors.py.
"""

from types import ModuleType

import torch
from torch import Tensor

import lfi
from lfi.inference import Target
from lfi.inference.draws import Draws
from lfi.runtime import numpy_rng
from lfi.simulation import as_prior


def observation(module: ModuleType, number: int) -> Tensor:
    """Return an observation by number, from 1: the module's own, real ones first, then made ones.

    What a module does not have is made with parameters drawn from the prior; a number stands for
    the same observation every time.
    """
    own = getattr(module, "observations", None)
    if own is None:
        own = module.x_obs[None] if hasattr(module, "x_obs") else ()
    if number <= len(own):
        return own[number - 1]
    theta = as_prior(module.prior).sample(1, seed=numpy_rng(number)).float()
    return module.simulate(theta, torch.Generator().manual_seed(number))[0]


def exact_draws(module: ModuleType, x: Tensor, n: int, *, steps: int = 50, seed: int = 0) -> Draws:
    """Return n draws of a simulator's exact posterior given x, and what tells how they were made.

    Args:
        module: A simulator with a `log_likelihood`.
        x: The observation.
        n: How many draws.
        steps: Of the particles in the posterior at least, for each parameter: steps of
            differential evolution are the shorter, the more parameters there are. By default, means
            of two runs of 10,000 draws differ by .03 standard deviations at the most.
        seed: Of the particles.

    Raises:
        RuntimeError: If the particles have not converged.
    """

    def pair(theta: Tensor, x: Tensor) -> Tensor:  # of one observation
        likelihood = module.log_likelihood(theta[0].double(), x[0, 0].double())
        return likelihood.nan_to_num(nan=-torch.inf)[None]

    steps *= len(module.prior)
    sampler = lfi.samplers.SMC(steps=20, min_steps=steps, max_steps=4 * steps)
    (draws,) = sampler(Target(as_prior(module.prior), (x[None],), pair), n, seed=seed)
    if draws.r_hat is None or draws.r_hat.max() > 1.02:
        raise RuntimeError(f"exact draws of {module.__name__} have an R-hat of {draws.r_hat}")
    return draws
