"""Replicates: data at parameters that are given, rather than drawn from the prior."""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.simulation.outcomes import BLOCK
from lfi.simulation.simulator import Simulator


def replicate(
    simulator: Simulator, theta: Float[Tensor, "n dim"], *, seed: int
) -> Float[Tensor, " n *event"]:
    """Return x for every row of theta, NaN in rows that raised.

    Raises:
        ValueError: If theta has the wrong number of columns or no row.
        RuntimeError: If every row raised; the first error is its cause.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
        >>> replicate(noisy, torch.zeros(3, 1), seed=1).shape
        torch.Size([3, 2])
    """
    if theta.shape[1] != simulator.prior.dim or len(theta) == 0:
        raise ValueError(
            f"theta must hold values of {', '.join(simulator.names)}, "
            f"(n, {simulator.prior.dim}), got shape {tuple(theta.shape)}"
        )
    parts = theta.to("cpu", simulator.prior.dtype).split(BLOCK)
    blocks = [simulator.run_block(rows, seed, b) for b, rows in enumerate(parts)]
    like = next((block.x for block in blocks if block.x is not None), None)
    if like is None:
        raise RuntimeError(
            f"{simulator.name} raised at all of {len(theta)} parameter vectors"
        ) from blocks[0].cause
    return torch.cat(
        [
            like.new_full((len(block), *like.shape[1:]), torch.nan) if block.x is None else block.x
            for block in blocks
        ]
    )
