"""Batches from a store that is larger than memory.

A buffer of some chunks of 1,024 rows, in a random order that is new in each epoch, is in memory at
a time; batches are drawn from it without replacement until it is used up. Rows of a store are
independent, so it is a random sample; every valid row is drawn once an epoch.
"""

from pathlib import Path

import torch
from torch import Tensor

from lfi.simulation.records.results import BLOCK, OK
from lfi.training.batches import Batch


class StreamedBatches:
    """Batches (theta, x) for `lfi.training.fit`, read from a store as they are needed.

    `held_out` rows, from the last chunks, are never drawn (None if none are asked for).

    Example:
        >>> import tempfile
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     simulations = lfi.simulate(noisy, 5_000, seed=1, store=folder + "/runs")
        ...     batches = StreamedBatches(folder + "/runs", size=256, held_out=500)
        ...     theta, x = batches.draw(torch.Generator().manual_seed(0))
        >>> theta.shape, x.shape, len(batches.held_out[0])
        (torch.Size([256, 1]), torch.Size([256, 3]), 500)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: int,
        held_out: int = 0,
        buffer: int = 64,
        device: str = "cpu",
    ) -> None:
        """Open a store; StoreError if there is none or it is damaged.

        `size` is rows of a batch, `held_out` rows to hold out, `buffer` chunks of 1,024 rows in
        memory, `device` where batches go. ValueError if too few rows are valid.
        """
        from lfi.simulation.records.store import Store  # zarr is imported where it is used

        self.store: Store = Store.open(path)
        self.rows: int = self.store.finished
        self.size: int = size
        self.device: str = device
        chunks = list(range(-(-self.rows // BLOCK)))
        held: list[Batch] = []
        while sum(len(part[0]) for part in held) < held_out and chunks:
            held.append(self._read(chunks.pop()))
        joined = tuple(torch.cat(parts) for parts in zip(*held, strict=True))
        self.held_out: Batch | None = tuple(t[:held_out].to(device) for t in joined) or None
        self.spare: Batch = tuple(t[held_out:] for t in joined)  # left of the last held-out chunk
        self.chunks: Tensor = torch.tensor(chunks)
        self.buffer_chunks: int = buffer
        self.order: Tensor = torch.empty(0, dtype=torch.long)
        self.buffer: Batch | None = None
        self.position: int = 0
        if size < 1 or self.rows - held_out < size or not chunks:
            raise ValueError(
                f"size: a batch of {size} cannot be drawn from {self.rows:,} rows of which "
                f"{held_out:,} are held out"
            )

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch."""
        empty = 0
        while self.buffer is None or self.position + self.size > len(self.buffer[0]):
            before = None if self.buffer is None else tuple(t[self.position :] for t in self.buffer)
            self._refill(rng, before)
            empty += 1
            if empty > 2 * len(self.chunks) + 2:
                raise ValueError(f"{self.store.path} has fewer than {self.size} valid rows")
        rows = slice(self.position, self.position + self.size)
        self.position += self.size
        return tuple(tensor[rows].to(self.device) for tensor in self.buffer)

    def _refill(self, rng: torch.Generator, before: Batch | None) -> None:
        """Read the next chunks, and shuffle their rows with those that are left."""
        parts = [] if before is None else [before]
        if len(self.order) == 0:  # another epoch
            self.order = self.chunks[torch.randperm(len(self.chunks), generator=rng)]
            parts += [self.spare] if self.spare else []
        now, self.order = self.order[: self.buffer_chunks], self.order[self.buffer_chunks :]
        parts += [self._read(int(chunk)) for chunk in now]
        joined = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
        mixed = torch.randperm(len(joined[0]), generator=rng)
        self.buffer, self.position = tuple(tensor[mixed] for tensor in joined), 0

    def _read(self, chunk: int) -> tuple[Tensor, Tensor]:
        """Return theta and x of the valid rows of a chunk."""
        theta, x, codes = self.store.part(chunk * BLOCK, min((chunk + 1) * BLOCK, self.rows))
        return theta[codes == OK], x[codes == OK]
