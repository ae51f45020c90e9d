"""Parameters as a proposal sees them: without bounds, and of order one under the prior."""

from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks import Standardise
from lfi.runtime import numpy_rng
from lfi.simulation import Prior

DRAWS = 10_000  # of the prior, whose median and quartiles are the scale
QUARTILE = 0.6745  # of a standard normal


class StandardParameters(nn.Module):
    """v = (T^-1(theta) - median) / scale, T the prior's map from all of R^d to its support.

    The scale is half the distance of the prior's quartiles in units of a normal's, so that heavy
    tails do not matter.

    Example:
        >>> from lfi.simulation import as_prior
        >>> prior = as_prior({"a": torch.distributions.LogNormal(3.0, 2.0)})
        >>> parameters = StandardParameters(prior)
        >>> parameters.fit_from_prior()
        >>> v = torch.tensor([[1.0]])
        >>> torch.isclose(parameters.inverse(v).log(), torch.tensor([[5.0]]), atol=0.1)
        tensor([[True]])
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior: Prior = prior
        self.standardise: Standardise = Standardise((prior.dim,))

    def fit_from_prior(self) -> None:
        """Take median and scale from draws of the prior, always the same ones."""
        draws = self.prior.sample(DRAWS, seed=numpy_rng(0))
        u = self.prior.to_unconstrained(draws).double()
        low, middle, high = u.quantile(u.new_tensor([0.25, 0.5, 0.75]), dim=0)
        self.standardise.location.copy_(middle)
        self.standardise.scale.copy_((high - low) / (2 * QUARTILE))

    def shift(self, v: Float[Tensor, " theta_dim"]) -> None:
        """Let what stood at 0 stand at v: distributions of v move in theta."""
        standardise = self.standardise
        standardise.location.add_(v.to(standardise.location) * standardise.scale)

    def forward(
        self, theta: Float[Tensor, "n theta_dim"]
    ) -> tuple[Float[Tensor, "n theta_dim"], Float[Tensor, " n"]]:
        """Return v, and log |dv/dtheta|; neither is finite outside the prior's support."""
        u = self.prior.to_unconstrained(theta)
        _, log_det = self.prior.from_unconstrained(u)
        log_det = -log_det.double() - self.standardise.scale.log().sum()
        return self.standardise(u), log_det

    def inverse(self, v: Float[Tensor, "n theta_dim"]) -> Float[Tensor, "n theta_dim"]:
        """Return theta, inside the prior's support."""
        return self.prior.from_unconstrained(self.standardise.inverse(v.cpu()))[0]
