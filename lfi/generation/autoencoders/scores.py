"""What is known of a fitted autoencoder: how its bound comes about, and how good it is."""

from dataclasses import dataclass

from lfi.comparison import Recovers
from lfi.generation.autoencoders.terms import (
    AnalyticKL,
    CodeRatio,
    JointRatio,
    MomentsKL,
    PriorTerm,
)
from lfi.runtime import Described

WORDS: dict[type[PriorTerm], str] = {
    AnalyticKL: "in closed form, exact",
    MomentsKL: "of the moments of all codes, an estimate",
    CodeRatio: "by the ratio of a critic of codes, all together, an estimate",
    JointRatio: "by the ratio of a critic of (x, z), an estimate",
}


@dataclass(frozen=True)
class PriorEstimate:
    """How an autoencoder's divergence from the prior is known: by which term, and how well."""

    kind: type[PriorTerm]
    recovers: Recovers

    @property
    def words(self) -> str:
        """What the bound's second part is."""
        return WORDS[self.kind]


@dataclass(frozen=True, repr=False)
class AutoencoderScores(Described):
    """How well an autoencoder reconstructs data, and how far its codes are from the prior.

    Attributes:
        reconstruction: The root mean square error of an entry, in its standard deviations.
        mismatch: The energy distance of codes of data to codes of the prior, for the number of
            codes 2 E|z - z'| - ..., unbiased: near 0, or below, where they are alike.
        moments: The divergence of a Gaussian with the codes' moments from the prior, in nats.
    """

    reconstruction: float
    mismatch: float
    moments: float

    def describe(self) -> str:
        """Return the three measures in words."""
        return (
            f"reconstruction error {self.reconstruction:.3g} standard deviations\n"
            f"codes and prior: energy distance {self.mismatch:.3g}, "
            f"moments {self.moments:.3g} nats apart"
        )
