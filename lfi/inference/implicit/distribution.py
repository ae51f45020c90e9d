"""Implicit distributions: draws of a network, and their density by a ratio to a Gaussian.

A network draws v = G(z), or v = G(z, x), whose density q is not known. With a Gaussian reference r
of q's moments, and a critic h = log r/q that tells draws of q from those of r,

    log q(v) = log r(v) - h(B (v - m)).

Parameters u are the v in coordinates where the posterior is of order one.

References:
    Mescheder, Nowozin & Geiger, Adversarial variational Bayes, ICML 2017. arXiv:1701.04722
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.inference.implicit.coordinates import PosteriorCoordinates
from lfi.inference.implicit.joint_density import JointDensity
from lfi.networks import Features, noise_of
from lfi.networks.conditional_gaussian import standard_normal_log_prob


class ImplicitDistribution(nn.Module):
    """A network's draws, given observations x where there is an embedding `encode` of them.

    Attributes:
        generator: (z) or (z, features of x) to v, (n, d), of order one.
        critic: (w) or (w, features of x) to log r/q, (n,).
        start: Coordinates of u, from which training started.
        reference: Coordinates of v, in which q has mean 0 and covariance I.
        encode: Features of observations; None without.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        start: PosteriorCoordinates,
        reference: PosteriorCoordinates,
        encode: Features | None = None,
    ) -> None:
        super().__init__()
        self.generator: nn.Module = generator
        self.critic: nn.Module = critic
        self.start: PosteriorCoordinates = start
        self.reference: PosteriorCoordinates = reference
        self.encode: Features | None = encode

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.generator.parameters()).device

    def given(self, *x: Float[Tensor, "n ..."]) -> tuple[Float[Tensor, "n c"], ...]:
        """Return the features of observations, none without."""
        return tuple(self.encode(part.to(self.device)) for part in x) if self.encode else ()

    def draw(self, n: int, rng: torch.Generator, *x: Float[Tensor, "n ..."]) -> Tensor:
        """Return n draws v, one for each row of x where there are observations."""
        z = noise_of(self.generator)(n, rng).to(self.device)
        return self.generator(z, *self.given(*x)).reshape(n, -1)

    def contrast(self, w: Float[Tensor, "n d"], *x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Return log r/q at standardised draws."""
        return self.critic(w, *self.given(*x))

    def log_density(
        self, v: Float[Tensor, "n d"], *x: Float[Tensor, "n ..."]
    ) -> Float[Tensor, " n"]:
        """Return log q(v), as the critic has it."""
        w, log_det = self.reference(v, *self.given(*x))
        return standard_normal_log_prob(w) + log_det - self.contrast(w, *x)

    def log_joint(
        self, density: JointDensity, v: Float[Tensor, "n d"], *x: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """Return the joint log density of v, with gradients, and the parameters u.

        It is minus infinity, without a gradient, where the model has no finite number.
        """
        u, log_det = self.start.inverse(v, *self.given(*x))
        point = u.detach().to("cpu", density.start.dtype).requires_grad_(u.requires_grad)
        with torch.set_grad_enabled(u.requires_grad):
            values = density.log_density(point, *(part.cpu() for part in x))
        finite = values.isfinite()
        if u.requires_grad:
            (slope,) = torch.autograd.grad(values[finite].sum(), point)
            slope = torch.where(finite[:, None], slope, 0.0).nan_to_num(0.0, 0.0, 0.0).to(u)
            linear = ((u - u.detach()) * slope).sum(1)
        else:
            linear = u.new_zeros(len(u))
        values = torch.where(finite, values.detach(), -torch.inf).to(u)
        return values + linear + log_det, point.detach()
