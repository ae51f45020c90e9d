"""Autoencoders by two lists of terms, of the likelihood and of the prior: VAEs, GANs, between."""

from lfi.generation.autoencoders.autoencoder import Autoencoder as Autoencoder
from lfi.generation.autoencoders.encoders import (
    DeterministicEncoder as DeterministicEncoder,
    GaussianEncoder as GaussianEncoder,
    ImplicitEncoder as ImplicitEncoder,
    PerturbedEncoder as PerturbedEncoder,
)
from lfi.generation.autoencoders.fit import fit_autoencoder as fit_autoencoder
from lfi.generation.autoencoders.observers import (
    BernoulliObserver as BernoulliObserver,
    GaussianObserver as GaussianObserver,
    LaplaceObserver as LaplaceObserver,
)
from lfi.generation.autoencoders.presets import (
    AGE as AGE,
    AVB as AVB,
    DCGAN as DCGAN,
    VAE as VAE,
    VAEGAN as VAEGAN,
    AlphaGAN as AlphaGAN,
)
from lfi.generation.autoencoders.terms import (
    AnalyticKL as AnalyticKL,
    Autoencoding as Autoencoding,
    CodeRatio as CodeRatio,
    JointRatio as JointRatio,
    MomentsKL as MomentsKL,
    SyntheticLikelihood as SyntheticLikelihood,
)
