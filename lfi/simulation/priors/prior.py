"""Priors with named parameters, from a dictionary of distributions or a joint distribution.

A prior is a distribution on the product of the open intervals (lower, upper), the bounds of its
support. Its bijection theta = T(u) maps unconstrained u there, column by column, by the bounds:

    none              theta = u
    a below           theta = a + exp(u)
    b above           theta = b - exp(-u)
    a below, b above  theta = a + (b - a) / (1 + exp(-u))

Draws lie strictly between the bounds, also after rounding; the bounds count as outside.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike, as_sample, as_tensor
from lfi.numerics.checks import check_counts
from lfi.runtime import Contents, Refusal
from lfi.runtime.seeds import fresh, numpy_rng
from lfi.simulation.priors.cdf import FrozenDistribution
from lfi.simulation.priors.joint import JointDistribution, ProductDistribution, joint_distribution
from lfi.simulation.priors.marginals import Marginal, ScipyMarginal, TorchMarginal, torch_marginal
from lfi.simulation.priors.serialisation import named_dtype, scipy_from_spec, torch_from_spec
from lfi.simulation.priors.truncation import truncate

TRIAL = 8  # draws that show whether a prior has any spread
MIN_STEPS = 100  # numbers of its dtype among them: a posterior is narrower than a prior
MAX_SHOWN = 6  # parameters in a repr
DIMENSIONS = frozenset(["chain", "draw", "observation"])  # of ArviZ, where names vanish


@dataclass(frozen=True, eq=False)
class Prior:
    """The prior distribution of named parameters, `names` in the order of theta's columns.

    Example:
        >>> from torch.distributions import LogNormal, Uniform
        >>> prior = as_prior({"rate": LogNormal(0.0, 1.0), "share": Uniform(0.0, 1.0)})
        >>> prior.sample(3, seed=0).shape
        torch.Size([3, 2])
        >>> prior.truncate([0.0, 0.2], [2.0, 0.4])
        Prior(rate in (0, 2), share in (0.2, 0.4), truncated)
    """

    names: tuple[str, ...]
    distribution: JointDistribution

    @property
    def dim(self) -> int:
        """The number of parameters, D."""
        return len(self.names)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of theta."""
        return self.distribution.dtype

    @property
    def lower(self) -> Float[Tensor, " dim"]:
        """The lower bounds of the support, minus infinity where there are none."""
        return self.distribution.lower

    @property
    def upper(self) -> Float[Tensor, " dim"]:
        """The upper bounds of the support, infinity where there are none."""
        return self.distribution.upper

    @property
    def truncated(self) -> bool:
        """Whether the prior is truncated to bounds inside its original support."""
        return self.distribution.truncated

    @property
    def untruncated(self) -> "Prior":
        """The prior before it was truncated, such as by rounds; itself where it is not.

        Example:
            >>> prior = as_prior({"share": torch.distributions.Uniform(0.0, 1.0)})
            >>> prior.truncate([0.2], [0.4]).untruncated
            Prior(share in (0, 1))
        """
        return Prior(self.names, self.distribution.whole()) if self.truncated else self

    def __repr__(self) -> str:
        parts = self._intervals()
        if self.dim > MAX_SHOWN:
            parts[MAX_SHOWN - 1 : -1] = [f"{self.dim - MAX_SHOWN} more"]
        return f"Prior({', '.join(parts + ['truncated'] * self.truncated)})"

    def describe(self) -> str:
        """Return the parameters with their bounds, a line each, in words."""
        kind = "independent" if isinstance(self.distribution, ProductDistribution) else "joint"
        head = f"{kind} prior of {self.dim} parameters" + ", truncated" * self.truncated
        return "\n".join([head, *self._intervals()])

    def _intervals(self) -> list[str]:
        bounds = zip(self.names, self.lower.tolist(), self.upper.tolist(), strict=True)
        return [f"{name} in ({low:.4g}, {high:.4g})" for name, low, high in bounds]

    @checked
    def sample(
        self, n: int, *, seed: int | np.random.Generator | None = None
    ) -> Float[Tensor, "n dim"]:
        """Draw n parameter vectors; the global state of random numbers is left as it was.

        `seed` None takes fresh entropy; a generator is drawn from as it stands.
        """
        check_counts(minimum=0, n=n)
        rng = seed if isinstance(seed, np.random.Generator) else numpy_rng(fresh(seed))
        return self._inside(self.distribution.sample(n, rng))

    @checked
    def as_theta(self, theta: Float[Tensor, "n dim"] | ArrayLike) -> Float[Tensor, "n dim"]:
        """Return parameter vectors as a tensor; columns of a data frame are taken by name.

        TypeError if they are not real numbers, ValueError if they are not (n, D).

        Example:
            >>> from torch.distributions import Normal
            >>> as_prior({"a": Normal(0.0, 1.0)}).as_theta([[1], [2]])
            tensor([[1.],
                    [2.]])
        """
        if set(self.names) <= set(getattr(theta, "columns", ())):
            frame: Any = theta  # of whatever library
            theta = frame[list(self.names)]
        theta = as_tensor("theta", theta)
        if theta.ndim != 2 or theta.shape[1] != self.dim:
            raise ValueError(
                f"theta must have shape (n, {self.dim}), a column for each of "
                f"{', '.join(self.names)}; got {tuple(theta.shape)}"
            )
        theta = as_sample("theta", theta)
        return theta if theta.is_floating_point() else theta.to(self.dtype)

    @checked
    def log_prob(self, theta: Float[Tensor, "*batch dim"] | ArrayLike) -> Float[Tensor, "*batch"]:
        """Return the log density, minus infinity outside the support."""
        theta = as_tensor("theta", theta)
        inside = self._within(theta)
        rows = theta.to("cpu", self.dtype).reshape(-1, self.dim)
        rows = torch.where(inside.to("cpu").reshape(-1, 1), rows, self._anchor())
        values = self.distribution.log_prob(rows).reshape(theta.shape[:-1]).to(theta.device)
        return torch.where(inside, values, -math.inf)

    @checked
    def contains(self, theta: Float[Tensor, "*batch dim"] | ArrayLike) -> Bool[Tensor, "*batch"]:
        """Return which vectors lie in the support."""
        theta = as_tensor("theta", theta)
        if isinstance(self.distribution, ProductDistribution):
            return self._within(theta)
        return self.log_prob(theta) > -math.inf

    def to_unconstrained(self, theta: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Return u = T^-1(theta); not finite where theta is outside the support."""
        theta = theta.to(self.dtype)
        low, high, below, above = self._bounds(theta)
        u = torch.where(below, torch.log(torch.where(below, theta - low, 1.0)), 0.0)
        u = u - torch.where(above, torch.log(torch.where(above, high - theta, 1.0)), 0.0)
        return torch.where(below | above, u, theta)

    def from_unconstrained(
        self, u: Float[Tensor, "*batch dim"]
    ) -> tuple[Float[Tensor, "*batch dim"], Float[Tensor, "*batch"]]:
        """Return theta = T(u) and log |det dT/du|."""
        u = u.to(self.dtype)
        low, high, below, above = self._bounds(u)
        width = torch.where(below & above, high - low, 1.0)
        scale = torch.where(below, torch.exp(torch.where(above | ~below, 0.0, u)), 0.0)
        theta = torch.where(below, low + scale, u)
        theta = torch.where(above, high - torch.exp(-torch.where(below | ~above, 0.0, u)), theta)
        theta = torch.where(below & above, low + width * torch.sigmoid(u), theta)
        slope = torch.where(below, u, torch.where(above, -u, 0.0))
        slope = torch.where(below & above, width.log() + logsigmoid(u) + logsigmoid(-u), slope)
        return self._inside(theta), slope.sum(-1)

    @checked
    def truncate(self, lower: Tensor | ArrayLike, upper: Tensor | ArrayLike) -> "Prior":
        """Return the prior given that theta lies between `lower` and `upper`.

        Bounds may be infinite; a prior truncated again keeps the narrower ones. ValueError for
        bounds of the wrong shape, empty, or without prior mass.
        """
        bounds = []
        for name, values in (("lower", lower), ("upper", upper)):
            edge = as_tensor(name, values).detach().to("cpu", self.dtype)
            bounds.append(edge)
            if edge.shape != (self.dim,):
                raise ValueError(
                    f"truncate needs {name} of shape ({self.dim},), one bound for each of "
                    f"{', '.join(self.names)}; got {tuple(edge.shape)}"
                )
        for name, low, high in zip(self.names, *(edge.tolist() for edge in bounds), strict=True):
            if not low < high:
                raise ValueError(f"truncate needs lower < upper; for {name} got {low:g}, {high:g}")
        return Prior(self.names, self.distribution.restrict(*bounds))

    @checked
    def marginal(self, names: Sequence[str]) -> "Prior":
        """Return the prior of some of the parameters, in the order asked for.

        TypeError for one string; ValueError for no names, names unknown or repeated, or parameters
        that are not independent, so that their marginals are not known.

        Example:
            >>> from torch.distributions import LogNormal, Uniform
            >>> prior = as_prior({"rate": LogNormal(0.0, 1.0), "share": Uniform(0.0, 1.0)})
            >>> prior.marginal(["share"])
            Prior(share in (0, 1))
        """
        if isinstance(names, str):
            raise TypeError(f"names must be several: give [{names!r}] in place of {names!r}")
        names = tuple(names)
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(f"names: no parameter {unknown[0]!r} among {', '.join(self.names)}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"names must be different parameters, at least one; got {names}")
        if not isinstance(self.distribution, ProductDistribution):
            raise ValueError(
                "a marginal needs a prior of independent parameters, a dictionary of "
                "distributions: this one is a joint distribution"
            )
        marginals = dict(zip(self.names, self.distribution.marginals, strict=True))
        return Prior(names, ProductDistribution(tuple(marginals[name] for name in names)))

    def _spec(self) -> dict[str, Any] | None:
        """Return plain values for JSON, None where a distribution cannot be named."""
        spec = self.distribution._spec()
        return spec and {"names": list(self.names), **spec}

    @classmethod
    def _restore(cls, spec: Mapping[str, Any]) -> "Prior":
        """Return the prior that `_spec` wrote, executing nothing; ValueError if damaged."""
        try:
            names = tuple(spec["names"])
            if "product" in spec:
                marginals = tuple(_marginal_from_spec(part) for part in spec["product"])
                prior = Prior(names, ProductDistribution(marginals))
            else:
                prior = Prior(names, joint_distribution(torch_from_spec(spec["joint"])))
            own = {name for name in names if isinstance(name, str)}
            if not len(own) == len(names) == len(prior.lower):
                raise TypeError(f"names {names} for {len(prior.lower)} parameters")
            if "lower" in spec:
                return prior.truncate(spec["lower"], spec["upper"])
            return prior
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"description of a prior is damaged: {error!r}") from error

    def to_contents(self) -> dict[str, Any]:
        """Return what a file keeps: all of it, or its fingerprint where that cannot be named."""
        return self._spec() or {"names": list(self.names), "fingerprint": self.fingerprint}

    @staticmethod
    def from_contents(contents: Contents) -> "Prior":
        """Return the prior that a file names, or the same given with it; Refusal if neither."""
        kept, given = contents.spec["prior"], contents.prior
        if kept is None or "fingerprint" in kept:
            if given is None:
                raise Refusal("the file cannot name its prior: give it with load(path, prior=...)")
            known = kept and kept["fingerprint"]  # format 1 had none
        else:
            own = Prior._restore(kept)
            known = own.fingerprint
            given = own if given is None else given
        prior = as_prior(given)
        if kept is not None and known != prior.fingerprint:
            raise Refusal(
                f"prior: it was made with another prior than {prior!r}, of "
                f"{', '.join(map(str, kept['names']))}: give the same one, or none"
            )
        return prior

    @property
    def fingerprint(self) -> str:
        """A hash of names and distributions, or of 16 draws where they cannot be named."""
        spec = self._spec()
        if spec is not None:
            content = json.dumps(spec, sort_keys=True).encode()
        else:
            content = self.sample(16, seed=0).numpy().tobytes()
        return hashlib.sha256("/".join(self.names).encode() + content).hexdigest()

    def _within(self, theta: Tensor) -> Tensor:
        if theta.shape[-1:] != (self.dim,):
            raise ValueError(
                f"theta must have {self.dim} columns ({', '.join(self.names)}), "
                f"got shape {tuple(theta.shape)}"
            )
        theta = theta.to(self.dtype)
        low, high = self.lower.to(theta.device), self.upper.to(theta.device)
        return ((theta > low) & (theta < high)).all(dim=-1)

    def _bounds(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return finite bounds, zero where there are none, and which columns have them."""
        low, high = self.lower.to(theta.device), self.upper.to(theta.device)
        below, above = low.isfinite(), high.isfinite()
        return low.nan_to_num(0, 0, 0), high.nan_to_num(0, 0, 0), below, above

    def _anchor(self) -> Tensor:
        """Return a point between the bounds."""
        return self.from_unconstrained(torch.zeros(self.dim, dtype=self.dtype))[0]

    def _inside(self, theta: Tensor) -> Tensor:
        low, high = self.lower.to(theta.device), self.upper.to(theta.device)
        first, last = torch.nextafter(low, high), torch.nextafter(high, low)
        return torch.minimum(torch.maximum(theta, first), last)


@checked
def as_prior(prior: object, names: Sequence[str] | None = None) -> Prior:
    """Return a prior from a distribution, or from a dictionary of names and distributions.

    Args:
        prior: A dictionary from parameter names to continuous scalar distributions (of torch, of
            Pyro, or frozen ones of `scipy.stats`); a torch distribution of a vector, with
            event_shape (D,); or a Prior. Theta has the dtype of its torch distributions, and is of
            float64 where one is of SciPy.
        names: The parameters' names of a distribution of a vector; theta_0, theta_1, ... if None.
            What has names already must have these.

    TypeError for what is no continuous distribution; ValueError for shapes or names that are wrong.
    """
    named = tuple(
        prior.names if isinstance(prior, Prior) else prior if isinstance(prior, Mapping) else ()
    )
    _check_names("prior" if names is None else "names", named if names is None else tuple(names))
    if named and names is not None and tuple(names) != named:
        raise ValueError(f"prior: names {tuple(names)} were given, and the prior names {named}")
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, Mapping):
        if not prior:
            raise ValueError("prior is an empty dictionary: name at least one parameter")
        marginals = tuple(_marginal(*item) for item in prior.items())
        return _spread(Prior(tuple(prior), ProductDistribution(marginals)))
    if not isinstance(prior, Distribution):
        raise TypeError(
            "prior must be a dictionary of names and distributions, a torch distribution of a "
            f"vector, or a Prior; got {_kind(prior)}"
        )
    if prior.batch_shape or len(prior.event_shape) != 1:
        raise ValueError(
            "prior: one distribution must be of a vector, with batch_shape () and event_shape "
            f"(D,); got batch_shape {tuple(prior.batch_shape)} and event_shape "
            f"{tuple(prior.event_shape)}. torch.distributions.Independent(d, 1) makes a batch a "
            "vector; a dictionary names scalar distributions"
        )
    numbered = [f"theta_{i}" for i in range(prior.event_shape[0])]
    names = tuple(numbered if names is None else names)
    if len(names) != prior.event_shape[0]:
        raise ValueError(f"prior: {len(names)} names for event_shape {tuple(prior.event_shape)}")
    return _spread(Prior(names, joint_distribution(prior)))


