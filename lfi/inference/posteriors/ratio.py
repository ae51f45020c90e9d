"""The posterior of a ratio: p(theta | x) = p(theta) r(theta, x), r = p(theta, x) / p(theta) p(x).

References:
    Hermans, Begy & Louppe, Likelihood-free MCMC, 2020. arXiv:1903.04057
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import Recovers
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.target import ROWS, Target
from lfi.inference.training_reference import TrainingReference
from lfi.networks import EmbedsPairs, build_critic, critic_spec, takes_missing
from lfi.networks.standardise import input_for
from lfi.runtime import Contents, load_prefixed, prefixed
from lfi.simulation import Prior
from lfi.training import History

ROWS_ELSEWHERE = 2**16  # pairs evaluated at a time where no cache is to be kept warm: 2 GB at most


@dataclass(frozen=True, eq=False, repr=False)
class RatioPosterior(SavedPosterior):
    """A posterior by a fitted log ratio, whose `log_prob` lacks the normalising constant.

    `critic` gives log r(theta, x) by `embed_theta`, `embed_x` and `pair`, as
    `lfi.networks.PairCritic` has them; `recovers` tells whether up to a function of x, which is
    enough for a posterior. `prior` is truncated where rounds truncated it, and `history` has one
    entry for each round.
    """

    critic: nn.Module
    prior: Prior
    recovers: Recovers
    x_shape: tuple[int, ...]
    history: tuple[History, ...] = field(default=())
    training_reference: TrainingReference | None = None
    normalised: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Refuse a critic from whose values no posterior follows."""
        if self.recovers < Recovers.UP_TO_X:
            raise ValueError(
                f"a critic that recovers {self.recovers.name} of the ratio gives no posterior: "
                "train it with a loss that recovers the ratio and no penalty that moves its optimum"
            )

    @property
    def has_evidence(self) -> bool:
        """Whether the ratio is known, and not only up to a constant or a function of x."""
        return self.recovers == Recovers.RATIO

    @property
    def takes_missing(self) -> bool:
        """Whether the critic was trained on x with missing entries."""
        return takes_missing(self.critic)

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, (m, *event), each embedded once."""
        critic = self._embedder

        def pair(theta: Tensor, embedded: Tensor) -> Tensor:
            theta = input_for(self.critic, theta.to(self.device))
            return critic.pair(critic.embed_theta(theta), embedded)

        rows = ROWS if self.device.type == "cpu" else ROWS_ELSEWHERE
        return Target(self.prior, (self._embedded(x),), pair, rows=rows)

    @torch.no_grad()
    def _embedded(self, x: Tensor) -> Tensor:
        x = input_for(self.critic, x.to(self.device))
        return torch.cat([self._embedder.embed_x(part) for part in x.split(ROWS)])

    def _networks(self) -> list[nn.Module]:
        return [self.critic]

    @property
    def _embedder(self) -> EmbedsPairs:
        if not isinstance(self.critic, EmbedsPairs):
            raise TypeError(
                "critic must have embed_theta, embed_x and pair, as lfi.networks.PairCritic has, "
                f"got a {type(self.critic).__name__}"
            )
        return self.critic

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec = {
            "prior": self.prior.to_contents(),
            "critic": critic_spec(self.critic),
            "recovers": self.recovers.name,
            "x_shape": list(self.x_shape),
            "history": [history._spec() for history in self.history],
        }
        return spec, prefixed("critic", self.critic)

    @classmethod
    def _restore(cls, contents: Contents) -> "RatioPosterior":
        spec: dict[str, Any] = contents.spec
        known, own = spec["critic"], contents.module
        critic = own("critic") if known is None else build_critic(known, own)
        load_prefixed("critic", critic, contents.tensors)
        return cls(
            critic.eval(),
            Prior.from_contents(contents),
            Recovers[spec["recovers"]],
            tuple(spec["x_shape"]),
            tuple(History._restore(entry) for entry in spec["history"]),
        )
