"""A two-sample test by the L2 distance of densities, at many widths and ridges at once.

`lsdd_test` estimates int (p - q)^2 as `LSDD` does, D_k for each of K pairs of a width and a ridge,
for the samples as they are and for B relabellings of the pooled sample. Its statistic is

    max_k (D_k - mean_k) / s_k,

mean_k and s_k taken over all B + 1 of them, which makes the permutation test exact. Sugiyama et al.
take, for every relabelling anew, the D_k that cross-validation chooses. That is exact too, but
where p and q are close the choice is mostly noise: of 100 against 100 points it finds shifts and
spreads less than half as often, bumps as often (tests/benchmarks/density_difference.py).

The centres are points of the pooled sample, drawn regardless of the labels. One matrix of kernel
values and one eigendecomposition a width serve all relabellings: with the labels as columns of A,
the means of both samples in the eigenbasis are A'Z, and D_k is a sum over eigenvalues.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.lsdd import LSDD, RIDGES, WIDTHS, gaussian, spectrum
from lfi.comparison.two_sample.permutation import TwoSampleTest, pool
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_instance, check_whole
from lfi.numerics.distances import median_distance

ROUNDING = 1e-9  # of a deviation: relabellings that give equal statistics must count as equal
NOTHING = 1e-20  # a deviation of rounding: all points are equal, and distances are squares of it
EQUAL = 1e-12  # of the distances, a deviation of rounding: every relabelling gives the same one


@checked
def lsdd_test(
    p: Samples,
    q: Samples,
    *,
    discrepancy: LSDD | None = None,
    permutations: int = 1_000,
    standardise: bool = True,
    seed: int | None = None,
) -> TwoSampleTest:
    """Test whether two samples have one distribution, by the L2 distance of their densities.

    Time and memory grow as (n + m) times permutations and centres: 1,000 against 1,000 points take
    a second. Differences in dense regions count most; `mmd_test` is its equal in most respects and
    better in many dimensions. Arguments and errors are those of `mmd_test`, the seed also of the
    centres; `discrepancy`, an `LSDD` (else TypeError), sets the number of centres, and width (in
    deviations of the coordinates, if standardised) and ridge: all are tried of what is None.

    Example:
        >>> p, q = torch.randn(100, 2), 2 * torch.randn(80, 2)
        >>> lfi.comparison.lsdd_test(p, q, permutations=199, seed=1).p_value
        0.005
    """
    check_whole("permutations", permutations)
    check_instance("discrepancy", discrepancy, LSDD, optional=True)
    lsdd = LSDD() if discrepancy is None else discrepancy
    pooled = pool(p, q, standardise=standardise, seed=seed)
    rows = pooled.rows
    mixed = rows[pooled.rng.permutation(len(rows))]
    centres = mixed[: lsdd.centres]
    if lsdd.width is None:
        widths = median_distance(*mixed.tensor_split(2)) * rows.new_tensor(WIDTHS)
    else:
        widths = torch.as_tensor(lsdd.width, dtype=rows.dtype).reshape(-1)
    ridges = torch.as_tensor(RIDGES if lsdd.ridge is None else lsdd.ridge, dtype=rows.dtype)
    labels = pooled.relabellings(permutations)
    values = torch.cat(
        [_distances(rows, centres, width, ridges.reshape(-1), labels) for width in widths]
    )
    centred = values - values.mean(dim=1, keepdim=True)
    deviation = centred.std(dim=1, keepdim=True)
    least = NOTHING + EQUAL * values.amax(dim=1, keepdim=True)
    z = torch.where(deviation < least, 0.0, centred / deviation.clamp(min=NOTHING))
    compared = f"density difference, {len(widths)} widths and {ridges.numel()} ridges"
    compared += ", coordinates over their deviations" if standardise else ""
    return pooled.result(z.amax(dim=0), compared, ROUNDING)


def _distances(
    rows: Tensor, centres: Tensor, width: Tensor, ridges: Tensor, labels: Float[Tensor, "k b"]
) -> Float[Tensor, "r b"]:
    """Return the squared L2 distance of every relabelling, but for a factor of the width."""
    share = torch.full_like(centres[:, 0], 1 / len(centres))
    values, vectors = spectrum(centres, share, width)
    z = gaussian(rows, centres, width) @ vectors
    n = labels[:, 0].sum()
    sum_p = z.mT @ labels  # (c, b)
    difference = sum_p / n - (z.sum(dim=0)[:, None] - sum_p) / (len(rows) - n)
    inverse = 1 / (values + ridges[:, None])
    return ((values + 2 * ridges[:, None]) * inverse.square()) @ difference.square()
