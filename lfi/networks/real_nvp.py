"""Real NVP: a generator whose density is known, of affine couplings.

From data to codes, entries are shifted and scaled one by one, and couplings follow, each of which
moves one half of the entries by an affine map that a network of the other half gives:

    v = (y - m) / s,        v_b <- v_b exp(a(v_a)) + b(v_a),        z = the last v,

    log q(y) = log N(z; 0, 1) + log |dz/dy|.

Each step is undone as easily, so that samples take one pass too. Couplings are zuko's, which holds
each of their factors between 1/1000 and 1000. Training starts at independent Gaussians, with the
means and deviations of the data.

Reference: Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017. arXiv:1605.08803
"""

import torch
from jaxtyping import Float
from torch import BoolTensor, Tensor, nn
from torch.distributions import Transform

from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.networks.flows import moved
from lfi.networks.residual import linear, trunk, zero
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts


class AffineCoupling(nn.Module):
    """Entries where `moved` is true are shifted and scaled by a network of the others."""

    fixed: BoolTensor

    def __init__(self, moved: list[bool], width: int, layers: int) -> None:
        super().__init__()
        self.register_buffer("fixed", ~torch.tensor(moved), persistent=False)
        mobile = sum(moved)
        self.first: nn.Linear = linear(len(moved) - mobile, width)
        self.rest: nn.Sequential = trunk(width, layers - 1, width)
        self.last: nn.Linear = zero(linear(width, 2 * mobile))

    def _map(self, fixed: Float[Tensor, "n fixed"]) -> Transform:
        from zuko.transforms import DependentTransform, MonotonicAffineTransform

        h = nn.functional.silu(self.rest(self.first(fixed)))
        return DependentTransform(MonotonicAffineTransform(*self.last(h).chunk(2, dim=1)), 1)

    def forward(
        self, v: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v with entries moved towards codes, and log |det|."""
        from zuko.transforms import CouplingTransform

        return CouplingTransform(self._map, self.fixed).call_and_ladj(v)

    def inverse(self, v: Float[Tensor, "n size"]) -> Float[Tensor, "n size"]:
        """Return v with entries moved back."""
        from zuko.transforms import CouplingTransform

        moved_back = CouplingTransform(self._map, self.fixed).inv(v)
        assert isinstance(moved_back, Tensor)  # torch says None might come
        return moved_back


@checked
class RealNVP(nn.Module):
    """q(y) of vectors of order one; a single entry has no other half, and is Gaussian.

    Example:
        >>> flow = RealNVP(3, couplings=4, width=16)
        >>> z = flow.noise(5, torch.Generator().manual_seed(0))
        >>> y = flow(z)
        >>> y.shape, flow.log_prob(y).shape, torch.allclose(flow.codes(y)[0], z)
        (torch.Size([5, 3]), torch.Size([5]), True)
    """

    def __init__(self, size: int, *, couplings: int = 8, width: int = 64, layers: int = 2) -> None:
        check_counts(size=size, couplings=couplings, width=width, layers=layers)
        super().__init__()
        sizes = {"couplings": couplings, "width": width, "layers": layers}
        self.spec: dict[str, int] = {"size": size, **sizes}
        self.size: int = size
        self.location: nn.Parameter = nn.Parameter(torch.zeros(size, dtype=torch.float32))
        self.log_scale: nn.Parameter = nn.Parameter(torch.zeros(size, dtype=torch.float32))
        self.couplings: nn.ModuleList = nn.ModuleList(
            AffineCoupling(moved(size, layer), width, layers)
            for layer in range(couplings if size > 1 else 0)
        )

    @torch.no_grad()
    def fit_from_data(self, y: Float[Tensor, "n size"]) -> None:
        """Start from the mean and the standard deviation of each entry, none of them constant."""
        self.location.copy_(y.double().mean(0))
        self.log_scale.copy_(y.double().std(0, correction=0).log())

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")

    def codes(
        self, y: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return the z that become y, and log |dz/dy|."""
        z = (y - self.location) * (-self.log_scale).exp()
        log_det = -self.log_scale.sum().expand(len(y))
        for coupling in self.couplings:
            z, log_slope = coupling(z)
            log_det = log_det + log_slope
        return z, log_det

    def log_prob(self, y: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return the log density, in float64: far from samples it is too large for float32."""
        z, log_det = self.codes(y)
        return log_det.double() + standard_normal_log_prob(z.double())

    def forward(self, z: Float[Tensor, "n size"]) -> Float[Tensor, "n size"]:
        """Return G(z)."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, AffineCoupling)
            z = coupling.inverse(z)
        return z * self.log_scale.exp() + self.location
