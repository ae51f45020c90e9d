"""Protocols of a comparison: losses, penalties, contrasts, discrepancies.

    values = contrast(critic, batch, rng)       h = log p/q at samples of p and of q
    objective = loss(values.h_p, values.h_q) + sum of weight * penalty(critic, values, rng)

A loss is one risk of both samples, a penalty asks more of the critic, and a discrepancy compares
two samples without a critic. All are protocols: whatever has the methods is one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.numerics.arguments import shown
from lfi.numerics.arrays import ArrayLike, Batch

Critic = Callable[..., Tensor]


class Recovers(IntEnum):
    """What the best critic recovers of log p/q; `min` of two is what both together allow.

    Attributes:
        NOTHING: Only which way to move (Wasserstein, anything under a gradient penalty).
        SIGN: Whether p or q is larger.
        UP_TO_X: The log-ratio plus any function of x: enough for a posterior given one x.
        UP_TO_CONSTANT: The log-ratio plus a constant.
        RATIO: The log-ratio.

    Example:
        >>> min(Recovers.RATIO, Recovers.UP_TO_X).name
        'UP_TO_X'
    """

    NOTHING = 0
    SIGN = 1
    UP_TO_X = 2
    UP_TO_CONSTANT = 3
    RATIO = 4

    @classmethod
    def _missing_(cls, value: object) -> None:
        names = ", ".join(f"Recovers.{member.name}" for member in cls)
        raise ValueError(f"value must be that of one of {names}, got {value!r}")


@runtime_checkable
class CriticLoss(Protocol):
    """A risk that the critic minimises, from its values at samples of p and of q."""

    @property
    def recovers(self) -> Recovers:
        """What the minimiser recovers of log p/q."""
        ...

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the risk, a mean; contrastive losses take values of shape (..., n, K)."""
        ...


class RecoveringLoss:
    """A loss whose class says what it recovers, and whose methods check a critic's values."""

    recovers: Recovers

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("__call__", "generator", "value"):
            if name in vars(cls):
                setattr(cls, name, _of_values(vars(cls)[name]))


def _of_values(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a method of `h_p` and `h_q` that refuses what are no values of a critic."""

    @wraps(method)
    def of_values(self: object, h_p: object, h_q: object) -> Tensor:
        for name, h in (("h_p", h_p), ("h_q", h_q)):
            if not isinstance(h, Tensor) or not h.is_floating_point():
                raise TypeError(
                    f"{name} must be a torch tensor of floating-point numbers, got {shown(h)}"
                )
            if h.numel() == 0:
                raise ValueError(f"{name} must hold a value, got shape {tuple(h.shape)}")
        return method(self, h_p, h_q)

    return of_values


@runtime_checkable
class GeneratorLoss(Protocol):
    """A loss that whoever draws from q minimises; a divergence is this and a critic's loss."""

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the mean loss over the generator's samples; most losses do not use `h_p`."""
        ...


@runtime_checkable
class DivergenceEstimate(Protocol):
    """A number that says how far p is from q; a loss of the library is this too.

    Minus the critic's loss, scaled, and shifted to zero where it cannot tell p from q: on average
    a lower bound of the divergence that the loss bounds.
    """

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the estimate."""
        ...


@runtime_checkable
class EmbeddingCritic(Protocol):
    """A critic of pairs (a, b) that embeds each side once and pairs embeddings at will."""

    def embed(
        self, a: Float[Tensor, "n ..."], b: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n g"]]:
        """Return the embeddings of both sides."""
        ...

    def pair(
        self, embedded_a: Float[Tensor, "*#batch e"], embedded_b: Float[Tensor, "*#batch g"]
    ) -> Float[Tensor, "*batch"]:
        """Return the log-ratios of embedded pairs, broadcasting over leading dimensions."""
        ...


@dataclass(frozen=True, eq=False)
class Values:
    """A critic's values at samples of p and of q, and the inputs they came from.

    Attributes:
        h_p: At samples of p: (n,), or (n, K) for contrastive losses, p's sample in column 0.
        h_q: At samples of q: (m,), (n, k) or (n, K).
        p: Samples of p, such that `critic(*p, *given)` evaluates the critic anew.
        q: Samples of q, likewise; where `h_q` has several columns, those of the first.
        given: Inputs that p and q share, which no penalty differentiates.
        contrastive: Whether `h_p` has its sample of p in column 0 only.
        traced: Whether `h_p` and `h_q` can be differentiated in those of `p` and `q` that take
            gradients, so that penalties there need not evaluate the critic anew.
    """

    h_p: Tensor
    h_q: Tensor
    p: tuple[Tensor, ...]
    q: tuple[Tensor, ...]
    given: tuple[Tensor, ...] = ()
    contrastive: bool = False
    traced: bool = False

    @property
    def joint(self) -> Float[Tensor, " n"]:
        """The values at samples of p alone: column 0 of contrastive values."""
        return self.h_p[..., 0] if self.contrastive else self.h_p


@runtime_checkable
class Penalty(Protocol):
    """What else is asked of a critic. The objective multiplies by the weight."""

    @property
    def weight(self) -> float:
        """The factor in the objective."""
        ...

    @property
    def every(self) -> int:
        """How many steps lie between two charges, each of which is `every` times as large."""
        ...

    @property
    def keeps_optimum(self) -> bool:
        """Whether the exact log-ratio pays nothing, so that the loss's optimum stays."""
        ...

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        ...


@runtime_checkable
class Constraint(Protocol):
    """What a critic is held to while it trains, rather than charged for; no ratio survives it."""

    def project(self, critic: nn.Module) -> None:
        """Move its weights, in place, to where they are allowed: before training, after a step."""


SampleP = Float[Tensor, "*b n d"] | ArrayLike
SampleQ = Float[Tensor, "*c m d"] | ArrayLike
WeightP = Float[Tensor, "*b n"] | ArrayLike | None
WeightQ = Float[Tensor, "*c m"] | ArrayLike | None


@runtime_checkable
class Discrepancy(Protocol):
    """How far two samples of vectors are from each other: (*b, n, d) and (*b, m, d) to (*b,).

    Leading dimensions broadcast, many data sets against one. The caller flattens events.
    """

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the discrepancy of p, (*b, n, d), and q, (*c, m, d); leading dimensions broadcast.

        Weights, (*b, n) and (*c, m), need not sum to 1; equal ones by default. TypeError if p and q
        are not of one floating dtype, ValueError if shapes or weights do not fit, weights are
        negative where these may not be, or there are fewer points than the discrepancy needs.
        """
        ...


@runtime_checkable
class OfMeans(Discrepancy, Protocol):
    """A squared distance of mean embeddings, |mu_x - mu_y|^2 of a kernel k."""

    def witness(
        self, at: Float[Tensor, "*a k d"], x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
    ) -> Float[Tensor, "*abc k"]:
        """Return <k(at, .), mu_x - mu_y>, which is large where x has more mass than y."""
        ...


Contrast = Callable[[Critic, Batch, torch.Generator], Values]
