"""Adapters that make a `Simulator` of a function, a module or an object."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lfi.simulation.priors.prior import as_prior
from lfi.simulation.simulators.simulator import Simulator


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
    return lambda simulate: Simulator(
        simulate,
        prior=prior,
        batched=batched,
        name=name,
        units=units,
        x_obs=x_obs,
        trials=trials,
        differentiable=differentiable,
    )


def as_simulator(obj: object) -> Simulator:
    """Return a simulator, or make one of a module or object with `prior` and `simulate`.

    Its attributes `batched`, `units`, `x_obs`, `trials`, `summary` and `differentiable` are used
    where it has them, `names` where its prior is one distribution of a vector. TypeError if it is
    neither; ValueError if `names` do not fit the parameters.
    """
    if isinstance(obj, Simulator):
        return obj
    prior, simulate = (getattr(obj, name, None) for name in ("prior", "simulate"))
    if prior is None or simulate is None:
        raise TypeError(
            "simulator must be an lfi.Simulator, or a module or object with `prior` and "
            f"`simulate`; got a {type(obj).__name__}"
        )
    if isinstance(obj, ModuleType):
        name = Path(obj.__file__ or "").stem if obj.__name__ == "__main__" else obj.__name__
    else:
        name = getattr(obj, "name", type(obj).__name__)
    prior = as_prior(prior, getattr(obj, "names", None))
    optional = ("batched", "units", "x_obs", "trials", "summary", "differentiable")
    settings = {key: getattr(obj, key) for key in optional if hasattr(obj, key)}
    return Simulator(simulate, prior=prior, name=name.rpartition(".")[2], **settings)
