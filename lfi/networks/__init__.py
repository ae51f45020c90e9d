"""Networks: critics, generators, standardisation, and the files they are kept in."""

from lfi.networks.critics import PairCritic, VectorCritic
from lfi.networks.files import Contents, load_prefixed, prefixed, read, replace_file, write
from lfi.networks.generators import VectorGenerator
from lfi.networks.residual import Block, trunk
from lfi.networks.sample_critic import SampleCritic
from lfi.networks.standardise import Coordinates, Features, Standardise

__all__ = [
    "Block",
    "Contents",
    "Coordinates",
    "Features",
    "PairCritic",
    "SampleCritic",
    "Standardise",
    "VectorCritic",
    "VectorGenerator",
    "load_prefixed",
    "prefixed",
    "read",
    "replace_file",
    "trunk",
    "write",
]
