"""Reading a store of simulations on disk, a Zarr 3 group.

    theta, x, status    arrays in chunks of 1,024 rows, each chunk with a checksum
    attributes          their provenance: format, seed, names, prior, simulator, versions
    finished.json       how many rows are complete, and how long errors.jsonl is
    errors.jsonl        the messages of rows that raised, a line each
    lock                held by the process that writes

Only complete rows are read, and every chunk of them must be there and intact.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.records.results import BLOCK, ResultsBuffer

FORMAT = 1


class StoreError(ValueError):
    """A store that cannot be used as asked for; the message says what to do."""


@dataclass(frozen=True)
class Store:
    """A store of simulations, opened for reading."""

    path: Path
    attributes: dict[str, Any]
    finished: int  # complete rows
    errors_size: int  # bytes of errors.jsonl that belong to them

    @staticmethod
    def open(path: str | Path) -> "Store":
        """Return the store in a folder; StoreError if there is none, or it is damaged."""
        path = Path(path)
        if not (path / "finished.json").is_file():
            raise StoreError(f"{path} is not a store of simulations: give the folder of one")
        try:
            attributes = dict(zarr.open_group(path, mode="r", zarr_format=3).attrs)["lfi"]
            if not isinstance(attributes, dict):
                raise TypeError("attributes of lfi are not a dictionary")
            count = json.loads((path / "finished.json").read_text())
            store = Store(path, attributes, int(count["finished"]), int(count["errors_size"]))
            version = attributes["format"]
            _ = attributes["seed"], attributes["simulator"], attributes["prior_fingerprint"]
            for name in ("theta", "x", "status") if store.finished else ():
                rows = zarr.open_array(path / name, mode="r", zarr_format=3).shape[0]
                if rows < store.finished:
                    raise ValueError(f"{rows} rows of {name}, {store.finished} counted")
        except PermissionError as error:
            raise StoreError(f"store {path} cannot be read: {error}") from error
        except Exception as error:  # Zarr has many kinds
            raise _damaged(path, f"has damaged metadata ({error!r})") from error
        if version != FORMAT:
            writer = store.attributes.get("versions", {}).get("lfi")
            raise StoreError(
                f"store {path} has format {version}, this version of lfi reads {FORMAT}: use the "
                f"lfi that wrote it ({writer})"
            )
        return store

    def read(
        self, n: int | None = None, *, prior: object = None
    ) -> tuple[Tensor, Tensor, Tensor, Prior, int, dict[int, str], str, int | None]:
        """Return the first n rows, all if None: the fields of a `Simulations`.

        A store that could not name its prior needs it. StoreError for another one, or damaged rows.
        """
        n = self.finished if n is None else min(n, self.finished)
        if n == 0:
            raise StoreError(f"store {self.path} is empty: simulate into it first")
        prior = self._prior(prior)
        theta, x, codes = (self._read(name, n) for name in ("theta", "x", "status"))
        errors = {row: text for row, text in self._errors() if row < n}
        name, seed = self.attributes["name"], self.attributes["seed"]
        return theta, x, codes, prior, seed, errors, name, self.attributes.get("trials")

    def rows(self) -> ResultsBuffer:
        """Return an empty container for rows like those that are there already."""
        if self.finished == 0:
            return ResultsBuffer()
        first = self._read("x", 1)
        return ResultsBuffer(first.shape[1:], first.dtype)

    def _prior(self, prior: object) -> Prior:
        spec = self.attributes["prior"]
        if prior is not None:
            prior = as_prior(prior)
        elif spec is None:
            raise StoreError(
                f"store {self.path} could not name its prior: pass it, "
                "Simulations.open(path, prior=...)"
            )
        else:
            try:
                prior = Prior._restore(spec)
            except ValueError as error:
                raise StoreError(f"store {self.path}: {error}; pass prior=...") from error
        if prior.fingerprint != self.attributes["prior_fingerprint"]:
            raise StoreError(
                f"store {self.path} was drawn from another prior than {prior!r}: pass the one that "
                "it was made with"
            )
        return prior

    def part(self, begin: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return theta, x and codes of rows from `begin` to `end`, read now."""
        if not 0 <= begin <= end <= self.finished:
            rows = f"rows {begin} to {end}: {self.finished} count"
            raise StoreError(f"store {self.path} has no {rows}")
        theta, x, codes = (self._read(name, end, begin) for name in ("theta", "x", "status"))
        return theta, x, codes

    def _read(self, name: str, n: int, begin: int = 0) -> Tensor:
        """Return rows up to n; Zarr alone would take a missing chunk for an empty one."""
        try:
            array = zarr.open_array(self.path / name, mode="r", zarr_format=3)
            if array.shape[0] < n or array.chunks != (BLOCK, *array.shape[1:]):
                raise ValueError(f"shape {array.shape} in chunks of {array.chunks}")
            rest = "/0" * (array.ndim - 1)
            for i in range(begin // BLOCK, -(-n // BLOCK)):
                if not (self.path / name / f"c/{i}{rest}").is_file():
                    raise FileNotFoundError(f"chunk {i} is missing")
            return torch.from_numpy(np.asarray(array[begin:n]))
        except Exception as error:  # Zarr and its codecs have many kinds
            raise _damaged(self.path, f"is damaged ({name}: {error})") from error

    def _errors(self) -> list[tuple[int, str]]:
        try:
            lines = (self.path / "errors.jsonl").read_bytes()[: self.errors_size].splitlines()
            return [(int(row), str(text)) for row, text in map(json.loads, lines)]
        except (OSError, ValueError, TypeError) as error:
            raise _damaged(self.path, f"has a damaged errors.jsonl ({error})") from error


def _damaged(path: Path, how: str) -> StoreError:
    advice = "restore it from a copy, or delete the folder and simulate again"
    return StoreError(f"store {path} {how}: {advice}")
