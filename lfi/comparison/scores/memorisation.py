"""Memorisation: generated points closer to the training data than new data are.

With U the share of pairs of a generated and a held-out point of which the generated one is closer
to the training data (ties count half),

    z = (U - 1/2) / sqrt((m + h + 1) / (12 m h))

is Mann and Whitney's statistic for m generated and h held-out points: where both have the same
distribution, U is 1/2 and z standard normal, given the training data. A large z says that the
generator copies; a very negative one that it is off the data, and nothing about copying. Copies of
few training points hide among many good points: compare regions apart where that is to be feared.

Reference: Meehan et al., A non-parametric test to detect data-copying, 2020. arXiv:2004.05675
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from lfi.comparison.scores.units import scored_samples
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike
from lfi.numerics.neighbours import nearest_neighbours
from lfi.numerics.ranks import mid_ranks
from lfi.runtime import Described


@dataclass(frozen=True, eq=False, repr=False)
class Memorisation(Described):
    """How close generated and held-out points are to the training data.

    `distance` and `index`, (m, k), are of each generated point's k nearest training points. `share`
    is how often it is closer to the training data than a held-out one; z is that in standard
    errors: above 3, the generator copies.
    """

    distance: Float[Tensor, "m k"]
    index: Int[Tensor, "m k"]
    share: float
    z: float

    def describe(self) -> str:
        """Return whether the generator copies, and by what."""
        verdict = "copies training data" if self.z > 3 else "no evidence of copied training data"
        return (
            f"{verdict}: z = {self.z:.2f}\na generated point is closer to the training data than a "
            f"held-out one in {self.share:.1%} of pairs"
        )


@checked
def memorisation(
    generated: Float[Tensor, "m d"] | ArrayLike,
    training: Float[Tensor, "n e"] | ArrayLike,
    held_out: Float[Tensor, "h f"] | ArrayLike,
    *,
    k: int = 1,
    standardise: bool | None = None,
) -> Memorisation:
    """Compare how close generated and held-out points are to the training data.

    Args:
        generated: The generator's points, or features of them.
        training: What it was trained on.
        held_out: Data of the same distribution that it was not.
        k: How many training points to show for each generated one.
        standardise: Whether to divide columns by their deviations in the training data, as tables
            need. None does not, and warns where deviations differ by more than a hundred times.

    Raises:
        TypeError: If the samples are not of one floating dtype.
        ValueError: If shapes do not fit, or k is not between 1 and the number of training points.

    Example:
        >>> training, held_out = torch.randn(500, 2), torch.randn(200, 2)
        >>> copies = training[:200] + 1e-3 * torch.randn(200, 2)
        >>> memorisation(copies, training, held_out).z > 10
        True
    """
    names = ("generated", "held_out", "training")
    generated, held_out, training = scored_samples(
        (generated, held_out, training), names, 2, standardise=standardise
    )
    distance, index = nearest_neighbours(generated, training, k)
    other, _ = nearest_neighbours(held_out, training)
    m, h = len(generated), len(held_out)
    share = 1 - mid_ranks(other, distance[:, :1]).mean().item() / h
    z = (share - 0.5) / ((m + h + 1) / (12 * m * h)) ** 0.5
    return Memorisation(distance, index, share, z)
