"""Default networks, comparisons and settings of generators, by the kind of data.

    vectors   a generator of a bent mixture, a critic of Fourier features, annealed penalties
    images    convolutional networks, constant penalties in proportion to the number of pixels

Both comparisons are relativistic, of pairs, under R1 and R2. Narrow modes need a steep critic, so
that the penalties of vectors are annealed to near zero, and the critic learns faster than the
generator. A few images of many pixels would then be memorised: their penalties stay, in proportion
to the pixels, with which squared gradients of one critic fall. Any other comparison of vectors has
a plain critic and one learning rate: under constant penalties, or none, Fourier features lose
modes.

References:
    Huang et al., The GAN is dead; long live the GAN!, 2025. arXiv:2501.05441
"""

import math

from torch import nn

from lfi.comparison import R1, R2, Adversarial, Discrepancy
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.comparison.losses.relativistic import RelativisticPaired
from lfi.comparison.penalties.annealed import Annealed
from lfi.generation.objectives import Packed
from lfi.generation.settings import DEFAULTS, AdversarialSettings, CompleteAdversarialSettings
from lfi.networks import (
    FourierFeatureCritic,
    ImageCritic,
    ImageGenerator,
    MixtureGenerator,
    VectorCritic,
    is_image,
)

VECTORS = Adversarial(
    RelativisticPaired(), RelativisticPaired(), (Annealed(R1(0.3), 3e-5), Annealed(R2(0.3), 3e-5))
)
WEIGHT_PER_PIXEL = 0.15  # of both penalties of images, for each number of an image
IMAGE_SETTINGS = AdversarialSettings(steps=1_000, batch_size=64, average=0.99)
VECTOR_SETTINGS = AdversarialSettings(learning_rate=3e-4, critic_learning_rate=3e-3)

Shape = tuple[int, ...]
Comparison = Adversarial | Packed | Discrepancy


def comparison_for(shape: Shape) -> Adversarial:
    """Return the default comparison of events of a shape."""
    if not is_image(shape):
        return VECTORS
    weight = WEIGHT_PER_PIXEL * math.prod(shape)
    return Adversarial(RelativisticPaired(), RelativisticPaired(), (R1(weight), R2(weight)))


def settings_for(
    settings: AdversarialSettings | None, shape: Shape, comparison: Comparison
) -> CompleteAdversarialSettings:
    """Return complete settings: those of the user, over those that suit data and comparison."""
    defaults = DEFAULTS
    if comparison == VECTORS:
        defaults = defaults.updated(VECTOR_SETTINGS)
    if is_image(shape):
        defaults = defaults.updated(IMAGE_SETTINGS)
    return defaults.updated(settings)


def condition_image_for(shape: Shape, condition: Shape) -> Shape | None:
    """Return the shape of a condition that the networks take for an image; None for a vector.

    Example:
        >>> condition_image_for((1, 8, 8), (1, 4, 4))
        (1, 4, 4)
    """
    fits = len(condition) == 3 and condition[1] <= shape[1] and condition[2] <= shape[2]
    return condition if is_image(shape) and fits else None


def generator_for(shape: Shape, condition: int | Shape) -> nn.Module:
    """Return a generator of events of a shape, conditional on a vector of a size or an image."""
    if is_image(shape):
        return ImageGenerator(shape, condition)
    assert isinstance(condition, int)  # an image conditions images only
    return MixtureGenerator(math.prod(shape), condition)


def critic_for(comparison: Adversarial | Packed, shape: Shape, condition: int | Shape) -> nn.Module:
    """Return the critic that a comparison needs; packs are events of so many times the numbers."""
    samples = comparison.samples if isinstance(comparison, Packed) else 1
    rules = comparison.comparison if isinstance(comparison, Packed) else comparison
    features = rules.critic_loss.features if isinstance(rules.critic_loss, LearnedFeatures) else 0
    if isinstance(condition, int):
        packed = samples * condition
    else:
        packed = (samples * condition[0], *condition[1:])
    if is_image(shape):
        return ImageCritic((samples * shape[0], *shape[1:]), packed, features=features)
    assert isinstance(packed, int)  # an image conditions images only
    shapes = [(samples * math.prod(shape),)] + [(packed,)] * (packed > 0)
    kind = FourierFeatureCritic if rules == VECTORS else VectorCritic
    return kind(shapes, features=features)
