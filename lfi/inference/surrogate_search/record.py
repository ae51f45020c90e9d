"""The true simulations of a search, which a folder keeps as they come.

    rounds.json               the call's settings and its seed
    round_1_simulations.lfi   parameters, data and status of a round's rows so far
    round_1.lfi               the posterior that was fitted after it

Rows are simulated some at a time, as many for any number of workers, and the file of a round is
replaced once it has grown for a second: an interrupted call goes on from there, and ends with the
same numbers.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.runtime import Advance, child, faults_of, read, write
from lfi.simulation import Simulations, Simulator, simulate_at
from lfi.simulation.records.results import BLOCK, OK, ResultsBuffer, RowResults

ROWS = 64  # that are simulated at a time by a function of one vector
SECONDS = 1.0  # of work that an interruption may cost, besides these rows
MESSAGES = 1_000  # of a round's failed rows that are kept
KIND = "SearchRound"


@dataclass(eq=False)
class SearchRecord:
    """All rows that have been simulated, in order.

    Attributes:
        simulator: Of whose parameters and data.
        event: The shape that each x is to have.
        seed: From which every row's random numbers come.
        folder: Where they are kept; None keeps them in memory.
        workers: How many processes simulate.
        timeout: How many seconds a call may take, None for any.
    """

    simulator: Simulator
    event: tuple[int, ...]
    seed: int
    folder: Path | None
    workers: int
    timeout: float | None
    rows: ResultsBuffer = field(default_factory=ResultsBuffer)

    @property
    def failed(self) -> int:
        """How many rows have failed."""
        return sum(int((block.codes != OK).sum()) for _, block in self.rows.parts)

    def simulate(self, number: int, theta: Float[Tensor, "n dim"], advance: Advance) -> None:
        """Simulate a round's rows, but those that are kept; ValueError if x has another shape."""
        own, saved = self._kept(number, theta), time.monotonic()
        advance(len(own))
        size = BLOCK if self.simulator.batched else ROWS
        while (begin := len(own)) < len(theta):
            part = theta[begin : begin + size]
            found = simulate_at(
                self.simulator,
                part,
                seed=child(self.seed, number, begin),
                workers=self.workers,
                timeout=self.timeout,
            )
            if found.x is not None and tuple(found.x.shape[1:]) != self.event:
                raise ValueError(
                    f"x_obs has shape {self.event}, but one simulation's x has "
                    f"{tuple(found.x.shape[1:])}"
                )
            errors = {begin + row: text for row, text in found.errors.items()}
            own.add(part, RowResults(found.x, found.codes, errors, found.dtype, found.cause))
            if time.monotonic() - saved > SECONDS or len(own) == len(theta):
                self._keep(number, own)
                saved = time.monotonic()
            advance(len(part))
        before = len(self.rows)
        for part, block in own.parts:
            self.rows.add(part, RowResults(block.x, block.codes, {}, block.dtype, block.cause))
        self.rows.errors |= {before + row: text for row, text in own.errors.items()}

    def simulations(self, index: Tensor | None = None) -> Simulations:
        """Return the rows, or some of them."""
        theta, x, codes = self.rows.concatenate()
        index = torch.arange(len(theta)) if index is None else index
        new = {row: place for place, row in enumerate(index.tolist())}
        errors = {new[row]: text for row, text in self.rows.errors.items() if row in new}
        return Simulations(
            theta[index],
            x[index],
            codes[index],
            self.simulator.prior,
            self.seed,
            errors,
            self.simulator.name,
            self.simulator.independent_draws,
        )

    def _file(self, number: int) -> Path | None:
        return None if self.folder is None else self.folder / f"round_{number}_simulations.lfi"

    def _keep(self, number: int, own: ResultsBuffer) -> None:
        """Write a round's rows so far; those of which none has succeeded are made again."""
        file = self._file(number)
        if file is None or own.event is None:
            return
        theta, x, codes = own.concatenate()
        messages = {str(row): text for row, text in list(own.errors.items())[:MESSAGES]}
        write(file, KIND, {"errors": messages}, {"theta": theta, "x": x, "codes": codes})

    def _kept(self, number: int, theta: Float[Tensor, "n dim"]) -> ResultsBuffer:
        """Return the rows of a round that are kept; ValueError if they are not this round's."""
        own, file = ResultsBuffer(self.rows.event, self.rows.dtype), self._file(number)
        if file is None or not file.is_file():
            return own
        contents = read(file)
        with faults_of(file):
            tensors = contents.tensors
            made, x, codes = (tensors[name] for name in ("theta", "x", "codes"))
            if contents.kind != KIND or not torch.equal(made, theta[: len(made)]):
                raise ValueError("it holds simulations of other parameters")
            errors = {int(row): str(text) for row, text in contents.spec["errors"].items()}
            own.add(made, RowResults(x, codes, errors, x.dtype))
        return own
