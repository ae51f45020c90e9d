"""What is trained where nothing is said: networks, comparison and regime by the kind of data.

    vectors   a mixture that a network bends, waves of several lengths; penalties that fade
    images    convolutions; penalties that stay, in proportion to the number of pixels

Both compare pairs (relativistic) under R1 and R2. Narrow modes ask for a critic as steep as they
are narrow, so that the penalties of vectors end near zero, and the critic moves faster than the
generator. Few images that are many numbers each would then be learnt by heart. Between the same
images of more pixels, squared distances grow with their number, squared gradients of the same
critic fall with it, and the weight makes up for that.

Any other comparison of vectors has a plain critic, and one rate for both players: where penalties
stay, or there are none, a critic of waves loses modes that a plain one keeps.

References:
    Huang, Gokaslan, Kuleshov & Tompkin, The GAN is dead; long live the GAN!, 2025.
        arXiv:2501.05441
"""

import math

from torch import nn

from lfi.comparison import R1, R2, Adversarial, Discrepancy
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.comparison.losses.paired import Paired
from lfi.comparison.penalties.annealed import Annealed
from lfi.generation.objectives import Packed
from lfi.generation.settings import Regime
from lfi.networks import (
    ImageCritic,
    ImageGenerator,
    MixtureGenerator,
    MultiscaleCritic,
    VectorCritic,
    is_image,
)

VECTORS = Adversarial(Paired(), Paired(), (Annealed(R1(0.3), 3e-5), Annealed(R2(0.3), 3e-5)))
BY_PIXEL = 0.15  # the weight of both penalties of images, for each number of an image
IMAGES = Regime(steps=1_000, batch=64, average=0.99)
VECTOR_RATES = 3e-4, 3e-3  # of the generator and of the critic, under VECTORS

Shape = tuple[int, ...]
Comparison = Adversarial | Packed | Discrepancy


def comparison_for(shape: Shape) -> Adversarial:
    """Return what compares events of a shape."""
    if not is_image(shape):
        return VECTORS
    weight = BY_PIXEL * math.prod(shape)
    return Adversarial(Paired(), Paired(), (R1(weight), R2(weight)))


def regime_for(regime: Regime | None, shape: Shape, comparison: Comparison) -> Regime:
    """Return how the game of events of a shape is played, where it is not said or not all."""
    if regime is None:
        regime = IMAGES if is_image(shape) else Regime()
    return regime.at_rates(*VECTOR_RATES) if comparison == VECTORS else regime


def side_for(shape: Shape, given: Shape) -> Shape | None:
    """Return the shape of what is given where the networks take it for an image; None else.

    Example:
        >>> side_for((1, 8, 8), (1, 4, 4))
        (1, 4, 4)
    """
    fits = len(given) == 3 and given[1] <= shape[1] and given[2] <= shape[2]
    return given if is_image(shape) and fits else None


def generator_for(shape: Shape, given: int | Shape) -> nn.Module:
    """Return a generator of events of a shape, from a vector of a size or an image."""
    if is_image(shape):
        return ImageGenerator(shape, given)
    return MixtureGenerator(math.prod(shape), given)


def critic_for(comparison: Adversarial | Packed, shape: Shape, given: int | Shape) -> nn.Module:
    """Return the critic that a comparison needs; packs are events of so many times the numbers."""
    samples, loss = 1, comparison
    if isinstance(comparison, Packed):
        samples, loss = comparison.samples, comparison.comparison
    features = loss.critic_loss.features if isinstance(loss.critic_loss, LearnedFeatures) else 0
    side = samples * given if isinstance(given, int) else (samples * given[0], *given[1:])
    if is_image(shape):
        return ImageCritic((samples * shape[0], *shape[1:]), side, features=features)
    shapes = [(samples * math.prod(shape),)] + [(side,)] * (side > 0)
    kind = MultiscaleCritic if loss == VECTORS else VectorCritic
    return kind(shapes, features=features)
