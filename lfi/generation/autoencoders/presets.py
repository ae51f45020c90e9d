"""Six algorithms between variational autoencoders and GANs, as choices from two lists of terms.

              likelihood                    prior                   encoder
    VAE       observer                      analytic KL             Gaussian
    DCGAN     ratio on x                    -                       none
    VAEGAN    observer, ratio on x          analytic KL             Gaussian
    AVB       observer                      ratio on (x, z)         implicit
    AGE       observer (L1)                 KL of moments           perturbed, on a sphere
    AlphaGAN  observer (L1), ratio on x     ratio on codes          implicit

This is the table of Rosca et al., 2017. arXiv:1706.04987. `ratio` is the comparison of the ratio on
x: any critic loss, generator loss and penalty; None is as `SyntheticLikelihood` has it.
"""

from lfi.comparison import Adversarial
from lfi.generation.autoencoders.encoders import (
    GaussianEncoder,
    ImplicitEncoder,
    PerturbedEncoder,
)
from lfi.generation.autoencoders.observers import GaussianObserver, LaplaceObserver, Observer
from lfi.generation.autoencoders.terms import (
    AnalyticKL,
    Autoencoding,
    CodeRatio,
    JointRatio,
    MomentsKL,
    SyntheticLikelihood,
)
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive

LEARNT = GaussianObserver()
ABSOLUTE = LaplaceObserver(weight=30.0)


@checked
def VAE(observer: Observer = LEARNT, weight: float = 1.0) -> Autoencoding:
    """Return the variational autoencoder; `weight` is beta, of the divergence from the prior.

    Kingma & Welling, 2014. arXiv:1312.6114.
    """
    return Autoencoding((observer,), (AnalyticKL(weight),), GaussianEncoder())


@checked
def DCGAN(ratio: Adversarial | None = None) -> Autoencoding:
    """Return a GAN without an encoder. Radford et al., 2015. arXiv:1511.06434."""
    return Autoencoding((SyntheticLikelihood(ratio, reconstructions=False),), (), None)


@checked
def VAEGAN(observer: Observer = LEARNT, ratio: Adversarial | None = None) -> Autoencoding:
    """Return the VAE whose decoder a critic judges too. Larsen et al., 2016. arXiv:1512.09300."""
    return Autoencoding((observer, SyntheticLikelihood(ratio)), (AnalyticKL(),), GaussianEncoder())


@checked
def AVB(observer: Observer = LEARNT, adaptive: bool = True) -> Autoencoding:
    """Return adversarial variational Bayes, with or without adaptive contrast.

    Mescheder et al., 2017. arXiv:1701.04722.
    """
    return Autoencoding((observer,), (JointRatio(adaptive=adaptive),), ImplicitEncoder())


@checked
def AGE(
    observer: Observer = ABSOLUTE,
    weight: float = 5.0,
    against_samples: float = 1.0,
    codes: float = 0.0,
    noise: float = 0.6,
) -> Autoencoding:
    """Return the game of encoder and generator on moments, whose codes lie on a sphere.

    Ulyanov et al., 2017. arXiv:1704.02304. The moments of a few numbers do not tell eight narrow
    clusters of codes from the prior, so that most codes of the prior would be far from any of data:
    codes are perturbed by `noise`, which fills the sphere, and costs reconstruction. The paper also
    charges, as `codes` does here, the error of codes that are decoded and encoded again, which
    noise makes large.
    """
    check_positive("noise", noise)
    moments = MomentsKL(weight, against_samples=against_samples, codes=codes)
    return Autoencoding((observer,), (moments,), PerturbedEncoder(noise), sphere=True)


@checked
def AlphaGAN(
    observer: Observer = ABSOLUTE,
    ratio: Adversarial | None = None,
    code_ratio: Adversarial | None = None,
) -> Autoencoding:
    """Return the autoencoder whose data and codes critics judge; the observer's weight is lambda.

    Rosca et al., 2017. arXiv:1706.04987.
    """
    codes = CodeRatio() if code_ratio is None else CodeRatio(code_ratio)
    return Autoencoding((observer, SyntheticLikelihood(ratio)), (codes,), ImplicitEncoder())
