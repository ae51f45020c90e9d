"""Critics made of critics of pairs: weighted sums, and the correction for failed simulations.

    MixedCritic       h = sum_k w_k h_k, members of an ensemble or kinds that held-out data weigh
    ValidCritic       h + log p(valid | theta), for simulators that fail

Both have the face of a `PairCritic`: their embeddings are those of the members side by side.

A simulator that fails for some parameters gives data only where it does not. A ratio of the valid
rows is p(x | theta, valid) / p(x | valid), and an observation is a valid outcome, so that

    p(theta | x)  ∝  p(theta) p(valid | theta) p(x | theta, valid):

leaving the failed rows out and p(valid | theta) with them would put the posterior's mass where the
simulator seldom gets to an end.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.critics.measured import MeasuredCritic
from lfi.networks.critics.pair import EmbedsSides, PairCritic
from lfi.networks.critics.scatter import ScatterCritic
from lfi.networks.residual import Tower
from lfi.networks.standardise import Coordinates


class MixedCritic(EmbedsSides):
    """The weighted sum of several critics of pairs.

    Attributes:
        members: The critics.
        weights: Their weights; they need not sum to 1.

    Example:
        >>> one = PairCritic([0.0], [1.0], (2,), rank=4, width=8)
        >>> twice = MixedCritic([one, one], [0.5, 0.5])
        >>> theta, x = torch.rand(3, 1).float(), torch.rand(3, 2).float()
        >>> torch.allclose(twice(theta, x), one(theta, x))
        True
    """

    def __init__(self, members: Sequence[nn.Module], weights: Sequence[float]) -> None:
        if len(members) != len(weights) or not members:
            raise ValueError(f"got {len(members)} members and {len(weights)} weights")
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", torch.tensor(list(weights), dtype=torch.float32))
        self.widths: tuple[list[int], list[int]] = ([], [])

    @property
    def spec(self) -> dict[str, Any] | None:
        """The members' specs, to build the same network again; None where one has none."""
        specs = [getattr(member, "spec", None) for member in self.members]
        if None in specs:
            return None
        return {"members": specs, "weights": self.weights.tolist()}

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the members' embeddings of (..., theta_dim) side by side."""
        return self._side_by_side([m.embed_theta(theta) for m in self.members], 0)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the members' embeddings of (..., *event) side by side."""
        return self._side_by_side([m.embed_x(x) for m in self.members], 1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        parts = zip(
            self.members,
            self.weights,
            theta.split(self.widths[0], dim=-1),
            x.split(self.widths[1], dim=-1),
            strict=True,
        )
        return sum(weight * member.pair(t, y) for member, weight, t, y in parts)

    def _side_by_side(self, parts: list[Tensor], side: int) -> Tensor:
        self.widths[side][:] = [part.shape[-1] for part in parts]
        return torch.cat(parts, dim=-1)


class Validity(nn.Module):
    """log p(valid | theta), by a network of the parameters."""

    def __init__(self, lower: Sequence[float], upper: Sequence[float], *, width: int = 32) -> None:
        super().__init__()
        self.spec = {"lower": list(lower), "upper": list(upper), "width": width}
        self.coordinates = Coordinates(lower, upper)
        self.net = Tower(len(lower), 1, width=width, depth=1)

    def logit(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*m"]:
        """Return the log odds that a simulation at theta is valid."""
        return self.net(self.coordinates(theta))[..., 0]

    def forward(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*m"]:
        """Return log p(valid | theta)."""
        return F.logsigmoid(self.logit(theta))


class ValidCritic(EmbedsSides):
    """A critic fitted to valid simulations, corrected for those that failed.

    Attributes:
        critic: log p(x | theta, valid) / p(x | valid).
        validity: log p(valid | theta).
    """

    def __init__(self, critic: nn.Module, validity: Validity) -> None:
        super().__init__()
        self.critic, self.validity = critic, validity

    @property
    def spec(self) -> dict[str, Any] | None:
        """The critic's spec, to build the same network again; None where it has none."""
        inside = getattr(self.critic, "spec", None)
        return inside and {"critic": inside, "validity": self.validity.spec}

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


def build_critic(spec: dict[str, Any]) -> nn.Module:
    """Build the critic whose `spec` this is, untrained.

    Example:
        >>> critic = MixedCritic([PairCritic([0.0], [1.0], (2,), rank=4)], [1.0])
        >>> build_critic(critic.spec).spec == critic.spec
        True
    """
    if "members" in spec:
        return MixedCritic([build_critic(member) for member in spec["members"]], spec["weights"])
    if "validity" in spec:
        return ValidCritic(build_critic(spec["critic"]), Validity(**spec["validity"]))
    arguments = dict(spec)
    places = [arguments.pop(name) for name in ("lower", "upper", "x_shape")]
    for name, kind in (("measured", MeasuredCritic), ("scatter", ScatterCritic)):
        if arguments.pop(name, False):
            return kind(*places, **arguments)
    return PairCritic(*places, **arguments)