def _check_names(argument: str, names: tuple[object, ...]) -> None:
    """Check parameters' names, which files and data sets of ArviZ take for names of variables."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}: parameter names must be non-empty strings, got {name!r}")
        if name in DIMENSIONS or name == "." or "/" in name or not name.isprintable():
            raise ValueError(
                f"{argument}: a parameter cannot be called {name!r}: files keep no variable of a "
                f"name with '/' or control characters, or called {', '.join(sorted(DIMENSIONS))}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{argument}: names must be different, got {names}")


def _spread(prior: Prior) -> Prior:
    """Return the prior; ValueError if a parameter is a constant, infinite or without a support."""
    for name, low, high in zip(
        prior.names, prior.lower.tolist(), prior.upper.tolist(), strict=True
    ):
        if not low < high:
            raise ValueError(
                f"prior: {name} lies between {low:g} and {high:g} in {prior.dtype}, which is empty"
            )
    try:
        draws = prior.distribution.sample(TRIAL, numpy_rng(0))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"prior: no parameters can be drawn from it: {error}") from error
    for name, column in zip(prior.names, draws.unbind(1), strict=True):
        if not column.isfinite().all() or bool((column == column[0]).all()):
            raise ValueError(
                f"prior: {name} must vary and be finite, and of {TRIAL} draws the first are "
                f"{column[:3].tolist()}"
            )
        step = torch.finfo(column.dtype).eps * column.abs().max()
        if column.max() - column.min() < MIN_STEPS * step:
            raise ValueError(
                f"prior: {name} takes few values in {column.dtype}, whose numbers lie {step:.2g} "
                f"apart at {column[0]:.8g}: give the distribution parameters of float64"
            )
    return prior


def _marginal(name: str, obj: object) -> Marginal:
    if isinstance(obj, Distribution):
        if obj.batch_shape or obj.event_shape:
            raise ValueError(
                f"prior: {name} must be a scalar distribution; got {type(obj).__name__} of "
                f"batch_shape {tuple(obj.batch_shape)} and event_shape {tuple(obj.event_shape)}. "
                "Give its parameters as plain numbers"
            )
        return torch_marginal(name, obj)
    if isinstance(getattr(obj, "dist", None), scipy.stats.rv_discrete):
        raise TypeError(f"prior: {name} is discrete: priors are continuous distributions")
    if not isinstance(obj, FrozenDistribution):
        raise TypeError(
            f"prior: {name} must be a torch or Pyro distribution or a frozen distribution of "
            f"scipy.stats, such as scipy.stats.norm(0, 1); got {_kind(obj)}"
        )
    if any(np.ndim(value) for value in (*obj.args, *obj.kwds.values())):
        raise ValueError(f"prior: {name} must be a scalar distribution; its parameters are arrays")
    if math.isnan(obj.support()[0]):
        raise ValueError(f"prior: {name} has impossible parameters {obj.args} {obj.kwds}")
    return ScipyMarginal(obj, torch.float64)  # in which SciPy computes


def _marginal_from_spec(spec: Mapping[str, Any]) -> Marginal:
    if "truncated" in spec:
        whole = _marginal_from_spec(spec["truncated"])
        return truncate(whole, float(spec["lower"]), float(spec["upper"]))
    if "torch" in spec:
        return TorchMarginal(torch_from_spec(spec))
    return ScipyMarginal(scipy_from_spec(spec), named_dtype(spec["dtype"]))


def _kind(obj: object) -> str:
    return obj.__name__ if isinstance(obj, type) else f"a {type(obj).__name__}"
