"""The kinds of critics that `NeuralRatio` trains, and how: one row of a table each.

    exponential family    natural parameters linear in x
    mixture density       a function of theta and noise of one shape, where x is few numbers
    Gaussian likelihood   features of x that are Gaussian given theta, where x is many
    bilinear              the family and inner products of networks, on all pairs of each batch
    MLP                   the family and a network of the two embeddings' sum, on some pairs

The last two begin with the exponential family that was fitted first.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from lfi.networks import (
    Features,
    GaussianLikelihoodCritic,
    MixtureDensityCritic,
    PairCritic,
    prepared,
    size_of,
)
from lfi.numerics.checks import check_instance, check_number, check_whole
from lfi.runtime import isolated
from lfi.training import CompleteSettings, TrainSettings

MAX_EPOCHS = 80  # passes over the simulations in the training of one critic
MAX_MIXTURE_SIZE = 16  # numbers, up to which the noise's shape is learnt
DEFAULTS = CompleteSettings(
    steps=3_000,
    learning_rate=2e-3,
    weight_decay=1e-2,
    average=0.99,
    clip=5.0,
    patience=8,
    held_out=0.1,
)

Bounds = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class CriticDesign:
    """The fields of `NeuralRatio` that describe its critics, which documents them."""

    settings: TrainSettings | None = None
    contrasts: int = 40
    width: int = 128
    layers: int = 3
    rank: int | None = 128
    head_layers: int | None = 3
    noise_model: bool = True
    dropout: float = 0.1
    embedding: nn.Module | None = None
    critic: nn.Module | None = None

    def __post_init__(self) -> None:
        for name, minimum in (("contrasts", 1), ("width", 2), ("layers", 1)):
            check_whole(name, getattr(self, name), minimum=minimum)
        for name in ("rank", "head_layers"):
            check_whole(name, getattr(self, name), minimum=0, optional=True)
        check_number("dropout", self.dropout, minimum=0, below=1)
        check_instance("settings", self.settings, TrainSettings, optional=True)
        for name in ("embedding", "critic"):
            check_instance(name, getattr(self, name), nn.Module, optional=True)

    @property
    def filled(self) -> CompleteSettings:
        """The settings, defaults filled in, save that batches depend on the simulations."""
        return DEFAULTS.updated(self.settings)

    @property
    def limitable(self) -> bool:
        """Whether `fit` takes a `limit`."""
        return True

    @property
    def resumable(self) -> bool:
        """Whether `fit` takes `checkpoints`."""
        return True


Build = Callable[[CriticDesign, Bounds, Sequence[int], nn.Module | None], nn.Module]


@dataclass(frozen=True)
class CriticKind:
    """One row of the table; `wanted` is asked with the size of x or of its embedding."""

    name: str
    build: Build
    wanted: Callable[[CriticDesign, int], bool]
    settings: TrainSettings = TrainSettings()  # in place of the method's
    steps: float = 1.0  # the share of the method's
    half_batch: bool = False  # where each pair costs more than an inner product
    max_rows: int | None = None  # of a batch: all pairs of 512 rows took 0.1 s a step
    all_pairs: bool = True  # of a batch, or as many as the method's `contrasts`


def _own(method: CriticDesign, *_: object) -> nn.Module:
    assert method.critic is not None  # or else it is not wanted
    return copy.deepcopy(method.critic)


KINDS = (
    CriticKind(
        "exponential family",
        lambda method, bounds, x_shape, embedding: PairCritic(
            *bounds, x_shape, width=method.width // 2, layers=1, embedding=embedding
        ),
        wanted=lambda method, size: True,
        settings=TrainSettings(learning_rate=0.05, weight_decay=1e-3),  # it has few weights
        steps=0.5,
    ),
    CriticKind(
        "mixture density",
        lambda method, bounds, x_shape, embedding: MixtureDensityCritic(
            *bounds, x_shape, width=method.width, layers=method.layers, embedding=embedding
        ),
        wanted=lambda method, size: method.noise_model and size <= MAX_MIXTURE_SIZE,
        settings=TrainSettings(learning_rate=1e-2),  # its scales have far to go
        half_batch=True,
        max_rows=128,
    ),
    CriticKind(
        "Gaussian likelihood",
        lambda method, bounds, x_shape, embedding: GaussianLikelihoodCritic(
            *bounds, x_shape, width=method.width, layers=method.layers, embedding=embedding
        ),
        wanted=lambda method, size: method.noise_model and size > MAX_MIXTURE_SIZE,
        settings=TrainSettings(learning_rate=6e-3),
    ),
    CriticKind(
        "bilinear",
        lambda method, bounds, x_shape, embedding: PairCritic(
            *bounds,
            x_shape,
            width=method.width,
            layers=method.layers,
            rank=method.rank or 0,
            dropout=method.dropout,
            embedding=embedding,
        ),
        wanted=lambda method, size: bool(method.rank),
    ),
    CriticKind(
        "MLP",
        lambda method, bounds, x_shape, embedding: PairCritic(
            *bounds,
            x_shape,
            width=method.width // 2,
            layers=1,
            head_layers=method.head_layers,
            embedding=embedding,
        ),
        wanted=lambda method, size: method.head_layers is not None,
        half_batch=True,
        all_pairs=False,
    ),
)
OWN = CriticKind(
    "critic", _own, wanted=lambda method, size: method.critic is not None, all_pairs=False
)


@dataclass(frozen=True)
class CriticStage:
    """How one critic is trained."""

    kind: CriticKind
    settings: CompleteSettings
    contrasts: int | None  # beside each joint pair; None for all that a batch has


def critic_stages(
    method: CriticDesign,
    n: int,
    event: Sequence[int],
    *,
    max_epochs: int | None,
    missing: bool = False,
) -> list[CriticStage]:
    """Return what is trained, in order, on n valid simulations of one shape of x.

    Entries that are `missing` have no noise to model, unless they are embedded.
    """
    settings = method.filled
    if missing and method.embedding is None:
        method = replace(method, noise_model=False)
    size = method.settings and method.settings.batch_size
    size = size or min(1024, max(64, 2 ** round(math.log2(n / 40))))
    size = min(size, int(n * (1 - settings.held_out)))
    numbers = embedded_size(method.embedding, event, missing=missing)

    def stage(kind: CriticKind) -> CriticStage:
        rows = max(min(size, 64), size // 2) if kind.half_batch else size
        rows = min(rows, kind.max_rows or rows)
        steps = settings.steps
        if max_epochs is not None:
            steps = min(steps, max_epochs * n // rows)
        steps = max(1, round(kind.steps * steps))
        own = replace(settings, steps=steps, batch_size=rows).updated(kind.settings)
        return CriticStage(kind, own, None if kind.all_pairs else min(method.contrasts, rows - 1))

    kinds = KINDS if method.critic is None else (OWN,)
    return [stage(kind) for kind in kinds if kind.wanted(method, numbers)]


def embedded_size(
    embedding: nn.Module | None, event: Sequence[int], *, missing: bool = False
) -> int:
    """Return how many numbers an x, or its embedding, is."""
    if embedding is None:
        return math.prod(event)
    with isolated(0):  # a copy: the caller's own is left as it is, statistics included
        return size_of(prepared(embedding, event, missing=missing) or Features(event), event)
