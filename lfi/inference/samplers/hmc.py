"""Hamiltonian Monte Carlo: all chains of all observations follow gradients in one pass.

A chain at u draws a momentum z ~ N(0, I) and follows the dynamics of the energy
-log p(u) + |z|^2 / 2 by L leapfrog steps of size e, in units of the posterior's spread along each
coordinate; where it ends is accepted with probability exp(energy before - energy after). The number
of steps is drawn anew for each move, so that no trajectory keeps coming back to where it began.

Hundreds of chains share what one chain would have to learn: the step is adapted to their mean
acceptance (dual averaging), the spread is theirs. They start from resampled importance draws.

Any deterministic field in place of the gradient leaves the acceptance right, so a prior whose
density torch cannot differentiate costs efficiency and nothing else.

References:
    Neal, MCMC using Hamiltonian dynamics, 2011. arXiv:1206.1901
    Hoffman & Gelman, The No-U-Turn sampler, JMLR 2014. arXiv:1111.4246 (dual averaging)
    Hoffman & Sountsov, Tuning-free generalized Hamiltonian Monte Carlo, AISTATS 2022.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.samplers.adaptive_importance import Candidates
from lfi.inference.samplers.convergence import many_chains_ess, nested_r_hat
from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng

FEWEST = 64  # chains, whose groups tell whether they have forgotten their start
JITTER = 0.1  # of the step, on either side


@dataclass(frozen=True)
class HMC:
    """Batched Hamiltonian Monte Carlo: for posteriors of many parameters, with gradients.

    Attributes:
        start: Finds where the chains start.
        chains: How many there are for each observation, at the most.
        warmup: Moves while the step and the spread are learnt; not among the draws.
        moves: How many moves follow at the least.
        most: And at the most, until the states are worth the draws asked for.
        leapfrogs: The largest number of leapfrog steps in a move.
        acceptance: What the step is adapted to.
        time_limit: Seconds after which the states so far have to do.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[-1.0], [0.5]]), pair)
        >>> first, second = HMC(warmup=20)(target, 500, seed=1)
        >>> first.theta.shape, first.sampler
        (torch.Size([500, 1]), 'hmc')
    """

    start: Importance = Importance(worth=1.0, most=2**16)
    chains: int = 512
    warmup: int = 50
    moves: int = 20
    most: int = 200
    leapfrogs: int = 8
    acceptance: float = 0.8
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.start.weigh(target, n, seed=child(seed, 0), clock=clock)
        return self.go_on(target, found, n, seed=seed, clock=clock)

    @torch.no_grad()
    def go_on(
        self, target: Target, found: list[Candidates], n: int, *, seed: int, clock: Clock
    ) -> tuple[Draws, ...]:
        """Return n draws by chains that start from the candidates of each observation.

        Raises:
            TimeoutError: If the time limit strikes before the warm-up is over.
        """
        chains = max(FEWEST, min(n, self.chains))
        rngs = [torch_rng(seed, 1, j) for j in range(len(found))]
        start = torch.stack(
            [each.resample(chains, rng) for each, rng in zip(found, rngs, strict=True)]
        )
        herd, rng = Herd.at(target, start), torch_rng(seed, 2)
        for i in range(self.warmup):
            if clock.struck:
                raise TimeoutError(
                    f"time_limit: {clock.limit:g} seconds were over after {i} of {self.warmup} "
                    "moves of HMC's warm-up: raise it, or take lfi.samplers.Importance"
                )
            herd = herd.moved(target, self.leapfrogs, rng).adapted(self.acceptance)
            if i in (self.warmup // 3, 2 * self.warmup // 3):
                herd = herd.rescaled()
        herd = herd.settled()
        states, least = [], max(self.moves, math.ceil(n / chains))
        while not states or not clock.struck:
            herd = herd.moved(target, self.leapfrogs, rng)
            states.append(herd.u)
            if len(states) >= max(self.most, least):
                break
            if len(states) >= least and len(states) % 10 == 0:
                worth = [many_chains_ess(each) for each in torch.stack(states, 2)]
                if min(worth) >= n:
                    break
        kept = torch.stack(states, 2)  # (m, chains, length, d)
        return tuple(
            self._draws(target, found[j], start[j], kept[j], herd, j, n, seed, clock, rngs[j])
            for j in range(len(found))
        )

    def _draws(
        self,
        target: Target,
        candidates: Candidates,
        start: Tensor,
        kept: Tensor,
        herd: "Herd",
        j: int,
        n: int,
        seed: int,
        clock: Clock,
        rng: torch.Generator,
    ) -> Draws:
        worth, flat = many_chains_ess(kept), kept.flatten(0, 1)
        order = torch.randperm(max(len(flat), n), generator=rng)[:n] % len(flat)
        theta = target.prior.from_unconstrained(flat[order])[0]
        return Draws(
            theta=theta,
            names=target.prior.names,
            sampler="hmc",
            ess=min(worth, float(n)),
            unique=len(torch.unique(theta, dim=0)),
            khat=candidates.khat,
            r_hat=nested_r_hat(start, kept[:, -1]),
            acceptance=float(herd.accepted[j] / herd.count),
            candidates=len(candidates.u),
            seconds=clock.seconds,
            seed=seed,
            log_evidence=candidates.log_evidence,
            timed_out=clock.struck and worth < n,
        )


@dataclass(frozen=True, eq=False)
class Herd:
    """The chains of m observations, and what they have learnt together.

    Attributes:
        u: Where they are, (m, chains, d).
        density: The log density there, (m, chains).
        gradient: And its gradient, (m, chains, d).
        scale: The unit of each coordinate, (m, 1, d).
        log_step: The log of each observation's leapfrog step, (m,).
        accepted: Sums of mean acceptance probabilities, (m,).
        count: Over how many moves.
        averages: What dual averaging remembers: centre, mean error, averaged log step, (3, m).
        age: How long it has been averaging.
    """

    u: Float[Tensor, "m c d"]
    density: Float[Tensor, "m c"]
    gradient: Float[Tensor, "m c d"]
    scale: Float[Tensor, "m 1 d"]
    log_step: Float[Tensor, " m"]
    accepted: Float[Tensor, " m"]
    count: int = 0
    averages: Float[Tensor, "3 m"] = field(default_factory=lambda: torch.zeros(3, 0))
    last: Float[Tensor, " m"] | None = None
    age: int = 0

    @classmethod
    def at(cls, target: Target, u: Float[Tensor, "m c d"]) -> "Herd":
        """Return chains that stand at u, with a step that suits a Gaussian."""
        density, gradient = target.slope(u)
        log_step = u.new_full((len(u),), math.log(u.shape[2] ** -0.25))
        return cls(
            u, density, gradient.nan_to_num(0.0, 0.0, 0.0), _spread(u), log_step, 0 * log_step
        ).restarted()

    def restarted(self) -> "Herd":
        """Return the chains with dual averaging begun anew around ten times the step, as usual."""
        averages = torch.stack([self.log_step + math.log(2.0), 0 * self.log_step, self.log_step])
        return replace(self, averages=averages, age=0)

    def rescaled(self) -> "Herd":
        """Return the chains with the spread of where they are now."""
        return replace(self, scale=_spread(self.u)).restarted()

    def settled(self) -> "Herd":
        """Return the chains with the averaged step, and acceptance counted from here."""
        return replace(self, log_step=self.averages[2], accepted=0 * self.accepted, count=0)

    def adapted(self, wanted: float) -> "Herd":
        """Return the chains with a step nearer to the acceptance wanted (Hoffman & Gelman 2014)."""
        age, (centre, error, mean) = self.age + 1, self.averages
        rate = 1 / (age + 10)
        error = (1 - rate) * error + rate * (wanted - self.last)
        log_step = centre - math.sqrt(age) / 0.05 * error
        weight = age**-0.75
        mean = weight * log_step + (1 - weight) * mean
        averages = torch.stack([centre, error, mean])
        return replace(self, log_step=log_step, averages=averages, age=age)

    def moved(self, target: Target, leapfrogs: int, rng: torch.Generator) -> "Herd":
        """Return the chains after one move each."""
        m, c, d = self.u.shape
        draw = {"generator": rng, "dtype": self.u.dtype}
        length = int(torch.randint(1, leapfrogs + 1, (), generator=rng))
        step = self.log_step.exp() * (1 + JITTER * (2 * torch.rand(m, **draw) - 1))
        stride = step[:, None, None] * self.scale
        momentum = torch.randn(m, c, d, **draw)
        energy = momentum.square().sum(-1) / 2 - self.density
        u, density, gradient = self.u, self.density, self.gradient
        for _ in range(length):
            momentum = momentum + stride / 2 * gradient
            u = u + stride * momentum
            density, gradient = target.slope(u)
            gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
            momentum = momentum + stride / 2 * gradient
        gain = energy - (momentum.square().sum(-1) / 2 - density)
        chance = gain.nan_to_num(nan=-math.inf).clamp_max(0).exp()
        accept = torch.rand(m, c, **draw) < chance
        last = chance.mean(1)
        return replace(
            self,
            u=torch.where(accept[..., None], u, self.u),
            density=torch.where(accept, density, self.density),
            gradient=torch.where(accept[..., None], gradient, self.gradient),
            accepted=self.accepted + last,
            count=self.count + 1,
            last=last,
        )


def _spread(u: Float[Tensor, "m c d"]) -> Float[Tensor, "m 1 d"]:
    return u.std(1, keepdim=True).clamp_min(1e-8)
