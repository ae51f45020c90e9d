"""Joint densities of Pyro models: latent sites in unconstrained coordinates, observations given.

A site of support S is T(u) with Pyro's bijection of R^k onto S (`biject_to`), as its own samplers
have it: positive numbers by exp, simplices by stick-breaking. The density of many u at once is that
of one, mapped by `torch.vmap`; a model that cannot be mapped, as it branches on values of sites, is
run for one after the other.

References:
    Bingham et al., Pyro: Deep Universal Probabilistic Programming, JMLR 2019. arXiv:1810.09538
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform, biject_to

from lfi.inference.implicit.joint_density import STARTS, JointDensity
from lfi.runtime import child, isolated, torch_rng
from lfi.simulation import Prior
from lfi.simulation.simulators.pyro import (
    pyro_prior,
    run_model,
    site_columns,
    site_values,
    without_observations,
)

Shapes = tuple[tuple[str, torch.Size], ...]
TRACES = 3  # that show whether a model's sites stay the same


def pyro_density(
    model: Callable[..., object], arguments: Sequence[Any], *, seed: int
) -> JointDensity:
    """Return the joint density of a Pyro model's latent sites, its observations given.

    ValueError if it has no latent site, one is discrete, or its support depends on other sites.
    """
    from pyro import poutine

    run = partial(model, *arguments)
    try:
        with isolated(seed), torch.no_grad():
            trace = poutine.trace(run).get_trace()
    except TypeError as error:
        raise TypeError(
            f"model: called with {len(arguments)} arguments, as a Pyro model: {error}. Give its "
            "`arguments`; or, for a function of parameters, the `prior` of a log-likelihood, or "
            "the `names` of the parameters of a log density"
        ) from error
    every: dict[str, Any] = dict(trace.nodes)
    nodes = {name: node for name, node in every.items() if node["type"] == "sample"}
    sites = {name: node for name, node in nodes.items() if isinstance(node["fn"], Distribution)}
    latent = {name: node for name, node in sites.items() if not node["is_observed"]}
    observed = {
        name: node
        for name, node in sites.items()
        if node["is_observed"] and "_deterministic" not in node["infer"]
    }
    if not latent:
        raise ValueError(
            "model: it has no latent site of Pyro: for a function of parameters, give the `prior` "
            "of a log-likelihood, or the `names` of the parameters of a log density"
        )
    for name, node in latent.items():
        if node["fn"].has_enumerate_support:
            raise ValueError(f"model: its site {name} is discrete: parameters are continuous")
    transforms = {name: biject_to(node["fn"].support) for name, node in latent.items()}
    shapes = tuple((name, node["value"].shape) for name, node in latent.items())
    free = tuple((name, transforms[name].inv(node["value"]).shape) for name, node in latent.items())
    points = _points(run, transforms, free, seed)

    def parts(u: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return values and log Jacobians of sites, of one vector u."""
        values = site_values(u, free)
        found = {}
        for name, own in values.items():
            value = transforms[name](own)
            found[name] = value, transforms[name].log_abs_det_jacobian(own, value).sum()
        return found

    def log_density(u: Tensor) -> Tensor:
        found = parts(u)
        given = {name: value for name, (value, _) in found.items()}
        trace = poutine.trace(poutine.condition(run, given)).get_trace()
        total = trace.log_prob_sum()
        return total + torch.stack([jacobian for _, jacobian in found.values()]).sum()

    def constrain(u: Tensor) -> Tensor:
        return torch.cat([value.flatten() for value, _ in parts(u).values()])

    def unconstrain(theta: Tensor) -> Tensor:
        values = site_values(theta, shapes)
        return torch.cat([transforms[name].inv(value).flatten() for name, value in values.items()])

    def log_jacobian(u: Tensor) -> Tensor:
        return torch.stack([jacobian for _, jacobian in parts(u).values()]).sum()

    of_rows, quick = _for_rows(log_density, points)
    data = [node["value"].flatten() for node in observed.values() if node["value"].numel()]
    return JointDensity(
        names=tuple(site_columns(shapes)),
        log_density=of_rows,
        constrain=_for_rows(constrain, points)[0],
        unconstrain=_one_by_one(unconstrain),
        log_jacobian=_for_rows(log_jacobian, points)[0],
        start=points,
        prior=_prior(run, tuple(observed)),
        shapes=shapes,
        observed=torch.cat(data).detach() if data else None,
        quick=quick,
    )


def _points(
    run: Callable[[], object], transforms: dict[str, Transform], free: Shapes, seed: int
) -> Tensor:
    """Return unconstrained draws of the prior, or standard normal ones where it is improper."""
    rows = []
    try:
        for index in range(STARTS):
            with isolated(child(seed, index)), torch.no_grad():
                sites = run_model(without_observations(run))
            for name, _ in free if index < TRACES else ():
                _check_support(name, sites, transforms)
            values: list[Any] = [transforms[name].inv(sites[name][1]) for name, _ in free]
            rows.append(torch.cat([value.flatten() for value in values]))
    except NotImplementedError:
        size = sum(shape.numel() for _, shape in free)
        return torch.randn(STARTS, size, generator=torch_rng(seed), dtype=torch.float32)
    points = torch.stack(rows)
    return points[points.isfinite().all(1)]


def _check_support(name: str, sites: dict[str, Any], transforms: dict[str, Transform]) -> None:
    own, value = sites[name]
    u = transforms[name].inv(value)
    there = biject_to(own.support)(u)
    if there.shape != value.shape or not torch.allclose(there, value, rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"model: the support of its site {name} depends on other sites; let the model draw a "
            "number of fixed support and transform it"
        )


def _prior(run: Callable[[], object], observed: tuple[str, ...]) -> Prior | None:
    """Return the prior, None where lfi cannot describe it, such as that of a simplex."""
    try:
        return pyro_prior(run, observed)[0]
    except (TypeError, ValueError, NotImplementedError):
        return None


def _one_by_one(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda rows: torch.stack([function(row) for row in rows])


def _for_rows(
    function: Callable[[Tensor], Tensor], points: Tensor
) -> tuple[Callable[[Tensor], Tensor], bool]:
    """Return a function of one vector as one of rows, and whether vmap gives the same values."""
    from pyro import validation_enabled

    mapped, plain = torch.vmap(function, randomness="different"), _one_by_one(function)

    def fast(rows: Tensor) -> Tensor:
        with validation_enabled(False):  # which branches on values
            return mapped(rows)

    few = points[:3]
    with torch.no_grad():
        expected = plain(few)
        try:
            agrees = torch.allclose(fast(few), expected, rtol=1e-3, atol=1e-4, equal_nan=True)
        except (RuntimeError, ValueError):
            agrees = False
    return (fast, True) if agrees else (plain, False)
