"""Writing a store of simulations that survives whatever stops the run.

Rows are written first and counted afterwards, by renaming a new finished.json over the old one;
Zarr renames its files too. A killed process leaves a store as before its last write, from which the
run resumes to the same numbers. One process writes at a time; the lock goes with it.
"""

import json
import os
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import torch
import zarr
import zarr.codecs
from torch import Tensor

import lfi
from lfi.runtime import fresh, replace_file
from lfi.simulation.priors.prior import Prior
from lfi.simulation.priors.serialisation import dtype_name
from lfi.simulation.records.layout import check_entries, metadata_checksum
from lfi.simulation.records.results import BLOCK, ResultsBuffer, RowResults
from lfi.simulation.records.simulations import Simulations
from lfi.simulation.records.store import FORMAT, Store, StoreError
from lfi.simulation.simulators.simulator import Simulator

FLUSH_SECONDS = 1.0  # the most work, besides a task, that a killed run loses
FLUSH_ROWS = 64 * BLOCK


class Writer:
    """A run's store, new or resumed: a context that locks it and writes, or raises StoreError."""

    def __init__(
        self, path: str | Path, simulator: Simulator, prior: Prior, seed: int | None
    ) -> None:
        self.path: Path = Path(path)
        self.prior: Prior = prior
        self.trials: int | None = simulator.independent_draws
        self.finished: int = 0
        self.errors_size: int = 0
        self.broken: bool = False
        self.lock: filelock.BaseFileLock = filelock.FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            check_entries(self.path)  # nothing is written through a link
            new = not (self.path / "finished.json").exists()
            if new and not self._is_blank():
                raise StoreError(f"{path} exists and is not a store of simulations: choose another")
            self.lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StoreError(
                f"store {path} is being written by another process: wait for it, or choose "
                "another folder"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        except StoreError:
            raise
        except ValueError as error:
            raise StoreError(f"store {path}: {error}: remove it, or choose another") from error
        try:
            if not (self.path / "finished.json").exists():  # another may have made it meanwhile
                self._create(simulator, fresh(seed))
            store = Store.open(path)
            if store.finished == 0 and self._difference(store, simulator, seed):
                self._create(simulator, fresh(seed))  # of a run in which nothing succeeded
                store = Store.open(path)
            self._check(store, simulator, seed)
            self.rows: ResultsBuffer = store.rows()
            messages = store.messages()
            if messages.stat().st_nlink > 1:  # written in place, it would change under both names
                content = messages.read_bytes()
                replace_file(messages, lambda part: part.write_bytes(content))
        except BaseException:
            self.lock.release()
            raise
        self.seed: int = store.attributes["seed"]
        self.finished, self.errors_size = store.finished, store.errors_size
        self.flushed: float = time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            with suppress(StoreError) if kind else nullcontext():
                self._flush()
        finally:
            self.lock.release()

    def add(self, theta: Tensor, block: RowResults) -> None:
        """Append rows; those of a second, or of 64 blocks, are written together."""
        self.rows.add(theta, block)
        if time.monotonic() - self.flushed > FLUSH_SECONDS or len(self.rows) >= FLUSH_ROWS:
            self._flush()

    def simulations(self, n: int) -> Simulations:
        """Return the first n rows, read back from the store."""
        self._flush()
        kept = Simulations(*Store.open(self.path).read(n, prior=self.prior, trusted=True))
        return replace(kept, trials=self.trials)  # which an older store does not tell

    def _flush(self) -> None:
        """Write the rows, then count them."""
        if self.rows.event is None or not self.rows.parts or self.broken:
            return
        parts = dict(zip(("theta", "x", "status"), self.rows.concatenate(), strict=True))
        total = self.finished + len(self.rows)
        lines = "".join(json.dumps([row, text]) + "\n" for row, text in self.rows.errors.items())
        try:
            if self.finished == 0:
                self._create_array("x", self.rows.event, parts["x"].dtype)
            for name, part in parts.items():
                array = zarr.open_array(self.path / name, mode="r+", zarr_format=3)
                # so that a missing chunk is damage; in Zarr's settings it would be for all threads
                array = array.with_config({"write_empty_chunks": True})
                array.resize((total, *part.shape[1:]))
                array[self.finished : total] = part.numpy()
            if lines:
                with open(self.path / "errors.jsonl", "r+b") as file:
                    file.truncate(self.errors_size)  # lines of rows that were never counted
                    file.seek(self.errors_size)
                    self.errors_size += file.write(lines.encode())
            self._count(total)
        except OSError as error:
            self.broken = True
            raise self._unwritable(error) from error
        self.finished = total
        self.rows.clear()
        self.flushed = time.monotonic()

    def _count(self, finished: int) -> None:
        """Write how many rows are complete, in one step."""
        checksum = metadata_checksum(self.path, finished, self.errors_size)
        count = {"finished": finished, "errors_size": self.errors_size, "checksum": checksum}
        text = json.dumps(count)
        replace_file(self.path / "finished.json", lambda part: part.write_text(text))

    def _is_blank(self) -> bool:
        """Return whether the folder holds nothing but what a killed creation may have left."""
        parts = {".partial", ".part"}
        left = {entry.name for entry in self.path.iterdir() if entry.suffix not in parts}
        ours = {"lock", "zarr.json", "theta", "status", "errors.jsonl"}
        return left <= ours and not (self.path / "theta" / "c").exists()

    def _unwritable(self, error: OSError) -> StoreError:
        reason = os.strerror(error.errno) if error.errno else error
        return StoreError(
            f"store {self.path} cannot be written ({reason}): make room or choose "
            f"another folder, and run again; {self.finished:,} finished simulations are safe"
        )

    def _create(self, simulator: Simulator, seed: int) -> None:
        """Make an empty store; the count comes last and makes it one."""
        attributes = {
            "format": FORMAT,
            "name": simulator.name,
            "seed": seed,
            "names": list(self.prior.names),
            "prior": self.prior._spec(),
            "prior_fingerprint": self.prior.fingerprint,
            "simulator": simulator.identity,
            "trials": simulator.independent_draws,
            "block": BLOCK,
            "versions": {module.__name__: module.__version__ for module in (lfi, torch, np, zarr)},
        }
        try:
            (self.path / "zarr.json").unlink(missing_ok=True)  # of a creation that was killed
            zarr.open_group(self.path, mode="a", zarr_format=3).attrs.put({"lfi": attributes})
            self._create_array("theta", (self.prior.dim,), self.prior.dtype)
            self._create_array("status", (), torch.uint8)
            replace_file(self.path / "errors.jsonl", lambda part: part.write_bytes(b""))
            self._count(0)
        except OSError as error:
            raise self._unwritable(error) from error

    def _create_array(self, name: str, event: tuple[int, ...], dtype: torch.dtype) -> None:
        zarr.open_group(self.path, mode="r+", zarr_format=3).create_array(
            name,
            shape=(0, *event),
            chunks=(BLOCK, *event),
            dtype=dtype_name(dtype),
            compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()],
            overwrite=True,
        )

    def _check(self, store: Store, simulator: Simulator, seed: int | None) -> None:
        """Refuse the store of another run."""
        if what := self._difference(store, simulator, seed):
            raise StoreError(
                f"store {self.path} was {what}: choose another folder, or delete this one"
            )

    def _difference(self, store: Store, simulator: Simulator, seed: int | None) -> str:
        """Return how the run of a store was another one, "" where it is the same."""
        attributes = store.attributes
        if attributes["prior_fingerprint"] != self.prior.fingerprint:
            return "drawn from another prior"
        if attributes["simulator"] != simulator.identity:
            return f"made by another simulator (or another version of {attributes['name']})"
        if seed is not None and attributes["seed"] != seed:
            return f"made with seed {attributes['seed']}, not {seed}"
        if attributes.get("block") != BLOCK:
            return f"made in blocks of {attributes.get('block')}, not {BLOCK}"
        return ""
