"""Density estimators by conditional flows: of parameters given data, and of data given parameters.

    posterior estimator     q(theta | x), theta in coordinates where the prior has no bounds
    likelihood estimator    q(x | theta), x in coordinates that know what values x takes

Whole numbers are dequantised: uniform noise u is added, and the probability of one is the mean of
the flow's density over a few fixed points u of the unit cube, so that it is smooth in theta.

References:
    Papamakarios & Murray, Fast epsilon-free inference of simulation models with Bayesian
        conditional density estimation, 2016. arXiv:1605.06376
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226
    Uria, Murray & Larochelle, RNADE: the real-valued neural autoregressive density-estimator, 2013
        (dequantisation). arXiv:1306.0186
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from lfi.networks.data_transforms import ColumnBijection
from lfi.networks.embeddings import embedding_spec, size_of
from lfi.networks.flows import ConditionalFlow
from lfi.networks.standardise import Coordinates, Features, Standardise, input_for

POINTS, FEW_POINTS = 8, 2  # over which whole numbers' density is averaged
FINE = 0.2  # of a standard deviation, by which neighbouring whole numbers differ
ROWS = 2**12  # that an embedding sees at a time where nothing is trained


class PosteriorEstimator(nn.Module):
    """q(v | x), v the parameters in unbounded coordinates: features of x and a flow.

    An `embedding`, (n, *event) to (n, k), takes the place of standardised entries of x. What it
    gives with its first weights is brought to order one, by scales that stay.
    """

    def __init__(
        self,
        dim: int,
        x_shape: Sequence[int],
        *,
        width: int = 64,
        layers: int = 2,
        couplings: int = 4,
        bins: int = 8,
        embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        shape = {"width": width, "layers": layers, "couplings": couplings, "bins": bins}
        self.spec: dict[str, Any] = {"dim": dim, "x_shape": list(x_shape), **shape}
        if embedding is not None:
            self.spec["embedding"] = embedding_spec(embedding)
        self.features: nn.Module = Features(x_shape) if embedding is None else embedding
        self.size: int = size_of(self.features, x_shape)  # of what the flow sees of x
        self.scales: Standardise | None = None if embedding is None else Standardise((self.size,))
        self.standardise: Standardise = Standardise((dim,))
        self.flow: ConditionalFlow = ConditionalFlow(
            dim, self.size, by_entry=False, event=None, **shape
        )

    def fit_from_data(self, v: Float[Tensor, "n dim"], x: Float[Tensor, "n ..."]) -> None:
        """Take the standardisation and the linear start from the training split."""
        fit = getattr(self.features, "fit_from_data", None)
        if fit is not None:
            fit(input_for(self.features, x))
        self.standardise.fit_from_data(v)
        with torch.no_grad():
            condition = torch.cat([self._features(rows) for rows in x.split(ROWS)])
        if self.scales is not None:
            self.scales.fit_from_data(condition)
            condition = self.scales(condition)
        self.flow.fit_from_data(self.standardise(v), condition)

    def condition_of(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n size"]:
        """Return what the flow sees of x: standardised entries, or their embedding."""
        out = self._features(x)
        return out if self.scales is None else self.scales(out)

    def _features(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n size"]:
        return self.features(input_for(self.features, x))

    def embed(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n embedded"]:
        """Return what the flow needs of observations, to be used for many v."""
        return self.flow.embed(self.condition_of(x))

    def log_density(
        self, v: Float[Tensor, "n dim"], embedded: Float[Tensor, "n embedded"]
    ) -> Float[Tensor, " n"]:
        """Return log q(v | x)."""
        y = self.standardise(v)
        return self.flow.log_density(y, embedded) - self.standardise.divisor.log().sum().to(y)

    def generate(
        self, z: Float[Tensor, "n dim"], embedded: Float[Tensor, "n embedded"]
    ) -> Float[Tensor, "n dim"]:
        """Return v of noise."""
        return self.standardise.inverse(self.flow.generate(z, embedded))  # in float64


class LikelihoodEstimator(nn.Module):
    """q(x | theta): a bijection of columns of x, coordinates of theta, and a flow.

    With a `trial`, consecutive numbers of x are independent draws of one law, so many of them each,
    and the flow is of one trial.
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        event: Sequence[int],
        *,
        width: int = 64,
        layers: int = 2,
        couplings: int = 4,
        bins: int = 8,
        by_entry: bool = False,
        neighbours: bool = False,
        trial: int | None = None,
    ) -> None:
        super().__init__()
        shape = {"width": width, "layers": layers, "couplings": couplings, "bins": bins}
        places = {"lower": list(lower), "upper": list(upper), "event": list(event)}
        self.spec: dict[str, list[float] | list[int] | int] = places | shape
        if by_entry:
            self.spec["by_entry"] = True
        if neighbours:
            self.spec["neighbours"] = True
        self.event: tuple[int, ...] = tuple(event)
        size = math.prod(self.event)
        if trial is not None:
            if trial < 1 or size % trial:
                raise ValueError(f"trial must divide the {size} numbers of x, got {trial}")
            self.spec["trial"] = size = trial
        self.coordinates: Coordinates = Coordinates(lower, upper)
        self.columns: ColumnBijection = ColumnBijection(size)
        self.flow: ConditionalFlow = ConditionalFlow(
            self.columns.size,
            self.coordinates.size,
            by_entry=by_entry,
            event=self.event if neighbours else None,
            **shape,
        )

    def fit_from_data(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], rng: torch.Generator
    ) -> None:
        """Take the scales and the linear start from the training split, x flat."""
        self.coordinates.fit_from_data(theta)
        u = torch.rand(x.shape, generator=rng, dtype=x.dtype)
        rows = x.view(-1, self.columns.size)
        self.columns.fit_from_data(rows)
        y = self.columns(rows, u.view_as(rows))[0]
        condition = self.coordinates(theta).repeat_interleave(self.trials, dim=0)
        self.flow.fit_from_data(y, condition)

    @property
    def trials(self) -> int:
        """How many draws of one law x is."""
        return math.prod(self.event) // self.columns.size

    def embed(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, "n embedded"]:
        """Return what the flow needs of parameters, to be used for many x."""
        return self.flow.embed(self.coordinates(theta))

    def dequantised_log_density(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> Float[Tensor, " n"]:
        """Return log q of flat x + u given theta, u uniform: what training maximises."""
        y, log_slope = self.columns(x.view(-1, self.columns.size), u.view(-1, self.columns.size))
        value = self.flow.log_density(y, self.embed(theta)) + log_slope
        return value.view(len(x), -1).sum(1)

    def to_noise(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> Float[Tensor, "n trials k"]:
        """Return the noise of flat x + u given theta: standard normal where q is right."""
        y, _ = self.columns(x.view(-1, self.columns.size), u.view(-1, self.columns.size))
        z, _ = self.flow.to_noise(y, self.embed(theta))
        return z.view(len(x), self.trials, -1)

    def quadrature_points(self) -> Float[Tensor, "k size"]:
        """Return the points u of the unit cube over which whole numbers' density is averaged.

        Where all that are whole are large, so that one more is little, two will do.
        """
        size, discrete = self.columns.size, self.columns.discrete
        if not discrete:
            return torch.zeros(1, size, dtype=torch.float32)
        number = POINTS if self.columns.widest > FINE else FEW_POINTS
        u = SobolEngine(size, scramble=True, seed=0).draw(number, dtype=torch.float32)
        return u.clamp(1e-3, 1 - 1e-3)

    def encode(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "m k size_1"]:
        """Return observations in the flow's coordinates, their log slopes last.

        Those of each trial stand one after the other, at each point u.
        """
        flat, u = x.reshape(-1, 1, self.columns.size), self.quadrature_points().to(x.device)
        rows = flat.expand(-1, len(u), -1).flatten(0, 1)
        y, log_slope = self.columns(rows, u.repeat(len(flat), 1))
        return torch.cat([y, log_slope[:, None]], dim=1).view(len(x), self.trials * len(u), -1)

    def log_density(
        self, encoded: Float[Tensor, "r k size_1"], embedded: Float[Tensor, "r embedded"]
    ) -> Float[Tensor, " r"]:
        """Return log q(x | theta) of rows."""
        k = encoded.shape[1]
        y, log_slope = encoded[..., :-1].flatten(0, 1), encoded[..., -1]
        value = self.flow.log_density(y, embedded).view(-1, k) + log_slope
        value = value.view(len(value), self.trials, -1)
        return (value.logsumexp(2) - math.log(value.shape[2])).sum(1)

    def simulate(
        self, theta: Float[Tensor, "n dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta in float64, differentiable in theta."""
        z = self.flow.noise(len(theta) * self.trials, rng).to(self.columns.device)
        y = self.flow.generate(z, self.embed(theta.to(z.device)))
        x = self.columns.decode(y, dtype=torch.float64).reshape(-1, *self.event)
        return x.to(theta.device)
