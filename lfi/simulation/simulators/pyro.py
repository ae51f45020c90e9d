"""Pyro models as simulators: latent sites are the parameters, observed sites the data.

A model is traced to find its sites. Where the distributions of all latent sites stay the same from
trace to trace, they are independent priors by name; where one depends on another (a hierarchical
model), the prior is joint: drawn by running the model, with the traced log density. A site of
several values becomes several parameters, site[0], site[1], ...

References:
    Bingham et al., Pyro: Deep Universal Probabilistic Programming, JMLR 2019. arXiv:1810.09538
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from lfi.runtime.seeds import isolated
from lfi.simulation.priors.marginals import torch_bounds
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.priors.sampled import sampled_prior
from lfi.simulation.priors.serialisation import parameters
from lfi.simulation.simulators.signature import source_text

Model = Callable[[], object]
Shapes = tuple[tuple[str, torch.Size], ...]


@dataclass(frozen=True, eq=False)
class PyroFunction:
    """A model with its latent sites set, as a function of one parameter vector.

    Attributes:
        model: The model.
        observed: The sites of the data.
        latent: The names and shapes of the other sites.
    """

    model: Model
    observed: tuple[str, ...]
    latent: Shapes

    @property
    def fingerprint(self) -> str:
        """A text that identifies the model and its sites."""
        return source_text(self.model) + repr((self.observed, self.latent))

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the data of one run; draws from torch's global state."""
        from pyro import poutine

        values = _sites(theta, self.latent)
        with torch.no_grad():
            trace = poutine.trace(poutine.condition(_unobserved(self.model), values)).get_trace()
        parts = [trace.nodes[site]["value"] for site in self.observed]
        return parts[0] if len(parts) == 1 else torch.cat([part.flatten() for part in parts])


def pyro_prior(model: Model, observed: tuple[str, ...]) -> tuple[Prior, Shapes]:
    """Return the prior of a model's latent sites, and their shapes.

    Raises:
        ValueError: If an observed site is missing, there is no latent one, or one is discrete.
    """
    traces = [_trace(model, seed) for seed in range(3)]
    sampled = [
        {
            name: node
            for name, node in trace.nodes.items()
            if node["type"] == "sample" and not type(node["fn"]).__name__.startswith("_Subsample")
        }
        for trace in traces
    ]
    missing = sorted(set(observed) - set(sampled[0]))
    if missing:
        raise ValueError(f"observed: the model has no site {missing}; it has {sorted(sampled[0])}")
    latent = [name for name in sampled[0] if name not in observed]
    if not latent:
        raise ValueError("the model has no latent site: it must sample its parameters")
    for name in latent:
        if sampled[0][name]["fn"].has_enumerate_support:
            raise ValueError(f"site {name} is discrete: parameters are continuous")
    shapes = tuple((name, sampled[0][name]["value"].shape) for name in latent)
    for other in sampled[1:]:
        found = tuple((name, node["value"].shape) for name, node in other.items())
        if tuple(pair for pair in found if pair[0] not in observed) != shapes:
            raise ValueError(f"the model's latent sites change from run to run: {shapes}, {found}")
    distributions = [[run[name]["fn"] for run in sampled] for name in latent]
    if all(_constant(runs) for runs in distributions):
        return as_prior(dict(_named(shapes, [runs[0] for runs in distributions]))), shapes
    return _joint(model, shapes, [runs[0] for runs in distributions]), shapes


def _joint(model: Model, shapes: Shapes, distributions: list[Distribution]) -> Prior:
    """Return the prior of sites that depend on each other."""
    from pyro import poutine

    names = [name for name, _ in _columns(shapes)]
    bounds = [
        torch_bounds(distribution, name)
        for distribution, (name, _) in zip(distributions, shapes, strict=True)
    ]
    sides = zip(*bounds, strict=True)
    lower, upper = (
        [v for edge, (_, shape) in zip(side, shapes, strict=True) for v in _flat(edge, shape)]
        for side in sides
    )

    def draw(n: int) -> Tensor:
        with torch.no_grad():
            traces = [poutine.trace(model).get_trace() for _ in range(n)]
        return torch.stack(
            [torch.cat([t.nodes[name]["value"].flatten() for name, _ in shapes]) for t in traces]
        )

    def density(theta: Tensor) -> Tensor:
        rows = []
        for row in theta:
            conditioned = poutine.condition(_unobserved(model), _sites(row, shapes))
            trace = poutine.trace(conditioned).get_trace()
            nodes = [trace.nodes[name] for name, _ in shapes]
            rows.append(sum(node["fn"].log_prob(node["value"]).sum() for node in nodes))
        return torch.stack(rows)

    return sampled_prior(draw, density, names=names, lower=lower, upper=upper)


def _flat(edge: Tensor | float, shape: torch.Size) -> list[float]:
    return torch.as_tensor(edge).expand(shape).flatten().tolist()


def _trace(model: Model, seed: int) -> object:
    from pyro import poutine

    with isolated(seed), torch.no_grad():
        return poutine.trace(_unobserved(model)).get_trace()


def _unobserved(model: Model) -> Model:
    """Return the model with its observations drawn rather than given."""
    from pyro import poutine

    return poutine.uncondition(model)


def _constant(runs: list[Distribution]) -> bool:
    """Return whether a site's distribution is the same in every run."""
    values = [parameters(_base(distribution)) for distribution in runs]
    if any(value is None for value in values):
        return False
    same = lambda a, b: a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return len({type(_base(distribution)) for distribution in runs}) == 1 and all(
        same(values[0], value) for value in values[1:]
    )


def _base(distribution: Distribution) -> Distribution:
    """Return the distribution of one value, without `Independent` around it."""
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    return distribution


def _named(shapes: Shapes, distributions: list[Distribution]) -> list[tuple[str, Distribution]]:
    """Return scalar distributions by name, one a parameter."""
    named = []
    for (name, shape), distribution in zip(shapes, distributions, strict=True):
        base = _base(distribution)
        if base.event_shape:
            raise ValueError(
                f"site {name} has dependent values, a {type(base).__name__}: give the model "
                "independent ones and combine them"
            )
        own = {key: value.expand(shape).flatten() for key, value in parameters(base).items()}
        for i, (column, _) in enumerate(_columns(((name, shape),))):
            named.append((column, type(base)(**{key: value[i] for key, value in own.items()})))
    return named


def _columns(shapes: Shapes) -> list[tuple[str, int]]:
    """Return the parameters' names, and which value of their site each is."""
    return [
        (name if shape.numel() == 1 else f"{name}[{i}]", i)
        for name, shape in shapes
        for i in range(shape.numel())
    ]


def _sites(theta: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    """Return the values of sites from a parameter vector."""
    parts = theta.split([shape.numel() for _, shape in shapes])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes, parts, strict=True)}
