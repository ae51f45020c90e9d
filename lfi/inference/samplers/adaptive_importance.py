"""Adaptive multiple importance sampling.

The first samples are drawn from the prior (half of them from the target's proposal, where there is
one) and weighted by w(theta). Where their effective sample size is too small, a mixture of local
Student distributions is fitted to them, and the next samples are drawn from it; then again, several
times. As few samples have weight where a posterior is narrow, the mixture is fitted to weights
tempered by the largest power up to one that leaves enough effective points. A mixture is tried as
well before many samples of the target's proposal are drawn, and where Pareto k is large although
the effective sample size suffices. Of more than `MIXTURE_DIM` parameters none is fitted: it takes
minutes, and few points have weight. All stages are weighted together, as draws of the mixture of
all proposals,

    weight(u) = p(u) w(u) / sum_t (n_t / n) q_t(u):

the prior among them bounds the weights wherever w is bounded. Weights are Pareto-smoothed; k-hat
says whether they are reliable.

References:
    Cornuet et al., Adaptive multiple importance sampling, 2012. arXiv:0907.1254
    Vehtari et al., Pareto smoothed importance sampling, JMLR 2024. arXiv:1507.02646
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.reliability import MAX_KHAT
from lfi.inference.samplers.student_mixture import StudentMixture, fit_mixture
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.resampling import systematic_resampling
from lfi.numerics.weighted_samples import deviations
from lfi.runtime import child, numpy_rng, torch_rng

MIN_MORE = 2**8  # samples drawn at a time from an initial proposal that is good enough
# samples drawn from each mixture while it is still being fitted, for each effective one to reach
STAGE_PER_ESS = 8
MIN_STAGE, MAX_STAGE = 2**11, 2**13  # and these
MAX_MORE = 4.0  # of all samples, those drawn at a time from an initial proposal at most,
MAX_GROWTH = 1 / 3  # and from one more mixture
MIN_UNRELIABLE = 2**13  # samples: of fewer, a Pareto k above the limit is a matter of chance, too
MAX_HELD = 2**21  # samples of all observations held at a time
# relative effective sample size of a proposal that need not be improved; less where the samples of
# one stage suffice
GOOD_ESS = 0.1
FIT_ESS = 20  # effective points for each dimension, and as many more, that a mixture is fitted to
MAX_STAGES = 20  # from them, a few million samples
MIXTURE_DIM = 50  # parameters, of more than which no mixture is fitted
# by an initial proposal alone, this many samples are drawn before a mixture is tried
MAX_UNTRIED = 2**15
# stages, beyond which an effective sample size that suffices ends also where Pareto k is too large
MAX_UNRELIABLE = 7
MIN_LOG_PRIOR = -1e6  # log prior density below which no weight matters, and a network may overflow
PRIOR, PROPOSAL, MIXTURE = 0, 1, 2  # what the samples of a stage are drawn from


@dataclass(frozen=True, eq=False)
class ImportanceSamples:
    """Unconstrained samples u for one observation, with smoothed and normalised weights.

    `log_evidence` is the log of the mean weight, of the integral of prior times w; `timed_out`,
    whether time ran out before the effective sample size was reached.
    """

    u: Float[Tensor, "c d"]
    log_weights: Float[Tensor, " c"]
    khat: float
    ess: float
    log_evidence: float
    timed_out: bool

    def resample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return n points by weight, in random order."""
        return self.u[systematic_resampling(self.log_weights[None], n, rng)[0]]

    def resampled_moments(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return n points by weight, their mean and their standard deviations."""
        points = self.resample(n, rng)
        return points, points.mean(0), deviations(points, 0)[0]

    def to_draws(
        self,
        u: Float[Tensor, "n d"],
        target: Target,
        sampler: str,
        *,
        ess: float,
        timed_out: bool,
        limit: TimeLimit,
        seed: int,
        r_hat: Float[Tensor, " d"] | None = None,
        acceptance: float | None = None,
    ) -> Draws:
        """Return points u as draws: some of these samples, or where chains led from them."""
        return Draws(
            theta=target.prior.from_unconstrained(u)[0],
            names=target.prior.names,
            sampler=sampler,
            ess=min(ess, float(len(u))),
            proposals=len(self.u),
            seconds=limit.elapsed,
            seed=seed,
            khat=self.khat,
            r_hat=r_hat,
            acceptance=acceptance,
            log_evidence=self.log_evidence,
            timed_out=timed_out,
        )


@dataclass(frozen=True, eq=False)
class StageProposal:
    """What `count` samples of a stage are drawn from: a mixture, else `PRIOR` or `PROPOSAL`."""

    kind: int
    mixture: StudentMixture | None
    count: int

    def select(self, rows: Int[Tensor, " k"]) -> "StageProposal":
        """Return the proposals of some of the observations."""
        return replace(self, mixture=self.mixture and self.mixture.select(rows))

    def draw(self, target: Target, seed: int) -> tuple[Tensor, Tensor]:
        """Return points (m, count, d), and which of them are in the support."""
        m, prior = len(target), target.prior
        inside = torch.ones(m, self.count, dtype=torch.bool)
        if self.mixture is not None:
            return self.mixture.sample(self.count, torch_rng(seed, MIXTURE)), inside
        if self.kind == PROPOSAL and target.proposal is not None:
            own = target.proposal
            theta = own.draw(self.count, own.x, torch_rng(seed, PROPOSAL)).to("cpu", prior.dtype)
            inside = prior.contains(theta)
            theta = torch.where(inside[..., None], theta, target.anchor)
        else:
            theta = prior.sample(m * self.count, seed=numpy_rng(seed, PRIOR))
            theta = theta.reshape(m, self.count, prior.dim)
        return prior.to_unconstrained(theta), inside

    def log_density(self, target: Target, u: Tensor, log_prior: Tensor) -> Tensor:
        """Return the log density at points (m, n, d) whose prior density is `log_prior`."""
        if self.mixture is not None:
            return self.mixture.log_density(u).to(log_prior)
        if self.kind == PROPOSAL and target.proposal is not None:
            own = target.proposal
            theta, log_jacobian = target.prior.from_unconstrained(u)
            return own.log_density(theta, own.x[:, None]).to(log_prior) + log_jacobian
        return log_prior


@dataclass(frozen=True, eq=False)
class StagedSamples:
    """Samples u of all stages for m observations, and the log density of every stage's proposal.

    `stage_of` says which stage each sample was drawn in.
    """

    u: Float[Tensor, "m c d"]
    log_prior: Float[Tensor, "m c"]
    log_weight: Float[Tensor, "m c"]
    stages: tuple[StageProposal, ...]
    stage_of: Int[Tensor, " c"]
    log_proposals: Float[Tensor, "t m c"]

    @property
    def log_weights(self) -> Float[Tensor, "m c"]:
        """The deterministic-mixture log weights of all samples."""
        counts = torch.tensor([stage.count for stage in self.stages], dtype=self.u.dtype)
        mixture = self.log_proposals + (counts / counts.sum()).log()[:, None, None]
        return self.log_prior + self.log_weight - mixture.logsumexp(0)

    def relative_ess(self, stage: int) -> Float[Tensor, " m"]:
        """Return the effective share of one stage's samples, weighted by themselves."""
        own = self.stage_of == stage
        log_target = self.log_prior[:, own] + self.log_weight[:, own]
        ess = effective_sample_size(log_target - self.log_proposals[stage][:, own])
        return (ess / self.stages[stage].count).nan_to_num(nan=0.0)  # no weight anywhere

    @property
    def bases(self) -> int:
        """How many initial proposals there are."""
        return 1 + any(stage.kind == PROPOSAL for stage in self.stages[:2])

    def initial_shares(self) -> tuple[Float[Tensor, " m"], Int[Tensor, " m"]]:
        """Return the effective share of the best initial proposal, and which it is."""
        found = torch.stack([self.relative_ess(stage) for stage in range(self.bases)]).max(0)
        return found.values, found.indices

    def select(self, rows: Int[Tensor, " k"]) -> "StagedSamples":
        """Return the samples of some of the observations."""
        stages = tuple(stage.select(rows) for stage in self.stages)
        parts = self.u[rows], self.log_prior[rows], self.log_weight[rows]
        return StagedSamples(*parts, stages, self.stage_of, self.log_proposals[:, rows])

    def without(self, place: int) -> "StagedSamples":
        """Return the samples of all stages but one."""
        rest = [stage for stage in range(len(self.stages)) if stage != place]
        kept, moved = self.stage_of != place, self.stage_of - (self.stage_of > place).long()
        return StagedSamples(
            self.u[:, kept],
            self.log_prior[:, kept],
            self.log_weight[:, kept],
            tuple(self.stages[stage] for stage in rest),
            moved[kept],
            self.log_proposals[rest][:, :, kept],
        )

    def extended(self, target: Target, stage: StageProposal, seed: int) -> "StagedSamples":
        """Return these samples and those of another stage."""
        at_old = [*self.log_proposals, stage.log_density(target, self.u, self.log_prior)]
        stages, place = (*self.stages, stage), len(self.stages)
        return self._with_samples(target, stage, stages, place, torch.stack(at_old), seed)

    def continued(self, target: Target, place: int, count: int, seed: int) -> "StagedSamples":
        """Return these samples and more of an earlier stage."""
        more = replace(self.stages[place], count=count)
        stages = list(self.stages)
        stages[place] = replace(more, count=stages[place].count + count)
        return self._with_samples(target, more, tuple(stages), place, self.log_proposals, seed)

    def _with_samples(
        self,
        target: Target,
        drawn: StageProposal,
        stages: tuple[StageProposal, ...],
        place: int,
        at_old: Float[Tensor, "t m c"],
        seed: int,
    ) -> "StagedSamples":
        u, inside = drawn.draw(target, seed)
        log_prior, log_weight = target.unconstrained(u)
        inside = inside & (log_prior > MIN_LOG_PRIOR)
        log_weight = torch.where(inside, log_weight, -math.inf)
        at_new = torch.stack([each.log_density(target, u, log_prior) for each in stages])
        return StagedSamples(
            torch.cat([self.u, u], 1),
            torch.cat([self.log_prior, log_prior], 1),
            torch.cat([self.log_weight, log_weight], 1),
            stages,
            torch.cat([self.stage_of, torch.full((drawn.count,), place)]),
            torch.cat([at_old, at_new], 2),
        )


@torch.no_grad()
def adaptive_importance(
    target: Target,
    target_ess: float,
    *,
    initial: int,
    max_samples: int,
    seed: int,
    limit: TimeLimit,
) -> list[ImportanceSamples]:
    """Draw weighted samples for observations, each until its `target_ess` is reached.

    There are `max_samples` at most, and more than `initial` only within the time limit. A
    ValueError says that w is NaN or infinite, or zero at all samples of an observation.
    """
    finished: dict[int, ImportanceSamples] = {}
    stage = int(min(max(STAGE_PER_ESS * target_ess, MIN_STAGE), MAX_STAGE))
    every, keys = torch.arange(len(target)), count()
    for rows in every.split(max(1, MAX_HELD // initial)):
        part = target.select(rows)
        waiting = [(rows, _initial_samples(part, initial, child(seed, next(keys))))]
        while waiting:
            rows, samples = waiting.pop()
            log_weights = samples.log_weights
            _check_weights(log_weights, rows)
            ess = effective_sample_size(log_weights)
            room = max_samples - samples.u.shape[1]
            stop = room <= 0 or len(samples.stages) >= MAX_STAGES or limit.over
            done = (ess >= target_ess) | stop
            if target.prior.dim > MIXTURE_DIM:
                done |= samples.initial_shares()[0] < GOOD_ESS
            for j in torch.where(done)[0].tolist():
                late = limit.over and bool(ess[j] < target_ess)
                found = smoothed_samples(samples.u[j], log_weights[j], late=late)
                more = not stop and len(samples.stages) < MAX_UNRELIABLE
                more = more and target.prior.dim <= MIXTURE_DIM
                done[j] = not (more and found.khat > MAX_KHAT)
                finished[int(rows[j])] = found
            keep = torch.where(~done)[0]
            if len(keep):
                rest = samples.select(keep)
                missing = torch.where(ess[keep] < target_ess, target_ess - ess[keep], ess[keep])
                refit = (ess[keep] >= target_ess) & (samples.u.shape[1] >= MIN_UNRELIABLE)
                for some, more in _extended(
                    rest,
                    target.select(rows[keep]),
                    missing,
                    refit,
                    stage,
                    room,
                    child(seed, next(keys)),
                ):
                    waiting.append((rows[keep][some], more))
    return [finished[j] for j in every.tolist()]


def _initial_samples(target: Target, number: int, seed: int) -> StagedSamples:
    """Return samples of the prior, and of the proposal where there is one."""
    m, d = len(target), target.prior.dim
    empty = torch.zeros(m, 0, d, dtype=target.prior.dtype)
    none = empty[..., 0]
    first = torch.zeros(0, dtype=torch.long)
    samples = StagedSamples(empty, none, none, (), first, none[None][:0])
    kinds = [PRIOR] if target.proposal is None else [PRIOR, PROPOSAL]
    for index, kind in enumerate(kinds):
        stage = StageProposal(kind, None, max(1, number // len(kinds)))
        samples = samples.extended(target, stage, child(seed, index))
    return samples


def _extended(
    samples: StagedSamples,
    target: Target,
    missing: Float[Tensor, " m"],
    refit: Bool[Tensor, " m"],
    least_stage: int,
    room: int,
    seed: int,
) -> Iterator[tuple[Int[Tensor, " k"], StagedSamples]]:
    """Yield observations by where their next samples are from, with these samples.

    Those are an initial proposal that was good enough, or a newly fitted mixture: always where
    weights have to be made reliable, `refit`, and once where many more samples would be missing.
    """
    bases, held_by = samples.bases, [stage.count for stage in samples.stages]
    best, base = samples.initial_shares()
    last = samples.relative_ess(len(held_by) - 1)
    untried = len(held_by) == bases
    good = (best >= GOOD_ESS) & ~(untried & (missing > best * MAX_UNTRIED))
    if target.prior.dim > MIXTURE_DIM:
        good = best >= GOOD_ESS
    good |= missing <= best * least_stage
    chosen = torch.where(good & (best >= last) & ~refit, base, -1)
    share = torch.where(chosen >= 0, best, last)
    needed = torch.where(share >= GOOD_ESS / 4, missing / share, 0.0)
    held = samples.u.shape[1]
    for place in chosen.unique().tolist():
        least, most = max(MIN_MORE, held // 8), MAX_MORE
        if place < 0:
            least, most = least_stage, MAX_GROWTH
        those = torch.where(chosen == place)[0]
        for part, some in enumerate(_alike(those, needed, max(1, MAX_HELD // held))):
            key = child(seed, place + 1, part)
            own, group = samples.select(some), target.select(some)
            # a mixture fitted later is better, so few samples of this one
            wanted = math.ceil(min(1.05 * float(needed[some].max()), most * held))
            number = min(room, max(least, wanted))
            if place >= 0:
                yield some, own.continued(group, place, number, key)
            else:
                stage = StageProposal(MIXTURE, _mixture(own, key), number)
                if bases > 1 and held_by[1] <= MAX_STAGE and bool((last > best)[some].all()):
                    # a flow takes longer to evaluate at all later samples than its few are worth
                    own = own.without(1)
                yield some, own.extended(group, stage, child(key, 1))


def _alike(
    rows: Int[Tensor, " k"], needed: Float[Tensor, " m"], most: int
) -> Iterator[Int[Tensor, " j"]]:
    """Yield observations in groups, in which the most samples needed are at most twice the least.

    All of a group get as many samples as the one that needs most.
    """
    size = needed[rows].double().clamp_min(MIN_MORE).log2().floor()
    for each in size.unique():
        yield from rows[size == each].split(most)


def _mixture(samples: StagedSamples, seed: int) -> StudentMixture:
    """Return a mixture fitted to the samples so far, for each observation."""
    log_weights = samples.log_weights
    power = tempering_power(log_weights, FIT_ESS * (samples.u.shape[2] + 1))
    tempered = (power[:, None] * log_weights).log_softmax(1)
    return fit_mixture(samples.u, tempered, torch_rng(seed))


def tempering_power(
    log_weights: Float[Tensor, "m c"],
    min_ess: float,
    maximum: Float[Tensor, " m"] | None = None,
    *,
    bisections: int = 30,
) -> Float[Tensor, " m"]:
    """Return the largest power, up to `maximum` or 1, that leaves weights an ESS of `min_ess`.

    Example:
        >>> tempering_power(torch.tensor([[0.0, -1.0], [0.0, -0.1]]), 1.9).round(decimals=1)
        tensor([0.5000, 1.0000])
    """
    maximum = log_weights.new_ones(len(log_weights)) if maximum is None else maximum
    whole = effective_sample_size(maximum[:, None] * log_weights) >= min_ess
    low, high = torch.zeros_like(maximum), maximum
    for _ in range(0 if whole.all() else bisections):
        middle = (low + high) / 2
        enough = effective_sample_size(middle[:, None] * log_weights) >= min_ess
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return torch.where(whole, maximum, high)


def smoothed_samples(
    u: Float[Tensor, "c d"], log_weights: Float[Tensor, " c"], *, late: bool
) -> ImportanceSamples:
    """Return samples with Pareto-smoothed weights and their diagnostics."""
    smoothed, khat = pareto_smooth(log_weights)
    return ImportanceSamples(
        u=u,
        log_weights=smoothed,
        khat=float(khat),
        ess=float(effective_sample_size(smoothed)),
        log_evidence=float(log_weights.double().logsumexp(0)) - math.log(len(u)),
        timed_out=late,
    )


def _check_weights(log_weights: Tensor, rows: Tensor) -> None:
    """Check that weights are numbers, and not all zero."""
    for j, each in zip(rows.tolist(), log_weights, strict=True):
        bad = int((each.isnan() | (each == math.inf)).sum())
        if bad:
            raise ValueError(
                f"the weight of observation {j} is NaN or infinite at {bad} of {len(each)} samples"
            )
        if (each == -math.inf).all():
            raise ValueError(
                f"the weight of observation {j} is zero at all of {len(each)} samples: it is "
                "impossible under the prior"
            )
