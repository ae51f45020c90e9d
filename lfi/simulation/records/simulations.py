"""Simulations: parameters, data, status of each row, and the prior they were drawn from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, row_numbers
from lfi.numerics.checks import check_whole
from lfi.runtime.display import Described
from lfi.runtime.screens import aligned
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.records.exports import to_arviz, to_pandas, to_xarray
from lfi.simulation.records.results import OK, STATUS, as_data, counted_status, results_of_batch

if TYPE_CHECKING:
    import pandas


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Simulations(Described):
    """Simulated parameters and data; rows that failed are kept, with their status.

    Attributes:
        theta: Parameters, in the prior's dtype.
        x: Data; NaN in rows that raised.
        codes: The rows' status, an index into ok, nonfinite, error, timeout.
        prior: What theta was drawn from.
        seed: The run's seed.
        errors: The messages of rows that raised, by row.
        source: The simulator's name.
        trials: How many independent draws x holds for each theta, along its second axis; None where
            x is one draw.
        missing: Whether entries of valid rows may be missing, NaN: see `lfi.with_missing`.

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
    trials: int | None = None
    missing: bool = False

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, minimum=0)
        check_whole("trials", self.trials, optional=True)
        if self.trials is not None and self.x.shape[1:2] != (self.trials,):
            raise ValueError(
                f"trials is {self.trials}, so that x must be (n, {self.trials}, *event), got shape "
                f"{tuple(self.x.shape)}"
            )
        for name, rows in (("x", self.x), ("codes", self.codes)):
            if len(rows) != len(self.theta):
                raise ValueError(
                    f"{name} has {len(rows)} rows, and theta has {len(self.theta)}: there must be "
                    "one for each theta"
                )
        if self.codes.ndim != 1 or (self.codes >= len(STATUS)).any():
            raise ValueError(
                f"codes must be one for each row and below {len(STATUS)}, got shape "
                f"{tuple(self.codes.shape)}, the largest {self.codes.max().item()}"
            )
        as_sample("theta", self.theta)
        if self.theta.shape[1:] != (self.prior.dim,):
            raise ValueError(
                f"theta must have {self.prior.dim} columns ({', '.join(self.names)}), "
                f"got shape {tuple(self.theta.shape)}"
            )

    @staticmethod
    @checked
    def from_arrays(
        theta: Samples, x: Samples, *, prior: object, trials: int | None = None
    ) -> "Simulations":
        """Return simulations made elsewhere.

        Args:
            theta: Parameters, (n, D): a tensor, a NumPy array, a list or a data frame, whose
                columns are taken by the parameters' names where it has them.
            x: Data, (n, *event); rows that are not finite count as failed.
            prior: What theta was drawn from, as `as_prior` takes it.
            trials: How many independent draws x holds for each theta, (n, trials, *event); None
                where x is one draw, such as a series.

        Raises:
            TypeError: If theta or x are not real numbers.
            ValueError: If the shapes do not belong together.
        """
        prior = as_prior(prior)
        theta = _inside("theta", prior.as_theta(theta).detach().to("cpu", prior.dtype), prior)
        x = as_data("x", x)
        if 0 in x.shape[1:]:
            raise ValueError(f"x has shape {tuple(x.shape)}: its events have no entries")
        if x.shape[:1] != theta.shape[:1]:
            raise ValueError(
                f"theta and x must have as many rows as each other; got shapes "
                f"{tuple(theta.shape)} and {tuple(x.shape)}"
            )
        codes = results_of_batch(x).codes
        return Simulations(theta, x, codes, prior, source="arrays", trials=trials)

    @staticmethod
    @checked
    def open(path: str | Path, *, prior: object = None) -> "Simulations":
        """Return what a store holds, read into memory.

        Args:
            path: The folder that `simulate(..., store=path)` wrote.
            prior: The prior, where the store could not name it.

        Raises:
            StoreError: If there is no such store, or it is damaged.
        """
        from lfi.simulation.records.store import Store  # zarr is imported where it is used

        known = None if prior is None else as_prior(prior)
        return Simulations(*Store.open(path).read(prior=known))

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

    def ok(
        self, *, missing: bool = False
    ) -> tuple[Float[Tensor, "m dim"], Float[Tensor, " m *event"]]:
        """Return theta and x of the rows that are ok; ValueError if entries of x may be missing.

        With `missing` they may be.
        """
        if self.missing and not missing:
            raise ValueError(
                "simulations: entries of x are missing, and complete ones are needed here: take "
                "simulations without lfi.with_missing. lfi.PosteriorFlow, NeuralRatio, "
                "AdversarialPosterior and the default of lfi.fit_posterior take missing ones"
            )
        return self.theta[self.valid], self.x[self.valid]

    def __len__(self) -> int:
        return len(self.theta)

    @overload
    def __getitem__(self, rows: str) -> Float[Tensor, " n"]: ...

    @overload
    def __getitem__(self, rows: slice | int | Samples) -> "Simulations": ...

    @checked
    def __getitem__(self, rows: slice | int | str | Samples) -> "Simulations | Tensor":
        """Return the column of one parameter, or some of the rows, failed ones included.

        Args:
            rows: A parameter's name gives its values, (n,); a slice, a number, numbers of rows or
                a mask, (n,), give simulations.

        Raises:
            KeyError: If there is no parameter of a name.
            IndexError: If there is no row of a number.
            ValueError: If a mask is not of one value for each row.

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 100, seed=1)
            >>> fast = simulations[simulations["beta"] > 2.0]
            >>> bool((fast["beta"] > 2.0).all()), len(simulations[[4, 2]]), len(simulations[:10])
            (True, 2, 10)
        """
        if isinstance(rows, str):
            if rows not in self.names:
                raise KeyError(f"no parameter {rows!r} among {', '.join(self.names)}")
            return self.theta[:, self.names.index(rows)]
        return self._rows(row_numbers(rows, len(self)), self.prior)

    @checked
    def __add__(self, other: "Simulations") -> "Simulations":
        """Return these rows, then the others; ValueError if priors or shapes of x differ."""
        if self.prior.fingerprint != other.prior.fingerprint:
            raise ValueError(
                f"simulations of {self.prior!r} and of {other.prior!r} do not add up: they were "
                "drawn from different priors; see Simulations.within"
            )
        if self.x.shape[1:] != other.x.shape[1:]:
            raise ValueError(
                f"simulations of x of shape {tuple(self.x.shape[1:])} and of "
                f"{tuple(other.x.shape[1:])} do not add up"
            )
        pairs = (self.theta, other.theta), (self.x, other.x), (self.codes, other.codes)
        errors = self.errors | {len(self) + row: text for row, text in other.errors.items()}
        theta, x, codes = (torch.cat(pair) for pair in pairs)
        trials = self.trials if self.trials == other.trials else None
        parts = theta, x, codes, self.prior, self.seed, errors, self.source, trials
        return Simulations(*parts, self.missing or other.missing)

    @checked
    def within(self, prior: Prior) -> "Simulations":
        """Return the rows inside a narrower prior: this one, truncated.

        Draws of a prior that fall between bounds are draws of the truncated prior, and x is drawn
        given theta, so that these rows are distributed as new ones from `prior`.

        Example:
            >>> prior = {"mean": torch.distributions.Uniform(0.0, 1.0)}
            >>> wrapped = lfi.Simulator(lambda theta: theta + 1, prior=prior)
            >>> simulations = lfi.simulate(wrapped, 1_000, seed=1)
            >>> narrow = simulations.prior.truncate([0.25], [0.5])
            >>> bool((simulations.within(narrow).theta < 0.5).all())
            True
        """
        return self._rows(torch.where(prior.contains(self.theta))[0], prior)

    @checked
    def marginal(self, names: Sequence[str]) -> "Simulations":
        """Return the simulations of some of the parameters, in the order asked for.

        The others have been drawn from their prior, so that whatever is fitted has them integrated
        out: posteriors, ratios and likelihoods are those of the named parameters.

        Raises:
            ValueError: If a name is unknown, or the parameters are not independent a priori.

        References:
            Miller, Cole, Forre, Louppe & Weniger, Truncated marginal neural ratio estimation, 2021.
            arXiv:2107.01214

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 10, seed=1).marginal(["gamma"])
            >>> simulations.names, simulations.theta.shape
            (('gamma',), torch.Size([10, 1]))
        """
        prior = self.prior.marginal(names)
        columns = [self.names.index(name) for name in prior.names]
        return replace(self, theta=self.theta[:, columns].to(prior.dtype), prior=prior)

    def _rows(self, index: Tensor, prior: Prior) -> "Simulations":
        """Return some of the rows, as draws of a prior."""
        rows = enumerate(index.tolist())
        errors = {new: self.errors[old] for new, old in rows if old in self.errors}
        parts = self.theta[index], self.x[index], self.codes[index]
        facts = prior, self.seed, errors, self.source, self.trials, self.missing
        return Simulations(*parts, *facts)

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return theta (n, D), x (n, *event), status (n,) and names (D,), failed rows included.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> made = lfi.Simulations.from_arrays([[0.5], [1.0]], [[1.0], [2.0]], prior=prior)
            >>> {key: value.shape for key, value in made.to_numpy().items()}
            {'theta': (2, 1), 'x': (2, 1), 'status': (2,), 'names': (1,)}
        """
        return {
            "theta": self.theta.numpy(),
            "x": self.x.numpy(),
            "status": self.status,
            "names": np.array(self.names),
        }

    def to_xarray(self) -> object:
        """Return an `xarray.Dataset` along `sample`: each parameter, x and status.

        A parameter called x, status, sample or like an axis of x (x_0) is theta_x there, and so on.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> made = lfi.Simulations.from_arrays([[0.5], [1.0]], [[1.0], [2.0]], prior=prior)
            >>> made.to_xarray()["mean"].values.tolist()
            [0.5, 1.0]
        """
        facts = {"source": self.source, "seed": self.seed}
        return to_xarray(self.theta, self.x, self.status, self.names, facts)

    def to_arviz(self) -> object:
        """Return the valid rows as ArviZ's groups prior and prior_predictive.

        How many rows failed, and so are left out, is in the attributes.
        """
        facts = {"source": self.source, "seed": self.seed, "failed": int((~self.valid).sum())}
        return to_arviz(*self.ok(missing=True), self.names, facts)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a data frame of pandas: parameters, entries of x, and status; failed rows too.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> made = lfi.Simulations.from_arrays([[0.5]], [[1.0, 2.0]], prior=prior)
            >>> list(made.to_pandas().columns)
            ['mean', 'x[0]', 'x[1]', 'status']
        """
        return to_pandas(self.theta, self.x, self.status, self.names)

    def describe(self) -> str:
        """Return how many, of what, how many failed, the most frequent error, and the ranges."""
        line = (
            f"{len(self):,} simulations{f' of {self.source}' * bool(self.source)} "
            f"({counted_status(self.codes)}), theta {tuple(self.theta.shape)}, "
            f"x {tuple(self.x.shape)}, seed {self.seed}"
        )
        messages = Counter(self.errors.values()).most_common(1)
        errors = [f"{n:,} times: {text}" for text, n in messages]
        return "\n".join([line, *errors, *aligned(self._table())])

    def _table(self) -> list[tuple[object, ...]]:
        """Return mean, standard deviation and range of each parameter, and of all entries of x."""
        if not len(self):
            return []
        finite = self.x[self.x.isfinite()]
        columns = [*zip(self.names, self.theta.double().T, strict=True)]
        columns += [("x, all entries", finite.double())] if len(finite) else []
        moments = [(name, v.mean(), v.std(correction=0), v.min(), v.max()) for name, v in columns]
        rows = [(name, *(f"{float(value):.4g}" for value in values)) for name, *values in moments]
        return [("parameter", "mean", "sd", "min", "max"), *rows]


def _inside(name: str, theta: Float[Tensor, "n dim"], prior: Prior) -> Float[Tensor, "n dim"]:
    """Return a copy of theta, moved off the bounds of the prior's support.

    Draws are never on them, but data made elsewhere may be. ValueError if a row is outside.
    """
    moved = torch.maximum(theta, torch.nextafter(prior.lower, prior.upper))
    moved = torch.minimum(moved, torch.nextafter(prior.upper, prior.lower))
    outside = ((theta < prior.lower) | (theta > prior.upper)).any(1) | ~prior.contains(moved)
    if outside.any():
        first = int(outside.nonzero()[0])
        raise ValueError(
            f"{name}: {int(outside.sum())} of {len(theta)} rows are outside the prior's support, "
            f"the first is row {first}, {theta[first].tolist()}"
        )
    return moved
