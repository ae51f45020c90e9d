"""Two-sample tests: what they return, and the p-value of a permutation.

Under the null hypothesis that a and b have the same distribution, every relabelling of the pooled
sample is as likely as the one observed, so the observed statistic is one of B + 1 equally likely
values. With # relabelled values at least as large as it,

    p = (1 + #) / (1 + B)

is never 0, and P(p <= level) <= level for every level: the test is exact, for any statistic.

References:
    Phipson & Smyth, Permutation P-values Should Never Be Zero, 2010. arXiv:1603.05766
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class TwoSampleTest:
    """The result of a two-sample test.

    Attributes:
        statistic: How far the samples are apart, in the statistic's own units.
        p_value: How often samples of one distribution are at least as far apart.
        n_a: Size of the first sample.
        n_b: Size of the second.
        compared: What was compared, in words.
        permutations: How many relabellings the p-value is made of.
        seed: The seed, the drawn one where none was given.
    """

    statistic: float
    p_value: float
    n_a: int
    n_b: int
    compared: str
    permutations: int
    seed: int


def permutation_p_value(observed: float, permuted: Float[Tensor, " b"]) -> float:
    """Return (1 + #) / (1 + B), # the relabelled values at least as large as the observed one.

    Example:
        >>> permutation_p_value(2.0, torch.tensor([0.5, 1.0, 2.0]))
        0.5
    """
    return (1 + int((permuted >= observed).sum())) / (1 + len(permuted))
