"""Variational inference: a flow fitted to the posterior, and corrected by importance weights.

A neural spline flow q for each observation, in unconstrained coordinates, is first fitted to
weighted samples by maximum likelihood, and then minimises the reverse Kullback-Leibler divergence

    KL(q | p) = E_q[log q(u) - log p(u) w(u) |dT/du|] + constant

through its own draws. They are resampled by p / q, and Pareto k says whether these weights are
reliable. The reverse divergence may lose a mode, and the weights of q's own draws cannot show it.
The samples that q started from can: their mean weight and that of q's draws both estimate the
evidence, and where q's is smaller by more than chance, q lacks mass, and k is infinite.

References:
    Rezende & Mohamed, Variational inference with normalizing flows, 2015. arXiv:1505.05770
    Yao, Vehtari, Simpson & Gelman, Yes, but did it work?, 2018. arXiv:1802.02538
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples, smoothed_samples
from lfi.inference.samplers.importance import Importance, StartsFromSamples
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.runtime import BriefSettings, child, torch_rng
from lfi.runtime.seeds import isolated

MAXIMUM_LIKELIHOOD = 0.4  # share of the steps that fit the flow to weighted samples
DRAWN = 2**13  # draws of the flow that are weighted at a time
MISSING = 4  # standard errors by which two estimates of the log evidence may differ


@checked
@dataclass(frozen=True, repr=False)
class Variational(BriefSettings, StartsFromSamples):
    """A neural spline flow fitted by reverse KL, with an importance correction.

    Attributes:
        steps: How many gradient steps.
        batch: Draws of the flow in each.
        transforms: How many transformations the flow has.
        width: Of its networks.
        learning_rate: Adam's at first; it falls along a cosine.
        target_ess: The effective sample size of the weighted draws to reach, as a multiple of the
            draws asked for.
        max_samples: How many draws are weighted at most.
        start: Draws the weighted samples that the flow is fitted to first.
        time_limit: Seconds after which the flow is used as it is.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[0.5]]),), pair)
        >>> (draws,) = Variational(steps=20)(target, 500, seed=1)
        >>> draws.theta.shape, draws.sampler
        (torch.Size([500, 1]), 'variational')
    """

    steps: int = 400
    batch: int = 256
    transforms: int = 3
    width: int = 64
    learning_rate: float = 5e-3
    target_ess: float = 2.0
    max_samples: int = 2**17
    start: Importance = Importance(target_ess=0.2, max_samples=2**16)
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        whole = ("steps", "batch", "transforms", "width", "max_samples")
        check_settings(self, whole=whole, positive=("learning_rate", "target_ess"))

    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws of flows that are fitted to the samples of each observation first."""
        draws = []
        for j, samples in enumerate(found):
            one = target.select(torch.tensor([j]))
            with isolated(child(seed, 1, j)):
                weighted = self._weighted(one, samples, n, limit, torch_rng(seed, 2, j))
            if lacks_mass(weighted, samples):
                weighted = replace(weighted, khat=math.inf)
            resampled = weighted.resample(n, torch_rng(seed, 3, j))
            draws.append(
                weighted.to_draws(
                    resampled,
                    one,
                    "variational",
                    ess=weighted.ess,
                    timed_out=weighted.timed_out,
                    limit=limit,
                    seed=seed,
                )
            )
        return tuple(draws)

    def _weighted(
        self,
        target: Target,
        samples: ImportanceSamples,
        n: int,
        limit: TimeLimit,
        rng: torch.Generator,
    ) -> ImportanceSamples:
        """Return draws of a fitted flow with their weights."""
        points, middle, scale = samples.resampled_moments(2**12, rng)
        flow = self._fitted(target, (points - middle) / scale, middle, scale, limit)
        parts, weights = [], []
        while True:
            with torch.no_grad():
                v, log_q = flow().rsample_and_log_prob((DRAWN,))
                u = middle + scale * v.to(middle)
                density = target.unconstrained_density(u[None])[0]
            parts.append(u)
            weights.append(density - log_q.to(u) + scale.log().sum())
            result = smoothed_samples(torch.cat(parts), torch.cat(weights), late=limit.over)
            enough = result.ess >= self.target_ess * n or DRAWN * len(parts) >= self.max_samples
            if enough or limit.over:
                return result

    def _fitted(
        self, target: Target, points: Tensor, middle: Tensor, scale: Tensor, limit: TimeLimit
    ) -> nn.Module:
        """Return the flow of v = (u - middle) / scale.

        The loop is written out: its data are draws of the flow itself, so that there are no batches
        and nothing is held out, and time may run out at any step.
        """
        from zuko.flows import NSF

        d, first = points.shape[1], int(MAXIMUM_LIKELIHOOD * self.steps)
        flow = NSF(
            d, transforms=self.transforms, hidden_features=(self.width,) * 2, passes=min(2, d)
        ).to(torch.float32)
        optimiser = torch.optim.Adam(flow.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, self.steps))
        points = points.to(torch.float32)
        for step in range(self.steps):
            if limit.over:
                break
            if step < first:
                rows = torch.randint(len(points), (self.batch,), generator=torch.default_generator)
                loss = -flow().log_prob(points[rows]).mean()
            else:
                v, log_q = flow().rsample_and_log_prob((self.batch,))
                density = target.unconstrained_density((middle + scale * v.to(middle))[None])[0]
                gap = log_q - density.to(log_q)
                loss = gap[gap.isfinite()].mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        return flow.eval()


def lacks_mass(samples: ImportanceSamples, others: ImportanceSamples) -> bool:
    """Return whether the evidence by others is larger than by these samples, beyond chance.

    A mean of weights of effective size n has a relative standard error of n^(-1/2).
    """
    error = math.sqrt(1 / samples.ess + 1 / others.ess)
    return others.log_evidence - samples.log_evidence > MISSING * error
