"""Simulations: parameters, data, what became of each row, and the prior they were drawn from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lfi.simulation.outcomes import OK, STATUS, as_x, whole
from lfi.simulation.priors import Prior, as_prior


@dataclass(frozen=True, eq=False)
class Simulations:
    """The record of a run; rows that failed stay in it.

    Attributes:
        theta: Parameters, in the prior's dtype.
        x: Data; NaN in rows that raised.
        codes: The rows' status, an index into ok, nonfinite, error, timeout.
        prior: What theta was drawn from.
        seed: The run's seed.
        errors: The messages of rows that raised, by row.
        source: What made them: the simulator's name.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> wrapped = lfi.Simulator(lambda theta: theta.log(), prior=prior, name="log")
        >>> simulations = lfi.simulate(wrapped, 2_000, seed=1)
        >>> set(simulations[:100].status.tolist()) == {"ok", "nonfinite"}
        True
    """

    theta: Float[Tensor, "n dim"]
    x: Float[Tensor, " n *event"]
    codes: UInt8[Tensor, " n"]
    prior: Prior
    seed: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if self.theta.shape[1:] != (self.prior.dim,):
            raise ValueError(
                f"theta must have {self.prior.dim} columns ({', '.join(self.names)}), "
                f"got shape {tuple(self.theta.shape)}"
            )

    @staticmethod
    def from_arrays(theta: object, x: object, *, prior: object) -> "Simulations":
        """Return a record of simulations made elsewhere, theta (n, D) and x (n, *event).

        Raises:
            ValueError: If the shapes do not belong together.
        """
        prior = as_prior(prior)
        theta = as_x(theta, prior.dtype).to(prior.dtype)
        if theta.ndim != 2:
            raise ValueError(f"theta must have shape (n, {prior.dim}), got {tuple(theta.shape)}")
        outcome = whole(as_x(x, prior.dtype))
        if len(outcome) != len(theta):
            raise ValueError(
                f"theta and x must have as many rows as each other; got shapes "
                f"{tuple(theta.shape)} and {tuple(outcome.x.shape)}"
            )
        return Simulations(theta, outcome.x, outcome.codes, prior, source="arrays")

    @staticmethod
    def open(path: str | Path, *, prior: object = None) -> "Simulations":
        """Return what a store holds, read into memory.

        Args:
            path: The folder that `simulate(..., store=path)` wrote.
            prior: The prior, where the store could not name it.

        Raises:
            StoreError: If there is no such store, or it is damaged.
        """
        from lfi.simulation.store import Store  # zarr is imported where it is used

        return Store.open(path).simulations(prior=prior)

    @property
    def status(self) -> np.ndarray:
        """The rows' status in words: ok, nonfinite, error or timeout."""
        return np.array(STATUS)[self.codes.numpy()]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def valid(self) -> Bool[Tensor, " n"]:
        """Which rows are ok."""
        return self.codes == OK

    def ok(self) -> tuple[Float[Tensor, "m dim"], Float[Tensor, " m *event"]]:
        """Return theta and x of the rows that are ok."""
        return self.theta[self.valid], self.x[self.valid]

    def __len__(self) -> int:
        return len(self.theta)

    def __getitem__(self, rows: slice) -> "Simulations":
        """Return a part of the record.

        Raises:
            TypeError: If `rows` is not a slice.
        """
        if not isinstance(rows, slice):
            raise TypeError(f"simulations[...] takes a slice, got {type(rows).__name__}")
        kept = range(len(self))[rows]
        index = torch.arange(kept.start, kept.stop, kept.step) if kept.step > 0 else list(kept)
        errors = {new: self.errors[old] for new, old in enumerate(kept) if old in self.errors}
        parts = self.theta[index], self.x[index], self.codes[index]
        return Simulations(*parts, self.prior, self.seed, errors, self.source)

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return theta, x, status and names as arrays, failed rows included."""
        from lfi.simulation.exports import to_numpy

        return to_numpy(self)

    def to_xarray(self) -> object:
        """Return an `xarray.Dataset` along `sample`: each parameter, x and status."""
        from lfi.simulation.exports import to_xarray

        return to_xarray(self)

    def to_arviz(self) -> object:
        """Return the valid rows as ArviZ's groups prior and prior_predictive."""
        from lfi.simulation.exports import to_arviz

        return to_arviz(self)

    def summary(self) -> str:
        """Return one line: how many, of what, how many failed."""
        counts = torch.bincount(self.codes.long(), minlength=len(STATUS)).tolist()
        failed = [f"{n:,} {name}" for n, name in zip(counts, STATUS, strict=True) if n]
        return (
            f"{len(self):,} simulations of {self.source} ({', '.join(failed)}), "
            f"theta {tuple(self.theta.shape)}, x {tuple(self.x.shape)}, seed {self.seed}"
        )
