"""The estimate by minimum distance, and whether it can be relied on."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_instance, check_number, check_share
from lfi.runtime import Contents, Described, Saved
from lfi.runtime.display import Rows
from lfi.simulation import Prior

SETTLED = 0.05  # of the prior's deviation, or one of the draws': how far a descent may still move
SAME = 2.0  # of these, between starts that have found the same minimum
FLAT = 1e-5  # of the largest curvature
MOST_NOISE = 0.4  # of the draws' deviation, which is then too large by 9%
MOST_FAILED = 0.2


@dataclass(frozen=True, eq=False)
class Starts:
    """What the descents from several starts found, the best first.

    Attributes:
        theta: Where each arrived, (starts, dim).
        values: The distances there, (starts,), from the same random numbers.
        settled: Which had arrived, (starts,).
        same: Which found the same minimum as the best, (starts,).
    """

    theta: Float[Tensor, "starts dim"]
    values: Float[Tensor, " starts"]
    settled: Bool[Tensor, " starts"]
    same: Bool[Tensor, " starts"]


@dataclass(frozen=True, eq=False, repr=False)
class MinimumDistance(Described, Saved):
    """The parameters at which simulations are closest to data, as `lfi.fit_minimum_distance` does.

    Attributes:
        theta: The estimate, (dim,).
        draws: What a bootstrap says of its uncertainty; `draws.theta` is (replicates, dim). None
            where none was asked for.
        value: The distance there. An unbiased one is negative at times.
        prior: Whose bounds parameters keep.
        starts: What each descent found.
        curvature: The least curvature of the distance, less three standard errors, over the
            largest, in units of the prior's scales; about zero or less where the distance does not
            tell parameters apart.
        noise: How far the bootstrap's estimates are from their minima, over the deviation of the
            draws, infinite where they do not differ; None without it.
        simulations: How many data points were simulated, besides those of a bootstrap's data sets.
        failed: How many of these were not finite.
        steps: How many steps the descents took.
        seconds: How long it took, all data sets of the same call together.
        seed: The seed that repeats it.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 3.0)}
        >>> noisy = lfi.Simulator(
        ...     lambda theta: theta + torch.randn_like(theta), prior=prior, differentiable=True)
        >>> x_obs = noisy(torch.full((100, 1), 2.0), seed=1)
        >>> found = lfi.fit_minimum_distance(noisy, x_obs, steps=50, bootstrap=20, seed=1)
        >>> found.draws.theta.shape, found.interval(0.9).shape
        (torch.Size([20, 1]), torch.Size([1, 2]))
    """

    theta: Float[Tensor, " dim"]
    draws: Draws | None
    value: float
    prior: Prior
    starts: Starts
    curvature: float
    noise: float | None
    simulations: int
    failed: int
    steps: int
    seconds: float
    seed: int = field(default=0)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against the estimate and its draws."""
        return not self._faults()

    @checked
    def interval(self, level: float = 0.95) -> Float[Tensor, "dim 2"]:
        """Return each parameter's central interval of the bootstrap's draws.

        Raises:
            ValueError: If there are no draws, or the level is not between 0 and 1.
        """
        check_share("level", level)
        if self.draws is None:
            raise ValueError("there are no draws: fit with bootstrap=200 or the like")
        ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=self.draws.theta.dtype)
        return torch.quantile(self.draws.theta, ends, dim=0).T

    def describe(self) -> str:
        """Return whether it converged, what to do if not, and the estimate."""
        faults = self._faults()
        width, (_, *rows) = max(map(len, self.names)), self._table()
        lines = ["not converged: " + faults[0] if faults else "converged"]
        lines += [f"  and {fault}" for fault in faults[1:]]
        for name, estimate, *interval in rows:
            within = f"  95% of draws in ({interval[0]}, {interval[1]})" if interval else ""
            lines.append(f"  {name:<{width}}  {estimate}{within}")
        starts = self.starts
        lines.append(
            f"  distance {self.value:.4g}; {int(starts.same.sum())} of {len(starts.same)} starts "
            f"found it, in {self.steps} steps"
        )
        if self.draws is not None:
            lines.append(f"  {len(self.draws.theta)} draws by {self.draws.sampler}")
        lines.append(f"  {self.simulations:,} simulated data points ({self.failed:,} failed)")
        return "\n".join(lines)

    def _table(self) -> Rows:
        estimate = [f"{value:.4g}" for value in self.theta.tolist()]
        if self.draws is None:
            return [("parameter", "estimate"), *zip(self.names, estimate, strict=True)]
        ends = ([f"{end:.4g}" for end in ends] for ends in self.interval().tolist())
        rows = [(n, e, *i) for n, e, i in zip(self.names, estimate, ends, strict=True)]
        return [("parameter", "estimate", "2.5%", "97.5%"), *rows]

    def _faults(self) -> list[str]:
        """Return what speaks against the estimate, and what helps."""
        starts, faults = self.starts, []
        if not starts.settled[0]:
            faults.append("the best descent was still moving: give more steps")
        if len(starts.same) > 1 and (same := int(starts.same.sum())) <= 1:
            faults.append(
                f"only {same} of {len(starts.same)} starts found the least distance: give more "
                "starts or steps"
            )
        if self.curvature < FLAT:
            faults.append(
                "the distance hardly changes along one direction, which the data do not determine: "
                "take another distance, or fewer parameters"
            )
        if self.noise is not None and not self.noise <= MOST_NOISE:
            share = f"{self.noise:.0%}" if math.isfinite(self.noise) else "all"
            faults.append(
                f"noise of simulations makes up {share} of the draws' deviation: give more points "
                "or steps"
            )
        if self.failed > MOST_FAILED * self.simulations:
            faults.append(
                f"{self.failed / self.simulations:.0%} of the simulations were not finite: narrow "
                "the prior to where the simulator runs"
            )
        return faults

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        numbers = ("value", "curvature", "noise", "simulations", "failed", "steps", "seconds")
        spec = {name: getattr(self, name) for name in numbers}
        spec |= {"seed": self.seed, "prior": self.prior.to_contents()}
        tensors = {"theta": self.theta}
        tensors |= {f"starts.{name}": tensor for name, tensor in vars(self.starts).items()}
        draws, kept = self.draws, None
        if draws is not None:
            kept = {"sampler": draws.sampler, "proposals": draws.proposals}
            kept |= {"seconds": draws.seconds, "seed": draws.seed}
            tensors["draws"] = draws.theta
        return spec | {"draws": kept}, tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "MinimumDistance":
        spec, tensors = dict(contents.spec), contents.tensors
        kept, prior = spec.pop("draws"), Prior.from_contents(contents)
        spec.pop("prior")
        counts = {name: spec[name] for name in ("simulations", "failed", "steps", "seed")}
        for name in ("value", "curvature", "seconds", "noise"):
            check_number(name, spec[name], maximum=math.inf, optional=name == "noise")
        draws = None
        shapes: dict[str, tuple[int, ...]] = {"theta": (prior.dim,)}
        if kept is not None:
            theta = tensors["draws"]
            check_instance("sampler", kept["sampler"], str)
            check_number("seconds", kept["seconds"])
            counts |= {name: kept[name] for name in ("proposals", "seed")}
            draws = Draws(theta, prior.names, ess=float(len(theta)), **kept)
            shapes["draws"] = (len(theta), prior.dim)
        check_counts(minimum=0, **counts)
        starts = Starts(*(tensors[f"starts.{n}"] for n in ("theta", "values", "settled", "same")))
        number = len(starts.values)
        shapes |= {"starts.theta": (number, prior.dim), "starts.values": (number,)}
        shapes |= {"starts.settled": (number,), "starts.same": (number,)}
        for name, shape in shapes.items():
            if tuple(tensors[name].shape) != shape or 0 in shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}")
        return cls(tensors["theta"], draws, starts=starts, prior=prior, **spec)
