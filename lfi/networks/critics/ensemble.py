"""Ensembles of critics of pairs, and the correction for failed simulations.

    EnsembleCritic    h = sum_k w_k h_k, the weights by stacking
    ValidCritic       h + log p(valid | theta), for simulators that fail

Both have the methods of a `PairCritic`; an ensemble's embeddings are its members', concatenated.

A simulator may fail more often at some parameters than at others. The ratio of the valid rows is
p(x | theta, valid) / p(x | valid), and an observation is a valid outcome, so that

    p(theta | x)  ∝  p(theta) p(valid | theta) p(x | theta, valid).

Without p(valid | theta) the posterior would have too much mass where the simulator mostly fails.
"""

import copy
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.critics.gaussian_likelihood import GaussianLikelihoodCritic, MixtureDensityCritic
from lfi.networks.critics.pair import EmbedsPairs, PairCritic, PairCriticBase
from lfi.networks.embeddings import build_embedding, names_embedding, takes_missing
from lfi.networks.residual import Tower
from lfi.networks.standardise import Coordinates, input_for


def embedding_sizes(
    critic: EmbedsPairs, theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "n ..."]
) -> tuple[int, int]:
    """Return the lengths of a critic's embeddings of theta and of x, found on some rows.

    Example:
        >>> critic = PairCritic([0.0], [1.0], (2,), rank=4, width=8)
        >>> embedding_sizes(critic, torch.rand(1, 1).float(), torch.rand(1, 2).float())
        (10, 10)
    """
    with torch.no_grad():
        return critic.embed_theta(theta).shape[-1], critic.embed_x(x).shape[-1]


