"""The posterior through a surrogate likelihood: p(theta | x) ∝ p(theta) q(x | theta).

q is a conditional flow of x given theta, in coordinates that know what values x takes. Whole
numbers are spread by uniform noise u for it, and the probability of one is the mean of the flow's
density over u, here over a few fixed points of the unit cube, which leaves the likelihood smooth in
theta.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.samplers.target import Target
from lfi.inference.training_reference import TrainingReference
from lfi.networks import Columns, ConditionalFlow, Coordinates, Validity
from lfi.runtime import Contents, load_prefixed, prefixed
from lfi.simulation import Prior
from lfi.training import History

POINTS = 8  # of the unit cube, over which the density of whole numbers is averaged
ROWS = 2**13  # rows that the flow sees at a time


class XGivenTheta(nn.Module):
    """q(x | theta): columns of x, coordinates of theta, and a flow.

    Attributes:
        spec: The arguments, to build the same network again.
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        event: Sequence[int],
        *,
        width: int = 64,
        depth: int = 2,
        layers: int = 4,
        bins: int = 8,
    ) -> None:
        super().__init__()
        shape = {"width": width, "depth": depth, "layers": layers, "bins": bins}
        places = {"lower": list(lower), "upper": list(upper), "event": list(event)}
        self.spec = places | shape
        self.event = tuple(event)
        self.coordinates = Coordinates(lower, upper)
        self.columns = Columns(int(torch.Size(event).numel()))
        self.flow = ConditionalFlow(self.columns.size, self.coordinates.size, **shape)

    def fit_from_data(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], rng: torch.Generator
    ) -> None:
        """Take the scales and the linear start from the training split, x flat."""
        self.coordinates.learn(theta)
        self.columns.learn(x)
        y = self.columns(x, torch.rand(x.shape, generator=rng, dtype=x.dtype))[0]
        self.flow.learn(y, self.coordinates(theta))

    def embed(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, "n embedded"]:
        """Return what the flow needs of parameters, to be used for many x."""
        return self.flow.embed(self.coordinates(theta))

    def dequantised_log_density(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> Float[Tensor, " n"]:
        """Return log q of flat x + u given theta: what training maximises."""
        y, log_slope = self.columns(x, u)
        return self.flow.log_density(y, self.embed(theta)) + log_slope

    def quadrature_points(self) -> Float[Tensor, "k size"]:
        """Return the points u over which the density of whole numbers is averaged."""
        size, discrete = self.columns.size, self.columns.discrete
        if not discrete:
            return torch.zeros(1, size, dtype=torch.float32)
        u = SobolEngine(size, scramble=True, seed=0).draw(POINTS, dtype=torch.float32)
        return u.clamp(1e-3, 1 - 1e-3)

    def encode(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "m k size_1"]:
        """Return the flow's coordinates of observations at each point u, log slopes last."""
        flat, u = x.reshape(len(x), 1, -1), self.quadrature_points().to(x.device)
        rows = (flat + torch.zeros_like(u)).flatten(0, 1)
        y, log_slope = self.columns(rows, u.repeat(len(x), 1))
        return torch.cat([y, log_slope[:, None]], dim=1).view(len(x), len(u), -1)

    def log_density(
        self, encoded: Float[Tensor, "r k size_1"], embedded: Float[Tensor, "r embedded"]
    ) -> Float[Tensor, " r"]:
        """Return log q(x | theta) of rows."""
        k = encoded.shape[1]
        y, log_slope = encoded[..., :-1].flatten(0, 1), encoded[..., -1]
        given = embedded[:, None].expand(-1, k, -1).flatten(0, 1)
        value = self.flow.log_density(y, given).view(-1, k) + log_slope
        return value.logsumexp(1) - torch.log(torch.tensor(float(k)))

    def simulate(
        self, theta: Float[Tensor, "n dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, differentiable in theta."""
        z = self.flow.noise(len(theta), rng).to(self.columns.knee.device)
        y = self.flow.generate(z, self.embed(theta.to(z)))
        return self.columns.decode(y).reshape(-1, *self.event).to(theta)


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodPosterior(SavedPosterior):
    """A posterior through a surrogate likelihood.

    Attributes:
        network: The surrogate, q(x | theta).
        prior: What theta is believed to be before data.
        proposal: A flow of theta given x, the proposal of samplers; None for none.
        validity: log p(valid | theta), where simulations have failed; None for none.
        history: How each stage was trained.
        training_reference: Simulations against which observations are checked; None for none.
        normalised: False: `log_prob` lacks the evidence.
    """

    network: XGivenTheta
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

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def to(self, device: str) -> "LikelihoodPosterior":
        """Move the networks, in place."""
        for part in (self.network, self.proposal, self.validity):
            if part is not None:
                part.to(device)
        return self

    def log_likelihood(
        self, theta: Float[Tensor, "n theta_dim"], x_obs: Float[Tensor, "..."]
    ) -> Float[Tensor, "*m n"]:
        """Return log q(x_obs | theta), differentiable in theta.

        Args:
            theta: Parameters, (n, theta_dim).
            x_obs: One observation, (*event), or many, (m, *event), each with all parameters.
        """
        self.check_theta(theta)
        x, single = self.observations(x_obs)
        value = self.target(x).log_weight(theta[None])
        return value[0] if single else value

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, for samplers."""
        proposal = None if self.proposal is None else self.proposal.as_proposal(x)
        x = x.to(self.device, torch.float32)
        with torch.no_grad():
            encoded = self.network.encode(x)
        rows = ROWS // encoded.shape[1]
        return Target(self.prior, (encoded,), self._pairs, proposal, rows)

    def simulate(
        self, theta: Float[Tensor, "n theta_dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, as the simulator would: the surrogate is one too."""
        self.check_theta(theta)
        return self.network.simulate(theta, rng)

    def _spec(self) -> tuple[dict[str, object], dict[str, Tensor]]:
        proposal, tensors = (None, {}) if self.proposal is None else self.proposal._spec()
        spec = {
            "prior": self.prior._spec(),
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
        network = XGivenTheta(*places, **arguments)
        proposal = None
        if spec["proposal"] is not None:
            proposal = FlowPosterior._restore(contents.part("FlowPosterior", spec["proposal"]))
        parts = {"surrogate": network, "validity": None}
        if spec["validity"] is not None:
            parts["validity"] = Validity(**spec["validity"])
        for name, part in parts.items():
            if part is not None:
                load_prefixed(name, part.eval().requires_grad_(False), contents.tensors)
        history = tuple(History._restore(entry) for entry in spec["history"])
        return cls(network, prior, proposal, parts["validity"], history)

    def _pairs(self, theta: Tensor, encoded: Tensor) -> Tensor:
        """Return log q of theta, (k, n, D), and m observations as encoded, (m, 1, points, ...)."""
        (k, n), m = theta.shape[:2], len(encoded)
        theta = theta.to(self.device, torch.float32)
        embedded = (
            self.network.embed(theta.flatten(0, 1)).view(k, n, -1).expand(m, n, -1).flatten(0, 1)
        )
        encoded = encoded.expand(m, n, *encoded.shape[2:]).flatten(0, 1)
        value = self.network.log_density(encoded, embedded).view(m, n)
        return value if self.validity is None else value + self.validity(theta)
