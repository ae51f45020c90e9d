"""Posteriors of other programs, as the checks take them."""

from typing import Any, Protocol, runtime_checkable

from lfi.diagnostics.weighted_posterior import DRAWS, Checkable
from lfi.inference.posteriors.known_draws import KnownDraws
from lfi.inference.posteriors.sbi import SbiSamples, from_sbi, judged_by_draws
from lfi.numerics.arrays import Samples
from lfi.simulation import Simulations


@runtime_checkable
class HasPotential(Protocol):
    """A posterior of sbi; those that are drawn from by chains do not tell their prior."""

    potential_fn: object


def as_checkable(
    posterior: Checkable | HasPotential | Samples, held_out: Simulations, draws: int | None
) -> tuple[Checkable, int | None]:
    """Return a posterior of lfi's kind and the number of draws to take, None for its ratio.

    Args:
        posterior: Of lfi, or any with its `sample`; one that sbi has trained, under the prior of
            the simulations; or draws of the simulations' posteriors, (m, n, D).
        held_out: The simulations.
        draws: How many draws are asked for.

    Raises:
        ValueError: If draws do not fit the simulations, or sbi's posterior is of another kind.
    """
    if type(posterior).__module__.partition(".")[0] == "sbi":
        if judged_by_draws(posterior):
            return SbiSamples(posterior, held_out.prior), draws
        taken: Any = from_sbi(posterior, prior=held_out.prior)  # frozen, which protocols are not
        return taken, draws
    if isinstance(posterior, Checkable):
        return posterior, draws
    if isinstance(posterior, HasPotential):
        raise TypeError(f"posterior must be of lfi or sbi, got a {type(posterior).__name__}")
    known = KnownDraws.of(posterior, held_out)
    return known, min(DRAWS, known.draws.shape[1]) if draws is None else draws
