"""Default networks, comparisons and settings of generators, by the kind of data.

    vectors   a generator of a bent mixture, a critic of Fourier features, annealed penalties
    images    convolutional networks, constant penalties in proportion to the number of pixels

Both comparisons are relativistic, of pairs, under R1 and R2. Narrow modes need a steep critic, so
that the penalties of vectors are annealed to near zero, and the critic learns faster than the
generator. A few images of many pixels would then be memorised: their penalties stay, in proportion
to the pixels, with which squared gradients of one critic fall. Any other comparison of vectors has
a plain critic and one learning rate: under constant penalties, or none, Fourier features lose
modes. What else narrow modes ask of a comparison of vectors:

    exponential losses    gradients of limited norm, as one large ratio could undo what is learnt
    Wasserstein losses    fewer steps, as each is five of the critic
    clipped weights       faster learning, and a wide critic of one block
    sliced Wasserstein    large batches, in which modes have nearly equal shares of data and samples
    Sinkhorn              fewer steps, as each solves three transports
    unrolled critics      fewer steps, momentum, and a critic that learns faster than the generator:
                          at equal rates samples stay away from the modes

References:
    Huang et al., The GAN is dead; long live the GAN!, 2025. arXiv:2501.05441
"""

import math

import torch
from torch import nn

from lfi.comparison import (
    R1,
    R2,
    Adversarial,
    CriticLoss,
    Discrepancy,
    Sinkhorn,
    SlicedWasserstein,
    Wasserstein,
    WeightClipping,
)
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.comparison.losses.relativistic import RelativisticPaired
from lfi.comparison.penalties.annealed import Annealed
from lfi.generation.objectives import Packed, Unrolled, rules_of
from lfi.generation.settings import DEFAULTS, AdversarialSettings, CompleteAdversarialSettings
from lfi.networks import (
    FourierFeatureCritic,
    ImageCritic,
    ImageGenerator,
    MixtureGenerator,
    VectorCritic,
    is_image,
)
from lfi.training import TrainSettings, unrolled

VECTORS = Adversarial(
    RelativisticPaired(), RelativisticPaired(), (Annealed(R1(0.3), 3e-5), Annealed(R2(0.3), 3e-5))
)
WEIGHT_PER_PIXEL = 0.15  # of both penalties of images, for each number of an image
IMAGE_SETTINGS = AdversarialSettings(steps=1_000, batch_size=64, average=0.99)
VECTOR_SETTINGS = AdversarialSettings(learning_rate=3e-4, critic_learning_rate=3e-3)
EXPONENTIAL = AdversarialSettings(clip=1.0)
WASSERSTEIN = AdversarialSettings(steps=2_000)
CLIPPED = AdversarialSettings(steps=1_500, learning_rate=3e-3, critic_learning_rate=3e-3)
CLIPPED_WIDTH = 256
SLICED = AdversarialSettings(steps=1_000, batch_size=4_096)
SINKHORN = AdversarialSettings(steps=1_500)
UNROLLED = AdversarialSettings(steps=1_500, critic_learning_rate=3e-3, betas=(0.5, 0.99))

Shape = tuple[int, ...]
Comparison = Adversarial | Packed | Unrolled | Discrepancy


def comparison_for(shape: Shape) -> Adversarial:
    """Return the default comparison of events of a shape."""
    if not is_image(shape):
        return VECTORS
    weight = WEIGHT_PER_PIXEL * math.prod(shape)
    return Adversarial(RelativisticPaired(), RelativisticPaired(), (R1(weight), R2(weight)))


def settings_for(
    settings: TrainSettings | None, shape: Shape, comparison: Comparison
) -> CompleteAdversarialSettings:
    """Return complete settings: those of the user, over those that suit data and comparison."""
    defaults = DEFAULTS
    if comparison == VECTORS:
        defaults = defaults.updated(VECTOR_SETTINGS)
    if is_image(shape):
        defaults = defaults.updated(IMAGE_SETTINGS)
    else:
        defaults = defaults.updated(_suited(comparison))
    if isinstance(comparison, Unrolled):
        defaults = defaults.updated(AdversarialSettings(turn=unrolled(comparison.ahead)))
    return defaults.updated(settings)


def _suited(comparison: Comparison) -> AdversarialSettings | None:
    """Return what vectors need under a comparison, beside the settings of all."""
    if isinstance(comparison, SlicedWasserstein):
        return SLICED
    if isinstance(comparison, Sinkhorn):
        return SINKHORN
    if isinstance(comparison, Discrepancy):
        return None
    if isinstance(comparison, Unrolled):
        return UNROLLED
    rules = rules_of(comparison)
    if isinstance(rules.constraint, WeightClipping):
        return CLIPPED
    if isinstance(rules.critic_loss, Wasserstein):
        return WASSERSTEIN
    return EXPONENTIAL if grows_exponentially(rules.critic_loss) else None


def played(comparison: Adversarial | Packed | Unrolled) -> Adversarial | Packed:
    """Return what the players are of; how far they look ahead is their turn's."""
    return comparison.comparison if isinstance(comparison, Unrolled) else comparison


def grows_exponentially(loss: CriticLoss) -> bool:
    """Return whether the loss of a wrong critic is the exponential of its value, or more.

    Example:
        >>> grows_exponentially(lfi.losses.KL()), grows_exponentially(lfi.losses.Bernoulli())
        (True, False)
    """
    if isinstance(loss, LearnedFeatures):
        return False
    h = torch.full((8,), 10.0)
    return any(float(loss(sign * h, sign * h)) > math.exp(9) for sign in (-1, 1))


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
    rules = rules_of(comparison)
    features = rules.critic_loss.features if isinstance(rules.critic_loss, LearnedFeatures) else 0
    if isinstance(condition, int):
        packed = samples * condition
    else:
        packed = (samples * condition[0], *condition[1:])
    if is_image(shape):
        return ImageCritic((samples * shape[0], *shape[1:]), packed, features=features)
    assert isinstance(packed, int)  # an image conditions images only
    shapes = [(samples * math.prod(shape),)] + [(packed,)] * (packed > 0)
    if rules == VECTORS:
        return FourierFeatureCritic(shapes, features=features)
    if isinstance(rules.constraint, WeightClipping):
        return VectorCritic(shapes, features=features, width=CLIPPED_WIDTH, layers=1)
    return VectorCritic(shapes, features=features)
