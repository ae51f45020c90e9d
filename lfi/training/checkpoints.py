"""Checkpoints, from which training goes on as if it had never been interrupted.

A file (see `lfi.runtime.files`) holds the players' weights, averages and optimisers, the best
weights so far, the history, where the batches stand and the state of the random generator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts
from lfi.runtime import Contents, faults_of, fresh, load_prefixed, prefixed, read, stripped, write
from lfi.training.batches import Batches, resumable
from lfi.training.history import Recorder
from lfi.training.players import Move

KIND = "Checkpoint"
EVERY = 500  # steps between checkpoints of a fit: some seconds, at most a minute


@checked
@dataclass(frozen=True)
class Checkpoint:
    """Where training is kept, in a file that stays when it has ended, and every how many steps."""

    path: str | Path
    every: int = 1_000

    def __post_init__(self) -> None:
        check_counts(every=self.every)

    @property
    def exists(self) -> bool:
        """Whether there is a file to go on from."""
        return Path(self.path).is_file()

    @property
    def steps(self) -> int:
        """How many steps the training in the file has taken; 0 without a file."""
        if not self.exists:
            return 0
        spec = read(self.path).spec
        with faults_of(self.path):
            return int(spec["done"])

    def validations(self, name: str) -> int:
        """Return how many validations of a column the training in the file has seen."""
        if not self.exists:
            return 0
        spec = read(self.path).spec
        with faults_of(self.path):
            return len(spec["columns"].get(name, ()))

    def seed(self, given: int | None) -> int:
        """Return the seed of the training in the file; ValueError if another one is given."""
        spec = read(self.path).spec
        with faults_of(self.path):
            kept = fresh(spec["seed"])
        if given is not None and fresh(given) != kept:
            raise ValueError(f"seed is {given}, but {self.path} was written with seed {kept}")
        return kept


@dataclass(frozen=True)
class Checkpoints:
    """Where the trainings that a fit consists of are kept; a folder of None keeps nothing."""

    folder: Path | None = None

    def within(self, name: str) -> "Checkpoints":
        """Return those of a part of the fit."""
        return Checkpoints(None if self.folder is None else self.folder / name)

    def of(self, name: str, module: nn.Module) -> Checkpoint | None:
        """Return that of a training, None where there is none to be kept.

        Nor is one of a module with dropout, whose random numbers no checkpoint brings back.
        """
        if self.folder is None or any(
            isinstance(each, nn.Dropout) and each.p > 0 for each in module.modules()
        ):
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return Checkpoint(self.folder / f"{name}.checkpoint", every=EVERY)


NO_CHECKPOINTS = Checkpoints()


@dataclass
class State:
    """What the loop remembers from one step to the next, besides the players."""

    record: Recorder
    done: int = 0
    latest: dict[str, float] = field(default_factory=dict)
    best: float = math.inf  # the lowest validated value
    best_step: int | None = None
    best_states: list[dict[str, Tensor]] | None = None
    bad: int = 0  # validations since
    stopped: str = ""  # why training ends before its last step
    seconds: float = 0.0


PLAIN = ("done", "latest", "best", "best_step", "bad", "stopped", "seconds")


def save_checkpoint(
    checkpoint: Checkpoint,
    state: State,
    moves: Sequence[Move],
    batches: Batches,
    rng: torch.Generator,
    steps: int,
    seed: int,
) -> None:
    """Write a checkpoint."""
    position = resumable(batches).position_of()
    tensors = {"rng": rng.get_state()} | {f"batches.{k}": value for k, value in position.items()}
    optimisers = []
    for i, move in enumerate(moves):
        tensors |= prefixed(f"module.{i}", move.player.module)
        if move.average is not None:
            tensors |= prefixed(f"average.{i}", move.average)
        if state.best_states is not None:
            tensors |= {f"best.{i}.{k}": value for k, value in state.best_states[i].items()}
        plain: dict[str, dict[str, Any]] = {}
        for k, values in move.optimiser.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{i}.{k}.{name}"] = value
                else:
                    plain.setdefault(str(k), {})[name] = value
        optimisers.append(plain)
    spec = {
        "steps": steps,
        "seed": seed,
        "players": [move.player.name for move in moves],
        "moves": [move.moves for move in moves],
        "optimisers": optimisers,
        "columns": state.record.columns,
        "open": {name: [float(v) for v in values] for name, values in state.record.open.items()},
        **{name: getattr(state, name) for name in PLAIN},
    }
    write(checkpoint.path, KIND, spec, tensors)


def load_checkpoint(
    checkpoint: Checkpoint,
    state: State,
    moves: Sequence[Move],
    batches: Batches,
    rng: torch.Generator,
    steps: int,
) -> None:
    """Restore state, players, batches and random generator from a checkpoint of this training.

    ValueError if it is of another one, or damaged.
    """
    contents, players = read(checkpoint.path), [move.player.name for move in moves]
    found = [contents.spec.get(name) for name in ("players", "steps")]
    if contents.kind != KIND or found != [players, steps]:
        raise ValueError(f"{checkpoint.path} is of another training: {found[0]}")
    with faults_of(checkpoint.path):
        _restore(contents, state, moves, batches, rng)


def _restore(
    contents: Contents,
    state: State,
    moves: Sequence[Move],
    batches: Batches,
    rng: torch.Generator,
) -> None:
    spec, tensors = contents.spec, contents.tensors
    for name in PLAIN:
        setattr(state, name, spec[name])
    state.record.columns = {
        name: [(int(step), float(value)) for step, value in pairs]
        for name, pairs in spec["columns"].items()
    }
    state.record.open = {name: list(values) for name, values in spec["open"].items()}
    rng.set_state(tensors["rng"])
    resumable(batches).go_to(stripped("batches.", tensors))
    for i, move in enumerate(moves):
        load_prefixed(f"module.{i}", move.player.module, tensors)
        if move.average is not None:
            load_prefixed(f"average.{i}", move.average, tensors)
        move.moves = spec["moves"][i]
        kept: dict[int, dict[str, Any]] = {
            int(k): dict(values) for k, values in spec["optimisers"][i].items()
        }
        for name, tensor in stripped(f"optimiser.{i}.", tensors).items():
            k, _, key = name.partition(".")
            kept.setdefault(int(k), {})[key] = tensor
        groups = move.optimiser.state_dict()["param_groups"]
        move.optimiser.load_state_dict({"state": kept, "param_groups": groups})
    if state.best_step is not None:
        state.best_states = [stripped(f"best.{i}.", tensors) for i in range(len(moves))]
