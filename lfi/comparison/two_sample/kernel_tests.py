"""Two-sample tests by kernels: MMD over many bandwidths at once, and energy distance.

A fine pattern needs a small bandwidth, a shift a large one. `mmd_test` takes Gaussian and Laplace
kernels of six bandwidths each, and of all K of them one statistic, a soft maximum:

    z_k = MMD_k^2 / s_k,        statistic = 1/4 log mean_k exp(4 z_k),

with the unbiased MMD_k^2 of kernel k and its standard deviation s_k over all relabellings of the
pooled sample. MMD^2 does not change where u(x) + u(y) is added to k(x, y) at x != y, so rows of the
kernel's matrix may be made to sum to zero; then it is a multiple of a'Ka with the labels a, and its
variance over relabellings a multiple of the sum of K_ij^2. (MMD-FUSE divides by the root mean
square of the kernel, not centred, which quiets the wide kernels.) The power at level 0.05, measured
by tests/benchmarks/two_sample_tests.py:

                      checkerboard   bump   shift   change of scale
    mmd_test                   .60    .87     .35               .66
    median distance            .04    .19     .41               .73
    energy_test                .04    .19     .41               .48

Deviations and bandwidths are those of the pooled sample and do not know the labels, so that the
permutation test is exact. One matrix serves all relabellings: with a column of A for each, the sums
over pairs within p are diag(A'KA), and those across and within q follow from row sums. Of more than
512 points groups are relabelled (`permutation`), whose sums are kept of the matrix, so that
relabellings take next to no time. It is made in tiles, each entry once. Of more than 10,000 points
tiles are of float32, and summed up in float64: the kernel is rounded alike for all relabellings,
and what sums of tiles lose is less than ties are allowed.

References:
    Biggs, Schrab & Gretton, MMD-FUSE, 2023. arXiv:2306.08777
    Schrab et al., MMD Aggregated Two-Sample Test, JMLR 2023. arXiv:2110.15073
    Song & Chen, Generalized Kernel Two-Sample Tests, 2020.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.energy import energy_kernel
from lfi.comparison.kernels.stationary import Gaussian, Kernel, Laplace, fixed
from lfi.comparison.two_sample.permutation import Groups, TwoSampleTest, pool
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_counts
from lfi.numerics.distances import euclidean_distances, manhattan_distances, quantile_distances

BANDWIDTHS = 6  # of each kernel, geometrically spaced
NARROWEST, WIDEST = 0.1, 2.0  # of the 5% and of the 95% quantile of the distances
SHARPNESS = 4.0  # of the soft maximum: one deviation more counts e^4 times
MAX_ENTRIES = 2**21  # kernel values held at once, 16 MB
MAX_TILE = 256  # rows and columns: larger tiles of six kernels leave the cache
AT_ONCE = 32  # rows of a triangular matrix that are multiplied as if it were full
MANY = 10_000  # points, beyond which tiles are of float32
# of a deviation: relabellings that give equal statistics must count as equal
ROUNDING, ROUNDING_OF_MANY = 1e-9, 1e-4
FLAT, FLAT_OF_MANY = 1e-10, 1e-6  # of the squared kernel, a variation that is rounding


@checked
def mmd_test(
    p: Samples,
    q: Samples,
    *,
    kernels: Sequence[Kernel] | None = None,
    permutations: int = 1_000,
    standardise: bool = True,
    seed: int | None = None,
    max_entries: int = MAX_ENTRIES,
) -> TwoSampleTest:
    """Test whether two samples have one distribution, by the MMD over many bandwidths.

    Memory grows as n + m, time as (n + m)^2 times kernels. Of more than 512 points groups of points
    are relabelled, drawn at random: also exact.

    Args:
        p: The first sample, (n, *event).
        q: The second sample, (m, *event).
        kernels: Which, each of one bandwidth, of a tensor of them, or of a `Quantile`; by default
            Gaussian and Laplace kernels of six bandwidths each, from a tenth of the 5% quantile to
            twice the 95% quantile of the distances in the pooled sample.
        permutations: How many relabellings: p-values are multiples of 1/(1 + permutations).
        standardise: Whether to divide every coordinate by its deviation in the pooled sample, so
            that no unit counts more than another.
        seed: Of the relabellings; None takes fresh entropy.
        max_entries: Kernel values held at once.

    Raises:
        TypeError: If a sample is not an array of numbers.
        ValueError: If the samples' events differ, are not finite or are fewer than two; or if
            there are no kernels or permutations.

    Example:
        >>> p, q = torch.randn(100, 2), 2 * torch.randn(80, 2)
        >>> lfi.mmd_test(p, q, permutations=199, seed=1).p_value
        0.005
    """
    check_counts(permutations=permutations, max_entries=max_entries)
    pooled = pool(p, q, standardise=standardise, seed=seed)
    # Bandwidths take a subsample: one that is drawn regardless of the labels.
    halves = pooled.rows[pooled.rng.permutation(len(pooled.rows))].tensor_split(2)
    if kernels is None:
        kernels = _many_bandwidths(*halves)
        compared = f"MMD, {BANDWIDTHS} Gaussian and {BANDWIDTHS} Laplace kernels"
    else:
        if not kernels:
            raise ValueError("kernels must have at least one, got none")
        compared = f"MMD, {', '.join(type(kernel).__name__ for kernel in kernels)}"
    groups = pooled.grouped(permutations)
    parts = [squared_mmds(fixed(kernel, *halves), groups, max_entries) for kernel in kernels]
    values, deviation = (torch.cat(part) for part in zip(*parts, strict=True))
    z = values / deviation[:, None]
    soft = ((SHARPNESS * z).logsumexp(dim=0) - math.log(len(z))) / SHARPNESS
    return pooled.result(soft, _words(compared, standardise), _rounding(pooled.rows))


@checked
def energy_test(
    p: Samples,
    q: Samples,
    *,
    permutations: int = 1_000,
    standardise: bool = True,
    seed: int | None = None,
    max_entries: int = MAX_ENTRIES,
) -> TwoSampleTest:
    """Test whether two samples have one distribution, by their energy distance.

    It has no bandwidth and is quicker than `mmd_test`, at its best where means or spreads differ,
    and weak where only fine patterns do. Events of one dimension are sorted instead of compared in
    pairs, so that many thousands take seconds; of others, more than 512 are relabelled in groups.

    Args:
        p: The first sample, (n, *event).
        q: The second sample, (m, *event).
        permutations: How many relabellings: p-values are multiples of 1/(1 + permutations).
        standardise: Whether to divide every coordinate by its deviation in the pooled sample, so
            that no unit counts more than another.
        seed: Of the relabellings; None takes fresh entropy.
        max_entries: Kernel values held at once.

    Raises:
        TypeError: If a sample is not an array of numbers.
        ValueError: If the samples' events differ, are not finite or are fewer than two; or if
            there are no permutations.

    Example:
        >>> p, q = torch.randn(100, 2), 2 * torch.randn(80, 2)
        >>> lfi.energy_test(p, q, permutations=199, seed=1).p_value
        0.005
    """
    check_counts(permutations=permutations, max_entries=max_entries)
    pooled = pool(p, q, standardise=standardise, seed=seed)
    if pooled.rows.shape[1] == 1:
        labels = pooled.relabellings(permutations)
        values = _sorted_energy(pooled.rows[:, 0], pooled.n, labels)
        deviation = pooled.rows.std(correction=0) / len(pooled.rows)  # or nearly so
    else:
        found = squared_mmds(energy_kernel, pooled.grouped(permutations), max_entries)
        values, deviation = found[0][0], found[1][0]
    tolerance = _rounding(pooled.rows) * float(deviation)
    return pooled.result(values, _words("energy distance", standardise), tolerance)


def _many_bandwidths(x: Tensor, y: Tensor) -> tuple[Kernel, ...]:
    """Return Gaussian and Laplace kernels of six bandwidths each."""
    found = []
    for distance in (euclidean_distances, manhattan_distances):
        low, high = quantile_distances(x, y, (0.05, 0.95), distance=distance).tolist()
        ends = math.log(NARROWEST * low), math.log(WIDEST * high)
        found.append(torch.linspace(*ends, BANDWIDTHS, dtype=torch.float64).exp())
    return Gaussian(found[0]), Laplace(found[1])


def _rounding(rows: Float[Tensor, "k d"]) -> float:
    return ROUNDING if len(rows) <= MANY else ROUNDING_OF_MANY


@torch.no_grad()
def squared_mmds(
    kernel: Kernel, groups: Groups, max_entries: int = MAX_ENTRIES
) -> tuple[Float[Tensor, "kernels b"], Float[Tensor, " kernels"]]:
    """Return unbiased squared MMDs of all relabellings, and their deviation if points had labels.

    The matrix is made in tiles, those above its diagonal and on it. Of a row of tiles the sums over
    groups are kept, until all relabellings have taken theirs.
    """
    rows, n = groups.rows, groups.n
    total = len(rows)
    m = total - n
    count = kernel(rows[:1], rows[:1]).numel()  # kernels: one, or one for each bandwidth
    dtype = rows.dtype if total <= MANY else torch.float32
    spans = list(groups.spans(max(1, min(MAX_TILE, math.isqrt(max_entries // count)))))
    points = [rows[span.points].to(dtype) for span in spans]
    labels = torch.cat([groups.labels[span.groups] for span in spans])
    sums = rows.new_zeros(count, total)
    within_p = rows.new_zeros(count, labels.shape[1])
    squares = rows.new_zeros(count)
    below = labels
    for i, here in enumerate(spans):
        strip = []
        for there, columns in zip(spans[i:], points[i:], strict=True):
            tile = kernel(points[i], columns).reshape(count, len(points[i]), len(columns))
            if there is here:
                tile.diagonal(dim1=-2, dim2=-1).zero_()
            norm = torch.linalg.vector_norm(tile, dim=(1, 2)).to(squares)
            by_rows = here.added(tile, 1)
            squares += (1 if there is here else 2) * norm.square()
            sums[:, here.points] += tile.sum(dim=-1)
            if there is not here:
                sums[:, there.points] += by_rows.sum(dim=-2)
            strip.append(there.added(by_rows, 2))
        upper = torch.cat(strip, dim=-1).to(within_p).triu_()
        upper.diagonal(dim1=-2, dim2=-1).mul_(0.5)
        within_p += _forms(upper, below)
        below = below[upper.shape[1] :]
    each = [span.added(sums[:, span.points], 1) for span in spans]
    across = torch.cat(each, dim=1) @ labels - within_p
    within_q = sums.sum(dim=-1, keepdim=True) - 2 * across - within_p
    values = within_p / (n * (n - 1)) + within_q / (m * (m - 1)) - 2 * across / (n * m)
    return values, _deviation(squares, sums, n, FLAT if dtype == rows.dtype else FLAT_OF_MANY)


def _forms(
    upper: Float[Tensor, "kernels g h"], labels: Float[Tensor, "h b"]
) -> Float[Tensor, "kernels b"]:
    """Return twice the sums of labels times labels times an upper triangular matrix."""
    result = upper.new_zeros(len(upper), labels.shape[1])
    for start in range(0, upper.shape[1], AT_ONCE):
        part = upper[:, start : start + AT_ONCE, start:]
        product = (part.flatten(0, 1) @ labels[start:]).unflatten(0, part.shape[:2])
        result += product.mul_(labels[start : start + part.shape[1]]).sum(dim=-2)
    return 2 * result


def _deviation(
    squares: Float[Tensor, " kernels"], sums: Float[Tensor, "kernels k"], n: int, flat: float
) -> Float[Tensor, " kernels"]:
    """Return the standard deviation of the unbiased squared MMD over all relabellings.

    Rows sum to zero, so pairs that share a point, or none, add up to -4 and 2 times the sum of
    squares. Neither `squares` of kernel values nor row `sums` hold the diagonal.
    """
    total = sums.shape[1]
    m = total - n
    all_pairs = sums.sum(dim=-1).square() / ((total - 1) * (total - 2))
    centred = squares - 2 * sums.square().sum(dim=-1) / (total - 2) + all_pairs
    share = [math.perm(n, k) / math.perm(total, k) for k in (2, 3, 4)]  # k points are all in p
    variance = centred * (2 * share[0] - 4 * share[1] + 2 * share[2])
    factor = 1 / (n * (n - 1)) + 1 / (m * (m - 1)) + 2 / (n * m)
    constant = centred <= flat * squares  # a kernel that sees no difference between points
    return torch.where(constant, 1.0, factor * variance.clamp(min=0).sqrt())


def _sorted_energy(
    pooled: Float[Tensor, " k"], n: int, labels: Float[Tensor, "k b"]
) -> Float[Tensor, " b"]:
    """Return unbiased energy distances in one dimension, by distribution functions."""
    m = len(pooled) - n
    values, order = pooled.sort()
    gaps = values.diff()
    f = labels[order[:-1]].cumsum(dim=0) / n
    g = (torch.arange(1, len(pooled))[:, None] - n * f) / m
    across = gaps @ (f + g - 2 * f * g)
    within_p = gaps @ (f * (1 - f)) * (2 * n / (n - 1))
    within_q = gaps @ (g * (1 - g)) * (2 * m / (m - 1))
    return 2 * across - within_p - within_q


def _words(compared: str, standardise: bool) -> str:
    return f"{compared}, coordinates over their deviations" if standardise else compared
