"""Independent draws of a posterior that can be drawn from directly, such as a flow."""

import time
from dataclasses import dataclass

from lfi.inference.draws import Draws
from lfi.inference.samplers.target import Target
from lfi.runtime import fresh, torch_rng


@dataclass(frozen=True)
class Direct:
    """Independent draws from a target's own proposal, where that is the posterior itself."""

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each posterior, as a `Sampler`; ValueError without a proposal."""
        if target.proposal is None:
            raise ValueError("target: there is no proposal to draw from")
        seed, begin = fresh(seed), time.monotonic()
        theta = target.proposal.draw(n, target.proposal.x, torch_rng(seed))
        return tuple(
            Draws(
                theta=rows,
                names=target.prior.names,
                sampler="flow",
                ess=float(n),
                proposals=n,
                seconds=time.monotonic() - begin,
                seed=seed,
            )
            for rows in theta
        )
