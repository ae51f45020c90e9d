"""Simulators: a function of theta with its prior, and the one way in which rows are simulated.

Row i of a run belongs to block b = i // 1024. Random numbers come from the run's seed by

    theta of block b                              key (0, b)
    one call of a batched function, on a block    key (1, b)
    one call for a single vector, row i           key (2, i)

so that no row depends on how many others are simulated, where, or in which order.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lfi.simulation.outcomes import BLOCK, Block, Misshapen, as_x, collected, whole
from lfi.simulation.priors import Prior, as_prior
from lfi.simulation.signature import Signature, signature_of, source_of
from lfi.training.seeds import child, fresh, isolated, numpy_rng, reseed, torch_rng


class Simulator:
    """A stochastic simulator and the prior of its parameters.

    Attributes:
        simulate: The function: parameters in, data out, with an optional second argument `rng`.
        prior: The named prior.
        batched: Whether the function takes n vectors, (n, D) to (n, *event), or a single one,
            (D,) to (*event).
        name: What reports call it.
        units: The parameters' units, by name.
        x_obs: Real data, (*event), if there are any; summarised, where there are summaries.
        trials: How many independent draws x holds for each theta, x then being (n, trials, *event);
            None where it holds one, (n, *event).
        summary: What x is reduced to, a function from (n, ...) to (n, *event).
        differentiable: Whether gradients flow from x to theta where random numbers are fixed.
        identity: A hash of name, source and prior, by which a store knows its simulator again.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = {"mean": Normal(0.0, 1.0)}
        >>> coin = Simulator(lambda theta, rng: rng.normal(theta), prior=prior, name="coin")
        >>> coin(torch.zeros(3, 1), seed=1).shape
        torch.Size([3, 1])
    """

    def __init__(
        self,
        simulate: Callable[..., Any],
        *,
        prior: object,
        batched: bool = True,
        name: str | None = None,
        units: Mapping[str, str] | None = None,
        x_obs: object = None,
        trials: int | None = None,
        summary: Callable[[Tensor], Tensor] | None = None,
        differentiable: bool = False,
    ) -> None:
        if trials is not None and trials < 1:
            raise ValueError(
                f"trials must be at least 1, or None for x without that axis: {trials}"
            )
        self.signature: Signature = signature_of(simulate)
        self.trials, self.summary, self.differentiable = trials, summary, differentiable
        self.simulate = simulate
        self.prior: Prior = as_prior(prior)
        self.batched = batched
        self.name = name or getattr(simulate, "__name__", type(simulate).__name__)
        self.units: Mapping[str, str] = dict(units or {})
        unknown = set(self.units) - set(self.prior.names)
        if unknown:
            raise ValueError(f"units of {sorted(unknown)}: the prior names {self.prior.names}")
        self.x_obs: Tensor | None = None if x_obs is None else as_x(x_obs, self.prior.dtype)
        parts = [self.name, f"{batched} {trials}", source_of(simulate), self.prior.fingerprint]
        parts += [] if summary is None else [source_of(summary)]
        self.identity: str = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.__doc__ = getattr(simulate, "__doc__", None)

    def __repr__(self) -> str:
        return f"Simulator({self.name}, {self.prior})"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    def with_summary(
        self, summary: Callable[[Tensor], Tensor], *, name: str | None = None
    ) -> "Simulator":
        """Return this simulator with x reduced to summaries; `x_obs` is reduced too.

        Args:
            summary: A function of a batch, (n, *event) to (n, *summaries); it may be a module, and
                is applied after the summaries that there are already.
            name: What reports call it; by default this simulator's name.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> many = Simulator(lambda theta: theta + torch.randn(len(theta), 50), prior=prior)
            >>> few = many.with_summary(lambda x: torch.stack([x.mean(1), x.var(1)], 1))
            >>> few(torch.zeros(3, 1), seed=1).shape
            torch.Size([3, 2])
        """
        x_obs = None if self.x_obs is None else summary(self.x_obs[None])[0]
        before = self.summary
        return Simulator(
            self.simulate,
            prior=self.prior,
            batched=self.batched,
            name=name or self.name,
            units=self.units,
            x_obs=x_obs,
            trials=self.trials,
            summary=summary if before is None else Composed(before, summary),
            differentiable=self.differentiable,
        )

    def __call__(
        self, theta: Float[Tensor, "n dim"], seed: int | None = None
    ) -> Shaped[Tensor, " n *event"]:
        """Return x for every row of theta; what the function raises is raised.

        Gradients flow to a theta that requires them, where the function is of torch and lets them;
        equal seeds fix the random numbers.

        Raises:
            ValueError: If theta has the wrong number of columns, or x the wrong number of rows.
        """
        if theta.shape[1] != self.prior.dim:
            raise ValueError(
                f"theta must have {self.prior.dim} columns ({', '.join(self.names)}), "
                f"got shape {tuple(theta.shape)}"
            )
        seed = fresh(seed)
        graph = theta.requires_grad
        with isolated(seed):
            if self.batched:
                return self._x(theta, graph, seed, 1, 0)
            rows = [self._x(t[None], graph, seed, 2, i) for i, t in enumerate(theta)]
            return torch.cat(rows)

    def run_block(
        self,
        theta: Float[Tensor, "n dim"],
        seed: int,
        block: int = 0,
        start: int = 0,
        *,
        singly: bool = False,
        beat: Callable[[int], None] = lambda row: None,
    ) -> Block:
        """Simulate rows start, start + 1, ... of a block; failures of the function are recorded.

        Args:
            theta: Their parameters. A batched function is called on whole blocks, from row 0.
            seed: The run's seed.
            block: The block's number.
            start: The first row's number inside the block.
            singly: Call a batched function row by row, as where its call for all has failed.
            beat: Told what begins: a row, counted from `start`, or -1 for a call for all.

        Raises:
            ValueError: If x has the wrong number of rows, a changing shape, or is not of numbers.
        """
        first = block * BLOCK + start
        with isolated(seed):
            if self.batched and not singly:
                beat(-1)
                try:
                    return whole(self._x(theta, False, seed, 1, block))
                except Misshapen:
                    raise
                except Exception:  # of whatever kind: rows are tried one by one
                    pass
            rows: list[Tensor | Exception] = []
            for i in range(len(theta)):
                beat(i)
                try:
                    rows.append(self._x(theta[i : i + 1], False, seed, 2, first + i)[0])
                except Misshapen:
                    raise
                except Exception as error:  # of whatever kind: it goes into the record
                    rows.append(error)
        return collected(rows, first)

    def _x(self, theta: Tensor, graph: bool, seed: int, *key: int) -> Tensor:
        """Return x, summarised, of a batch, or of one row where the function takes one vector."""
        call = self._bound(theta, seed, *key)
        if self.batched:
            x = self._checked(theta, as_x(call(), theta.dtype, graph=graph))
        elif self.trials is None:
            x = as_x(call(), theta.dtype, graph=graph)[None]
        else:
            draws = [as_x(call(), theta.dtype, graph=graph) for _ in range(self.trials)]
            x = torch.stack(draws)[None]
        if self.summary is None:
            return x
        summaries = as_x(self.summary(x), x.dtype, graph=graph)
        if summaries.shape[:1] != x.shape[:1]:
            raise Misshapen(
                f"summary returned shape {tuple(summaries.shape)} for x of shape "
                f"{tuple(x.shape)}: it takes a batch and must keep its rows"
            )
        return summaries

    def _checked(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return x of a batch, with an axis for trials where there are any."""
        rows = len(theta) * (self.trials or 1)
        if x.shape[:1] != (rows,):
            called = f"theta of shape ({rows}, {theta.shape[1]})"
            raise Misshapen(
                f"{self.name} returned x of shape {tuple(x.shape)} for {called}: "
                f"expected {rows} rows"
                + ("; batched=False wraps a function of one vector" if x.shape[:1] != (1,) else "")
            )
        return x if self.trials is None else x.reshape(len(theta), self.trials, *x.shape[1:])

    def _bound(self, theta: Tensor, seed: int, *key: int) -> Callable[[], Any]:
        """Return the function with theta and the random numbers of its key.

        They are those of a generator, or of the global state, which is seeded here.
        """
        if not self.batched:
            theta = theta[0]
        elif self.trials is not None:
            theta = theta.repeat_interleave(self.trials, 0)
        theta = theta.clone()  # the function may write to it
        argument = theta.detach().numpy() if self.signature.numpy_theta else theta
        if not self.signature.rng:
            reseed(child(seed, *key))
            return partial(self.simulate, argument)
        rng = (torch_rng if self.signature.torch_rng else numpy_rng)(seed, *key)
        if self.signature.keyword is None:
            return partial(self.simulate, argument, rng)
        return partial(self.simulate, argument, **{self.signature.keyword: rng})


