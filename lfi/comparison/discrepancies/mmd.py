"""Maximum mean discrepancy: the largest difference of means of a function in a kernel's ball.

    MMD^2(p, q) = sup { E_p f - E_q f : |f|_k <= 1 }^2
                = E k(x, x') - 2 E k(x, y) + E k(y, y').

With a characteristic kernel (Gaussian, Laplace, rational quadratic, inverse multiquadric, and sums
of them) it is zero only where p = q; with a linear one it compares means.

The default kernel, a Gaussian of the median distance, follows the units of the data and sees shifts
and changes of scale best. Structure much finer than the median distance takes several bandwidths: a
`Sum` of `Quantile`s with small scales, or `mmd_test`. For a generator that starts far from the data
`RationalQuadratic(alpha=0.5)` or less still has a gradient where a Gaussian's has vanished.

References:
    Gretton, Borgwardt, Rasch, Schoelkopf & Smola, A Kernel Two-Sample Test, JMLR 2012.
    Li, Swersky & Zemel, Generative Moment Matching Networks, 2015. arXiv:1502.02761
    Li, Chang, Cheng, Yang & Poczos, MMD GAN, 2017. arXiv:1705.08584
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.mmd_estimators import (
    AllPairs,
    Estimator,
    Unbiased,
    mean_difference,
)
from lfi.comparison.kernels.composite import innermost
from lfi.comparison.kernels.stationary import Gaussian, Kernel, Weight, fixed
from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.numerics.weighted_samples import as_batches, given_weights


@checked
@dataclass(frozen=True)
class MMD:
    """The squared maximum mean discrepancy of two samples.

    Attributes:
        kernel: What makes two points alike: Gaussian, with the median distance, by default.
        estimator: Unbiased (U-statistic), Biased (V-statistic) or Block.

    Example:
        >>> x, y = torch.randn(500, 2), torch.randn(400, 2) + 1
        >>> bool(lfi.discrepancies.MMD()(x, y) > 0.1)
        True
        >>> many = torch.randn(10, 500, 2)  # ten samples against one
        >>> lfi.discrepancies.MMD()(many, y).shape
        torch.Size([10])
    """

    kernel: Kernel = Gaussian()
    estimator: Estimator = Unbiased()

    def __post_init__(self) -> None:
        check_instance("kernel", self.kernel, Kernel)
        check_instance("estimator", self.estimator, Estimator)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the squared MMD; an unbiased estimate may be negative."""
        kernel, x, y, *weights = self._fixed(p, q, weight_p, weight_q)
        return self.estimator(kernel, x, y, *weights)

    def of_q(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the squared MMD less its term of p alone, E k(x, x'), where q is what moves.

        It is the squared MMD itself where the estimator is not one of all pairs.

        Example:
            >>> x, y, z = torch.randn(50, 2), torch.randn(40, 2) + 1, torch.randn(40, 2) - 1
            >>> mmd = lfi.discrepancies.MMD(lfi.kernels.Gaussian(1.0))
            >>> torch.allclose(mmd.of_q(x, y) - mmd.of_q(x, z), mmd(x, y) - mmd(x, z), atol=1e-6)
            True
        """
        kernel, x, y, *weights = self._fixed(p, q, weight_p, weight_q)
        estimate = self.estimator.of_q if isinstance(self.estimator, AllPairs) else self.estimator
        return estimate(kernel, x, y, *weights)

    def _fixed(
        self, p: SampleP, q: SampleQ, weight_p: WeightP, weight_q: WeightQ
    ) -> tuple[Kernel, Tensor, Tensor, Weight, Weight]:
        """Return the kernel with its bandwidth, what it compares, and the weights."""
        x, y = as_batches(p, q)
        signed = isinstance(self.estimator, AllPairs) and self.estimator.signed
        w, v = given_weights(x, y, weight_p, weight_q, signed=signed)
        kernel, x, y = innermost(self.kernel, x, y)
        sizes = (None if each is None else each.abs() for each in (w, v))
        return fixed(kernel, x, y, *sizes), x, y, w, v

    def witness(
        self, at: Float[Tensor, "*a k d"], x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
    ) -> Float[Tensor, "*abc k"]:
        """Return the mean of k(at, x_i) less that of k(at, y_j): what tells x from y at a point."""
        kernel, at, x, y = innermost(self.kernel, at, x, y)
        return mean_difference(fixed(kernel, x, y), at, x, y)
