"""Which entries of x tell of theta: those that depend on it, and those that depend on these.

Where x splits into parts a and b such that b is independent of (theta, a), p(x | theta) is
p(a | theta) p(b), and the posterior given x is that given a. What a fit need not see it cannot
mistake for information. Entries that are kept grow by those that depend on them, so that a
measurement of the noise in another one stays.

Dependence is tested on ranks, in pairs: correlations of Legendre polynomials up to the fourth order
(Neyman's smooth test) of entries with those of parameters, their products and other entries, and
Chatterjee's coefficient, which sees what oscillates. What shows only in three or more entries
together is not seen. Whether what is left out tells anything together, each entry too little to be
seen, a permutation test decides: if so, all are kept. The tests of theta, those of other entries
and the permutations each keep what tells nothing once in a hundred times.

References:
    Neyman, "Smooth test" for goodness of fit, Skandinavisk Aktuarietidskrift 20, 1937.
    Chatterjee, A new coefficient of correlation, JASA 116, 2021. arXiv:1909.10140
    Joyce & Marjoram, Approximately sufficient statistics and Bayesian computation, Statistical
    Applications in Genetics and Molecular Biology 7, 2008.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.ranks import mid_ranks
from lfi.runtime import torch_rng

LEVEL = 0.01  # how often tests of a kind, together, find something where there is nothing
ORDERS = 4  # of the polynomials of an entry; of a parameter two
ROWS = 10_000  # simulations that are looked at
MIN_ROWS = 500  # below which weak dependence is not seen
MIN_SHARE = 0.25  # of the entries; to leave out fewer would change little
MAX_ENTRIES = 512  # of x, of more an embedding makes few numbers
MAX_PRODUCTS = 20  # parameters up to which products of two are looked at
PERMUTATIONS = 99


@checked
def relevant_entries(
    theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "n x_dim"], *, seed: int
) -> Bool[Tensor, " x_dim"]:
    """Return which entries of x tell of theta, perhaps with others.

    They are all where nothing can be told, of fewer than 500 simulations or more than 512 entries
    or if no entry depends on theta visibly, and where less than a quarter could be left out.

    Args:
        theta: Parameters.
        x: Data of each, complete.
        seed: Of the permutations.

    Example:
        >>> rng = torch.Generator().manual_seed(1)
        >>> theta, x = torch.randn(500, 1, generator=rng), torch.randn(500, 9, generator=rng)
        >>> x[:, :1] += theta + 2 * x[:, 1:2]  # the second is the noise of the first
        >>> relevant_entries(theta, x, seed=1)
        tensor([ True,  True, False, False, False, False, False, False, False])
    """
    every = torch.ones(x.shape[1], dtype=torch.bool)
    theta, x = theta[:ROWS], x[:ROWS]
    n = len(x)
    if n < MIN_ROWS or len(every) > MAX_ENTRIES or len(every) < 2:
        return every
    scores, features = _scores(x, ORDERS), _features(theta)
    tests = x.shape[1] * (ORDERS * features.shape[1] + 2 * theta.shape[1])
    seen = _largest(scores, features) > _bound(tests) / math.sqrt(n)
    shared = _chatterjee(theta, x).amax(0)
    seen |= shared > _bound(tests) * math.sqrt(0.4 / n)  # 2 / 5: its variance times n
    if seen.all() or not seen.any():
        return every
    bound = _bound((ORDERS * x.shape[1]) ** 2 // 2) / math.sqrt(n)
    grown = seen
    while bool(grown.any()) and not seen.all():
        kept = scores[grown].flatten(0, 1).T
        grown = (_largest(scores, kept) > bound) & ~seen
        seen = seen | grown
    few = len(every) - int(seen.sum()) < MIN_SHARE * len(every)
    if few or _together(scores[~seen], features, seed):
        return every
    return seen


def _scores(values: Float[Tensor, "n d"], orders: int) -> Float[Tensor, "d orders n"]:
    """Return Legendre polynomials of ranks, of mean 0 and mean square 1; 0 if they are constant."""
    share = 2 * mid_ranks(values, values).numpy() / len(values) - 1
    columns = np.moveaxis(np.polynomial.legendre.legvander(share, orders)[..., 1:], 0, -1)
    return _standardised(torch.from_numpy(columns).float())


def _features(theta: Float[Tensor, "n theta_dim"]) -> Float[Tensor, "n features"]:
    """Return polynomials of parameters, and products of two of them."""
    own = _scores(theta, 2)
    columns = [own.flatten(0, 1)]
    if theta.shape[1] <= MAX_PRODUCTS:
        first, second = torch.triu_indices(len(own), len(own), offset=1)
        columns.append(_standardised(own[first, 0] * own[second, 0]))
    return torch.cat(columns).T


def _standardised(columns: Float[Tensor, "*d n"]) -> Float[Tensor, "*d n"]:
    columns = columns - columns.mean(-1, keepdim=True)
    scale = columns.square().mean(-1, keepdim=True).sqrt()
    return torch.where(scale > 1e-4, columns / scale.clamp_min(1e-4), 0.0)


def _largest(
    scores: Float[Tensor, "d orders n"], features: Float[Tensor, "n features"]
) -> Float[Tensor, " d"]:
    """Return the largest correlation of an entry's scores with features."""
    return (scores @ features / scores.shape[-1]).abs().amax((1, 2))


def _bound(tests: int) -> float:
    """Return the normal deviate that one of so many tests exceeds by chance, once in a hundred."""
    return float(torch.special.ndtri(torch.tensor(1 - LEVEL / (2 * tests)).double()))


def _chatterjee(
    theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "n x_dim"]
) -> Float[Tensor, "theta_dim x_dim"]:
    """Return Chatterjee's coefficient of parameters and entries, the larger of both directions.

    It supposes few ties: of an entry of which half the values are not unique it is 0 here.
    """
    ranks = [mid_ranks(values, values).float() for values in (theta, x)]
    forth = torch.stack([_jumps(ranks[1][order]) for order in theta.T.argsort(dim=1)])
    back = torch.stack([_jumps(ranks[0][order]) for order in x.T.argsort(dim=1)], dim=1)
    varied = torch.tensor([len(column.unique()) > len(x) / 2 for column in x.T])
    return torch.where(varied, torch.maximum(forth, back), 0.0)


def _jumps(ranks: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return 1 - 3 sum_i |rank of the next - own rank| / (n^2 - 1)."""
    return 1 - 3 * ranks.diff(dim=0).abs().sum(0) / (len(ranks) ** 2 - 1)


def _together(
    scores: Float[Tensor, "d orders n"], features: Float[Tensor, "n features"], seed: int
) -> bool:
    """Return whether entries and features are less independent than all but a permutation."""
    flat, rng = scores.flatten(0, 1), torch_rng(seed)
    n = len(features)
    orders = [torch.arange(n), *(torch.randperm(n, generator=rng) for _ in range(PERMUTATIONS))]
    sums = torch.stack([(flat @ features[order]).square().sum() for order in orders])
    return bool((sums[0] > sums[1:]).all())
