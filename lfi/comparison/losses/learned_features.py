"""Discrepancies in features phi that a critic learns: MMD-GAN, Cramer GAN.

    critic      -D(phi(p), phi(q)) + penalties          generator     D(phi(p), phi(q))

For a squared distance of mean embeddings, such as `Energy` and `MMD`, what tells p from q at a
point x is the witness w(x) = <k(phi(x), .), mu_p - mu_q>, and gradient penalties are of its slope.

References:
    Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018. arXiv:1801.01401
    Bellemare et al., The Cramer distance, 2017. arXiv:1705.10743
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import Critic, Discrepancy, OfMeans, RecoveringLoss, Recovers, Values
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole


@checked
@dataclass(frozen=True)
class LearnedFeatures(RecoveringLoss):
    """A critic's loss and a generator's: a discrepancy of the critic's features.

    Attributes:
        discrepancy: What compares features; one that has a witness (`Energy`, `MMD`) where there
            are penalties, which charge the witness's slope.
        features: How many the critic returns, (n, features).

    Example:
        >>> loss = LearnedFeatures(lfi.discrepancies.Energy(), features=2)
        >>> p, q = torch.randn(50, 2), torch.randn(50, 2) + 3
        >>> bool(loss.generator(p, q) == -loss(p, q))
        True
    """

    discrepancy: Discrepancy
    features: int = 16
    recovers = Recovers.NOTHING

    def __post_init__(self) -> None:
        check_whole("features", self.features)

    def __call__(self, h_p: Float[Tensor, "n e"], h_q: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """Return minus the discrepancy of the features."""
        return -self.discrepancy(h_p, h_q)

    def generator(self, h_p: Float[Tensor, "n e"], h_q: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """Return the discrepancy of the features."""
        return self.discrepancy(h_p, h_q)

    def value(self, h_p: Float[Tensor, "n e"], h_q: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """Return the discrepancy, in the features at hand."""
        return self.discrepancy(h_p, h_q)

    def critic_of(self, critic: Critic, values: Values, members: int = 1) -> Critic:
        """Return the witness as a critic of rows, which penalties can charge.

        `critic` is phi and `values` hold its features of both samples; `members` critics are
        stacked, each with its share of the rows. TypeError if the discrepancy has no witness.
        """
        discrepancy = self.discrepancy
        if not isinstance(discrepancy, OfMeans):
            raise TypeError(f"penalties charge a witness, which {discrepancy} does not have")

        def share(h: Tensor) -> Tensor:
            return h.unflatten(0, (members, -1))

        p, q = share(values.h_p), share(values.h_q)
        return lambda *inputs: discrepancy.witness(share(critic(*inputs)), p, q).flatten()
