"""Networks: critics, generators, standardisation, and the files they are kept in."""

from lfi.networks.columns import (
    Columns,
)
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
from lfi.networks.embeddings import (
    ImageEmbedding,
    SeriesEmbedding,
    SetEmbedding,
)
from lfi.networks.flows import (
    ConditionalFlow,
)
from lfi.networks.generators import (
    MixtureGenerator,
    VectorGenerator,
)
from lfi.networks.images import (
    ImageCritic,
    ImageGenerator,
    is_image,
)
from lfi.networks.residual import (
    Block,
    Tower,
    trunk,
)
from lfi.networks.stacked_modules import (
    StackedModules,
    stack_modules,
    unstack_modules,
)
from lfi.networks.standardise import (
    Coordinates,
    Features,
    Standardise,
)
from lfi.networks.whiten import (
    Whiten,
    inverse_root,
    moments,
)

__all__ = [
    "Block",
    "Bridges",
    "Columns",
    "ConditionalFlow",
    "Coordinates",
    "CriticCopies",
    "Features",
    "ImageCritic",
    "ImageEmbedding",
    "ImageGenerator",
    "LipschitzCritic",
    "MeasuredCritic",
    "NestedCritics",
    "MixedCritic",
    "MixtureGenerator",
    "MultiscaleCritic",
    "PairCritic",
    "SampleCritics",
    "ScatterCritic",
    "SeriesEmbedding",
    "SetEmbedding",
    "StackedModules",
    "Standardise",
    "Tower",
    "ValidCritic",
    "Validity",
    "VectorCritic",
    "VectorGenerator",
    "Whiten",
    "build_critic",
    "inverse_root",
    "is_image",
    "unstack_modules",
    "moments",
    "stack_modules",
    "size_of",
    "trunk",
]
