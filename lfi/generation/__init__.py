"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.adversarial import Packed
from lfi.generation.annealed import Annealed
from lfi.generation.defaults import IMAGES
from lfi.generation.fidelity import Fidelity, fidelity
from lfi.generation.fitting import fit_generator, fit_generators
from lfi.generation.generator import Generator
from lfi.generation.learned import LearnedFeatures
from lfi.generation.least_squares import LeastSquares
from lfi.generation.paired import Paired
from lfi.generation.presets import (
    DRAGANNS,
    GAN,
    GANGP,
    GMMN,
    LSGAN,
    MMDGAN,
    R3GAN,
    WGAN,
    WGANGP,
    CramerGAN,
    HingeGAN,
    NonSaturatingGAN,
    PacGAN,
    SinkhornGAN,
    bGAN,
    fGAN,
)
from lfi.generation.regime import Regime
from lfi.generation.regions import Regions, fidelity_by_region
from lfi.generation.surrogate import OutsideTraining, Surrogate
from lfi.generation.surrogate_training import fit_surrogate

__all__ = [
    "Annealed",
    "CramerGAN",
    "DRAGANNS",
    "Fidelity",
    "GAN",
    "GANGP",
    "GMMN",
    "Generator",
    "HingeGAN",
    "IMAGES",
    "LSGAN",
    "LearnedFeatures",
    "LeastSquares",
    "MMDGAN",
    "NonSaturatingGAN",
    "OutsideTraining",
    "PacGAN",
    "Packed",
    "Paired",
    "R3GAN",
    "Regime",
    "Regions",
    "SinkhornGAN",
    "Surrogate",
    "WGAN",
    "WGANGP",
    "bGAN",
    "fGAN",
    "fidelity",
    "fidelity_by_region",
    "fit_generator",
    "fit_generators",
    "fit_surrogate",
]
