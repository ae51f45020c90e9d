"""Adapters that make a `Simulator` of a function, a module or an object."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lfi.numerics.arguments import checked, shown
from lfi.numerics.checks import check_whole
from lfi.simulation.priors.prior import as_prior
from lfi.simulation.records.results import as_data
from lfi.simulation.simulators.simulator import Simulator


@checked
def simulator(
    *,
    prior: object,
    batched: bool = True,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
    x_obs: object = None,
    trials: int | None = None,
    differentiable: bool = False,
) -> Callable[[Callable[..., Any]], Simulator]:
    """Decorate a function with its prior, which makes it a `Simulator`.

    Example:
        >>> from torch.distributions import LogNormal
        >>> @simulator(prior={"beta": LogNormal(0.4, 0.5), "gamma": LogNormal(-1.0, 0.5)})
        ... def epidemic(theta):
        ...     return torch.poisson(theta[:, :1] / theta[:, 1:])
        >>> epidemic
        Simulator(epidemic, Prior(beta in (0, inf), gamma in (0, inf)))
    """
    check_whole("trials", trials, optional=True)
    known = as_prior(prior)
    observed = None if x_obs is None else as_data("x_obs", x_obs)
    return lambda simulate: Simulator(
        simulate,
        prior=known,
        batched=batched,
        name=name,
        units=units,
        x_obs=observed,
        trials=trials,
        differentiable=differentiable,
    )


@checked
def as_simulator(simulator: object, *, name: str = "simulator") -> Simulator:
    """Return a simulator, or make one of a module or object with `prior` and `simulate`.

    Its attributes `batched`, `units`, `x_obs`, `trials`, `summary` and `differentiable` are used
    where it has them, `names` where its prior is one distribution of a vector; `x_names`, `x_axis`
    and `x_units` as in `Simulator.with_labels`; the docstring is its description. TypeError, about
    the argument `name`, if it is neither; ValueError if names do not fit parameters or data.
    """
    if isinstance(simulator, Simulator):
        return simulator
    prior, simulate = (getattr(simulator, name, None) for name in ("prior", "simulate"))
    if prior is None or simulate is None:
        raise TypeError(
            f"{name} must be an lfi.Simulator, or a module or object with `prior` and "
            f"`simulate`; got {shown(simulator)}"
        )
    if isinstance(simulator, ModuleType):
        own = (
            Path(simulator.__file__ or "").stem
            if simulator.__name__ == "__main__"
            else simulator.__name__
        )
    else:
        own = getattr(simulator, "name", type(simulator).__name__)
    prior = as_prior(prior, getattr(simulator, "names", None))
    optional = ("batched", "units", "x_obs", "trials", "summary", "differentiable")
    settings = {key: getattr(simulator, key) for key in optional if hasattr(simulator, key)}
    if inspect.ismethod(settings.get("trials")):  # of a posterior that simulates
        del settings["trials"]
    labels = {key: getattr(simulator, key, None) for key in ("x_names", "x_axis", "x_units")}
    if isinstance(simulator, ModuleType):
        labels["description"] = inspect.getdoc(simulator)
    made = Simulator(simulate, prior=prior, name=own.rpartition(".")[2], **settings)
    return made.with_labels(**labels)
