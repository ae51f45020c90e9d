"""Populations of sequential ABC, and the file of the latest.

A population follows from the one before, the seed and the settings: an interrupted run resumes with
the last whole population, and ends with the numbers that it would have had.
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.accepted import PopulationSummary
from lfi.inference.abc.distances import DistanceFunction, finite_distances
from lfi.inference.abc.proposals import GaussianMixture, PopulationProposal
from lfi.runtime import faults_of, read, whole_repr, write
from lfi.runtime.files import check_weights

KIND = "abc_smc"
KEPT = ("u", "x", "distances", "weights", "keys", "shares")
MIXTURE = ("centres", "weights", "roots", "scales")

History = list[PopulationSummary]


@dataclass(frozen=True, eq=False)
class Population:
    """Particles sorted by distance: of all simulations so far, those within the tolerance.

    Their parameters `u` are unconstrained, and their weights sum to 1. Of simulations equally far,
    where not all can be kept, those of the lowest `keys` are, which are random; `shares` says which
    share of such simulations a particle stands for. `earlier` holds the distance
    functions of earlier populations and their tolerances, `proposals` what each population but the
    first was drawn from, `fitted_to` theta and x of the simulations that each distance was fitted
    to, the earlier ones first; of an adaptive distance also those of the next fit.
    """

    u: Float[Tensor, "n dim"]
    x: Float[Tensor, " n *event"]
    distances: Float[Tensor, " n"]
    weights: Float[Tensor, " n"]
    keys: Float[Tensor, " n"]
    shares: Float[Tensor, " n"]
    distance: DistanceFunction
    earlier: tuple[tuple[DistanceFunction, float], ...]
    proposals: tuple[PopulationProposal, ...]
    fitted_to: tuple[tuple[Tensor, Tensor], ...]

    def distances_of(self, x: Float[Tensor, " n *event"]) -> Float[Tensor, " n"]:
        """Return distances of new data, infinite where an earlier population would reject them.

        So all populations are one sample of the particles' neighbourhood (Prangle's nesting).
        """
        distances = finite_distances(self.distance, x)
        for distance, tolerance in self.earlier:
            rows = (distances <= self.distances.max()).nonzero()[:, 0]  # others are rejected anyway
            rejected = rows[finite_distances(distance, x[rows]) > tolerance]
            distances[rejected] = math.inf
        return distances


def closest(rows: dict[str, Tensor], n: int) -> dict[str, Tensor]:
    """Return the n closest rows, sorted; of ties at the farthest those of the lowest keys.

    The keys are uniform between 0 and 1. So each of the ties is kept with the same chance, the
    lowest key that is not kept (bottom-k sampling), which becomes its share.
    """
    order = rows["keys"].argsort()
    order = order[rows["distances"][order].argsort(stable=True)]
    found = {name: part[order[:n]] for name, part in rows.items()}
    last = found["distances"][-1]
    if len(order) > n and rows["distances"][order[n]] == last:
        share = torch.where(found["distances"] == last, rows["keys"][order[n]], 1.0)
        found["shares"] = torch.minimum(found["shares"], share)
    return found


def settings_hash(identity: str, x_obs: Tensor, *plain: object) -> str:
    """Return a hash of what resumable runs share; functions count by name, not address."""
    named = [re.sub(" at 0x[0-9a-f]+", "", whole_repr(value)) for value in plain]
    parts = [identity, str(tuple(x_obs.shape)), *named]
    content = "\0".join(parts).encode() + x_obs.double().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def save_population(
    path: str | Path, shared: str, seed: int, population: Population, history: History
) -> None:
    """Write the latest population, in place of the one before."""
    spec = {
        "settings": shared,
        "seed": seed,
        "history": [asdict(entry) for entry in history],
        "tolerances": [tolerance for _, tolerance in population.earlier],
        "fits": len(population.fitted_to),
        "proposals": [[each.simulations, each.inside] for each in population.proposals],
    }
    tensors = {name: getattr(population, name) for name in KEPT}
    for i, (theta, x) in enumerate(population.fitted_to):
        tensors |= {f"theta_{i}": theta, f"x_{i}": x}
    for i, proposal in enumerate(population.proposals):
        parts = {f"{name}_{i}": getattr(proposal.mixture, name) for name in MIXTURE}
        tensors |= {name: part for name, part in parts.items() if part is not None}
    write(path, KIND, spec, tensors)


def stored_seed(path: str | Path, shared: str, seed: int | None) -> int | None:
    """Return the seed on record, the one that is given, or None where there is neither.

    ValueError if the file is damaged, or belongs to a run of other settings or another seed.
    """
    if not Path(path).is_file():
        return seed
    contents = read(path)
    if contents.kind != KIND:
        raise ValueError(f"store: {path} holds a {contents.kind}, not populations of abc_smc")
    if not set(KEPT) <= set(contents.tensors):
        raise ValueError(f"store: {path} is of an earlier version of lfi: take another file")
    with faults_of(path):
        settings, known = contents.spec["settings"], contents.spec["seed"]
    if settings != shared or seed not in (None, known):
        raise ValueError(
            f"store: {path} belongs to a run with another simulator, observation, seed or other "
            "arguments: take another file, or the same arguments"
        )
    return known


def load_population(
    path: str | Path, dim: int, distance_from: Callable[[Tensor, Tensor], DistanceFunction]
) -> tuple[Population, History] | None:
    """Return the latest population of `dim` parameters and its history, None without a file.

    ValueError if the file is damaged.
    """
    if not Path(path).is_file():
        return None
    contents = read(path)
    with faults_of(path):
        spec, tensors = contents.spec, contents.tensors
        check_weights(tensors)
        history = [PopulationSummary(**entry) for entry in spec["history"]]
        data = tuple((tensors[f"theta_{i}"], tensors[f"x_{i}"]) for i in range(spec["fits"]))
        tolerances = [float(tolerance) for tolerance in spec["tolerances"]]
        proposals = tuple(
            PopulationProposal(
                GaussianMixture(
                    *(tensors[f"{name}_{i}"] for name in MIXTURE if f"{name}_{i}" in tensors)
                ),
                *(int(count) for count in counts),
            )
            for i, counts in enumerate(spec["proposals"])
        )
        kept = {name: tensors[name] for name in KEPT}
        _check_shapes(kept, data, [proposal.mixture for proposal in proposals], dim)
        if not history or len(data) <= len(tolerances):
            raise ValueError(f"{len(history)} populations and {len(data)} fits of distances")
    # which may call functions of the user's, whose faults are no file's
    distances = [distance_from(*each) for each in data[: len(tolerances) + 1]]
    population = Population(
        **kept,
        distance=distances[-1],
        earlier=tuple(zip(distances[:-1], tolerances, strict=True)),
        proposals=proposals,
        fitted_to=data,
    )
    return population, history


def _check_shapes(
    kept: dict[str, Tensor],
    data: Sequence[tuple[Tensor, Tensor]],
    mixtures: Sequence[GaussianMixture],
    dim: int,
) -> None:
    """Raise ValueError unless particles, simulations and mixtures have as many rows and columns."""
    rows, event = kept["u"].shape[:1], kept["x"].shape[1:]
    wanted = [(kept[name], rows) for name in KEPT[2:]]
    wanted += [(kept["u"], (*rows, dim)), (kept["x"], (*rows, *event))]
    for theta, x in data:
        wanted += [(theta, (len(theta), dim)), (x, (len(theta), *event))]
    for mixture in mixtures:
        k = len(mixture.centres)
        roots = (dim, dim) if mixture.roots.ndim == 2 else (k, dim, dim)
        wanted += [(mixture.centres, (k, dim)), (mixture.weights, (k,)), (mixture.roots, roots)]
        wanted += [] if mixture.scales is None else [(mixture.scales, (k,))]
    for tensor, shape in wanted:
        if tensor.shape != tuple(shape) or not tensor.is_floating_point():
            found = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
            raise ValueError(f"it holds {found}, expected floating-point {tuple(shape)}")
