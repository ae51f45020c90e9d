"""The state of sequential ABC between two generations, and the file that keeps it.

A generation follows from the one before, the seed and the settings: a run that was interrupted goes
on with the last whole generation, and ends with the numbers that it would have had.
"""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.accepted import Generation
from lfi.inference.abc.distances import Measure, measured
from lfi.inference.abc.proposals import Mixture, Source
from lfi.runtime import read, write

KIND = "abc_smc"
KEPT = ("u", "x", "distances", "weights")
SOURCE = ("centres", "weights", "roots", "scales")


@dataclass(frozen=True, eq=False)
class Population:
    """Particles, closest first: of all simulations so far, those within the tolerance.

    Attributes:
        u: Their parameters in unconstrained coordinates.
        x: Their data.
        distances: From the observation.
        weights: They sum to 1.
        measure: What measured the distances.
        gates: What measured them before, and the distances beyond which data were lost by then.
        sources: What each generation but the first was drawn from.
        lessons: Theta and x of the simulations that each measure learned from, those of the gates
            first; of an adaptive distance also those that it will learn from next.
    """

    u: Float[Tensor, "n dim"]
    x: Float[Tensor, " n *event"]
    distances: Float[Tensor, " n"]
    weights: Float[Tensor, " n"]
    measure: Measure
    gates: tuple[tuple[Measure, float], ...]
    sources: tuple[Source, ...]
    lessons: tuple[tuple[Tensor, Tensor], ...]

    def distances_of(self, x: Float[Tensor, " n *event"]) -> Float[Tensor, " n"]:
        """Return distances of new data, infinite where an earlier generation would have lost them.

        All generations are one sample of the particles' neighbourhood only where all of them kept
        what fell into it (Prangle's nested acceptance).
        """
        distances = measured(self.measure, x)
        for measure, reach in self.gates:
            near = (distances <= self.distances.max()).nonzero()[:, 0]  # others are lost anyway
            lost = near[measured(measure, x[near]) > reach]
            distances[lost] = math.inf
        return distances


def settings(identity: str, x_obs: Tensor, *plain: object) -> str:
    """Return a hash of what two runs must share for one to go on where the other ended.

    Functions count by their names: where they lie in memory differs from process to process.
    """
    named = [re.sub(" at 0x[0-9a-f]+", "", repr(value)) for value in plain]
    parts = [identity, str(tuple(x_obs.shape)), *named]
    content = "\0".join(parts).encode() + x_obs.double().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def keep(
    path: str | Path, shared: str, seed: int, population: Population, history: list[Generation]
) -> None:
    """Write the state after a generation, in place of the one before."""
    spec = {
        "settings": shared,
        "seed": seed,
        "history": [asdict(entry) for entry in history],
        "reaches": [reach for _, reach in population.gates],
        "lessons": len(population.lessons),
        "sources": [[one.simulations, one.inside] for one in population.sources],
    }
    tensors = {name: getattr(population, name) for name in KEPT}
    for i, (theta, x) in enumerate(population.lessons):
        tensors |= {f"theta_{i}": theta, f"x_{i}": x}
    for i, source in enumerate(population.sources):
        parts = {f"{name}_{i}": getattr(source.mixture, name) for name in SOURCE}
        tensors |= {name: part for name, part in parts.items() if part is not None}
    write(path, KIND, spec, tensors)


def seed_of(path: str | Path, shared: str, seed: int | None) -> int | None:
    """Return the seed on record, the one that is given, or None where there is neither.

    Raises:
        ValueError: If the file is damaged or belongs to a run with other settings or another seed.
    """
    if not Path(path).is_file():
        return seed
    contents = read(path)
    if contents.kind != KIND:
        raise ValueError(f"store: {path} holds a {contents.kind}, not populations of abc_smc")
    if contents.spec["settings"] != shared or seed not in (None, contents.spec["seed"]):
        raise ValueError(
            f"store: {path} belongs to a run with another simulator, observation, seed or other "
            "arguments: take another file, or the same arguments"
        )
    return contents.spec["seed"]


def resume(
    path: str | Path, towards: Callable[[Tensor, Tensor], Measure]
) -> tuple[Population, list[Generation]] | None:
    """Return the state on record, or None where there is none.

    Args:
        path: The file.
        towards: Makes the measure from a lesson.
    """
    if not Path(path).is_file():
        return None
    contents = read(path)
    spec, tensors = contents.spec, contents.tensors
    history = [Generation(**entry) for entry in spec["history"]]
    lessons = tuple((tensors[f"theta_{i}"], tensors[f"x_{i}"]) for i in range(spec["lessons"]))
    gates = tuple(
        (towards(*lesson), reach)
        for lesson, reach in zip(lessons[: len(spec["reaches"])], spec["reaches"], strict=True)
    )
    sources = tuple(
        Source(Mixture(*(tensors.get(f"{name}_{i}") for name in SOURCE)), simulations, inside)
        for i, (simulations, inside) in enumerate(spec["sources"])
    )
    kept = {name: tensors[name] for name in KEPT}
    measure = towards(*lessons[len(gates)])
    population = Population(**kept, measure=measure, gates=gates, sources=sources, lessons=lessons)
    return population, history
