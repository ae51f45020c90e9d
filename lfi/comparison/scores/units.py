"""Units of scored samples: distances mean nothing where columns differ in unit.

Scores by distances take features of networks as they are, as their papers do. Columns of a table
have units of their own, and the one of the largest numbers would decide alone: they are divided by
their deviations in the data, if `standardise`.
"""

import torch
from torch import Tensor

from lfi.numerics.arrays import Samples
from lfi.numerics.data_frames import frames_as_numbers
from lfi.numerics.weighted_samples import as_batches
from lfi.runtime.calls import warn_caller

APART = 100.0  # times the smallest deviation, from which the largest one alone decides


def scored_samples(
    samples: tuple[Samples, ...], names: tuple[str, ...], data: int, *, standardise: bool | None
) -> tuple[Tensor, ...]:
    """Return samples, or batches of them, in the units that their score is of.

    None of `standardise` leaves them as they are, and warns where deviations differ by more than a
    hundred times. `data` is the place of the sample whose deviations count.
    """
    given = frames_as_numbers(samples, names)
    found: dict[int, Tensor] = {}
    for i in range(len(given)):
        if i != data:
            pair = sorted((i, data))
            first, second = (given[j] for j in pair)
            both = as_batches(first, second, names=(names[pair[0]], names[pair[1]]), finite=True)
            found.update(zip(pair, both, strict=True))
    own = found[data].detach()
    deviation, size = own.std(-2, correction=0, keepdim=True), own.abs().amax(-2, keepdim=True)
    varies = deviation > 4 * torch.finfo(own.dtype).eps * size
    if standardise:
        divisor, centre = torch.where(varies, deviation, 1.0), own.mean(-2, keepdim=True)
        return tuple((found[i] - centre) / divisor for i in range(len(given)))
    if standardise is None and varies.any():
        smallest, largest = float(deviation[varies].min()), float(deviation[varies].max())
        if largest > APART * smallest:
            warn_caller(
                f"columns of {names[data]} have deviations from {smallest:.3g} to {largest:.3g}, "
                "and the largest decide distances: say standardise=True to divide by them, or "
                "False to keep units",
                UserWarning,
            )
    return tuple(found[i] for i in range(len(given)))
