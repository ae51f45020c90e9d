"""Log posterior densities of held-out parameters by importance sampling, for pools of methods.

Of a simulation (theta, x) that no method was fitted to, the pool's log posterior density is

    log p_a(theta | x) = log p(theta) + sum_k a_k log w_k(theta, x) - log Z_a(x),
    Z_a(x) = E_{p(theta)}[ prod_k w_k(theta, x)^{a_k} ].

Ratios and likelihoods are known up to a function of x, so Z is estimated by importance sampling,
half from a flow of theta given x and half from the prior. The true theta is among the importance
samples: as a draw from the posterior it raises Z where the others have missed its mass, so that
unnormalised methods are not favoured.

Where few simulations are held out, one that a method has missed by hundreds of nats would decide
alone: there weights are means over bootstrap samples of them (bagging).

References:
    Breiman, Bagging predictors, Machine Learning 24, 1996.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.defensive import DefensiveSamples, defensive_samples
from lfi.runtime import torch_rng
from lfi.simulation import Simulations
from lfi.training import stacking_weights

IMPORTANCE_SAMPLES = 256  # over which the normalising constant of one x is summed
MAX_WEIGHT = 2.0
MIN_GAIN = 0.01  # nats of the log posterior density, below which a method is not worth its time
# log w of an importance sample that a member excludes, beside its largest for that x
MIN_LOG_WEIGHT = -1e4
FEW_HELD_OUT = 300  # simulations, of less of which weights are bagged
RESAMPLES = 20
MIN_WEIGHT = 0.1  # of a bagged weight


@dataclass(frozen=True, eq=False)
class StackingTable:
    """Log weights of held-out simulations' importance samples, the true theta first, by methods.

    With the samples' log prior over proposal density, and the true parameters' log prior.
    """

    log_weights: Float[Tensor, "k m c"]
    base: Float[Tensor, "m c"]
    log_prior: Float[Tensor, " m"]

    def first(self, m: int) -> "StackingTable":
        """Return that of the first simulations."""
        return self.of(torch.arange(min(m, len(self.base))))

    def of(self, rows: Int[Tensor, " r"]) -> "StackingTable":
        """Return that of some of the simulations."""
        return StackingTable(self.log_weights[:, rows], self.base[rows], self.log_prior[rows])

    def densities(self, weights: Float[Tensor, " k"]) -> Float[Tensor, " m"]:
        """Return log p_a(theta | x) of the held-out simulations."""
        joint = torch.einsum("k,kmc->mc", weights, self.log_weights)
        log_z = (joint + self.base).logsumexp(1) - math.log(joint.shape[1])
        return self.log_prior + joint[:, 0] - log_z


@dataclass(frozen=True, eq=False)
class HeldOutSamples:
    """Importance samples of held-out simulations, the true theta first.

    Half of them are from the `flow`, where there is one.
    """

    flow: FlowPosterior | None
    x: Float[Tensor, "m ..."]
    samples: DefensiveSamples

    @classmethod
    def draw(cls, flow: FlowPosterior | None, held_out: Simulations, seed: int) -> "HeldOutSamples":
        """Draw them, half from the flow where there is one."""
        x = held_out.x
        samples = defensive_samples(
            held_out.prior,
            None if flow is None else flow.as_proposal(x),
            len(x),
            IMPORTANCE_SAMPLES,
            truth=held_out.theta,
            seed=seed,
        )
        return cls(flow, x, samples)

    @torch.no_grad()
    def log_weights(self, posterior: SavedPosterior) -> Float[Tensor, "m c"]:
        """Return a posterior's log weights, the largest of each x 0.

        They are known up to a function of x, by which a ratio's can lie far below any floor.
        """
        values = posterior.target(self.x).log_weight(self.samples.theta).double()
        values = values.nan_to_num(nan=-math.inf, neginf=-math.inf)
        highest = values.amax(1, keepdim=True).nan_to_num(neginf=0.0)  # all are excluded
        return (values - highest).clamp_min(MIN_LOG_WEIGHT)

    def table(self, rows: Sequence[Float[Tensor, "m c"]]) -> StackingTable:
        """Return the table of several methods' log weights."""
        return StackingTable(
            torch.stack(list(rows)), self.samples.base, self.samples.log_prior[:, 0]
        )

    def first(self, m: int) -> "HeldOutSamples":
        """Return those of the first simulations."""
        return HeldOutSamples(self.flow, self.x[:m], self.samples.first(m))


