"""Simulators whose random numbers are known: functions of parameters and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.distributions import Distribution

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_callable
from lfi.numerics.noise_law import NoiseLaw, as_noise_law
from lfi.simulation.simulators.names import own_name
from lfi.simulation.simulators.signature import source_text


@checked
@dataclass(frozen=True, eq=False)
class Pushforward:
    """x = G(theta, u), of noise u whose law is known: what an `lfi.Simulator` may be made of.

    So it is known which noise a simulation came from, and simulations can be weighed by it
    (`lfi.discrepancies.OptimalWeights`).

    Attributes:
        function: G, of parameters (n, dim) and noise (n, d), or of one vector of both.
        noise: The law of u: a Normal or Uniform distribution of torch, of a number or a vector, or
            one for each entry of u.

    Example:
        >>> from torch.distributions import Normal, Uniform
        >>> G = lfi.simulation.Pushforward(lambda theta, u: -u.log() * theta, Uniform(0.0, 1.0))
        >>> waiting = lfi.Simulator(G, prior={"mean": Uniform(0.0, 9.0)}, differentiable=True)
        >>> waiting(torch.ones(4, 1), seed=1).shape
        torch.Size([4, 1])
    """

    function: Callable[..., Any]
    noise: Distribution | Sequence[Distribution]

    def __post_init__(self) -> None:
        check_callable("function", self.function, "a function of theta and noise")
        as_noise_law(self.noise)

    @property
    def __name__(self) -> str:
        return own_name(self.function)

    @property
    def fingerprint(self) -> str:
        """The text that identifies the function and its noise."""
        return source_text(self.function) + repr(self.law)

    @property
    def law(self) -> NoiseLaw:
        """The law of each entry of the noise."""
        return as_noise_law(self.noise)

    def __call__(self, theta: Tensor, rng: torch.Generator) -> Shaped[Tensor, "..."]:
        """Return G(theta, u) of new noise."""
        return self.with_noise(theta, rng)[0]

    def with_noise(self, theta: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return G(theta, u) of new noise, and the noise, (n, d), or (d,) for one vector."""
        u = self.law.sample(theta.shape[:-1], rng, theta.dtype)
        return torch.as_tensor(self.function(theta, u)), u
