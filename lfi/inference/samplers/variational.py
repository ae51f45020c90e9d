"""Variational inference: a flow fitted to the posterior, and corrected by importance weights.

A neural spline flow q in unconstrained coordinates first learns from weighted candidates, and then
minimises the reverse Kullback-Leibler divergence

    KL(q | p) = E_q[log q(u) - log p(u) w(u) |dT/du|] + constant

through its own draws. What q gets wrong is mended by weighing: draws of q are resampled by p / q,
and Pareto k says whether that could be done. One flow is fitted for each observation.

The reverse divergence may let go of a mode, and no weight of q's own draws tells of what q never
sees. Where there may be several modes, take `SMC`.

References:
    Rezende & Mohamed, Variational inference with normalizing flows, 2015. arXiv:1505.05770
    Yao, Vehtari, Simpson & Gelman, Yes, but did it work?, 2018. arXiv:1802.02538
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lfi.inference.samplers.adaptive_importance import Candidates, judged
from lfi.inference.samplers.importance import Importance, resampled
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng
from lfi.runtime.seeds import isolated

FIRST_SHARE = 0.4  # of the steps, in which the flow learns from candidates
DRAWN = 2**13  # draws of the flow that are weighed at a time


@dataclass(frozen=True)
class Variational:
    """A neural spline flow fitted by reverse KL, with an importance correction.

    Attributes:
        steps: How many gradient steps.
        batch: Draws of the flow in each.
        transforms: How many transformations the flow has.
        width: Of its networks.
        learning_rate: Adam's at first; it falls along a cosine.
        worth: Draws are weighed until they are worth so many times those asked for.
        most: How many are weighed at the most.
        start: Finds the candidates that the flow learns from first.
        time_limit: Seconds after which the flow as it is has to do.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[0.5]]), pair)
        >>> (draws,) = Variational(steps=20)(target, 500, seed=1)
        >>> draws.theta.shape, draws.sampler
        (torch.Size([500, 1]), 'variational')
    """

    steps: int = 400
    batch: int = 256
    transforms: int = 3
    width: int = 64
    learning_rate: float = 5e-3
    worth: float = 2.0
    most: int = 2**17
    start: Importance = Importance(worth=0.2, most=2**16)
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.start.weigh(target, n, seed=child(seed, 0), clock=clock)
        return self.go_on(target, found, n, seed=seed, clock=clock)

    def go_on(
        self, target: Target, found: list[Candidates], n: int, *, seed: int, clock: Clock
    ) -> tuple[Draws, ...]:
        """Return n draws of flows that learn from the candidates of each observation first."""
        drawn = []
        for j, candidates in enumerate(found):
            one = target.select(torch.tensor([j]))
            with isolated(child(seed, 1, j)):
                weighed = self._weighed(one, candidates, n, clock, torch_rng(seed, 2, j))
            draws = resampled(weighed, one, n, seed, clock, torch_rng(seed, 3, j))
            drawn.append(replace(draws, sampler="variational"))
        return tuple(drawn)

    def _weighed(
        self, target: Target, candidates: Candidates, n: int, clock: Clock, rng: torch.Generator
    ) -> Candidates:
        """Return draws of a fitted flow with their weights."""
        points = candidates.resample(2**12, rng)
        middle, scale = points.mean(0), points.std(0).clamp_min(1e-6)
        flow = self._fitted(target, (points - middle) / scale, middle, scale, clock)
        parts, weights = [], []
        while True:
            with torch.no_grad():
                v, log_q = flow().rsample_and_log_prob((DRAWN,))
                u = middle + scale * v.to(middle)
                density = sum(target.unconstrained(u[None]))[0]
            parts.append(u)
            weights.append(density - log_q.to(u) + scale.log().sum())
            result = judged(torch.cat(parts), torch.cat(weights), late=clock.struck)
            enough = result.ess >= self.worth * n or DRAWN * len(parts) >= self.most
            if enough or clock.struck:
                return result

    def _fitted(
        self, target: Target, points: Tensor, middle: Tensor, scale: Tensor, clock: Clock
    ) -> nn.Module:
        """Return the flow of v = (u - middle) / scale."""
        from zuko.flows import NSF

        d, first = points.shape[1], int(FIRST_SHARE * self.steps)
        flow = NSF(
            d, transforms=self.transforms, hidden_features=(self.width,) * 2, passes=min(2, d)
        ).to(torch.float32)
        optimiser = torch.optim.Adam(flow.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, self.steps))
        points = points.to(torch.float32)
        for step in range(self.steps):
            if clock.struck:
                break
            if step < first:
                rows = torch.randint(len(points), (self.batch,), generator=torch.default_generator)
                loss = -flow().log_prob(points[rows]).mean()
            else:
                v, log_q = flow().rsample_and_log_prob((self.batch,))
                density = sum(target.unconstrained((middle + scale * v.to(middle))[None]))[0]
                gap = log_q - density.to(log_q)
                loss = gap[gap.isfinite()].mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        return flow.eval()
