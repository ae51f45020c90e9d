"""Networks: critics, generators, standardisation, and the files they are kept in."""

from lfi.networks.categorical import (
    CategoricalFlow as CategoricalFlow,
    few_levels as few_levels,
)
from lfi.networks.conditional_flows import (
    LikelihoodEstimator as LikelihoodEstimator,
    PosteriorEstimator as PosteriorEstimator,
)
from lfi.networks.critics.ensemble import (
    EnsembleCritic as EnsembleCritic,
    ValidCritic as ValidCritic,
    Validity as Validity,
    build_critic as build_critic,
    critic_spec as critic_spec,
    embedding_sizes as embedding_sizes,
)
from lfi.networks.critics.fourier_features import FourierFeatureCritic as FourierFeatureCritic
from lfi.networks.critics.gaussian_likelihood import (
    GaussianLikelihoodCritic as GaussianLikelihoodCritic,
    MixtureDensityCritic as MixtureDensityCritic,
)
from lfi.networks.critics.lipschitz import LipschitzCritic as LipschitzCritic
from lfi.networks.critics.nested import (
    CriticCopies as CriticCopies,
    NestedCritics as NestedCritics,
    SampleCritics as SampleCritics,
)
from lfi.networks.critics.pair import (
    EmbedsPairs as EmbedsPairs,
    PairCritic as PairCritic,
)
from lfi.networks.critics.telescoping import Bridges as Bridges
from lfi.networks.critics.vector import VectorCritic as VectorCritic
from lfi.networks.data_transforms import (
    BoundedTransform as BoundedTransform,
    ColumnBijection as ColumnBijection,
)
from lfi.networks.embeddings import (
    ImageEmbedding as ImageEmbedding,
    SeriesEmbedding as SeriesEmbedding,
    SetEmbedding as SetEmbedding,
    prepared as prepared,
    size_of as size_of,
    takes_missing as takes_missing,
)
from lfi.networks.flows import ConditionalFlow as ConditionalFlow
from lfi.networks.generators import (
    MixedGenerator as MixedGenerator,
    MixtureGenerator as MixtureGenerator,
    VectorGenerator as VectorGenerator,
    noise_of as noise_of,
)
from lfi.networks.images import (
    ImageCritic as ImageCritic,
    ImageGenerator as ImageGenerator,
    is_image as is_image,
)
from lfi.networks.proposals import (
    FlowProposal as FlowProposal,
    MixtureProposal as MixtureProposal,
    NaturalSteps as NaturalSteps,
    VectorProposal as VectorProposal,
)
from lfi.networks.real_nvp import RealNVP as RealNVP
from lfi.networks.residual import ResidualBlock as ResidualBlock, Tower as Tower, trunk as trunk
from lfi.networks.stacked_modules import (
    StackedModules as StackedModules,
    stack_modules as stack_modules,
    unstack_modules as unstack_modules,
)
from lfi.networks.standardise import (
    Coordinates as Coordinates,
    Features as Features,
    Standardise as Standardise,
)
from lfi.networks.whiten import Whiten as Whiten, inverse_root as inverse_root, moments as moments