class EnsembleCritic(PairCriticBase):
    """The sum of several critics of pairs, by weights that need not sum to 1.

    `sizes` are the lengths of each member's embeddings of theta and of x.

    Example:
        >>> one = PairCritic([0.0], [1.0], (2,), rank=4, width=8)
        >>> theta, x = torch.rand(3, 1).float(), torch.rand(3, 2).float()
        >>> twice = EnsembleCritic([one, one], [0.5, 0.5], [embedding_sizes(one, theta, x)] * 2)
        >>> torch.allclose(twice(theta, x), one(theta, x))
        True
    """

    weights: Tensor

    def __init__(
        self, members: Sequence[nn.Module], weights: Sequence[float], sizes: Sequence[Sequence[int]]
    ) -> None:
        if not len(members) == len(weights) == len(sizes) or not members:
            raise ValueError(
                f"got {len(members)} members, {len(weights)} weights and {len(sizes)} sizes"
            )
        super().__init__()
        self.members: nn.ModuleList = nn.ModuleList(members)
        self.register_buffer("weights", torch.tensor(list(weights), dtype=torch.float32))
        self.sizes: list[list[int]] = [list(pair) for pair in sizes]

    @property
    def _critics(self) -> list[EmbedsPairs]:
        return cast("list[EmbedsPairs]", list(self.members))  # `ModuleList` forgets the type

    @property
    def missing(self) -> bool:
        """Whether entries of x may be missing: where every member takes them."""
        return all(takes_missing(member) for member in self.members)

    @property
    def spec(self) -> dict[str, Any]:
        """The members' specs, to build the same network again."""
        specs = [critic_spec(member) for member in self.members]
        return {"members": specs, "weights": self.weights.tolist(), "sizes": self.sizes}

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the members' embeddings of (..., theta_dim), concatenated."""
        parts = zip(self._critics, self.members, strict=True)
        return torch.cat([c.embed_theta(input_for(own, theta)) for c, own in parts], dim=-1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the members' embeddings of (..., *event), concatenated."""
        parts = zip(self._critics, self.members, strict=True)
        return torch.cat([c.embed_x(input_for(own, x)) for c, own in parts], dim=-1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        of_theta, of_x = zip(*self.sizes, strict=True)
        parts = zip(
            self._critics,
            self.weights,
            theta.split(of_theta, dim=-1),
            x.split(of_x, dim=-1),
            strict=True,
        )
        return reduce(torch.add, (weight * critic.pair(t, y) for critic, weight, t, y in parts))


class Validity(nn.Module):
    """log p(valid | theta), by a network of the parameters."""

    def __init__(self, lower: Sequence[float], upper: Sequence[float], *, width: int = 32) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {"lower": list(lower), "upper": list(upper), "width": width}
        self.coordinates: Coordinates = Coordinates(lower, upper)
        self.net: Tower = Tower(len(lower), 1, width=width, layers=1)

    def logit(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*m"]:
        """Return the log odds that a simulation at theta is valid."""
        return self.net(self.coordinates(theta))[..., 0]

    def forward(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*m"]:
        """Return log p(valid | theta)."""
        return F.logsigmoid(self.logit(theta))


class ValidCritic(PairCriticBase):
    """A `critic` of valid simulations plus its `validity`, log p(valid | theta)."""

    def __init__(self, critic: PairCriticBase, validity: Validity) -> None:
        super().__init__()
        self.critic: PairCriticBase = critic
        self.validity: Validity = validity

    @property
    def missing(self) -> bool:
        """Whether entries of x may be missing."""
        return takes_missing(self.critic)

    @property
    def spec(self) -> dict[str, Any]:
        """The critic's spec, to build the same network again."""
        return {"critic": critic_spec(self.critic), "validity": self.validity.spec}

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the critic's embedding and, in the last column, log p(valid | theta)."""
        return torch.cat([self.critic.embed_theta(theta), self.validity(theta)[..., None]], dim=-1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the critic's embedding."""
        return self.critic.embed_x(x)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the corrected log ratio of embeddings."""
        return self.critic.pair(theta[..., :-1], x) + theta[..., -1]


KINDS = {
    kind.__name__: kind for kind in (PairCritic, GaussianLikelihoodCritic, MixtureDensityCritic)
}


def critic_spec(critic: nn.Module) -> dict[str, Any] | None:
    """Return by which plain values `build_critic` builds a critic; None for one of the user's."""
    if isinstance(critic, EnsembleCritic | ValidCritic):
        return critic.spec
    kind = KINDS.get(type(critic).__name__)
    if kind is None or not isinstance(critic, kind) or type(critic) is not kind:
        return None
    return critic.spec


def _nothing(name: str) -> nn.Module:
    raise ValueError(f"{name} is a network of your own, which a spec cannot name")


def build_critic(
    spec: dict[str, Any] | None, own: Callable[[str], nn.Module] = _nothing
) -> nn.Module:
    """Build the critic of a spec, untrained.

    Args:
        spec: What `critic_spec` has returned.
        own: Gives what a spec cannot name, "embedding" or "critic", of which copies are taken.

    Example:
        >>> critic = PairCritic([0.0], [1.0], (2,), rank=4)
        >>> build_critic(critic.spec).spec == critic.spec
        True
    """
    if spec is None:
        return copy.deepcopy(own("critic"))
    if "members" in spec:
        members = [build_critic(member, own) for member in spec["members"]]
        return EnsembleCritic(members, spec["weights"], spec["sizes"])
    if "validity" in spec:
        inside = cast("PairCriticBase", build_critic(spec["critic"], own))
        return ValidCritic(inside, Validity(**spec["validity"]))
    arguments = dict(spec)
    places = [arguments.pop(name) for name in ("lower", "upper", "x_shape")]
    embedding = build_embedding(arguments.pop("embedding", None), own)
    return KINDS[arguments.pop("kind")](*places, **arguments, embedding=embedding)


def names_all(spec: object) -> bool:
    """Return whether a spec names all of a critic, so that a file needs no network beside it."""
    if not isinstance(spec, dict) or not names_embedding(spec.get("embedding")):
        return False
    inner = [*spec.get("members", ()), *([spec["critic"]] if "critic" in spec else [])]
    return all(names_all(part) for part in inner)
