"""The posterior through a surrogate likelihood: p(theta | x) ∝ p(theta) q(x | theta).

q is a conditional flow of x given theta, in coordinates that know what values x takes. Whole
numbers are spread by uniform noise u for it, and the probability of one is the mean of the flow's
density over u, here over a few fixed points of the unit cube, which leaves the likelihood smooth in
theta.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.target import Target
from lfi.inference.training_reference import TrainingReference
from lfi.networks import LikelihoodEstimator, Validity
from lfi.numerics.arrays import Samples
from lfi.runtime import Contents, load_prefixed, prefixed
from lfi.simulation import Prior
from lfi.training import History

ROWS = 2**13  # rows that the flow sees at a time


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodPosterior(SavedPosterior):
    """A posterior through a surrogate likelihood, whose `log_prob` lacks the evidence.

    `network` is the surrogate, q(x | theta), `proposal` a flow of theta given x for samplers, or
    None, and `validity` log p(valid | theta) where simulations have failed, else None.
    """

    network: LikelihoodEstimator
    prior: Prior
    proposal: FlowPosterior | None = None
    validity: Validity | None = None
    history: tuple[History, ...] = field(default=())
    training_reference: TrainingReference | None = None
    normalised: bool = field(default=False, init=False)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self.network.event

    def log_likelihood(self, theta: Samples, x_obs: Samples) -> Float[Tensor, "*m n"]:
        """Return log q(x_obs | theta), differentiable in theta.

        Args:
            theta: Parameters, (n, theta_dim).
            x_obs: One observation, (*event), or many, (m, *event), each with all parameters.
        """
        theta = self.as_parameters(theta)
        x, single = self.observations(x_obs)
        value = self.target(x).log_weight(theta[None])
        return value[0] if single else value

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, for samplers."""
        proposal = None if self.proposal is None else self.proposal.as_proposal(x)
        x = x.to(self.device)
        with torch.no_grad():
            encoded = self.network.encode(x)
        rows = max(1, ROWS // encoded.shape[1])
        return Target(self.prior, (encoded,), self._pairs, proposal, rows)

    def simulate(
        self, theta: Float[Tensor, "n theta_dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, as the simulator would: the surrogate is one too."""
        return self.network.simulate(self.as_parameters(theta), rng)

    def _networks(self) -> list[nn.Module]:
        proposal = [] if self.proposal is None else self.proposal._networks()
        return [self.network, *proposal, *([] if self.validity is None else [self.validity])]

    def _spec(self) -> tuple[dict[str, object], dict[str, Tensor]]:
        proposal, tensors = (None, {}) if self.proposal is None else self.proposal._spec()
        spec = {
            "prior": self.prior.to_contents(),
            "network": self.network.spec,
            "proposal": proposal,
            "validity": self.validity and self.validity.spec,
            "history": [history._spec() for history in self.history],
        }
        if self.validity is not None:
            tensors |= prefixed("validity", self.validity)
        return spec, prefixed("surrogate", self.network) | tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "LikelihoodPosterior":
        spec = contents.spec
        prior = Prior.from_contents(contents)
        arguments = dict(spec["network"])
        places = [arguments.pop(name) for name in ("lower", "upper", "event")]
        network = LikelihoodEstimator(*places, **arguments)
        proposal = None
        if spec["proposal"] is not None:
            proposal = FlowPosterior._restore(contents.part("FlowPosterior", spec["proposal"]))
        load_prefixed("surrogate", network.eval().requires_grad_(False), contents.tensors)
        validity = None
        if spec["validity"] is not None:
            validity = Validity(**spec["validity"])
            load_prefixed("validity", validity.eval().requires_grad_(False), contents.tensors)
        history = tuple(History._restore(entry) for entry in spec["history"])
        return cls(network, prior, proposal, validity, history)

    def _pairs(self, theta: Tensor, encoded: Tensor) -> Tensor:
        """Return log q of theta, (k, n, D), and m observations as encoded, (m, 1, points, ...)."""
        (k, n), m = theta.shape[:2], len(encoded)
        theta = theta.to(self.device)
        embedded = self.network.embed(theta.flatten(0, 1)).view(k, n, -1)
        embedded = embedded.expand(m, n, -1).flatten(0, 1)
        encoded = encoded.expand(m, n, *encoded.shape[2:]).flatten(0, 1)
        value = self.network.log_density(encoded, embedded).view(m, n)
        return value if self.validity is None else value + self.validity(theta)
