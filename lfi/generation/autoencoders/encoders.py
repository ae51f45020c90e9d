"""Encoders q(z | x): Gaussian, deterministic, perturbed, and implicit ones, only drawn from.

    GaussianEncoder         z = m(x) + L(x) noise,  L diagonal or lower triangular
    DeterministicEncoder    z = f(x)
    PerturbedEncoder        z = f(x) + scale noise
    ImplicitEncoder         z = f(x, noise)

The prior of codes is standard normal, or uniform on the sphere of radius sqrt(codes), on which
every entry has mean 0 and variance 1 too.

References:
    Kingma & Welling, Auto-encoding variational Bayes, 2014. arXiv:1312.6114
    Mescheder, Nowozin & Geiger, Adversarial variational Bayes: unifying variational autoencoders
        and generative adversarial networks, 2017. arXiv:1701.04722
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive, check_whole

MIN_LOG_SCALE, MAX_LOG_SCALE = -10.0, 5.0  # of a code given x


@checked
@dataclass(frozen=True)
class GaussianEncoder:
    """A Gaussian whose mean and scale a network gives.

    Attributes:
        full: Whether entries of a code may depend on each other, given x.

    Example:
        >>> GaussianEncoder(full=True).outputs(3)  # a mean, log scales and three slopes
        9
    """

    full: bool = False

    def outputs(self, codes: int) -> int:
        """Return how many numbers the network gives for a code of so many."""
        return 2 * codes + (codes * (codes - 1) // 2 if self.full else 0)

    def noise(self, codes: int) -> int:
        """Return how many random numbers the network takes."""
        return 0


@checked
@dataclass(frozen=True)
class DeterministicEncoder:
    """One code for each x.

    Example:
        >>> DeterministicEncoder().outputs(3)
        3
    """

    def outputs(self, codes: int) -> int:
        """Return how many numbers the network gives for a code of so many."""
        return codes

    def noise(self, codes: int) -> int:
        """Return how many random numbers the network takes."""
        return 0


@checked
@dataclass(frozen=True)
class PerturbedEncoder:
    """One code for each x, and normal noise of a fixed scale added to it.

    On a sphere, the code is moved there before the noise is added, and again afterwards. The
    decoder learns what is around codes of data too, from where codes of the prior come.

    Attributes:
        scale: The noise's standard deviation; that of an entry of the prior is 1.

    Raises:
        ValueError: If the scale is not positive.

    Example:
        >>> PerturbedEncoder(0.5).outputs(3), PerturbedEncoder(0.5).noise(3)
        (3, 0)
    """

    scale: float

    def __post_init__(self) -> None:
        check_positive("scale", self.scale)

    def outputs(self, codes: int) -> int:
        """Return how many numbers the network gives for a code of so many."""
        return codes

    def noise(self, codes: int) -> int:
        """Return how many random numbers the network takes: noise is added to what it gives."""
        return 0


@checked
@dataclass(frozen=True)
class ImplicitEncoder:
    """A network of x and of normal noise, whose density is not known.

    Attributes:
        size: How many random numbers enter; None for as many as a code has.

    Raises:
        ValueError: If that is no positive number.

    Example:
        >>> ImplicitEncoder().noise(3), ImplicitEncoder(8).noise(3)
        (3, 8)
    """

    size: int | None = None

    def __post_init__(self) -> None:
        check_whole("size", self.size, optional=True)

    def outputs(self, codes: int) -> int:
        """Return how many numbers the network gives for a code of so many."""
        return codes

    def noise(self, codes: int) -> int:
        """Return how many random numbers the network takes."""
        return codes if self.size is None else self.size


EncoderKind = GaussianEncoder | DeterministicEncoder | PerturbedEncoder | ImplicitEncoder
ENCODERS: dict[str, type[EncoderKind]] = {
    kind.__name__: kind
    for kind in (GaussianEncoder, DeterministicEncoder, PerturbedEncoder, ImplicitEncoder)
}


class Encoder(nn.Module):
    """q(z | x) of standardised x, by a network.

    Example:
        >>> encoder = Encoder(GaussianEncoder(), nn.Linear(2, 6).float(), 3)
        >>> x = torch.zeros(5, 2).float()
        >>> encoder.draw(x, torch.Generator().manual_seed(0)).shape, encoder.kl(x).shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    place: Tensor

    def __init__(
        self, kind: EncoderKind, network: nn.Module, codes: int, *, sphere: bool = False
    ) -> None:
        super().__init__()
        self.kind: EncoderKind = kind
        self.network: nn.Module = network
        self.codes: int = codes
        self.sphere: bool = sphere
        rows, columns = torch.tril_indices(codes, codes, -1)
        self.register_buffer("place", rows * codes + columns, persistent=False)

    def draw(self, x: Float[Tensor, "n ..."], rng: torch.Generator) -> Float[Tensor, "n codes"]:
        """Draw a code for each x, from noise drawn on the CPU."""
        if isinstance(self.kind, GaussianEncoder):
            mean, log_scale, triangle = self.parts(x)
            noise = standard_normal(len(x), self.codes, rng).to(mean)
            if triangle is not None:
                noise = (triangle @ noise[..., None]).squeeze(-1)
            return mean + log_scale.exp() * noise
        size = self.kind.noise(self.codes)
        given = (standard_normal(len(x), size, rng).to(x.device),) if size else ()
        z = self.network(x, *given)
        if isinstance(self.kind, PerturbedEncoder):
            z = on_sphere(z) if self.sphere else z
            z = z + self.kind.scale * standard_normal(len(x), self.codes, rng).to(z)
        return on_sphere(z) if self.sphere else z

    def parts(self, x: Float[Tensor, "n ..."]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return a Gaussian's mean m, log scales s and unit triangle T: z = m + exp(s) T noise."""
        k = self.codes
        out = self.network(x)
        mean, log_scale = out[:, :k], out[:, k : 2 * k].clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        if out.shape[1] == 2 * k:
            return mean, log_scale, None
        flat = out.new_zeros(len(out), k * k).index_copy(1, self.place, out[:, 2 * k :])
        return mean, log_scale, flat.view(-1, k, k) + torch.eye(k).to(out)

    def kl(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Return the divergence KL(q(z | x), Normal(0, 1)) of a Gaussian, in closed form."""
        mean, log_scale, triangle = self.parts(x)
        root = log_scale.exp()
        if triangle is not None:
            root = (root[..., None] * triangle).flatten(1)
        squares = root.square().sum(1) + mean.square().sum(1)
        return (squares - self.codes) / 2 - log_scale.sum(1)

    def log_prob(
        self, z: Float[Tensor, "n codes"], x: Float[Tensor, "n ..."]
    ) -> Float[Tensor, " n"]:
        """Return log q(z | x) of a Gaussian."""
        mean, log_scale, triangle = self.parts(x)
        off = (z - mean) * (-log_scale).exp()
        if triangle is not None:
            off = torch.linalg.solve_triangular(triangle, off[..., None], upper=False).squeeze(-1)
        return standard_normal_log_prob(off) - log_scale.sum(1)


def standard_normal(n: int, size: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
    """Draw n standard normal vectors in float32, on the CPU."""
    return torch.randn(n, size, generator=rng, dtype=torch.float32, device="cpu")


def on_sphere(z: Float[Tensor, "n codes"]) -> Float[Tensor, "n codes"]:
    """Return codes moved to the sphere of radius sqrt(codes)."""
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return z * math.sqrt(z.shape[1]) / length.clamp_min(1e-12)


def prior_codes(n: int, codes: int, sphere: bool, rng: torch.Generator) -> Float[Tensor, "n codes"]:
    """Draw n codes of the prior, on the CPU."""
    z = standard_normal(n, codes, rng)
    return on_sphere(z) if sphere else z


def moments_kl(z: Float[Tensor, "n codes"]) -> Float[Tensor, ""]:
    """Return the divergence of a Gaussian with the codes' means and variances from the prior.

    Example:
        >>> z = torch.tensor([[-1.0], [1.0]])
        >>> moments_kl(z), moments_kl(z + 1)
        (tensor(0.), tensor(0.5000))
    """
    variance = z.var(0, correction=0).clamp_min(1e-12)
    return ((variance + z.mean(0).square() - 1 - variance.log()) / 2).sum()


def great_circle(
    a: Float[Tensor, " k"], b: Float[Tensor, " k"], share: Float[Tensor, "n 1"]
) -> Float[Tensor, "n k"]:
    """Return places between two vectors: directions on a great circle, lengths linear.

    Example:
        >>> a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
        >>> great_circle(a, b, torch.tensor([[0.5]]))
        tensor([[1.4142, 1.4142]])
    """
    lengths = a.norm(), b.norm()
    cosine = (a @ b / (lengths[0] * lengths[1]).clamp_min(1e-12)).clamp(-1, 1)
    angle = torch.acos(cosine)
    if min(lengths) < 1e-6 or angle.sin() < 1e-3:  # no circle, or none that is determined
        return (1 - share) * a + share * b
    direction = torch.sin((1 - share) * angle) * a / lengths[0]
    direction = direction + torch.sin(share * angle) * b / lengths[1]
    return direction / angle.sin() * ((1 - share) * lengths[0] + share * lengths[1])
