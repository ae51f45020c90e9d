"""Candidates: points weighed for a posterior, drawn from laws that come nearer to it in stages.

The first candidates are drawn from the prior (half of them from the target's proposal, where there
is one) and weighed by w(theta). Where those are worth too little, a mixture of local Student laws
is fitted to them, and the next candidates are drawn from it; then again, several times. A posterior
much narrower than the prior leaves few candidates with weight, so the mixture is fitted to weights
to a power below one, as large as keeps it fitted to many points. All stages are weighed together,

    weight(u) = p(u) w(u) / sum_t (n_t / n) q_t(u),

as draws of the mixture of all that was drawn from: the prior among them bounds the weights
wherever w is bounded. Weights are Pareto-smoothed; k-hat says whether they can be relied on, and
the effective sample size how many draws they are worth.

References:
    Cornuet, Marin, Mira & Robert, Adaptive multiple importance sampling, Scandinavian Journal of
    Statistics 2012. arXiv:0907.1254
    Vehtari, Simpson, Gelman, Yao & Gabry, Pareto smoothed importance sampling, JMLR 2024.
    arXiv:1507.02646
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.samplers.student_mixture import Mixture, fit_mixture, systematic
from lfi.inference.samplers.target import Clock, Target
from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.runtime import child, numpy_rng, torch_rng

NEXT = 2**13  # candidates drawn from each mixture while it is still being fitted
GROWTH = 1 / 3  # of all candidates, those drawn from one more mixture at the most
PLENTY = 0.1  # what a draw of a good enough law is worth
FITTED_TO = 20  # effective points for each dimension, and as many for good measure
STAGES = 20  # at the most: from them, a few million candidates
BEYOND = -1e6  # log prior density below which no weight matters, and a network may overflow


@dataclass(frozen=True, eq=False)
class Candidates:
    """Weighted points for one observation.

    Attributes:
        u: The points in unconstrained coordinates, (c, d).
        log_weights: Smoothed and normalised, (c,).
        khat: Pareto k of the weights' tail.
        ess: How many independent draws of the posterior they are worth.
        log_evidence: The log of the mean weight: of the integral of prior times w.
        timed_out: Whether the time limit struck.
    """

    u: Float[Tensor, "c d"]
    log_weights: Float[Tensor, " c"]
    khat: float
    ess: float
    log_evidence: float
    timed_out: bool

    def resample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return n points by weight, in random order."""
        return self.u[systematic(self.log_weights[None], n, rng)[0]]


PRIOR, PROPOSAL, MIXTURE = 0, 1, 2  # what the candidates of a stage are drawn from


