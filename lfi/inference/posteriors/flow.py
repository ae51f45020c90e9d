"""The posterior of a flow: exact density, independent draws, nothing outside the support.

The flow's coordinates are free of the support's edges, column by column, by what bounds there are:

    none, or one          v = u, with the prior's own bijection theta = T(u)
    a below, b above      theta = a + (b - a) Phi(v), Phi the normal distribution function,

so that a uniform prior is a normal one in v, and log q(theta | x) = log q(v | x) - log |dtheta/dv|.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.direct import Direct
from lfi.inference.samplers.target import Proposal, Sampler, Target
from lfi.inference.training_reference import TrainingReference
from lfi.networks import PosteriorEstimator, takes_missing
from lfi.networks.embeddings import build_embedding
from lfi.numerics.arguments import checked
from lfi.runtime import Contents, load_prefixed, prefixed
from lfi.simulation import Prior
from lfi.training import History

ROWS = 2**13  # rows that the flow sees at a time


def to_flow_coordinates(
    prior: Prior, theta: Float[Tensor, "*n dim"]
) -> tuple[Float[Tensor, "*n dim"], Float[Tensor, "*n"]]:
    """Return v and log |dtheta/dv|, in float64."""
    u = prior.to_unconstrained(theta).double()
    log_slope = prior.from_unconstrained(u.to(prior.dtype))[1].double()
    bounded = _bounded(prior)
    tail = torch.special.ndtri(torch.sigmoid(-u.abs()))
    v = torch.where(bounded, -tail * u.sign(), u)
    normal = -v.square() / 2 - math.log(2 * math.pi) / 2
    per_column = torch.where(bounded, normal - logsigmoid(u) - logsigmoid(-u), 0.0)
    return v, log_slope + per_column.sum(-1)


def from_flow_coordinates(prior: Prior, v: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
    """Return theta of v, in the prior's dtype, inside its support."""
    v = v.double()
    u = torch.special.log_ndtr(v) - torch.special.log_ndtr(-v)
    u = torch.where(_bounded(prior), u, v)
    return prior.from_unconstrained(u.to(prior.dtype))[0]


def restored_estimator(
    spec: Mapping[str, Any], own: Callable[[str], nn.Module]
) -> PosteriorEstimator:
    """Return the network that a spec describes; `own` gives an embedding that it cannot name."""
    embedding = build_embedding(spec.get("embedding"), own)
    return PosteriorEstimator(**{**spec, "embedding": embedding})


def _bounded(prior: Prior) -> Tensor:
    return prior.lower.isfinite() & prior.upper.isfinite()


@dataclass(frozen=True, eq=False, repr=False)
class FlowPosterior(SavedPosterior):
    """A posterior by a fitted flow of theta given x, with a normalised density."""

    network: PosteriorEstimator
    prior: Prior
    x_shape: tuple[int, ...]
    history: tuple[History, ...] = field(default=())
    training_reference: TrainingReference | None = None
    normalised: bool = field(default=True, init=False)
    default_sampler: ClassVar[Sampler] = Direct()

    @property
    def takes_missing(self) -> bool:
        """Whether the network was trained on x with missing entries."""
        return takes_missing(self.network.features)

    @checked
    @torch.no_grad()
    def summaries(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Return what the network sees of data, (n, *event): their embedding, scaled.

        For `lfi.abc.Summaries`, `Simulator.with_summary`, `lfi.check_observation(embed=)`, and any
        method that takes few numbers. Without an embedding they are the entries of x, standardised.
        """
        parts = x.to(self.device).split(ROWS)
        return torch.cat([self.network.condition_of(part) for part in parts]).cpu()

    def as_proposal(self, x: Float[Tensor, "m ..."]) -> Proposal:
        """Return the flow as a proposal distribution of m observations."""
        with torch.no_grad():
            embedded = self.network.embed(x.to(self.device))
        return Proposal(embedded, self._draw, self._density)

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, for samplers."""
        proposal = self.as_proposal(x)

        def pair(theta: Tensor, embedded: Tensor) -> Tensor:
            return self._pairs(theta, embedded) - self.prior.log_prob(theta)

        return Target(self.prior, (proposal.x,), pair, proposal, ROWS)

    def _networks(self) -> list[nn.Module]:
        return [self.network]

    def _spec(self) -> tuple[dict[str, object], dict[str, Tensor]]:
        spec = {
            "prior": self.prior.to_contents(),
            "network": self.network.spec,
            "history": [history._spec() for history in self.history],
        }
        return spec, prefixed("flow", self.network)

    @classmethod
    def _restore(cls, contents: Contents) -> "FlowPosterior":
        spec = contents.spec
        network = restored_estimator(spec["network"], contents.module)
        load_prefixed("flow", network, contents.tensors)
        return cls(
            network.eval().requires_grad_(False),
            Prior.from_contents(contents),
            tuple(spec["network"]["x_shape"]),
            tuple(History._restore(entry) for entry in spec["history"]),
        )

    @torch.no_grad()
    def _density(self, theta: Tensor, embedded: Tensor) -> Tensor:
        """Return log q of theta, (m, n, D), and m embedded observations, in chunks."""
        size = max(1, ROWS // max(1, len(embedded)))
        return torch.cat([self._pairs(part, embedded) for part in theta.split(size, dim=1)], 1)

    def _pairs(self, theta: Tensor, embedded: Tensor) -> Tensor:
        """Return log q of theta, (k, n, D), and m embedded observations, (m, 1, ...)."""
        v, log_slope = to_flow_coordinates(self.prior, theta)
        m, n = len(embedded), theta.shape[1]
        v = v.to(self.device).expand(m, n, -1).reshape(m * n, -1)
        given = embedded.expand(m, n, -1).reshape(m * n, -1)
        return self.network.log_density(v, given).view(m, n).to(log_slope) - log_slope

    @torch.no_grad()
    def _draw(self, n: int, embedded: Tensor, rng: torch.Generator) -> Tensor:
        """Return n draws given each of m embedded observations, (m, n, D)."""
        m, rows = len(embedded), []
        for first in range(0, m * n, ROWS):
            index = torch.arange(first, min(first + ROWS, m * n)) // n
            z = self.network.flow.noise(len(index), rng).to(self.device)
            v = self.network.generate(z, embedded[index.to(self.device)])
            rows.append(from_flow_coordinates(self.prior, v.cpu()))
        return torch.cat(rows).view(m, n, -1)
