"""Terms and encoders of which algorithms for autoencoders are made, between VAEs and GANs."""

from lfi.generation.autoencoders import (
    AnalyticKL as AnalyticKL,
    Autoencoding as Autoencoding,
    BernoulliObserver as BernoulliObserver,
    CodeRatio as CodeRatio,
    DeterministicEncoder as DeterministicEncoder,
    GaussianEncoder as GaussianEncoder,
    GaussianObserver as GaussianObserver,
    ImplicitEncoder as ImplicitEncoder,
    JointRatio as JointRatio,
    LaplaceObserver as LaplaceObserver,
    MomentsKL as MomentsKL,
    PerturbedEncoder as PerturbedEncoder,
    SyntheticLikelihood as SyntheticLikelihood,
)
