"""The default: a log-linear pool of methods, weighted by stacking on held-out simulations.

Of a simulation (theta, x) that no method was fitted to, the pool's log posterior density is

    log p_a(theta | x) = log p(theta) + sum_k a_k log w_k(theta, x) - log Z_a(x),
    Z_a(x) = E_{p(theta)}[ prod_k w_k(theta, x)^{a_k} ],

concave in the weights a >= 0, which maximise its mean over held-out simulations; a method of
negligible weight is left out. Ratios and likelihoods are known up to a function of x, so Z is
estimated by importance sampling, half from a flow of theta given x and half from the prior. The
true theta is among the importance samples: as a draw from the posterior it raises Z where the
others have missed its mass, so that unnormalised methods are not favoured.

References:
    Yao et al., Using stacking to average Bayesian predictive distributions, 2018. arXiv:1704.02030
    Yao, Regaldo-Saint Blancard & Domke, Simulation-based stacking, AISTATS 2024. arXiv:2310.17009
"""

import math
import time
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.methods.neural_ratio import NeuralRatio
from lfi.inference.methods.posterior_flow import PosteriorFlow
from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.pooled import PoolChoice, PooledPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.types import Method, usable
from lfi.numerics.checks import check_instance
from lfi.runtime import child, fresh, numpy_rng, torch_rng
from lfi.simulation import Simulations
from lfi.training import stacking_weights

HELD_OUT = 0.05  # the share of the simulations on which methods are stacked
MIN_HELD_OUT, MAX_HELD_OUT = 50, 500  # simulations
IMPORTANCE_SAMPLES = 256  # over which the normalising constant of one x is summed
NEGLIGIBLE_WEIGHT = 0.05  # methods with less are left out
MAX_WEIGHT = 2.0
MIN_LOG_WEIGHT = -1e4  # log w of an importance sample that a member excludes


@dataclass(frozen=True)
class Pool:
    """A log-linear pool of methods, with stacking weights of highest held-out posterior density.

    Attributes:
        methods: What to fit; the first posterior flow among them is also the proposal distribution
            of importance samples.
        combine: False takes the single best instead.

    Raises:
        TypeError: If something is not a method.
        ValueError: If there is no method.
    """

    methods: tuple[Method, ...] = (
        PosteriorFlow(),
        SurrogateLikelihood(proposal=None),
        NeuralRatio(),
    )
    combine: bool = True

    def __post_init__(self) -> None:
        """Check the methods."""
        if not self.methods:
            raise ValueError("methods: give at least one")
        for method in self.methods:
            check_instance("methods", method, Method, "methods with `fit`")

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone: with every method."""
        return all(getattr(method, "restorable", False) for method in self.methods)

    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> PooledPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        Raises:
            TypeError: If a method fits what cannot be pooled.
            ValueError: If there are too few valid simulations.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 400, seed=1)
            >>> flow = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
            >>> pool = lfi.Pool((flow, lfi.NeuralRatio(settings=lfi.TrainSettings(steps=10))))
            >>> posterior = lfi.fit_posterior(simulations, method=pool, seed=1)
            >>> posterior.choice.names
            ('PosteriorFlow', 'NeuralRatio')
        """
        usable(simulations)
        seed, valid = fresh(seed), torch.where(simulations.valid)[0]
        held = min(MAX_HELD_OUT, max(MIN_HELD_OUT, int(HELD_OUT * len(valid))))
        order = valid[torch.randperm(len(valid), generator=torch_rng(seed, 0))]
        failed = torch.where(~simulations.valid)[0]
        fitted_to = _rows(simulations, torch.cat([order[held:], failed]))
        held_out = _rows(simulations, order[:held])
        fitted: list[SavedPosterior] = []
        seconds: list[float] = []
        for index, method in enumerate(self.methods):
            begin, own = time.monotonic(), child(seed, 1, index)
            posterior = method.fit(fitted_to, seed=own, device=device, progress=progress)
            if not isinstance(posterior, SavedPosterior):
                raise TypeError(
                    f"methods: {method} fits a {type(posterior).__name__}, which cannot be pooled"
                )
            fitted.append(posterior)
            seconds.append(time.monotonic() - begin)
        flow = next((member for member in fitted if isinstance(member, FlowPosterior)), None)
        table = score_table(fitted, flow, held_out, child(seed, 2))
        names = tuple(type(method).__name__ for method in self.methods)
        return pooled(fitted, names, table, flow, tuple(seconds), self.combine)


