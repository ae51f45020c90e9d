"""Networks: critics, generators, standardisation, and the files they are kept in."""

from lfi.networks.bridges import Bridges
from lfi.networks.columns import Columns
from lfi.networks.critics import VectorCritic
from lfi.networks.embeddings import ImageEmbedding, SeriesEmbedding, SetEmbedding
from lfi.networks.files import Contents, load_prefixed, prefixed, read, replace_file, write
from lfi.networks.flows import ConditionalFlow
from lfi.networks.generators import MixtureGenerator, VectorGenerator
from lfi.networks.images import ImageCritic, ImageGenerator, is_image
from lfi.networks.lipschitz import LipschitzCritic
from lfi.networks.measured_critic import MeasuredCritic
from lfi.networks.mixed_critic import MixedCritic, ValidCritic, Validity, build_critic
from lfi.networks.multiscale import MultiscaleCritic
from lfi.networks.pair_critic import PairCritic, size_of
from lfi.networks.residual import Block, Tower, trunk
from lfi.networks.sample_critic import Copies, Members, SampleCritics
from lfi.networks.scatter_critic import ScatterCritic
from lfi.networks.side_by_side import SideBySide, members, side_by_side
from lfi.networks.standardise import Coordinates, Features, Standardise
from lfi.networks.whiten import Whiten, inverse_root, moments

__all__ = [
    "Block",
    "Bridges",
    "Columns",
    "ConditionalFlow",
    "Contents",
    "Coordinates",
    "Copies",
    "Features",
    "ImageCritic",
    "ImageEmbedding",
    "ImageGenerator",
    "LipschitzCritic",
    "MeasuredCritic",
    "Members",
    "MixedCritic",
    "MixtureGenerator",
    "MultiscaleCritic",
    "PairCritic",
    "SampleCritics",
    "ScatterCritic",
    "SeriesEmbedding",
    "SetEmbedding",
    "SideBySide",
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
    "load_prefixed",
    "members",
    "moments",
    "prefixed",
    "read",
    "replace_file",
    "side_by_side",
    "size_of",
    "trunk",
    "write",
]
