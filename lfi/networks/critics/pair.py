r"""The critic of pairs: log p(theta, x) / p(theta) p(x) from embeddings of each side.

The likelihood of an exponential family has a log ratio that is an inner product,

    log p(x | theta) / p(x)  =  phi(theta) . psi(x),

phi its natural parameters and psi its sufficient statistics, each with a column for the other
side's normalisation. The critic is a sum of three levels:

    exponential family  phi = (theta, theta theta', a(theta), 1), psi linear in x, and b(x): a
                        Gaussian of theta whose mean depends on x, and linear models with any noise.
                        Few weights, and exact where they suffice.
    bilinear            phi and psi are networks with `rank` numbers each: any ratio, as the rank
                        grows.
    MLP                 a network of the sum of two embeddings, for what depends on differences of
                        theta and x on a fine scale, which no moderate rank resolves.

An inner product compares all parameters of a batch with all data by one matrix product, so that it
is trained with hundreds of contrasts at the price of one; an MLP is evaluated for each pair. Either
way a side is embedded once, and a posterior of one x_obs embeds it once.

References:
    Hermans, Begy & Louppe, Likelihood-free MCMC with amortized approximate ratio estimators, 2020.
        arXiv:1903.04057
    Poole et al., On variational bounds of mutual information, 2019. arXiv:1905.06922
    Radford et al., Learning transferable visual models (CLIP), 2021. arXiv:2103.00020
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.embeddings import embedding_spec, size_of, takes_missing
from lfi.networks.residual import Tower, linear, trunk
from lfi.networks.standardise import Coordinates, Features, input_for
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_number, check_whole

FAMILY_WIDTH = 32  # of the networks a(theta) and b(x) of the exponential family
START = 0.1  # of the last layer: begin close to log r = 0


def inner(a: Float[Tensor, "*a e"], b: Float[Tensor, "*b e"]) -> Float[Tensor, "*ab"]:
    """Return the inner products of the last axis, broadcasting over the others.

    Where one b is paired with many a, this is a matrix product.

    Example:
        >>> a, b = torch.randn(5, 3), torch.randn(4, 1, 3)
        >>> torch.allclose(inner(a, b), (a * b).sum(-1))
        True
    """
    if b.ndim == 1:
        return a @ b
    if b.shape[-2] == 1 and a.ndim > 1 and a.shape[-2] > 1:
        if a.shape[:-2].numel() == 1 and a.ndim <= b.ndim:  # all b share the a
            table = b.flatten(0, -2) @ a.flatten(0, -2).T
            return table.reshape(*b.shape[:-2], a.shape[-2])
        if a.shape[:-2] == b.shape[:-2]:
            return (a @ b.mT).squeeze(-1)
    return (a * b).sum(-1)


class ExponentialFamily(nn.Module):
    """An exponential family in (theta, theta theta'), its natural parameters linear in x."""

    pairs: Tensor
    of_theta: nn.Sequential
    of_x: nn.Sequential

    def __init__(self, theta_dim: int, x_dim: int) -> None:
        super().__init__()
        self.register_buffer("pairs", torch.triu_indices(theta_dim, theta_dim), persistent=False)
        squares = self.pairs.shape[1]
        self.size: int = theta_dim + squares + 2
        self.slope: nn.Linear = linear(x_dim, theta_dim)
        self.curvature: nn.Parameter = nn.Parameter(torch.zeros(squares, dtype=torch.float32))
        self.of_theta, self.of_x = (
            nn.Sequential(linear(size, FAMILY_WIDTH), nn.SiLU(), linear(FAMILY_WIDTH, 1))
            for size in (theta_dim, x_dim)
        )
        for last in (self.slope, self.of_theta[-1], self.of_x[-1]):  # begin at log r = 0
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def phi(self, c: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return (c, c c', a(c), 1) of coordinates (..., theta_dim)."""
        squares = c[..., self.pairs[0]] * c[..., self.pairs[1]]
        one = torch.ones_like(c[..., :1])
        return torch.cat([c, squares, self.of_theta(c), one], dim=-1)

    def psi(self, f: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return (A f, curvature, 1, b(f)) of features (..., x_dim)."""
        one = torch.ones_like(f[..., :1])
        curvature = self.curvature.expand(*f.shape[:-1], -1)
        return torch.cat([self.slope(f), curvature, one, self.of_x(f)], dim=-1)


@runtime_checkable
class EmbedsPairs(Protocol):
    """What embeds theta and x apart, and gives log ratios of their embeddings."""

    embed_theta: Callable[[Tensor], Tensor]  # of (..., theta_dim)
    embed_x: Callable[[Tensor], Tensor]  # of (..., *event)
    pair: Callable[[Tensor, Tensor], Tensor]  # of embeddings, broadcasting leading dimensions


class PairCriticBase(nn.Module, EmbedsPairs):
    """Base of critics of pairs with `embed_theta`, `embed_x` and `pair`."""

    standardises = True

    def embed(
        self, theta: Float[Tensor, "*n"], x: Float[Tensor, "*m"]
    ) -> tuple[Float[Tensor, "*n_size"], Float[Tensor, "*m_size"]]:
        """Return both embeddings."""
        return self.embed_theta(theta), self.embed_x(x)

    def forward(
        self, theta: Float[Tensor, "*n"], x: Float[Tensor, "*m"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of (..., theta_dim) and (..., *event), broadcasting the rest."""
        return self.pair(*self.embed(theta, x))


class FitsScales(PairCriticBase):
    """Base of critics of pairs with `coordinates` of theta and `features` of x."""

    coordinates: Coordinates
    features: nn.Module

    @property
    def missing(self) -> bool:
        """Whether entries of x may be missing."""
        return takes_missing(self.features)

    def fit_from_data(self, theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "n ..."]) -> None:
        """Take the standardisation from the training split."""
        self.coordinates.fit_from_data(theta)
        fit = getattr(self.features, "fit_from_data", None)
        if fit is not None:
            fit(input_for(self.features, x))


@checked
class PairCritic(FitsScales):
    """log p(theta, x) / p(theta) p(x), standardisation included.

    Example:
        >>> critic = PairCritic([0.0, 0.0], [1.0, float("inf")], (5,), rank=8, width=16)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    theta_net: Tower | None
    x_net: Tower | None

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 64,
        rank: int = 0,
        head_layers: int | None = None,
        layers: int = 2,
        dropout: float = 0.0,
        embedding: nn.Module | None = None,
    ) -> None:
        """Build the critic of parameters within bounds, perhaps infinite, and of x, (n, *x_shape).

        `rank` is the length of the networks' inner product, 0 for none; `layers` are residual
        blocks of the embeddings, `head_layers` of the MLP of pairs, None for none. An `embedding`
        of series, sets or images takes x, (n, *event) to (n, k), in place of standardised entries;
        its method `fit_from_data(x)`, if it has one, is called first.
        """
        check_counts(width=width)
        check_counts(minimum=0, layers=layers, rank=rank)
        check_whole("head_layers", head_layers, minimum=0, optional=True)
        check_number("dropout", dropout, minimum=0, below=1)
        super().__init__()
        shape = dict(
            width=width, rank=rank, head_layers=head_layers, layers=layers, dropout=dropout
        )
        self.spec: dict[str, Any] = spec_of(self, lower, upper, x_shape, embedding, shape)
        self.coordinates: Coordinates = Coordinates(lower, upper)
        self.features: nn.Module = Features(x_shape) if embedding is None else embedding
        theta_dim, x_dim = self.coordinates.size, size_of(self.features, x_shape)
        self.family: ExponentialFamily = ExponentialFamily(theta_dim, x_dim)
        self.rank = rank
        self.products: int = self.family.size + (rank + 2 if rank else 0)
        out = (rank + 1 if rank else 0) + (0 if head_layers is None else width)
        sizes = (theta_dim, x_dim) if out else ()
        nets = [Tower(size, out, width=width, layers=layers, dropout=dropout) for size in sizes]
        if rank:  # begin close to the exponential family
            start_small(nets[0], slice(rank + 1))
            start_small(nets[1], slice(rank, rank + 1))
        self.theta_net, self.x_net = nets or (None, None)
        self.head: nn.Sequential | None = (
            None if head_layers is None else trunk(width, head_layers, 1, dropout=dropout)
        )

    def start_from(self, other: "PairCritic") -> None:
        """Copy another critic's exponential family, standardisation and embedding of x."""
        for mine, its in (
            (self.family, other.family),
            (self.coordinates, other.coordinates),
            (self.features, other.features),
        ):
            mine.load_state_dict(its.state_dict())

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return phi of (..., theta_dim), and the input of the MLP, (..., size)."""
        c = self.coordinates(theta)
        return self._joined(self.family.phi(c), self.theta_net, c, 0)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return psi of (..., *event), and the input of the MLP, (..., size)."""
        f = self.features(input_for(self.features, x))
        return self._joined(self.family.psi(f), self.x_net, f, 1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        if self.head is None:
            return inner(theta, x)
        k = self.products
        return inner(theta[..., :k], x[..., :k]) + self.head(theta[..., k:] + x[..., k:])[..., 0]

    def _joined(
        self, family: Tensor, tower: Tower | None, given: Tensor, place: int
    ) -> Float[Tensor, "*n_size"]:
        """Concatenate the family's numbers, those of the networks, and the input of the MLP."""
        if tower is None:
            return family
        out, rank = tower(given), self.rank
        if not rank:
            return torch.cat([family, out], dim=-1)
        one, normaliser = torch.ones_like(out[..., :1]), out[..., rank : rank + 1]
        columns = (normaliser, one) if place == 0 else (one, normaliser)
        scaled = out[..., :rank] * rank**-0.25
        return torch.cat([family, scaled, *columns, out[..., rank + 1 :]], dim=-1)


@torch.no_grad()
def start_small(net: Tower, rows: slice = slice(None)) -> None:
    """Scale last layers down, so that these outputs begin close to zero."""
    for parameter in (*net.rest[-1].parameters(), *net.straight.parameters()):
        parameter[rows] *= START


def spec_of(
    critic: nn.Module,
    lower: Sequence[float],
    upper: Sequence[float],
    x_shape: Sequence[int],
    embedding: nn.Module | None,
    shape: Mapping[str, object],
) -> dict[str, Any]:
    """Return the arguments of a critic as plain values."""
    places = {"lower": list(lower), "upper": list(upper), "x_shape": list(x_shape)}
    named = {"embedding": embedding_spec(embedding)}
    return {"kind": type(critic).__name__} | places | dict(shape) | named
