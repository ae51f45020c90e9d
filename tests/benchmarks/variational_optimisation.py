"""Adversarial variational optimisation of the problems of Louppe, Hermans & Cranmer (2019).

Poisson: a count of rate 7, by its log; 20,000 observations, proposals at first about log 5 with
deviation 1, as in the paper. Weinberg: e+ e- -> mu+ mu- of 42 GeV beams and a Fermi constant of .9;
proposals at first as wide as the prior. It tells both parameters only through the forward-backward
asymmetry, so that this counts, and each alone is where the ridge between them was reached. Five
dimensions: carl's mixture, theta = (1, -1), with carl's own R. These two have 500,000 observations:
of the paper's 20,000 the exact estimate of the second parameter, a mean of numbers of deviation 3,
has a standard error of 2.1%, and that of the asymmetry 2.2%.

The paper trains for 300 epochs of 100 batches for the critic and one for the proposal, of 64: that
is 1,939,200 calls of the simulator. Its published code simulates one half of a critic's batch, and
calls 979,200 times, and 32,000 before. Budgets here: 40,000 for the first, 193,000, which have as
much noise as so many observations.

error: of the proposal's mean from the truth, relative, for each parameter; Weinberg's asymmetry
likewise. exact error: the same of the maximum likelihood estimate from the observations. sd: of the
proposal at the end, over that of its first draws.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Normal

import lfi
from lfi.training import minimise_in_bounds
from simulators import weinberg

CASES = ("poisson", "weinberg", "five dimensions")
BUDGETS = {"poisson": 40_000, "weinberg": 193_000, "five dimensions": 193_000}
OBSERVED = {"poisson": 20_000, "weinberg": 500_000, "five dimensions": 500_000}
TRUTH = {"poisson": (math.log(7),), "weinberg": weinberg.theta_true, "five dimensions": (1.0, -1.0)}
R = torch.tensor(
    [
        [1.31229955, 0.10499961, 0.48310515, -0.3249938, -0.26387927],
        [0.10499961, 1.15833058, -0.55865473, 0.25275522, -0.39790775],
        [0.48310515, -0.55865473, 2.25874579, -0.52087938, -0.39271231],
        [-0.3249938, 0.25275522, -0.52087938, 1.4034925, -0.63521059],
        [-0.26387927, -0.39790775, -0.39271231, -0.63521059, 1.0],
    ],
    dtype=torch.float64,
)


def poisson(theta: Tensor, rng: torch.Generator) -> Tensor:
    """A count whose log rate is theta."""
    return torch.poisson(theta.exp(), generator=rng)


def five_dimensions(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Five independent numbers, of which two have theta as their means, mixed by R."""
    n, kind = len(theta), torch.float64
    z = torch.randn(n, 3, generator=rng, dtype=kind)
    right = torch.rand(n, generator=rng, dtype=kind) < 0.5
    waits = -torch.log1p(-torch.rand(n, 2, generator=rng, dtype=kind))
    columns = [
        theta[:, 0] + z[:, 0],
        theta[:, 1] + 3 * z[:, 1],
        torch.where(right, 2 + z[:, 2] / 2, z[:, 2] - 2),
        waits[:, 0] / 3,
        waits[:, 1] * 2,
    ]
    return torch.stack(columns, 1) @ R.T


def normal(mean: float) -> Normal:
    """A normal prior of deviation 1, in double precision."""
    return Normal(*torch.tensor([mean, 1.0], dtype=torch.float64))


def simulator_of(case: str) -> lfi.Simulator:
    """A case's simulator."""
    if case == "weinberg":
        return lfi.Simulator(weinberg.simulate, prior=weinberg.prior, name="weinberg")
    if case == "poisson":
        return lfi.Simulator(poisson, prior={"log_rate": normal(math.log(5))})
    return lfi.Simulator(five_dimensions, prior={"alpha": normal(0.0), "beta": normal(0.0)})


def exact_estimate(case: str, x: Tensor) -> Tensor:
    """Return the maximum likelihood estimate of a case's observations; Weinberg's asymmetry.

    The entries of R^-1 x are independent, and the first two normal about their parameters.
    """
    if case == "weinberg":
        cosine = x[:, 0].double()
        misfit = lambda a: -(1 + cosine.square() + a[0] * cosine).log().mean()
        return minimise_in_bounds(misfit, [0.0], [(-1.9, 1.9)])
    if case == "poisson":
        return x.double().mean(0).log()
    return torch.linalg.solve(R, x.double().mean(0))[:2]


def run(case: str, seed: int, brief: bool) -> tuple[int, dict[str, float]]:
    """Return the simulations that were made, and the figures of a case."""
    simulator = simulator_of(case)
    truth = torch.tensor(TRUTH[case], dtype=torch.float64)
    rows = 200 if brief else OBSERVED[case]
    x_obs = simulator(truth.expand(rows, -1), seed=1_000 + seed)
    settings = lfi.AdversarialSettings(steps=5, critic_steps=1) if brief else None
    budget = 100 if brief else BUDGETS[case]
    found = lfi.fit_avo(
        simulator, x_obs, budget=budget, settings=settings, seed=seed, progress=False
    )
    sd = found.proposal.sample(4_000, seed=0).std(0)
    figures = {}
    exact = exact_estimate(case, x_obs)
    for i, name in enumerate(found.names):
        figures[f"error {name}"] = float((found.theta[i] / truth[i] - 1).abs())
        if case != "weinberg":
            figures[f"exact error {name}"] = float((exact[i] / truth[i] - 1).abs())
        figures[f"sd {name}"] = float(sd[i]) / found.trace(name)[0][2]
    if case == "weinberg":
        both = weinberg.asymmetry(torch.stack([found.theta, truth]))
        figures["error asymmetry"] = float((both[0] / both[1] - 1).abs())
        figures["exact error asymmetry"] = float((exact[0] / both[1] - 1).abs())
    return found.simulations, figures
