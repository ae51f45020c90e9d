"""Pyro models as simulators: latent sites are the parameters, observed sites the data.

A model is traced to find its sites. Latent sites whose distributions stay the same from trace to
trace are independent priors by name; where one depends on another (a hierarchical model), the prior
is joint: drawn by running the model, with the traced log density. A site of several values becomes
parameters site[0], site[1], ...

Some sites may be the parameters and the others not, such as those of a hierarchical model's groups:
these are drawn anew in each simulation, so that whatever is fitted has them integrated out.

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
from lfi.simulation.priors.serialisation import constructor
from lfi.simulation.simulators.signature import source_text

Model = Callable[[], object]
Shapes = tuple[tuple[str, torch.Size], ...]


@dataclass(frozen=True, eq=False)
class PyroFunction:
    """A model with its latent sites set, as a function of one parameter vector."""

    model: Model
    observed: tuple[str, ...]  # the sites of the data
    latent: Shapes  # the parameters' sites; others are drawn

    @property
    def fingerprint(self) -> str:
        """A text that identifies the model and its sites."""
        return source_text(self.model) + repr((self.observed, self.latent))

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the data of one run; draws from torch's global state."""
        with torch.no_grad():
            run = run_model(without_observations(self.model), site_values(theta, self.latent))
        parts = [run[site][1] for site in self.observed]
        return parts[0] if len(parts) == 1 else torch.cat([part.flatten() for part in parts])


def pyro_prior(
    model: Model, observed: tuple[str, ...], parameters: tuple[str, ...] | None = None
) -> tuple[Prior, Shapes]:
    """Return the prior and shapes of latent sites, by default of all.

    ValueError if a site is missing or discrete, or a parameter depends on a site that is none.
    """
    runs = []
    for seed in range(3):
        with isolated(seed), torch.no_grad():
            runs.append(run_model(without_observations(model)))
    missing = sorted(set(observed) - set(runs[0]))
    if missing:
        raise ValueError(f"observed: the model has no site {missing}; it has {sorted(runs[0])}")
    latent = [name for name in runs[0] if name not in observed]
    if not latent:
        raise ValueError("the model has no latent site: it must sample its parameters")
    if parameters is not None:
        unknown = [name for name in parameters if name not in latent]
        if unknown or not parameters or len(set(parameters)) < len(parameters):
            raise ValueError(
                f"parameters must be different latent sites of the model, some of "
                f"{', '.join(latent)}, got {', '.join(parameters) or 'none'}"
            )
        latent = list(parameters)
    for name in latent:
        if runs[0][name][0].has_enumerate_support:
            raise ValueError(f"site {name} is discrete: parameters are continuous")
    shapes = tuple((name, runs[0][name][1].shape) for name in latent)
    for other in runs[1:]:
        found = tuple((name, value.shape) for name, (_, value) in other.items())
        found = tuple(pair for pair in found if pair[0] not in observed)
        if parameters is not None:
            found = tuple((name, dict(found).get(name)) for name in parameters)
        if found != shapes:
            raise ValueError(f"the model's latent sites change from run to run: {shapes}, {found}")
    distributions = [runs[0][name][0] for name in latent]
    if all(_constant([run[name][0] for run in runs]) for name in latent):
        return as_prior(dict(_named(shapes, distributions))), shapes
    _check_ancestors(model, {name: runs[0][name][1] for name in latent})
    return _joint(model, shapes, distributions), shapes


def _check_ancestors(model: Model, values: dict[str, Tensor]) -> None:
    """Raise ValueError where a parameter depends on a site that is drawn and is none.

    At equal parameters, their densities are then not the same in every run.
    """
    densities = []
    for seed in range(3):
        with isolated(seed), torch.no_grad():
            run = run_model(without_observations(model), values)
        densities.append(
            {name: float(run[name][0].log_prob(v).sum()) for name, v in values.items()}
        )
    for name in values:
        if len({found[name] for found in densities}) > 1:
            raise ValueError(
                f"parameters: {name} depends on a site that is not among {', '.join(values)}, and "
                "so has no density of its own: add that site"
            )


def _joint(model: Model, shapes: Shapes, distributions: list[Distribution]) -> Prior:
    """Return the prior of sites that depend on each other."""
    names = site_columns(shapes)
    lower: list[float] = []
    upper: list[float] = []
    for distribution, (name, shape) in zip(distributions, shapes, strict=True):
        for side, edge in zip((lower, upper), torch_bounds(distribution, name), strict=True):
            side += edge.expand(shape).flatten().tolist()

    def draw(n: int) -> Tensor:
        with torch.no_grad():
            runs = [run_model(model) for _ in range(n)]
        rows = [[run[name][1].flatten() for name, _ in shapes] for run in runs]
        return torch.stack([torch.cat(row) for row in rows])

    def density(theta: Tensor) -> Tensor:
        rows = []
        for row in theta:
            run = run_model(without_observations(model), site_values(row, shapes))
            sites = [run[name] for name, _ in shapes]
            rows.append(torch.stack([own.log_prob(value).sum() for own, value in sites]).sum())
        return torch.stack(rows)

    return sampled_prior(draw, density, names=names, lower=lower, upper=upper)


def run_model(
    model: Model, values: dict[str, Tensor] | None = None
) -> dict[str, tuple[Distribution, Tensor]]:
    """Run a model with some sites given; return the distribution and value of every site."""
    from pyro import poutine

    nodes = poutine.trace(poutine.condition(model, values or {})).get_trace().nodes
    found = {name: (node.get("fn"), node.get("value")) for name, node in nodes.items()}
    return {
        name: (own, value)
        for name, (own, value) in found.items()
        if isinstance(own, Distribution) and isinstance(value, Tensor)  # no plate, no parameter
    }


def without_observations(model: Model) -> Model:
    """Return the model with its observations drawn rather than given."""
    from pyro import poutine

    return poutine.uncondition(model)


def _constant(runs: list[Distribution]) -> bool:
    """Return whether a site's distribution is the same in every run."""
    made = [constructor(_base(distribution)) for distribution in runs]
    if None in made:
        return False
    (own, first), *others = filter(None, made)
    return all(
        own is other and all(torch.equal(first[name], values[name]) for name in first)
        for other, values in others
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
        made = constructor(base)
        assert made is not None  # or it would not be constant
        own, values = made
        flat = {key: value.expand(shape).flatten() for key, value in values.items()}
        for i, column in enumerate(site_columns(((name, shape),))):
            named.append((column, own(**{key: value[i] for key, value in flat.items()})))
    return named


def site_columns(shapes: Shapes) -> list[str]:
    """Return the parameters' names, one for each value of a site."""
    return [
        name if shape.numel() == 1 else f"{name}[{i}]"
        for name, shape in shapes
        for i in range(shape.numel())
    ]


def site_values(theta: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    """Return the values of sites from a parameter vector."""
    parts = theta.split([shape.numel() for _, shape in shapes])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes, parts, strict=True)}
