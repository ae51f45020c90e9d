"""Critics: networks whose output is a log density ratio."""

from lfi.networks.critics.ensemble import (
    MixedCritic,
    ValidCritic,
    Validity,
    build_critic,
)
from lfi.networks.critics.fourier_features import (
    MultiscaleCritic,
)
from lfi.networks.critics.lipschitz import (
    LipschitzCritic,
)
from lfi.networks.critics.measured import (
    MeasuredCritic,
)
from lfi.networks.critics.nested import (
    CriticCopies,
    NestedCritics,
    SampleCritics,
)
from lfi.networks.critics.pair import (
    PairCritic,
    size_of,
)
from lfi.networks.critics.scatter import (
    ScatterCritic,
)
from lfi.networks.critics.telescoping import (
    Bridges,
)
from lfi.networks.critics.vector import (
    VectorCritic,
)

__all__ = [
    "Bridges",
    "CriticCopies",
    "LipschitzCritic",
    "MeasuredCritic",
    "NestedCritics",
    "MixedCritic",
    "MultiscaleCritic",
    "PairCritic",
    "SampleCritics",
    "ScatterCritic",
    "ValidCritic",
    "Validity",
    "VectorCritic",
    "build_critic",
    "size_of",
]
