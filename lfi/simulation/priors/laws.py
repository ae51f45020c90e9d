"""Priors as a paper writes them: "Normal(mean 2, sd 1), truncated to (0, ∞)"."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import scipy

from lfi.simulation.priors.joint import JointDistribution, ProductDistribution, TorchJoint
from lfi.simulation.priors.marginals import Marginal, ScipyMarginal, TorchMarginal

Values = Mapping[str, float]

# The forms in which these are read, of torch's parameters; others show the library's own.
FORMS: Mapping[str, Callable[[Values], str]] = {
    "Uniform": lambda v: f"Uniform({_number(v['low'])}, {_number(v['high'])})",
    "Normal": lambda v: f"Normal(mean {_number(v['loc'])}, sd {_number(v['scale'])})",
    "LogNormal": lambda v: (
        f"LogNormal(median {_number(math.exp(v['loc']))}, sd of the log {_number(v['scale'])})"
    ),
    "Exponential": lambda v: f"Exponential(mean {_number(1 / v['rate'])})",
    "Gamma": lambda v: f"Gamma(shape {_number(v['concentration'])}, rate {_number(v['rate'])})",
    "Beta": lambda v: f"Beta({_number(v['concentration1'])}, {_number(v['concentration0'])})",
    "HalfNormal": lambda v: f"HalfNormal(scale {_number(v['scale'])})",
    "HalfCauchy": lambda v: f"HalfCauchy(scale {_number(v['scale'])})",
}


def laws(distribution: JointDistribution) -> tuple[str, ...]:
    """Return the law of each parameter; of a joint distribution, its name with each of them.

    Example:
        >>> prior = lfi.simulation.as_prior({
        ...     "rate": torch.distributions.LogNormal(0.0, 0.5),
        ...     "share": torch.distributions.Uniform(0.0, 1.0),
        ... })
        >>> laws(prior.distribution)
        ('LogNormal(median 1, sd of the log 0.5)', 'Uniform(0, 1)')
    """
    if isinstance(distribution, ProductDistribution):
        return tuple(_law(marginal) for marginal in distribution.marginals)
    known = isinstance(distribution, TorchJoint)
    own = type(distribution.distribution if known else distribution).__name__
    bounds = zip(distribution.lower.tolist(), distribution.upper.tolist(), strict=True)
    return tuple(
        f"{own}, jointly with the others" + _cut(low, high) * distribution.truncated
        for low, high in bounds
    )


def _law(marginal: Marginal) -> str:
    """Return one marginal's law, before any bounds truncated it, and those bounds."""
    base = getattr(marginal, "base", None)
    if isinstance(base, Marginal):
        return _law(base) + _cut(marginal.lower, marginal.upper)
    if isinstance(marginal, ScipyMarginal):
        return _scipy_law(marginal)
    spec = marginal._spec()
    if spec is not None and "parameters" in spec:
        values = {name: value["values"] for name, value in spec["parameters"].items()}
        return (
            FORMS[spec["torch"]](values) if spec["torch"] in FORMS else _own(spec["torch"], values)
        )
    own = type(marginal.distribution if isinstance(marginal, TorchMarginal) else marginal).__name__
    return f"{own} on ({_number(marginal.lower)}, {_number(marginal.upper)})"


def _scipy_law(marginal: ScipyMarginal) -> str:
    """Return the law of a distribution of SciPy, in torch's form where there is one."""
    frozen: Any = marginal.frozen
    shapes = [name.strip() for name in (frozen.dist.shapes or "").split(",") if name.strip()]
    given = dict(zip((*shapes, "loc", "scale"), map(float, frozen.args), strict=False))
    given |= {name: float(value) for name, value in frozen.kwds.items()}
    v = {**{name: given[name] for name in shapes}, "loc": 0.0, "scale": 1.0, **given}
    loc, scale = v["loc"], v["scale"]
    family = frozen.dist.name if isinstance(frozen.dist, scipy.stats.rv_continuous) else ""
    if family == "uniform":
        return FORMS["Uniform"]({"low": loc, "high": loc + scale})
    if family == "norm":
        return FORMS["Normal"](v)
    if family == "truncnorm":
        low, high = loc + v["a"] * scale, loc + v["b"] * scale
        return FORMS["Normal"](v) + _cut(low, high)
    if loc == 0 and family in ("lognorm", "expon", "gamma", "halfnorm", "halfcauchy"):
        return {
            "lognorm": lambda: FORMS["LogNormal"]({"loc": math.log(scale), "scale": v["s"]}),
            "expon": lambda: FORMS["Exponential"]({"rate": 1 / scale}),
            "gamma": lambda: FORMS["Gamma"]({"concentration": v["a"], "rate": 1 / scale}),
            "halfnorm": lambda: FORMS["HalfNormal"](v),
            "halfcauchy": lambda: FORMS["HalfCauchy"](v),
        }[family]()
    if (family, loc, scale) == ("beta", 0.0, 1.0):
        return FORMS["Beta"]({"concentration1": v["a"], "concentration0": v["b"]})
    return _own(str(frozen.dist.name), v)


def _own(name: str, values: Values) -> str:
    """Return a law in its library's own parameters."""
    return f"{name}({', '.join(f'{key} {_number(value)}' for key, value in values.items())})"


def _cut(low: float, high: float) -> str:
    return f", truncated to ({_number(low)}, {_number(high)})"


def _number(value: float) -> str:
    tiny = abs(float(value)) < sys.float_info.min * 2  # as an edge that a transform rounds
    text = "0" if tiny else f"{float(value):.4g}"
    return text.replace("inf", "∞").replace("-", "\N{MINUS SIGN}")
