"""Posteriors known by draws that somebody else has made, of some observations only."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arrays import Samples, as_tensor
from lfi.runtime import torch_rng
from lfi.simulation import Prior, Simulations


@dataclass(eq=False)
class KnownDraws:
    """Draws of the posteriors of simulations, for checks of calibration.

    Attributes:
        draws: (m, n, D), n draws of each simulation's posterior.
        x: What the simulations have returned, (m, *event).
        prior: What their parameters were drawn from.
    """

    draws: Float[Tensor, "m n d"]
    x: Float[Tensor, "m ..."]
    prior: Prior
    rows: dict[bytes, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = (row.contiguous().numpy().tobytes() for row in self.x)
        self.rows = {key: i for i, key in enumerate(keys)}

    @classmethod
    def of(cls, draws: Samples, simulations: Simulations) -> "KnownDraws":
        """Return draws of the posteriors of simulations, in their order.

        Args:
            draws: (m, n, D), or a list of m arrays of (n, D).
            simulations: The m simulations.

        Raises:
            ValueError: If they are not of these simulations' number and parameters.
        """
        if isinstance(draws, Sequence):
            parts = [as_tensor("posterior", each) for each in draws]
            if len({part.shape for part in parts}) > 1:
                raise ValueError("posterior: not as many draws of each simulation's posterior")
            theta = torch.stack(parts) if parts else torch.empty(0)
        else:
            theta = as_tensor("posterior", draws)
        m, dim = len(simulations), simulations.prior.dim
        if theta.ndim != 3 or theta.shape[::2] != (m, dim) or theta.shape[1] < 2:
            raise ValueError(
                f"posterior: draws of shape {tuple(theta.shape)}, expected ({m}, n, {dim}): n of "
                f"each of the {m} simulations, of {', '.join(simulations.names)}"
            )
        if not theta.isfinite().all():
            raise ValueError("posterior: draws must be finite")
        return cls(theta.to(simulations.theta.dtype), simulations.x, simulations.prior)

    def sample(self, n: int, x_obs: Samples, *, seed: int | None = None) -> Float[Tensor, "*m n d"]:
        """Return n of the draws of one of the observations, or of several of them.

        Raises:
            ValueError: If an observation is none of them, or there are fewer draws.
        """
        x = as_tensor("x_obs", x_obs).to(self.x.dtype)
        single = x.ndim == self.x.ndim - 1
        have = self.draws.shape[1]
        if n > have:
            raise ValueError(f"draws: {n} asked for, and there are {have} of each observation")
        keys = [row.contiguous().numpy().tobytes() for row in (x[None] if single else x)]
        unknown = sum(key not in self.rows for key in keys)
        if unknown:
            raise ValueError(f"x_obs: draws are known of the simulations' x only, not of {unknown}")
        chosen = torch.randperm(have, generator=torch_rng(seed or 0))[:n]
        drawn = self.draws[[self.rows[key] for key in keys]][:, chosen]
        return drawn[0] if single else drawn