@dataclass(frozen=True, eq=False)
class StackingTable:
    """Log weights of held-out simulations' importance samples, the true theta first, by methods.

    With the samples' log prior over proposal density, and the true parameters' log prior.
    """

    log_weights: Float[Tensor, "k m c"]
    base: Float[Tensor, "m c"]
    log_prior: Float[Tensor, " m"]

    def densities(self, weights: Float[Tensor, " k"]) -> Float[Tensor, " m"]:
        """Return log p_a(theta | x) of the held-out simulations."""
        joint = torch.einsum("k,kmc->mc", weights, self.log_weights)
        log_z = (joint + self.base).logsumexp(1) - math.log(joint.shape[1])
        return self.log_prior + joint[:, 0] - log_z


@torch.no_grad()
def score_table(
    fitted: list[SavedPosterior], flow: FlowPosterior | None, held_out: Simulations, seed: int
) -> StackingTable:
    """Weigh importance samples of held-out simulations, half of them from the flow, by methods."""
    prior, theta, x = held_out.prior, held_out.theta, held_out.x.float()
    m = len(theta)
    half = IMPORTANCE_SAMPLES // 2
    count = IMPORTANCE_SAMPLES if flow is None else IMPORTANCE_SAMPLES - half
    drawn = prior.sample(m * count, seed=numpy_rng(seed, 0)).view(m, count, -1)
    rows = [theta[:, None], drawn]
    if flow is not None:
        proposal = flow.as_proposal(x)
        rows.append(proposal.draw(half, proposal.x, torch_rng(seed, 1)).to(theta))
    samples = torch.cat(rows, 1)
    log_prior = prior.log_prob(samples)
    base = torch.zeros_like(log_prior)
    if flow is not None:
        log_q = proposal.log_density(samples, proposal.x[:, None]).to(log_prior)
        share = math.log(half / IMPORTANCE_SAMPLES)
        base = log_prior - torch.logaddexp(log_prior + math.log1p(-math.exp(share)), log_q + share)
    values = [member.target(x).log_weight(samples) for member in fitted]
    table = (
        torch.stack(values)
        .double()
        .nan_to_num(nan=MIN_LOG_WEIGHT, neginf=MIN_LOG_WEIGHT)
        .clamp_min(MIN_LOG_WEIGHT)
    )
    return StackingTable(table, base.double(), log_prior[:, 0].double())


def best_weights(table: StackingTable) -> Float[Tensor, " k"]:
    """Return the weights of the highest mean log density."""
    return stacking_weights(
        lambda weights: -table.densities(weights).mean(),
        len(table.log_weights),
        max_weight=MAX_WEIGHT,
    )


def pooled(
    fitted: list[SavedPosterior],
    names: tuple[str, ...],
    table: StackingTable,
    flow: FlowPosterior | None,
    seconds: tuple[float, ...],
    combine: bool,
) -> PooledPosterior:
    """Return the pool of the methods of substantial weight, or the best method alone."""
    corners = torch.eye(len(fitted), dtype=torch.float64)
    single = torch.stack([table.densities(corner) for corner in corners])
    weights = corners[single.mean(1).argmax()]
    if combine:
        found = best_weights(table)
        kept = found >= NEGLIGIBLE_WEIGHT
        if kept.any():  # or else all are worse than the prior: take the best
            part = StackingTable(table.log_weights[kept], table.base, table.log_prior)
            weights = torch.zeros_like(weights).masked_scatter(kept, best_weights(part))
    pool = table.densities(weights)
    difference = pool - single
    choice = PoolChoice(
        names,
        tuple(single.mean(1).tolist()),
        tuple((difference.std(1) / math.sqrt(len(pool))).tolist()),
        tuple(weights.tolist()),
        float(pool.mean()),
        len(pool),
        seconds,
    )
    rows = [index for index, weight in enumerate(weights.tolist()) if weight > 0]
    members = tuple(fitted[index] for index in rows)
    history = tuple(entry for member in members for entry in member.history)
    return PooledPosterior(members, tuple(float(weights[i]) for i in rows), choice, flow, history)


def _rows(simulations: Simulations, rows: Tensor) -> Simulations:
    return Simulations(
        simulations.theta[rows],
        simulations.x[rows],
        simulations.codes[rows],
        simulations.prior,
        simulations.seed,
        source=simulations.source,
    )
