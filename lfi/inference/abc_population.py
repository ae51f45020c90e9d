"""The state of sequential ABC between two generations, and the file that keeps it.

A generation follows from the one before, the seed and the settings: a run that was interrupted goes
on with the last whole generation, and ends with the numbers that it would have had.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc_accepted import Generation
from lfi.inference.abc_distances import Measure
from lfi.networks import read, write

KIND = "abc_smc"


@dataclass(frozen=True, eq=False)
class Population:
    """Particles, closest first.

    Attributes:
        u: Their parameters in unconstrained coordinates.
        x: Their data.
        distances: From the observation.
        weights: They sum to 1.
        measure: What measured the distances.
        lesson: Theta and x of the simulations that the distance learned from; of an adaptive one,
            those that it will learn from next.
    """

    u: Float[Tensor, "n dim"]
    x: Float[Tensor, " n *event"]
    distances: Float[Tensor, " n"]
    weights: Float[Tensor, " n"]
    measure: Measure
    lesson: tuple[Tensor, Tensor]


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
    spec = {"settings": shared, "seed": seed, "history": [asdict(entry) for entry in history]}
    theta, x = population.lesson
    tensors = {name: getattr(population, name) for name in ("u", "x", "distances", "weights")}
    write(path, KIND, spec, tensors | {"lesson_theta": theta, "lesson_x": x})


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
    tensors = dict(contents.tensors)
    lesson = tensors.pop("lesson_theta"), tensors.pop("lesson_x")
    history = [Generation(**entry) for entry in contents.spec["history"]]
    return Population(**tensors, measure=towards(*lesson), lesson=lesson), history
