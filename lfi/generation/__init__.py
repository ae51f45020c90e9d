"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.fit import (
    fit_generator,
    fit_generators,
)
from lfi.generation.generator import (
    Generator,
)
from lfi.generation.objectives import (
    Packed,
)
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
from lfi.generation.settings import (
    AdversarialSettings,
)
from lfi.generation.surrogates.fidelity import (
    Fidelity,
    fidelity,
)
from lfi.generation.surrogates.fidelity_by_region import (
    Regions,
    fidelity_by_region,
)
from lfi.generation.surrogates.fit import (
    fit_surrogate,
)
from lfi.generation.surrogates.surrogate import (
    OutsideTraining,
    Surrogate,
)

__all__ = [
    "AdversarialSettings",
    "CramerGAN",
    "DRAGANNS",
    "Fidelity",
    "GAN",
    "GANGP",
    "GMMN",
    "Generator",
    "HingeGAN",
    "LSGAN",
    "MMDGAN",
    "NonSaturatingGAN",
    "OutsideTraining",
    "PacGAN",
    "Packed",
    "R3GAN",
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
