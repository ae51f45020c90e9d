"""Calls of a user's function for rows of data: seeded, repeated for trials, checked, summarised."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lfi.runtime.seeds import child, numpy_rng, reseed, torch_rng
from lfi.simulation.records.results import InvalidOutput, as_x
from lfi.simulation.simulators.signature import Signature, source_text


@dataclass(frozen=True)
class SimulatorFunction:
    """A user's function and how to call it; the attributes are those of `Simulator`."""

    simulate: Callable[..., Any]
    signature: Signature
    batched: bool
    trials: int | None
    summary: Callable[[Tensor], Tensor] | None
    name: str

    def batch(self, theta: Tensor, graph: bool, seed: int, *key: int) -> Tensor:
        """Return x of a batch, (n, D) to (n, *event), by one call of a batched function."""
        called = theta if self.trials is None else theta.repeat_interleave(self.trials, 0)
        call = self._bound(called.clone(), seed, *key)  # the function may write to theta
        return self._summarised(self._checked(theta, as_x(call(), graph=graph)), graph)

    def row(self, theta: Tensor, graph: bool, seed: int, *key: int) -> Tensor:
        """Return x of one vector, (D,) to (*event); the function may write to theta."""
        if self.batched:
            return self.batch(theta[None], graph, seed, *key)[0]
        if graph or not self.signature.numpy_first:
            return self._one(theta, graph, seed, *key)
        try:
            return self._one(theta.clone(), graph, seed, *key, array=True)
        except (AttributeError, TypeError) as error:  # perhaps a function of tensors
            try:
                return self._one(theta, graph, seed, *key)
            except Exception:
                raise error from None

    def _one(self, theta: Tensor, graph: bool, seed: int, *key: int, array: bool = False) -> Tensor:
        """Return x of one vector, by a function of one, which gets an array if asked for."""
        call = self._bound(theta, seed, *key, array=array)
        if self.trials is None:
            x = as_x(call(), graph=graph)
        else:
            x = torch.stack([as_x(call(), graph=graph) for _ in range(self.trials)])
        return x if self.summary is None else self._summarised(x[None], graph)[0]  # views take time

    def _summarised(self, x: Tensor, graph: bool) -> Tensor:
        """Return the summaries of a batch, x itself where there are none."""
        if 0 in x.shape[1:]:
            raise InvalidOutput(
                f"{self.name} returned x of shape {tuple(x.shape[1:])} a row: it has no entries"
            )
        if self.summary is None:
            return x
        summaries = as_x(_once(partial(self.summary, x)), graph=graph)
        if summaries.shape[:1] != x.shape[:1]:
            raise InvalidOutput(
                f"summary returned shape {tuple(summaries.shape)} for x of shape "
                f"{tuple(x.shape)}: it takes a batch and must keep its rows"
            )
        return summaries

    def _checked(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return x of a batch, with an axis for trials where there are any."""
        rows = len(theta) * (self.trials or 1)
        if x.shape[:1] != (rows,):
            called = f"theta of shape ({rows}, {theta.shape[1]})"
            raise InvalidOutput(
                f"{self.name} returned x of shape {tuple(x.shape)} for {called}: "
                f"expected {rows} rows"
                + ("; batched=False wraps a function of one vector" if x.shape[:1] != (1,) else "")
            )
        return x if self.trials is None else x.reshape(len(theta), self.trials, *x.shape[1:])

    def _bound(self, theta: Tensor, seed: int, *key: int, array: bool = False) -> Callable[[], Any]:
        """Return the function of theta, with a generator or after seeding the global state."""
        argument = theta.detach().numpy() if array or self.signature.numpy_theta else theta
        if not self.signature.rng:
            reseed(child(seed, *key))
            return partial(_once, partial(self.simulate, argument))
        rng = (torch_rng if self.signature.torch_rng else numpy_rng)(seed, *key)
        if self.signature.keyword is None:
            return partial(_once, partial(self.simulate, argument, rng))
        return partial(_once, partial(self.simulate, argument, **{self.signature.keyword: rng}))


def _once(call: Callable[[], object]) -> object:
    """Return what a user's function returns, to the process that called it and to no other.

    A function that forks may return in the new process too, where it would go on with this run; and
    one that ends Python, by SystemExit or another exception that is no error, ends its row only.
    """
    process = os.getpid()
    try:
        return call()
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except SystemExit as error:
        raise RuntimeError(f"simulate called sys.exit({error})") from error
    except BaseException as error:
        raise RuntimeError(f"simulate raised {error!r}") from error
    finally:
        if os.getpid() != process:
            os._exit(0)


@dataclass(frozen=True)
class ComposedSummaries:
    """Summary statistics of summary statistics."""

    first: Callable[[Tensor], Tensor]
    then: Callable[[Tensor], Tensor]

    @property
    def fingerprint(self) -> str:
        """The text that identifies both."""
        return source_text(self.first) + source_text(self.then)

    def __call__(self, x: Tensor) -> Tensor:
        """Return then(first(x))."""
        return self.then(self.first(x))
