"""Kernel distance: the squared MMD of k(x, y) = (x . y / d + 1)^3, in features of the user's own.

It compares all moments up to the third; with an Inception network's features it is the KID. Its
estimate averages zero where p = q, whatever the sizes: each of several blocks gives an unbiased
one, and their mean is returned with its standard error. One block is the least noisy but has none.

Reference: Binkowski et al., Demystifying MMD GANs, 2018. arXiv:1801.01401
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.mmd import MMD
from lfi.comparison.scores.units import scored_samples
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike
from lfi.numerics.checks import check_number, check_whole
from lfi.numerics.distances import check_points
from lfi.runtime import Described


@checked
@dataclass(frozen=True)
class Polynomial:
    """(x . y / d + c)^k: moments up to the k-th.

    Attributes:
        degree: k.
        constant: c, which weighs low moments against high ones.

    Example:
        >>> Polynomial()(torch.ones(1, 2), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        tensor([[8., 1.]])
    """

    degree: int = 3
    constant: float = 1.0

    def __post_init__(self) -> None:
        check_whole("degree", self.degree)
        check_number("constant", self.constant, minimum=0)

    def __call__(self, x: Tensor, y: Tensor) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(x_i, y_j)."""
        check_points(x, y)
        return (x @ y.mT / x.shape[-1] + self.constant) ** self.degree


@dataclass(frozen=True, eq=False, repr=False)
class KernelDistance(Described):
    """An unbiased mean over blocks, at times negative if p = q, and its error, nan of one block."""

    statistic: Float[Tensor, "*b"]
    standard_error: Float[Tensor, "*b"]

    def describe(self) -> str:
        """Return one line for each pair of samples."""
        pairs = zip(*(t.reshape(-1).tolist() for t in vars(self).values()), strict=True)
        return "\n".join(
            f"kernel distance {value:.4g} (standard error {error:.2g})" for value, error in pairs
        )


@checked
@torch.no_grad()
def kernel_distance(
    p: Float[Tensor, "*b n d"] | ArrayLike,
    q: Float[Tensor, "*b m e"] | ArrayLike,
    *,
    kernel: Polynomial = Polynomial(),  # noqa: B008
    blocks: int = 10,
    standardise: bool | None = None,
) -> KernelDistance:
    """Return the unbiased squared MMD of features of two samples, in a polynomial kernel.

    Args:
        p: Features of the data, in random order; leading dimensions are many at once.
        q: Those of what is generated.
        kernel: Cubic by default, as the KID's.
        blocks: Into how many parts both are cut. Rows that do not fill one are left out.
        standardise: Whether to divide columns by their deviations in the data, as tables
            need. None does not, and warns where deviations differ by more than a hundred times.

    Raises:
        TypeError: If p and q are not of one floating dtype.
        ValueError: If shapes do not fit, or a block has fewer than two rows of either.

    Example:
        >>> x, y = torch.randn(500, 4), torch.randn(400, 4) + 1
        >>> found = kernel_distance(x, y)
        >>> bool(found.statistic > 5 * found.standard_error)
        True
    """
    x, y = scored_samples((p, q), ("p", "q"), 0, standardise=standardise)
    rows = [sample.shape[-2] // max(blocks, 1) for sample in (x, y)]
    if blocks < 1 or min(rows) < 2:
        raise ValueError(
            f"blocks must be at least 1 and leave two rows of either sample, got {blocks} for "
            f"{x.shape[-2]} and {y.shape[-2]} rows"
        )
    x, y = (
        sample[..., : blocks * size, :].unflatten(-2, (blocks, size))
        for sample, size in zip((x, y), rows, strict=True)
    )
    values = MMD(kernel)(x, y)
    error = values.std(dim=-1) / blocks**0.5 if blocks > 1 else values[..., 0] * torch.nan
    return KernelDistance(values.mean(dim=-1), error)