@dataclass(frozen=True)
class Composed:
    """One function after another."""

    first: Callable[[Tensor], Tensor]
    then: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """Return then(first(x))."""
        return self.then(self.first(x))


def simulator(
    *,
    prior: object,
    batched: bool = True,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
    x_obs: object = None,
    trials: int | None = None,
    differentiable: bool = False,
) -> Callable[[Callable[..., Any]], Simulator]:
    """Decorate a function with its prior, which makes it a `Simulator`.

    Example:
        >>> from torch.distributions import LogNormal
        >>> @simulator(prior={"beta": LogNormal(0.4, 0.5), "gamma": LogNormal(-1.0, 0.5)})
        ... def epidemic(theta):
        ...     return torch.poisson(theta[:, :1] / theta[:, 1:])
        >>> epidemic
        Simulator(epidemic, Prior(beta in (0, inf), gamma in (0, inf)))
    """
    return lambda simulate: Simulator(
        simulate,
        prior=prior,
        batched=batched,
        name=name,
        units=units,
        x_obs=x_obs,
        trials=trials,
        differentiable=differentiable,
    )


def as_simulator(obj: object) -> Simulator:
    """Return a simulator itself, or a module or object with `prior` and `simulate` as one.

    Its attributes `batched`, `units`, `x_obs`, `trials`, `summary` and `differentiable` are used
    where it has them.

    Raises:
        TypeError: If the object is neither.
    """
    if isinstance(obj, Simulator):
        return obj
    if not (hasattr(obj, "prior") and hasattr(obj, "simulate")):
        raise TypeError(
            "simulator must be an lfi.Simulator, or a module or object with `prior` and "
            f"`simulate`; got a {type(obj).__name__}"
        )
    if isinstance(obj, ModuleType):
        name = Path(obj.__file__ or "").stem if obj.__name__ == "__main__" else obj.__name__
    else:
        name = getattr(obj, "name", type(obj).__name__)
    return Simulator(
        obj.simulate,
        prior=obj.prior,
        batched=getattr(obj, "batched", True),
        name=name.rpartition(".")[2],
        units=getattr(obj, "units", None),
        x_obs=getattr(obj, "x_obs", None),
        trials=getattr(obj, "trials", None),
        summary=getattr(obj, "summary", None),
        differentiable=getattr(obj, "differentiable", False),
    )
