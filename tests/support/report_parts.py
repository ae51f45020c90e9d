"""Parts of a report for tests: results of a posterior that is right, made without any training."""

import scipy.stats
import torch
from torch.distributions import Exponential, Normal

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws
from lfi.simulation import as_prior
from lfi.training import History

names = ("shift", "drift", "noise")
units = {"shift": "m", "drift": "m/s", "noise": "1"}


def prior():
    return as_prior(
        {"shift": Normal(0.0, 3.0), "drift": Normal(1.0, 2.0), "noise": Exponential(1.0)}
    )


def draws(n=2_000, names=names, **changes):
    theta = torch.randn(n, len(names)).cumsum(dim=1) / 2
    theta[:, -1] = theta[:, -1].abs()
    facts = {
        "theta": theta,
        "names": tuple(names),
        "sampler": "importance",
        "ess": 0.9 * n,
        "khat": 0.2,
        "proposals": 16_384,
        "seconds": 0.5,
        "seed": 7,
    }
    return Draws(**(facts | changes))


def checks(n=500, names=names, ranks=None, alpha=0.01):
    ranks = torch.rand(n, len(names)) if ranks is None else ranks
    credibility, tarp, given_x = torch.rand(3, len(ranks))
    columns = (*ranks.T, credibility, tarp, given_x)
    tests = (*names, "coverage", "TARP", "TARP given x")
    levels = torch.linspace(0, 1, 101)
    coverages = [(u[:, None] <= levels).double().mean(0) for u in (credibility, tarp, given_x)]
    p_values = [float(scipy.stats.kstest(u.numpy(), "uniform").pvalue) for u in columns]
    return Checks(
        names=tuple(names),
        ranks=ranks,
        credibility=credibility,
        tarp=tarp,
        tarp_given_x=given_x,
        levels=levels,
        coverage=coverages[0],
        tarp_coverage=coverages[1],
        tarp_given_x_coverage=coverages[2],
        p_values=dict(zip(tests, p_values, strict=True)),
        ess=800.0,
        alpha=alpha,
        seed=3,
        scope="over the prior truncated to shift in [-2, 2]",
    )


def local(m=3, failed=(), names=names, ess=400.0):
    null = torch.rand(99, m)
    statistic = torch.full((m,), 0.5)
    statistic[list(failed)] = 3.0
    return LocalChecks(
        names=tuple(names),
        statistic=statistic,
        null=null,
        p_value=(1 + (null >= statistic).sum(0)) / 100,
        shift=torch.randn(m, len(names)) / 10,
        width=torch.ones(m, len(names)),
        ess=torch.full((m,), ess),
        n=500,
        alpha=0.05,
        seed=3,
        scope="over the prior",
    )


def observation(m=1, event=(14,), failed=()):
    x_obs = torch.zeros(m, *event)
    p_value = torch.full((m,), 0.4)
    for i in failed:
        x_obs[i].flatten()[3:5] = 1e4
        p_value[i] = 0.001
    return ObservationChecks(
        x_obs=x_obs,
        p_value=p_value,
        ranks=torch.rand(3, m),
        kinds=("nearest", "mahalanobis", "farthest"),
        entry_p_values=torch.rand(m, *event),
        lower=torch.full(event, -3.0),
        upper=torch.full(event, 3.0),
        central=torch.stack([torch.full(event, -1.6), torch.full(event, 1.6)]),
        n=2000,
        alpha=0.01,
        seed=3,
    )


def predictive(event=(14,), n=400, p_value=0.4):
    x = torch.randn(n, *event).cumsum(dim=-1) if event else torch.randn(n)
    return PredictiveCheck(
        theta=torch.randn(n, 3),
        x=x,
        x_obs=torch.randn(event).cumsum(dim=-1) if event else torch.randn(()),
        entry_p_values=torch.rand(event),
        distance=torch.rand(1 + n),
        farthest=torch.rand(1 + n),
        p_value=p_value,
        failed=3,
        alpha=0.01,
        seed=5,
    )


def fidelity(thetas=8, event=(14,), n=200, statistic=0.53):
    x = torch.randn(thetas, n, *event) + torch.randn(thetas, 1, *event)
    x[0, 0] = torch.nan  # a failed simulation
    return Fidelity(
        names=names,
        theta=torch.randn(thetas, 3),
        statistic=torch.full((thetas,), statistic),
        p_value=torch.rand(thetas),
        x_simulator=x,
        x_surrogate=1.1 * x[:, torch.randperm(n)].nan_to_num(),
        seed=9,
    )


def history(steps=200, held_out=True):
    at = torch.linspace(0, 10 * steps, steps).long().tolist()
    fall = torch.linspace(0, 5, steps).neg().exp() + 0.02 * torch.randn(steps)
    columns = {"critic": tuple(zip(at, (0.3 + fall).tolist(), strict=True))}
    if held_out:
        columns["held-out"] = tuple(zip(at[::10], (0.35 + fall[::10]).tolist(), strict=True))
    return History(columns, 10 * steps, 1500 if held_out else None, 12.5, "all steps done", 11)
