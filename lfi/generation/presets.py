"""Comparisons by the names of the papers they come from: losses, and a penalty or constraint.

Each is a value that `lfi.fit_generator(data, comparison=...)` takes; write your own as freely. What
the papers call a discriminator's loss is minus the divergence that its ratio bounds.

Weights are those of the papers' toys, in standardised data of a few dimensions, chosen on a ring of
eight modes whose width is a hundredth of the data's (`tests/benchmarks/modes.py`); steps, rates and
batches that suit a comparison of vectors are in `lfi/generation/defaults.py`. Where a paper has
another value for images, its preset says so.
"""

from lfi.comparison import (
    DRAGAN,
    MMD,
    R1,
    R2,
    Adversarial,
    Bernoulli,
    Divergence,
    Energy,
    Gaussian,
    GradientPenalty,
    Hinge,
    Linear,
    NonSaturating,
    Quantile,
    RationalQuadratic,
    Sinkhorn,
    Sum,
    Wasserstein,
    WeightClipping,
)
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.comparison.losses.least_squares import LeastSquares
from lfi.comparison.losses.relativistic import RelativisticPaired
from lfi.generation.objectives import Packed, Unrolled
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number


def GAN() -> Adversarial:
    """Return the minimax game of Goodfellow et al., 2014. arXiv:1406.2661."""
    return Adversarial(Bernoulli(), Bernoulli())


@checked
def NonSaturatingGAN(r1: float = 0.0) -> Adversarial:
    """Return the GAN that is trained in practice, with the R1 penalty if it has a weight.

    Goodfellow et al., 2014. arXiv:1406.2661; Mescheder et al., 2018. arXiv:1801.04406.
    """
    check_number("r1", r1, minimum=0)
    return Adversarial(Bernoulli(), NonSaturating(), R1(r1) if r1 else ())


def LSGAN() -> Adversarial:
    """Return regressions on labels. Mao et al., 2017. arXiv:1611.04076."""
    return Adversarial(LeastSquares(), LeastSquares())


@checked
def fGAN(f: Divergence) -> Adversarial:
    """Return the minimax game of an f-divergence. Nowozin et al., 2016. arXiv:1606.00709."""
    return Adversarial(f, f)


@checked
def bGAN(f: Divergence) -> Adversarial:
    """Return a ratio matched by a Bregman divergence, and a generator of its own.

    Uehara et al., 2016. arXiv:1610.02920.
    """
    return Adversarial(f, NonSaturating())


def HingeGAN() -> Adversarial:
    """Return the hinge of both sides. Lim & Ye, 2017. arXiv:1705.02894."""
    return Adversarial(Hinge(), Hinge())


@checked
def WGAN(limit: float = 3.0) -> Adversarial:
    """Return the Wasserstein GAN with clipped weights. Arjovsky et al., 2017. arXiv:1701.07875.

    The paper clips at 0.01, for images. A critic of so small weights is smooth, and cannot bend
    within a mode a hundredth as wide as the data: modes lose their shape, as Gulrajani et al. show.
    """
    return Adversarial(Wasserstein(), Wasserstein(), constraint=WeightClipping(limit))


@checked
def WGANGP(weight: float = 0.1) -> Adversarial:
    """Return WGAN with a gradient penalty. Gulrajani et al., 2017. arXiv:1704.00028.

    The weight is that of the paper's toys; for images it is 10, which keeps the critic's slope at
    one. One per deviation of the data is little where modes are narrow.
    """
    return Adversarial(Wasserstein(), Wasserstein(), GradientPenalty(weight))


@checked
def GANGP(weight: float = 0.1) -> Adversarial:
    """Return NS-GAN with WGAN-GP's penalty. Fedus et al., 2018. arXiv:1710.08446.

    The weight is as that of `WGANGP`; 10 for images.
    """
    return Adversarial(Bernoulli(), NonSaturating(), GradientPenalty(weight))


@checked
def DRAGANNS(weight: float = 0.1, alpha: float | None = None) -> Adversarial:
    """Return NS-GAN with DRAGAN's penalty. Kodali et al., 2017. arXiv:1705.07215.

    It is charged at alpha x + (1 - alpha) (x + noise), with an alpha drawn for each row if None.
    The weight is as that of `WGANGP`; 10 for images, around which data are far between.
    """
    return Adversarial(Bernoulli(), NonSaturating(), DRAGAN(weight, alpha=alpha))


@checked
def R3GAN(weight: float = 0.1) -> Adversarial:
    """Return the relativistic GAN with R1 and R2. Huang et al., 2025. arXiv:2501.05441."""
    return Adversarial(RelativisticPaired(), RelativisticPaired(), (R1(weight), R2(weight)))


def GMMN() -> MMD:
    """Return the MMD of Gaussians of several widths. Li et al., 2015. arXiv:1502.02761."""
    return MMD(Sum(tuple(Gaussian(Quantile(scale=scale)) for scale in (0.02, 0.1, 0.5, 2.0))))


@checked
def CramerGAN(weight: float = 10.0, features: int = 16) -> Adversarial:
    """Return the energy distance of learned features. Bellemare et al., 2017. arXiv:1705.10743."""
    loss = LearnedFeatures(Energy(), features)
    return Adversarial(loss, loss, GradientPenalty(weight))


@checked
def MMDGAN(weight: float = 1.0, features: int = 16) -> Adversarial:
    """Return the MMD of learned features. Binkowski et al., 2018. arXiv:1801.01401."""
    quadratics = tuple(RationalQuadratic(1.0, alpha) for alpha in (0.2, 0.5, 1.0, 2.0, 5.0))
    loss = LearnedFeatures(MMD(Sum((*quadratics, Linear()))), features)
    return Adversarial(loss, loss, GradientPenalty(weight))


@checked
def SinkhornGAN(relative: float = 0.3, order: float = 1.0) -> Sinkhorn:
    """Return a Sinkhorn divergence. Genevay et al., 2018. arXiv:1706.00292.

    The paper carries images at the cost |x - y|^2 of learned features, `order=2`. Batches of data
    and of samples have unequal numbers in each mode, and what is left over is carried far: at that
    cost it outweighs the shape of narrow modes; at |x - y| all are pulled alike.
    """
    return Sinkhorn(relative=relative, order=order)


@checked
def PacGAN(samples: int = 2) -> Packed:
    """Return the non-saturating GAN whose critic sees packs. Lin et al., 2018. arXiv:1712.04086."""
    return Packed(NonSaturatingGAN(), samples)


@checked
def UnrolledGAN(ahead: int = 3, r1: float = 0.1) -> Unrolled:
    """Return the GAN whose generator sees so many moves of its critic ahead.

    Metz et al., 2017. arXiv:1611.02163. With the non-saturating loss, and a light R1 penalty, with
    which a critic that learns fast enough for narrow modes answers smoothly; 0 for none. A step
    takes several times as long as one of `NonSaturatingGAN`.
    """
    return Unrolled(NonSaturatingGAN(r1), ahead)
