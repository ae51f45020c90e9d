"""Rejection ABC: the simulations from the prior whose data are closest to the observed.

Nothing is simulated here, so that many distances and observations can share the simulations.

References:
    Pritchard, Seielstad, Perez-Lezaun & Feldman, Population growth of human Y chromosomes, 1999.
"""

import math

import torch

from lfi.comparison import Discrepancy, SlicedWasserstein
from lfi.inference.abc.accepted import ABCPosterior
from lfi.inference.abc.distances import Distance, SampleDistance, as_distance, finite_distances
from lfi.inference.abc.summaries import Summaries
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_number
from lfi.simulation import Simulations

DEFAULT_DISTANCE = Summaries()
DEFAULT_OF_TRIALS = SampleDistance(SlicedWasserstein(), standardise=True)


def distance_for(discrepancy: Discrepancy | Distance | None, trials: int | None) -> Distance:
    """Return the distance asked for, or that for data of so many independent trials, if any."""
    if discrepancy is not None:
        return as_distance(discrepancy)
    return DEFAULT_DISTANCE if trials is None else DEFAULT_OF_TRIALS


@checked
def abc_rejection(
    simulations: Simulations,
    x_obs: Samples,
    *,
    discrepancy: Discrepancy | Distance | None = None,
    quantile: float | None = None,
    tolerance: float | None = None,
    number: int | None = None,
) -> ABCPosterior:
    """Return the parameters whose data are closest to the observation.

    Exactly one of quantile, tolerance and number says how many. Failed simulations count as
    simulations and are never accepted.

    Args:
        simulations: Draws from the prior and their data.
        x_obs: The observation, (*event); for a discrepancy of samples (m, *event), any m.
        discrepancy: A discrepancy of samples, for data (n, trials, *event), such as
            `lfi.discrepancies.MMD()`; or a distance: `lfi.abc.Summaries()`,
            `lfi.abc.SemiAutomatic()`, `lfi.abc.FittedRatio(posterior)`. None takes the sliced
            Wasserstein distance of standardised data for simulations of independent `trials`, whose
            order tells nothing, and `lfi.abc.Summaries()` else.
        quantile: The share of all simulations to accept, rounded to a whole number of at least 1.
        tolerance: The largest distance to accept.
        number: How many to accept. Of equal distances, earlier simulations come first.

    Raises:
        ValueError: If not one of the three is given, or nothing, or not enough, can be accepted.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 3.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior,
        ...     trials=25)
        >>> simulations = lfi.simulate(noisy, 2_000, seed=1)
        >>> x_obs = 2 + torch.randn(25, 1, generator=torch.Generator().manual_seed(1))
        >>> mmd = lfi.discrepancies.MMD()
        >>> accepted = lfi.abc_rejection(simulations, x_obs, discrepancy=mmd, quantile=0.02)
        >>> len(accepted), bool((accepted.mean - x_obs.mean()).abs() < 0.3)
        (40, True)
    """
    given = {"quantile": quantile, "tolerance": tolerance, "number": number}
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"give exactly one of quantile, tolerance and number, got {given}")
    check_number("quantile", quantile, above=0, maximum=1, optional=True)
    theta, x = simulations.ok()
    if len(theta) == 0:
        raise ValueError(f"simulations: none of {len(simulations)} succeeded")
    observed = as_observation(x_obs, dtype=x.dtype)
    distance = distance_for(discrepancy, simulations.trials)
    distance = distance.from_observation(observed, theta, x)
    distances = finite_distances(distance, x)
    order = distances.argsort(stable=True)
    finite = int(distances.isfinite().sum())
    if tolerance is not None:
        count = int((distances <= tolerance).sum())
        if not math.isfinite(tolerance) or count == 0:
            raise ValueError(
                f"tolerance must be a finite distance, and the closest data are at "
                f"{float(distances[order[0]]):.4g}; got {tolerance}"
            )
    else:
        share = None if quantile is None else max(1, round(quantile * len(simulations)))
        count = share or number or 0
        if not 0 < count <= finite:
            name, value = ("number", number) if quantile is None else ("quantile", quantile)
            raise ValueError(
                f"{name} must be positive and ask for no more than the {finite} of "
                f"{len(simulations)} simulations that have a distance, got {value}"
            )
    kept = order[:count]
    return ABCPosterior(
        theta=theta[kept],
        weights=torch.full((count,), 1 / count, dtype=torch.float64),
        distances=distances[kept],
        tolerance=float(distances[kept[-1]]) if tolerance is None else tolerance,
        x=x[kept],
        x_obs=observed,
        prior=simulations.prior,
        simulations=len(simulations),
        failed=len(simulations) - len(theta),
    )