def pool_weights(table: StackingTable, *, seed: int) -> Float[Tensor, " k"]:
    """Return the weights of a pool: sparse ones, or bagged ones where few are held out."""
    if len(table.base) < FEW_HELD_OUT:
        return bagged_weights(table, seed=seed)
    return sparse_weights(table)


def bagged_weights(table: StackingTable, *, seed: int) -> Float[Tensor, " k"]:
    """Return means of stacking weights over bootstrap samples of simulations.

    Methods whose mean is below .1 are left out.

    Example:
        >>> right = torch.zeros(50, 9, dtype=torch.float64)
        >>> right[:, 0] = 2.0  # the true theta, which stands first
        >>> wrong = right.clone()
        >>> wrong[0, 0] = -300.0  # once missed
        >>> table = StackingTable(torch.stack([wrong]), torch.zeros(50, 9), torch.zeros(50))
        >>> bool(best_weights(table) < 0.05), bool(bagged_weights(table, seed=1) > 0.3)
        (True, True)
    """
    k, m = table.log_weights.shape[:2]
    rng = torch_rng(seed)
    samples = [torch.randint(m, (m,), generator=rng) for _ in range(RESAMPLES)]

    def mean(rows: Tensor) -> Float[Tensor, " k"]:
        part = StackingTable(table.log_weights[rows], table.base, table.log_prior)
        found = [best_weights(part.of(sample)) for sample in samples]
        return torch.zeros(k, dtype=torch.float64).index_copy(0, rows, torch.stack(found).mean(0))

    weights = mean(torch.arange(k))
    kept = torch.where(weights >= MIN_WEIGHT)[0]
    return mean(kept) if 0 < len(kept) < k else weights


def best_weights(table: StackingTable) -> Float[Tensor, " k"]:
    """Return the weights of the highest mean log density."""
    return stacking_weights(
        lambda weights: -table.densities(weights).mean(),
        len(table.log_weights),
        max_weight=MAX_WEIGHT,
    )


def sparse_weights(table: StackingTable) -> Float[Tensor, " k"]:
    """Return stacking weights, 0 of methods without which the pool loses less than `MIN_GAIN`.

    One method is left out after the other, the one that is missed least first: each takes time in
    every evaluation of the pool.

    Example:
        >>> right = torch.zeros(50, 9, dtype=torch.float64)
        >>> right[:25, 0] = right[25:, 1] = 2.0  # the true theta, which stands first, or another
        >>> base, log_prior = torch.zeros(50, 9), torch.zeros(50)
        >>> log_weights = torch.stack([right, right + 0.001 * torch.randn(50, 9)])
        >>> (sparse_weights(StackingTable(log_weights, base, log_prior)) > 0).sum()
        tensor(1)
    """
    weights = best_weights(table)
    best = float(table.densities(weights).mean())
    kept = torch.where(weights > 0)[0].tolist()
    while len(kept) > 1:
        fewer = [[index for index in kept if index != out] for out in kept]
        found = [(rows, *_weights_of(table, rows)) for rows in fewer]
        rows, some, score = max(found, key=lambda each: each[2])
        if best - score > MIN_GAIN:
            break
        kept, weights = rows, some
    return weights


def _weights_of(table: StackingTable, rows: list[int]) -> tuple[Float[Tensor, " k"], float]:
    """Return the stacking weights of some of the methods, and the mean log density."""
    part = StackingTable(table.log_weights[rows], table.base, table.log_prior)
    weights = best_weights(part)
    whole = weights.new_zeros(len(table.log_weights))
    whole[rows] = weights
    return whole, float(part.densities(weights).mean())
