"""Online training: batches of pairs that are simulated while a critic trains, each used once.

They are made by whole chunks, in the simulator's own batches, and only the valid ones are kept.
"""

import torch
from torch import Tensor

from lfi.runtime import child, numpy_rng
from lfi.simulation import Simulator, replicate
from lfi.training import Batch

CHUNK = 32  # batches that are simulated at a time
MIN_VALID = 0.01  # the share of valid simulations in a chunk below which training ends


class OnlineBatches:
    """Batches of new simulations; training never draws `held_out`, and `made` counts simulations.

    Example:
        >>> from torch.distributions import Normal
        >>> simulator = lfi.Simulator(lambda theta: theta + 1, prior={"a": Normal(0.0, 1.0)})
        >>> batches = OnlineBatches(simulator, None, size=8, seed=1)
        >>> theta, x = batches.draw(torch.Generator())
        >>> torch.allclose(x, theta + 1), batches.made
        (True, 256)
    """

    def __init__(
        self,
        simulator: Simulator,
        held_out: Batch | None,
        *,
        size: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.simulator: Simulator = simulator
        self.size: int = size
        self.seed: int = seed
        self.device: str = device
        self.held_out: Batch | None = held_out and tuple(tensor.to(device) for tensor in held_out)
        self.rows: Batch = (torch.empty(0), torch.empty(0))
        self.position: int = 0
        self.made: int = 0
        self.chunks: int = 0

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next `size` valid ones; RuntimeError if under 1 in 100 is valid."""
        while self.position + self.size > len(self.rows[0]):
            left = tuple(tensor[self.position :] for tensor in self.rows)
            theta, x = self._chunk()
            new = theta.to(self.device), x.to(self.device)
            self.rows = (
                new
                if len(left[0]) == 0
                else tuple(torch.cat(pair) for pair in zip(left, new, strict=True))
            )
            self.position = 0
        rows = slice(self.position, self.position + self.size)
        self.position += self.size
        return tuple(tensor[rows] for tensor in self.rows)

    def _chunk(self) -> tuple[Tensor, Tensor]:
        """Return the valid ones of a chunk of new simulations."""
        n = CHUNK * self.size
        theta = self.simulator.prior.sample(n, seed=numpy_rng(self.seed, self.chunks))
        x = replicate(self.simulator, theta, seed=child(self.seed, 0, self.chunks))
        self.chunks, self.made = self.chunks + 1, self.made + n
        valid = x.reshape(len(x), -1).isfinite().all(1)
        if valid.double().mean() < MIN_VALID:
            raise RuntimeError(
                f"{self.simulator.name}: {int(valid.sum())} of {n} simulations were valid, too few "
                "for online training: simulate first, and narrow the prior to where it runs"
            )
        return theta[valid], x[valid]
