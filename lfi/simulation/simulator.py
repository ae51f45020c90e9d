"""Simulators: a function of theta with its prior, and the one way in which rows are simulated.

Row i of a run belongs to block b = i // 1024. Random numbers come from the run's seed by

    theta of block b                              key (0, b)
    one call of a batched function, on a block    key (1, b)
    one call for a single vector, row i           key (2, i)

so that no row depends on how many others are simulated, where, or in which order.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lfi.simulation.outcomes import BLOCK, Block, as_x, collected, whole
from lfi.simulation.priors import Prior, as_prior
from lfi.simulation.signature import Signature, signature_of, source_of
from lfi.training.seeds import child, fresh, isolated, numpy_rng, torch_rng


class Simulator:
    """A stochastic simulator and the prior of its parameters.

    Attributes:
        simulate: The function: parameters in, data out, with an optional second argument `rng`.
        prior: The named prior.
        batched: Whether the function takes n vectors, (n, D) to (n, *event), or a single one,
            (D,) to (*event).
        name: What reports call it.
        units: The parameters' units, by name.
        x_obs: Real data, (*event), if there are any.
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
    ) -> None:
        self.signature: Signature = signature_of(simulate)
        self.simulate = simulate
        self.prior: Prior = as_prior(prior)
        self.batched = batched
        self.name = name or getattr(simulate, "__name__", type(simulate).__name__)
        self.units: Mapping[str, str] = dict(units or {})
        unknown = set(self.units) - set(self.prior.names)
        if unknown:
            raise ValueError(f"units of {sorted(unknown)}: the prior names {self.prior.names}")
        self.x_obs: Tensor | None = None if x_obs is None else as_x(x_obs, self.prior.dtype)
        parts = (self.name, str(batched), source_of(simulate), self.prior.fingerprint)
        self.identity: str = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.__doc__ = getattr(simulate, "__doc__", None)

    def __repr__(self) -> str:
        return f"Simulator({self.name}, {self.prior})"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    def __call__(
        self, theta: Float[Tensor, "n dim"], seed: int | None = None
    ) -> Shaped[Tensor, " n *event"]:
        """Return x for every row of theta; what the function raises is raised.

        Raises:
            ValueError: If theta has the wrong number of columns, or x the wrong number of rows.
        """
        if theta.shape[1] != self.prior.dim:
            raise ValueError(
                f"theta must have {self.prior.dim} columns ({', '.join(self.names)}), "
                f"got shape {tuple(theta.shape)}"
            )
        seed = fresh(seed)
        with isolated(seed):
            if self.batched:
                return self._rows(theta, self._call(theta, seed, 1, 0))
            rows = [self._call(t, seed, 2, i) for i, t in enumerate(theta)]
            return torch.stack([as_x(x, theta.dtype) for x in rows])

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
                    x = self._call(theta, seed, 1, block)
                except Exception:  # of whatever kind: rows are tried one by one
                    pass
                else:
                    return whole(self._rows(theta, x))
            rows = []
            for i, t in enumerate(theta):
                beat(i)
                rows.append(self._row(t, seed, first + i))
        return collected(rows, first)

    def _row(self, t: Tensor, seed: int, i: int) -> Tensor | Exception:
        """Return x of row i, or what the function raised."""
        try:
            x = self._call(t[None] if self.batched else t, seed, 2, i)
        except Exception as error:  # of whatever kind: it goes into the record
            return error
        return self._rows(t[None], x)[0] if self.batched else as_x(x, t.dtype)

    def _rows(self, theta: Tensor, x: object) -> Tensor:
        x = as_x(x, theta.dtype)
        if x.shape[:1] != theta.shape[:1]:
            raise ValueError(
                f"{self.name} returned x of shape {tuple(x.shape)} for theta of shape "
                f"{tuple(theta.shape)}: expected {len(theta)} rows"
                + ("; batched=False wraps a function of one vector" if self.batched else "")
            )
        return x

    def _call(self, theta: Tensor, seed: int, *key: int) -> Any:  # noqa: ANN401
        """Call the function with the generator of its key, or in a seeded fork of the state."""
        theta = theta.clone()  # the function may write to it
        argument = theta.numpy() if self.signature.numpy_theta else theta
        if not self.signature.rng:
            with isolated(child(seed, *key)):
                return self.simulate(argument)
        rng = (torch_rng if self.signature.torch_rng else numpy_rng)(seed, *key)
        if self.signature.keyword is None:
            return self.simulate(argument, rng)
        return self.simulate(argument, **{self.signature.keyword: rng})


def simulator(
    *,
    prior: object,
    batched: bool = True,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
    x_obs: object = None,
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
        simulate, prior=prior, batched=batched, name=name, units=units, x_obs=x_obs
    )


def as_simulator(obj: object) -> Simulator:
    """Return a simulator itself, or a module or object with `prior` and `simulate` as one.

    Its attributes `batched`, `units` and `x_obs` are used where it has them.

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
    )
