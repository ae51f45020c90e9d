"""Simulators that return their noise beside what they simulate."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.noise_law import NoiseLaw
from lfi.simulation import Pushforward, Simulator


def law_of(simulator: Simulator) -> NoiseLaw:
    """Return the law of a simulator's noise; ValueError if it is not known of each data point."""
    return _pushforward_of(simulator).law


def _pushforward_of(simulator: Simulator) -> Pushforward:
    if not isinstance(simulator.simulate, Pushforward):
        raise ValueError(
            f"weights: the noise of {simulator.name} is not known: make the simulator of an "
            "lfi.simulation.Pushforward(function, noise)"
        )
    if simulator.trials is not None:
        raise ValueError(
            f"weights: {simulator.name} draws trials={simulator.trials} data points at a time, of "
            "which each has its own noise: leave trials None"
        )
    return simulator.simulate


def with_noise_beside(simulator: Simulator) -> Simulator:
    """Return a simulator of x, flattened, and the noise that it comes from."""
    return Simulator(
        _NoiseBeside(_pushforward_of(simulator), simulator.summary),
        prior=simulator.prior,
        batched=simulator.batched,
        name=simulator.name,
        differentiable=simulator.differentiable,
    )


@dataclass(frozen=True, eq=False)
class _NoiseBeside:
    """A function of theta that returns x and noise, of a batch or of one vector."""

    pushforward: Pushforward
    summary: Callable[[Tensor], Tensor] | None

    @property
    def fingerprint(self) -> str:
        return self.pushforward.fingerprint

    def __call__(self, theta: Tensor, rng: torch.Generator) -> Float[Tensor, "..."]:
        """Return them in one vector."""
        x, u = self.pushforward.with_noise(theta, rng)
        lead = u.shape[:-1]
        x, u = x.reshape(-1, *x.shape[len(lead) :]), u.reshape(-1, u.shape[-1])
        x = x if self.summary is None else self.summary(x)
        return torch.cat([x.flatten(1) if x.ndim > 1 else x[:, None], u], dim=1).reshape(*lead, -1)
