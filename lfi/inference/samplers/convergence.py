"""Convergence of many short Markov chains, and the effective sample size of their states.

References:
    Margossian et al., Nested R-hat, Bayesian Analysis 2024. arXiv:2110.13017
"""

import torch
from jaxtyping import Float
from torch import Tensor

GROUPS = 8


def nested_r_hat(start: Float[Tensor, "n d"], end: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return nested R-hat of each dimension: whether chains that started apart are still apart.

    Chains are grouped by the eighth of all that they started in. With B the variance of
    the groups' means at the end, and W the mean variance inside, R-hat is sqrt(1 + B / W). It
    assesses many short chains, where split R-hat would need long ones.
    """
    size = len(start) // GROUPS
    order = start.argsort(dim=0)[: size * GROUPS]
    grouped = end.gather(0, order).reshape(GROUPS, size, -1)
    within = grouped.var(1).mean(0)
    between = (grouped.mean(1).var(0) - within / size).clamp_min(0)  # less what chance puts there
    return (1 + between / within).sqrt().nan_to_num(nan=1.0)


def many_chains_ess(states: Float[Tensor, "chains length d"]) -> float:
    """Return the effective sample size of the states of many chains, the smallest dimension's.

    The mean of all states has the variance of the chains' means over the number of chains, whatever
    the autocorrelation within a chain; independent draws would have that of the states over theirs.
    """
    chains, length, _ = states.shape
    whole, means = states.flatten(0, 1).var(0), states.mean(1).var(0)
    ess = torch.where(means > 0, chains * whole / means, float(chains * length))
    return min(float(ess.min()), float(chains * length))
