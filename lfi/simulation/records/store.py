"""Reading a store of simulations on disk, a Zarr 3 group.

    theta, x, status    arrays in chunks of 1,024 rows, each chunk with a checksum
    attributes          their provenance: format, seed, names, prior, simulator, versions
    finished.json       how many rows are complete, how many bytes of errors.jsonl are theirs, and a
                        checksum of this and of what describes the arrays
    errors.jsonl        the messages of rows that raised, a line each
    lock                held by the process that writes

Only complete rows are read, and every chunk of them must be there and intact.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from lfi.numerics.checks import check_whole
from lfi.runtime import check_regular
from lfi.runtime.limits import Limits, check_description
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.records.layout import (
    ARRAYS,
    ArrayLayout,
    TooCompressed,
    check_entries,
    metadata_checksum,
    read_json,
)
from lfi.simulation.records.results import STATUS, ResultsBuffer

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
        if not os.path.lexists(path / "finished.json"):
            raise StoreError(f"{path} is not a store of simulations: give the folder of one")
        try:
            check_entries(path)
            attributes = read_json(path / "zarr.json")["attributes"]["lfi"]
            count = read_json(path / "finished.json")
            known = count.pop("checksum", None)  # which older stores do not have
            store = Store(path, attributes, count["finished"], count["errors_size"])
            version = attributes["format"]
            _ = attributes["simulator"], attributes["prior"]
            for value, kind in (
                *((attributes[name], str) for name in ("name", "prior_fingerprint")),
                *((number, int) for number in (attributes["seed"], *count.values())),
            ):
                if not isinstance(value, kind) or (isinstance(value, int) and value < 0):
                    raise TypeError(f"{value!r} is no {kind.__name__} from 0")
            check_whole("trials", attributes.get("trials"), optional=True)
            for name in ARRAYS if store.finished else ():
                rows = ArrayLayout.of(path / name).shape[0]
                if rows < store.finished:
                    raise ValueError(f"{rows} rows of {name}, {store.finished} counted")
        except PermissionError as error:
            raise StoreError(f"store {path} cannot be read: {error}") from error
        except Exception as error:  # of many kinds
            raise _damaged(path, f"has damaged metadata ({_one_line(error)})") from error
        if version != FORMAT:
            writer = store.attributes.get("versions")
            raise StoreError(
                f"store {path} has format {version}, this version of lfi reads {FORMAT}: use the "
                f"lfi that wrote it ({writer})"
            )
        if known not in (None, metadata_checksum(path, store.finished, store.errors_size)):
            raise _damaged(path, "has damaged metadata (they are not what was written)")
        return store

    def read(
        self, n: int | None = None, *, prior: object = None, trusted: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Prior, int, dict[int, str], str, int | None]:
        """Return the first n rows, all if None: the fields of a `Simulations`.

        A store that could not name its prior needs it. Of a `trusted` one, rows may take however
        much more memory than disk. StoreError for another prior, or damaged rows.
        """
        n = self.finished if n is None else min(n, self.finished)
        if n == 0:
            raise StoreError(f"store {self.path} is empty: simulate into it first")
        prior = self._prior(prior)
        theta, x, codes = (self._read(name, n, trusted=trusted) for name in ARRAYS)
        if theta.ndim != 2 or theta.shape[1] != prior.dim or not theta.isfinite().all():
            raise _damaged(self.path, f"is damaged (theta is not {prior.dim} finite numbers a row)")
        if codes.ndim != 1 or (codes >= len(STATUS)).any():
            raise _damaged(self.path, f"is damaged (status is not a number below {len(STATUS)})")
        errors = {row: text for row, text in self._errors() if row < n}
        name, seed = self.attributes["name"], self.attributes["seed"]
        trials = self.attributes.get("trials")
        if trials is not None and x.shape[1:2] != (trials,):
            raise _damaged(self.path, f"is damaged (x has not {trials} trials)")
        return theta, x, codes, prior, seed, errors, name, trials

    def rows(self) -> ResultsBuffer:
        """Return an empty container for rows like those that are there already."""
        if self.finished == 0:
            return ResultsBuffer()
        first = self._read("x", 1, trusted=True)
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
                check_description(spec, {})
                with Limits({}, spec):
                    prior = Prior._restore(spec)
            except Exception as error:  # of distributions, of many kinds
                text = _one_line(error)
                raise StoreError(f"store {self.path}: {text}; pass prior=...") from error
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
        theta, x, codes = (self._read(name, end, begin) for name in ARRAYS)
        return theta, x, codes

    def _read(self, name: str, n: int, begin: int = 0, *, trusted: bool = False) -> Tensor:
        """Return rows up to n; Zarr alone would take a missing chunk for an empty one."""
        try:
            layout = ArrayLayout.of(self.path / name)
            if layout.shape[0] < n:
                raise ValueError(f"{layout.shape[0]} rows, {n} counted")
            layout.check_chunks(begin, n, trusted=trusted)
            array = zarr.open_array(self.path / name, mode="r", zarr_format=3)
            return torch.from_numpy(np.asarray(array[begin:n]))
        except TooCompressed as error:
            raise StoreError(
                f"store {self.path}: {error}: read a part at a time with "
                "lfi.simulation.StreamedBatches, or call lfi.simulate with its simulator and store="
            ) from error
        except Exception as error:  # Zarr and its codecs have many kinds
            raise _damaged(self.path, f"is damaged ({name}: {_one_line(error)})") from error

    def messages(self) -> Path:
        """Return the file of messages; StoreError if it is not there or cut short."""
        path = self.path / "errors.jsonl"
        try:
            if check_regular(path) < self.errors_size:
                raise ValueError("it is cut short")
        except Exception as error:
            raise self._damaged_messages(error) from error
        return path

    def _errors(self) -> list[tuple[int, str]]:
        path = self.messages()
        try:
            with path.open("rb") as file:
                lines = file.read(self.errors_size).splitlines()
            return [(int(row), str(text)) for row, text in map(json.loads, lines)]
        except Exception as error:  # of JSON, of many kinds
            raise self._damaged_messages(error) from error

    def _damaged_messages(self, error: Exception) -> StoreError:
        return _damaged(self.path, f"has a damaged errors.jsonl ({_one_line(error)})")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _damaged(path: Path, how: str) -> StoreError:
    advice = "restore it from a copy, or delete the folder and simulate again"
    return StoreError(f"store {path} {how}: {advice}")
