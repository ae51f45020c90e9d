"""Mutual information of x and y from pairs, by a telescoping density ratio.

    I(x; y) = KL(p(x, y) || p(x) p(y)) = E[log p(x, y) / p(x) p(y)]

is estimated by a telescoping ratio of the pairs against shuffled ones, on pairs not fitted to. This
is no bound. Variational bounds (MINE, InfoNCE) from n pairs cannot exceed about log n; this can.

References:
    Rhodes, Xu & Gutmann, Telescoping density-ratio estimation, 2020. arXiv:2006.12204
    McAllester & Stratos, Formal limitations on the measurement of mutual information, 2020.
    arXiv:1811.04251
"""

import copy

import torch

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, stacked_pairs
from lfi.numerics.checks import check_share
from lfi.ratio.telescoping.telescoping import MIN_ROWS, TelescopingRatio
from lfi.ratio.types import Estimate
from lfi.runtime import child, fresh, torch_rng
from lfi.training import hold_out

MAX_HELD_OUT = 20_000  # pairs


@checked
def mutual_information(
    x: Samples,
    y: Samples,
    *,
    method: TelescopingRatio | None = None,
    held_out: float = 0.2,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Estimate:
    """Estimate the mutual information of x and y, in nats.

    Args:
        x: (n,) or (n, *event), NumPy or torch; may be discrete.
        y: (n,) or (n, *event), the other halves of the pairs; continuous.
        method: How the ratio is fitted; `TelescopingRatio()` by default. It stays unfitted.
        held_out: The share of pairs, 20,000 at most, that the ratio does not see and whose mean log
            ratio is returned.
        seed: None takes fresh entropy.
        device: Where to train, such as "cuda".
        progress: Show a bar on a terminal.

    Returns:
        The estimate; its standard error is that of the mean over the held-out pairs, which leaves
        out the error of the fitted ratio.

    Raises:
        TypeError: If x or y is not an array of numbers.
        ValueError: If a row is not finite, x and y have different numbers of rows, or fewer than
            100 are left to fit to.

    Example:
        >>> x = torch.randn(5_000)
        >>> y = x + torch.randn(5_000)
        >>> quick = lfi.TelescopingRatio(settings=lfi.TrainSettings(steps=100, batch_size=128))
        >>> found = lfi.mutual_information(x, y, method=quick, seed=1)  # exactly log(2) / 2
        >>> abs(found.value - 0.3466) < 0.1
        True
    """
    check_share("held_out", held_out)
    seed = fresh(seed)
    pairs, of_x = stacked_pairs(x, y)
    if len(pairs) * (1 - held_out) < MIN_ROWS:
        raise ValueError(
            f"x, y: of {len(pairs)} pairs, a share of {1 - held_out:g} is left to fit to, and at "
            f"least {MIN_ROWS} pairs are needed"
        )
    (train,), (test,) = hold_out((pairs,), held_out, torch_rng(seed, 0), max_held_out=MAX_HELD_OUT)
    ratio = copy.copy(TelescopingRatio() if method is None else method)
    ratio.fit_pairs(
        train[:, :of_x], train[:, of_x:], seed=child(seed, 1), device=device, progress=progress
    )
    with torch.no_grad():
        return ratio.kl(test)