@dataclass(frozen=True, eq=False)
class Law:
    """What a stage draws from, for each of m observations.

    Attributes:
        choice: `PRIOR`, `PROPOSAL` or `MIXTURE`, (m,).
        mixture: The mixture, where any observation has chosen it.
        count: How many candidates are drawn.
    """

    choice: Int[Tensor, " m"]
    mixture: Mixture | None
    count: int

    def select(self, rows: Int[Tensor, " k"]) -> "Law":
        """Return the law of some of the observations."""
        return Law(self.choice[rows], self.mixture and self.mixture.select(rows), self.count)

    def draw(self, target: Target, seed: int) -> tuple[Tensor, Tensor]:
        """Return points (m, count, d), and which of them are in the support."""
        m, d, prior = len(target), target.prior.dim, target.prior
        u = torch.zeros(m, self.count, d, dtype=prior.dtype)
        inside = torch.ones(m, self.count, dtype=torch.bool)
        for law in self.choice.unique().tolist():
            rows = torch.where(self.choice == law)[0]
            if law == MIXTURE:
                u[rows] = self.mixture.select(rows).sample(self.count, torch_rng(seed, law))
                continue
            if law == PRIOR:
                theta = prior.sample(len(rows) * self.count, rng=numpy_rng(seed, law))
                theta = theta.reshape(len(rows), self.count, d)
            else:
                own = target.proposal.select(rows)
                theta = own.draw(self.count, own.x, torch_rng(seed, law)).to("cpu", prior.dtype)
                inside[rows] = prior.contains(theta)
                theta = torch.where(inside[rows][..., None], theta, target.anchor)
            u[rows] = prior.to_unconstrained(theta)
        return u, inside

    def log_density(self, target: Target, u: Tensor, log_prior: Tensor) -> Tensor:
        """Return the log density at points (m, n, d) whose prior density is `log_prior`."""
        values = log_prior.clone()
        for law in self.choice.unique().tolist():
            rows = torch.where(self.choice == law)[0]
            if law == MIXTURE:
                values[rows] = self.mixture.select(rows).log_density(u[rows])
            elif law == PROPOSAL:
                own, (theta, log_jacobian) = (
                    target.proposal.select(rows),
                    target.prior.from_unconstrained(u[rows]),
                )
                density = own.log_density(theta, own.x[:, None]).to("cpu", u.dtype)
                values[rows] = density + log_jacobian
        return values


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates of all stages for m observations, and the laws that they were drawn from.

    Attributes:
        u: The points, (m, c, d).
        log_prior: The prior's log density of u, (m, c).
        log_weight: log w, minus infinity outside the support, (m, c).
        laws: Of each stage.
        log_laws: The log density of every law at every point, (stages, m, c).
    """

    u: Float[Tensor, "m c d"]
    log_prior: Float[Tensor, "m c"]
    log_weight: Float[Tensor, "m c"]
    laws: tuple[Law, ...] = ()
    log_laws: Float[Tensor, "t m c"] | None = None

    @property
    def weights(self) -> Float[Tensor, "m c"]:
        """The log weights of all candidates as draws of all the laws together."""
        counts = torch.tensor([law.count for law in self.laws], dtype=self.u.dtype)
        drawn_from = self.log_laws + (counts / counts.sum()).log()[:, None, None]
        return self.log_prior + self.log_weight - drawn_from.logsumexp(0)

    def share(self, stage: int) -> Float[Tensor, " m"]:
        """Return what a candidate of one stage is worth by itself, between 0 and 1."""
        first = sum(law.count for law in self.laws[:stage])
        mine = slice(first, first + self.laws[stage].count)
        values = self.log_prior[:, mine] + self.log_weight[:, mine] - self.log_laws[stage][:, mine]
        share = effective_sample_size(values) / self.laws[stage].count
        return share.nan_to_num(nan=0.0)  # no weight anywhere

    def select(self, rows: Int[Tensor, " k"]) -> "Pool":
        """Return the candidates of some of the observations."""
        laws = tuple(law.select(rows) for law in self.laws)
        parts = self.u[rows], self.log_prior[rows], self.log_weight[rows]
        return Pool(*parts, laws, self.log_laws[:, rows])

    def extended(self, target: Target, law: Law, seed: int) -> "Pool":
        """Return the pool with candidates of another law."""
        u, inside = law.draw(target, seed)
        log_prior, log_weight = target.unconstrained(u)
        inside &= log_prior > BEYOND
        log_weight = torch.where(inside, log_weight, -math.inf)
        old = [each.log_density(target, u, log_prior) for each in self.laws]
        before = [law.log_density(target, self.u, self.log_prior)] if self.laws else []
        new = law.log_density(target, u, log_prior)
        at_old = [*self.log_laws, *before] if self.laws else [new[:, :0]]
        at_new = [*old, new]
        return Pool(
            torch.cat([self.u, u], 1),
            torch.cat([self.log_prior, log_prior], 1),
            torch.cat([self.log_weight, log_weight], 1),
            (*self.laws, law),
            torch.cat([torch.stack(at_old), torch.stack(at_new)], 2),
        )


@torch.no_grad()
def weigh(
    target: Target, wanted: float, *, first: int, most: int, seed: int, clock: Clock
) -> list[Candidates]:
    """Weigh candidates for a few observations; those that are done leave the others alone.

    Args:
        target: The posteriors.
        wanted: How many independent draws the candidates shall be worth.
        first: How many are drawn from the prior or a proposal to begin with.
        most: How many there are at the most for each observation.
        seed: Names their stream.
        clock: The first ones are weighed whatever it says, further ones only in time.

    Raises:
        ValueError: If w is NaN or infinite, or zero at all candidates of an observation.
    """
    found: dict[int, Candidates] = {}
    active, pool = torch.arange(len(target)), _first(target, first, seed)
    count = len(target)
    while True:
        log_weights = pool.weights
        _refuse(log_weights, active)
        ess = effective_sample_size(log_weights)
        room = most - pool.u.shape[1]
        over = room <= 0 or len(pool.laws) >= STAGES or clock.struck
        done = (ess >= wanted) | over
        for j in torch.where(done)[0].tolist():
            late = clock.struck and bool(ess[j] < wanted)
            found[int(active[j])] = judged(pool.u[j], log_weights[j], late=late)
        if done.all():
            return [found[j] for j in range(count)]
        keep = torch.where(~done)[0]
        active, target, pool = active[keep], target.select(keep), pool.select(keep)
        law = _next(pool, log_weights[keep], wanted, room, child(seed, 2, len(pool.laws)))
        pool = pool.extended(target, law, child(seed, 3, len(pool.laws)))


def _first(target: Target, count: int, seed: int) -> Pool:
    """Return the pool of candidates from the prior, and from the proposal where there is one."""
    m, d = len(target), target.prior.dim
    empty = torch.zeros(m, 0, d, dtype=target.prior.dtype)
    pool = Pool(empty, empty[..., 0], empty[..., 0])
    laws = [PRIOR] if target.proposal is None else [PRIOR, PROPOSAL]
    for index, law in enumerate(laws):
        stage = Law(torch.full((m,), law), None, count // len(laws))
        pool = pool.extended(target, stage, child(seed, 0, index))
    return pool


def _next(pool: Pool, log_weights: Tensor, wanted: float, room: int, seed: int) -> Law:
    """Return what to draw from next: a law that has served well, or a mixture fitted anew."""
    bases = 1 + any(PROPOSAL in law.choice.tolist() for law in pool.laws[:2])
    shares = torch.stack([pool.share(stage) for stage in range(len(pool.laws))])
    best, base = shares[:bases].max(0)
    last = shares[-1]
    stay = (best >= PLENTY) & (best >= last)
    mixture = None
    if not stay.all():
        power = temper(log_weights, FITTED_TO * (pool.u.shape[2] + 1))
        tempered = (power[:, None] * log_weights).log_softmax(1)
        mixture = fit_mixture(pool.u, tempered, torch_rng(seed))
    share = torch.where(stay, best, last)
    missing = wanted - effective_sample_size(log_weights)
    needed = torch.where(share >= PLENTY / 4, missing / share, 0.0).max()
    # a mixture fitted later serves better, so few from this one
    few = pool.u.shape[1] * (1.0 if stay.all() else GROWTH)
    count = min(room, max(NEXT, math.ceil(min(float(needed), few))))
    return Law(torch.where(stay, base, MIXTURE), mixture, count)


def temper(log_weights: Float[Tensor, "m c"], least: float) -> Float[Tensor, " m"]:
    """Return the largest power, at most 1, whose weights are worth `least` points.

    Example:
        >>> temper(torch.tensor([[0.0, -1.0], [0.0, -0.1]]), 1.9).round(decimals=1)
        tensor([0.5000, 1.0000])
    """
    low, high = torch.zeros(2, len(log_weights), dtype=log_weights.dtype).unbind()
    high = high + 1
    for _ in range(30):
        middle = (low + high) / 2
        enough = effective_sample_size(middle[:, None] * log_weights) >= least
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    whole = effective_sample_size(log_weights) >= least
    return torch.where(whole, 1.0, high)


def judged(u: Float[Tensor, "c d"], log_weights: Float[Tensor, " c"], *, late: bool) -> Candidates:
    """Return points with smoothed weights, and what those are worth."""
    smoothed, khat = pareto_smooth(log_weights)
    return Candidates(
        u=u,
        log_weights=smoothed,
        khat=float(khat),
        ess=float(effective_sample_size(smoothed)),
        log_evidence=float(log_weights.double().logsumexp(0)) - math.log(len(u)),
        timed_out=late,
    )


def _refuse(log_weights: Tensor, rows: Tensor) -> None:
    """Refuse weights that are no numbers, or all zero."""
    bad = log_weights.isnan() | (log_weights == math.inf)
    if bad.any():
        j = int(bad.any(1).nonzero()[0])
        raise ValueError(
            f"the weight of observation {int(rows[j])} is NaN or infinite at {int(bad[j].sum())} "
            f"of {bad.shape[1]} candidates"
        )
    lost = (log_weights == -math.inf).all(1)
    if lost.any():
        raise ValueError(
            f"the weight of observation {int(rows[int(lost.nonzero()[0])])} is zero at all of "
            f"{log_weights.shape[1]} candidates: it is impossible under the prior"
        )
