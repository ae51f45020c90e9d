"""Log ratios of many bridges by one network, for telescoping density-ratio estimation.

K bridges look at one z, or each at its own z, and share all that is costly:

    h_k(z) = c_k + b_k . w_k + w_k' W_k w_k - tr W_k + v_k . silu(s_k * t(z) + o_k)
    w_k = P_k (z - m_k)

The trunk t is computed once for all bridges; the rest is a quadratic form, as the log ratio of two
Gaussians is. P_k whitens the two samples that bridge k compares, so that its coefficients are
equally easy to learn; the trace keeps the mean of the form at zero. Bridges begin at zero.

References:
    Rhodes, Xu & Gutmann, Telescoping density-ratio estimation, 2020. arXiv:2006.12204
    Perez et al., FiLM: visual reasoning with a general conditioning layer, 2018. arXiv:1709.07871
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import ResidualBlock, layer_norm, linear
from lfi.networks.standardise import LIMIT
from lfi.networks.whiten import inverse_root


class Bridges(nn.Module):
    """The log ratios of K bridges.

    Example:
        >>> network = Bridges(5, 3, width=16, layers=1)
        >>> network(torch.randn(7, 5).float()).shape
        torch.Size([3, 7])
        >>> h_p, h_q = network.successive(torch.randn(4, 7, 5).float())  # of 4 waymarks
        >>> h_p.shape
        torch.Size([3, 7])
    """

    centre: Tensor
    whitener: Tensor

    def __init__(
        self, size: int, bridges: int, *, width: int = 64, layers: int = 2, quadratic: bool = True
    ) -> None:
        super().__init__()
        self.spec: dict[str, int] = dict(
            size=size, bridges=bridges, width=width, layers=layers, quadratic=quadratic
        )
        self.bridges = bridges
        self.quadratic = quadratic
        self.trunk: nn.Sequential = nn.Sequential(
            linear(size, width),
            *(ResidualBlock(width) for _ in range(layers)),
            layer_norm(width),
            linear(width, width),
        )
        zeros = lambda *shape: nn.Parameter(torch.zeros(bridges, *shape, dtype=torch.float32))
        self.scale: nn.Parameter = zeros(1, width)
        nn.init.ones_(self.scale)
        self.shift: nn.Parameter = zeros(1, width)
        self.read: nn.Parameter = zeros(width, 1)
        self.constant: nn.Parameter = zeros(1)
        self.slope: nn.Parameter = zeros(size, 1)
        self.register_buffer("centre", torch.zeros(bridges, 1, size, dtype=torch.float32))
        if quadratic:
            self.form: nn.Parameter = zeros(size, size)
            eye = torch.eye(size, dtype=torch.float32)
            self.register_buffer("whitener", eye.repeat(bridges, 1, 1))
        else:
            self.register_buffer("whitener", torch.ones(bridges, 1, size, dtype=torch.float32))

    def fit_from_moments(
        self, mean: Float[Tensor, "w d"], covariance: Float[Tensor, "w d d"]
    ) -> None:
        """Take the centres and whitening matrices from the moments of the K + 1 waymarks."""
        middle, half = (mean[1:] + mean[:-1]) / 2, (mean[1:] - mean[:-1]) / 2
        within = (covariance[1:] + covariance[:-1]) / 2
        pooled = within + half[:, :, None] * half[:, None, :]
        self.centre.copy_(middle[:, None])
        if self.quadratic:
            self.whitener.copy_(inverse_root(pooled))
        else:
            variance = pooled.diagonal(dim1=1, dim2=2)
            self.whitener.copy_(torch.where(variance > 0, variance, 1.0).rsqrt()[:, None])

    def smooth(self) -> list[nn.Parameter]:
        """Return the parameters of the quadratic part."""
        return [self.constant, self.slope, *([self.form] if self.quadratic else [])]

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "bridges n"]:
        """Return every bridge's log ratio at the same points."""
        t = self.trunk(z.clamp(-LIMIT, LIMIT)).expand(self.bridges, -1, -1)
        return self._smooth(z.expand(self.bridges, -1, -1)) + self._read_trunk(t)

    def successive(
        self, z: Float[Tensor, "w n d"], with_trunk: bool = True
    ) -> tuple[Float[Tensor, "bridges n"], Float[Tensor, "bridges n"]]:
        """Return each bridge's log ratio at the waymark where it begins and where it ends.

        z are samples of the K + 1 waymarks in order. Without the trunk what is left is quadratic.
        """
        h = self._smooth(torch.cat([z[:-1], z[1:]], dim=1))
        if with_trunk:
            t = self.trunk(z.clamp(-LIMIT, LIMIT))
            h = h + self._read_trunk(torch.cat([t[:-1], t[1:]], dim=1))
        h_p, h_q = h.split(z.shape[1], dim=1)
        return h_p, h_q

    def _read_trunk(self, t: Float[Tensor, "k n width"]) -> Float[Tensor, "k n"]:
        """Return what bridge k reads from its own trunk."""
        return torch.bmm(F.silu(torch.addcmul(self.shift, t, self.scale)), self.read).squeeze(-1)

    def _smooth(self, z: Float[Tensor, "k n d"]) -> Float[Tensor, "k n"]:
        """Return the quadratic part of bridge k at its own points."""
        z = z - self.centre
        if not self.quadratic:
            return torch.bmm(z * self.whitener, self.slope).squeeze(-1) + self.constant
        form = self.whitener @ self.form @ self.whitener  # cheaper than whitening a batch of points
        slope = self.whitener @ self.slope
        trace = self.form.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
        return ((torch.bmm(z, form) + slope.mT) * z).sum(-1) + self.constant - trace
