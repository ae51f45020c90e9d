"""What a search through a surrogate has found: an optimum, a posterior, and how it got there."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.posteriors.likelihood import LikelihoodPosterior
from lfi.inference.samplers.automatic import Automatic
from lfi.inference.samplers.hmc import HMC
from lfi.inference.samplers.target import Sampler
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts
from lfi.runtime import Contents, Described, Rows, Saved
from lfi.simulation import Prior

SAMPLER = Automatic(chains=HMC())  # gradients go through the surrogate
MOVED = 0.5  # deviations between the last two rounds, beyond which the search has not arrived
WIDER = 1.5  # times a deviation, likewise


@dataclass(frozen=True)
class SearchRound:
    """A round of a search.

    Attributes:
        simulations: How many true simulations were made in it.
        failed: How many of them failed.
        fitted: To how many simulations, of all rounds so far, the surrogate was fitted.
        mean: The posterior's mean of each parameter after it.
        sd: The posterior's standard deviation of each.
    """

    simulations: int
    failed: int
    fitted: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult(Described, Saved):
    """The optimum and the posterior of a black box's parameters, through a surrogate of it.

    `save` writes it to a file for `lfi.load`; the simulations are not kept there.

    Attributes:
        theta: The optimum, (theta_dim,): where the posterior's density is largest in unconstrained
            parameters, such as the logarithms of positive ones.
        posterior: The posterior by the surrogate's likelihood, which is right around `x_obs` and
            the posterior's mass; it simulates too, differentiably.
        x_obs: The observation, (*event).
        rounds: What each round did.
        budget: How many simulations were allowed.
        seed: The seed that repeats the search.
    """

    theta: Float[Tensor, " theta_dim"]
    posterior: LikelihoodPosterior
    x_obs: Float[Tensor, "..."]
    rounds: tuple[SearchRound, ...]
    budget: int
    seed: int

    @property
    def prior(self) -> Prior:
        """The prior."""
        return self.posterior.prior

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def simulations(self) -> int:
        """How many true simulations were made."""
        return sum(each.simulations for each in self.rounds)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(each.failed for each in self.rounds)

    @property
    def moved(self) -> float:
        """By how many deviations the last round moved a parameter's posterior mean at most."""
        if len(self.rounds) == 1:
            return math.inf
        before, last = self.rounds[-2:]
        both = zip(before.mean, last.mean, last.sd, strict=True)
        return max(abs(new - old) / sd if sd else math.inf for old, new, sd in both)

    @property
    def settled(self) -> bool:
        """Whether the last round has left the posterior's means and deviations about as they were.

        False after one round alone.
        """
        if len(self.rounds) == 1:
            return False
        ratios = zip(self.rounds[-2].sd, self.rounds[-1].sd, strict=True)
        alike = all(new < WIDER * old and old < WIDER * new for old, new in ratios)
        return alike and self.moved < MOVED

    @checked
    def draw(self, n: int, *, seed: int | None = None, sampler: Sampler = SAMPLER) -> Draws:
        """Return n draws of the posterior of the observation, by gradients through the surrogate.

        Args:
            n: How many.
            seed: None takes fresh entropy, which the draws record.
            sampler: Importance resampling where that suffices, and else Hamiltonian Monte Carlo.
        """
        drawn = self.posterior.draw(n, self.x_obs, seed=seed, sampler=sampler)
        assert isinstance(drawn, Draws)  # of one observation
        return drawn

    @checked
    def trace(self, name: str) -> tuple[tuple[int, float, float], ...]:
        """Return the simulations so far with a parameter's posterior mean and deviation then."""
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        i, made, rows = self.names.index(name), 0, []
        for each in self.rounds:
            made += each.simulations
            rows.append((made, each.mean[i], each.sd[i]))
        return tuple(rows)

    def describe(self) -> str:
        """Return whether it has settled, the optimum with the posterior, and what it cost."""
        if self.settled:
            verdict = f"settled: the last round moved means by {self.moved:.2g} deviations at most"
        elif len(self.rounds) == 1:
            verdict = "one round, which cannot tell whether it has settled: give more rounds"
        else:
            verdict = (
                f"still moving, by {self.moved:.2g} deviations in the last round, or narrowing: "
                "give a larger budget"
            )
        width, (_, *rows) = max(map(len, self.names)), self._table()
        lines = [
            f"  {name:<{width}}  {best}, posterior {mean} +- {sd}" for name, best, mean, sd in rows
        ]
        cost = (
            f"  {self.simulations:,} of {self.budget:,} simulations in {len(self.rounds)} rounds, "
            f"{self.failed:,} failed"
        )
        return "\n".join([verdict, *lines, cost])

    def _table(self) -> Rows:
        last = self.rounds[-1]
        columns = zip(self.names, self.theta.tolist(), last.mean, last.sd, strict=True)
        rows = [(name, f"{best:.4g}", f"{m:.4g}", f"{sd:.2g}") for name, best, m, sd in columns]
        return [("parameter", "optimum", "mean", "sd"), *rows]

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        posterior, tensors = self.posterior._whole_spec()
        spec = {
            "posterior": posterior,
            "prior": posterior["prior"],
            "rounds": [asdict(each) for each in self.rounds],
            "budget": self.budget,
            "seed": self.seed,
        }
        inner = {f"posterior.{name}": tensor for name, tensor in tensors.items()}
        return spec, {**inner, "theta": self.theta, "x_obs": self.x_obs}

    @classmethod
    def _restore(cls, contents: Contents) -> "SearchResult":
        spec, tensors = contents.spec, contents.tensors
        inner = contents.part("LikelihoodPosterior", spec["posterior"], "posterior.")
        posterior = LikelihoodPosterior._restore_whole(inner)
        assert isinstance(posterior, LikelihoodPosterior)
        rounds, d = tuple(_round(entry) for entry in spec["rounds"]), posterior.prior.dim
        check_counts(budget=spec["budget"])
        check_counts(minimum=0, seed=spec["seed"])
        theta, x_obs = tensors["theta"], tensors["x_obs"]
        if theta.shape != (d,) or tuple(x_obs.shape) != posterior.x_shape or not rounds:
            raise ValueError(
                f"{len(rounds)} rounds, theta of shape {tuple(theta.shape)} and x_obs of shape "
                f"{tuple(x_obs.shape)}"
            )
        if any(len(each.mean) != d or len(each.sd) != d for each in rounds):
            raise ValueError(f"means and deviations of other than {d} parameters")
        return cls(theta, posterior, x_obs, rounds, spec["budget"], spec["seed"])


def _round(entry: dict[str, Any]) -> SearchRound:
    """Return a round that a file describes."""
    made, failed, fitted = entry["simulations"], entry["failed"], entry["fitted"]
    check_counts(minimum=0, simulations=made, failed=failed, fitted=fitted)
    mean, sd = (tuple(float(value) for value in entry[name]) for name in ("mean", "sd"))
    return SearchRound(made, failed, fitted, mean, sd)


def moments_of_draws(draws: Float[Tensor, "n d"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return means and standard deviations of draws.

    Example:
        >>> moments_of_draws(torch.tensor([[1.0], [3.0]]))
        ((2.0,), (1.4142135623730951,))
    """
    draws = draws.double()
    return tuple(draws.mean(0).tolist()), tuple(draws.std(0).tolist())
