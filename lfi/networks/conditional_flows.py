"""Density estimators by conditional flows: of parameters given data, and of data given parameters.

    posterior estimator     q(theta | x), theta in coordinates where the prior has no bounds
    likelihood estimator    q(x | theta), x in coordinates that know what values x takes

Whole numbers are dequantised: uniform noise u is added, and the probability of one is the mean of
the flow's density over a few fixed points u of the unit cube, so that it is smooth in theta. Where
all are of few values, a categorical law takes the flow's place.

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
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from lfi.networks.categorical import CategoricalFlow, LevelColumns
from lfi.networks.data_transforms import ColumnBijection
from lfi.networks.embeddings import embedding_spec, size_of
from lfi.networks.flows import ConditionalFlow
from lfi.networks.residual import linear, zero
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
    and the flow is of one trial. With a `mark`, this number of each is 1 where the trial was made;
    those that were not are zeros and come last. How many were made has a multinomial logistic law.

    With `levels`, x is whole numbers of at most so many values, and their law is categorical.
    """

    kept: Tensor

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
        mark: int | None = None,
        levels: int | None = None,
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
        self.row: int = size
        kept = list(range(size))
        if mark is not None:
            if not 0 <= mark < size or size < 2:
                raise ValueError(f"mark must be one of the {size} numbers of a trial, got {mark}")
            self.spec["mark"] = mark
            kept.pop(mark)
        self.mark: int | None = mark
        self.register_buffer("kept", torch.tensor(kept), persistent=False)
        self.coordinates: Coordinates = Coordinates(lower, upper)
        self.columns: ColumnBijection | LevelColumns
        self.flow: ConditionalFlow | CategoricalFlow
        self.number: nn.Linear | None = (
            None if mark is None else zero(linear(self.coordinates.size, self.trials + 1))
        )
        sizes = len(kept), self.coordinates.size
        if levels is not None:
            self.spec["levels"] = levels
            self.columns = LevelColumns(len(kept))
            self.flow = CategoricalFlow(*sizes, levels=levels, width=width, layers=layers)
            return
        self.columns = ColumnBijection(len(kept))
        series = self.event if neighbours else None
        self.flow = ConditionalFlow(*sizes, by_entry=by_entry, event=series, **shape)

    def fit_from_data(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], rng: torch.Generator
    ) -> None:
        """Take the scales and the linear start from the training split, x flat."""
        self.coordinates.fit_from_data(theta)
        u = torch.rand(x.shape, generator=rng, dtype=x.dtype)
        rows, u, made = self._rows(x, u)
        condition = self.coordinates(theta).repeat_interleave(self.trials, dim=0)
        if self.number is not None:
            count = made.view(len(x), -1).sum(1).bincount(minlength=self.trials + 1)
            with torch.no_grad():
                self.number.bias.copy_((count + 0.5).log())
            rows, u, condition = rows[made], u[made], condition[made]
        self.columns.fit_from_data(rows)
        self.flow.fit_from_data(self.columns(rows, u)[0], condition)

    @property
    def trials(self) -> int:
        """How many draws of one law x is, at most."""
        return math.prod(self.event) // self.row

    def _rows(
        self, x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "r k"], Float[Tensor, "r k"], Bool[Tensor, " r"]]:
        """Return the numbers of trials, of u, and which were made."""
        rows, u = x.view(-1, self.row), u.view(-1, self.row)
        if self.mark is None:
            return rows, u, torch.ones(len(rows), dtype=torch.bool, device=x.device)
        return rows[:, self.kept], u[:, self.kept], rows[:, self.mark] > 0

    def _encoded(
        self, rows: Float[Tensor, "r k"], u: Float[Tensor, "r k"], made: Bool[Tensor, " r"]
    ) -> tuple[Float[Tensor, "r k"], Float[Tensor, " r"]]:
        """Return trials in the flow's coordinates, zeros where none was made, and log slopes."""
        y, log_slope = self.columns(rows, u)
        if self.mark is None:
            return y, log_slope
        return torch.where(made[:, None], y, 0.0), torch.where(made, log_slope, 0.0)

    def _of_all(
        self, each: Float[Tensor, "n trials"], made: Bool[Tensor, "n trials"], condition: Tensor
    ) -> Float[Tensor, " n"]:
        """Return log densities of all trials, and of how many were made, of those of each."""
        if self.number is None:
            return each.sum(1)
        law = self.number(condition).log_softmax(1)
        number = made.sum(1, keepdim=True)
        return torch.where(made, each, 0.0).sum(1) + law.gather(1, number)[:, 0]

    def embed(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, "n embedded"]:
        """Return what the flow needs of parameters, to be used for many x."""
        return self.flow.embed(self.coordinates(theta))

    def dequantised_log_density(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> Float[Tensor, " n"]:
        """Return log q of flat x + u given theta, u uniform: what training maximises."""
        rows, u, made = self._rows(x, u)
        y, log_slope = self._encoded(rows, u, made)
        embedded = self.embed(theta)
        each = (self.flow.log_density(y, embedded) + log_slope).view(len(x), -1)
        return self._of_all(each, made.view_as(each), embedded[:, : self.coordinates.size])

    def to_noise(
        self, theta: Float[Tensor, "n dim"], x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n trials k"], Bool[Tensor, "n trials"]]:
        """Return the noise of flat x + u given theta, and which trials were made.

        It is standard normal where q is right.
        """
        rows, u, made = self._rows(x, u)
        z, _ = self.flow.to_noise(self._encoded(rows, u, made)[0], self.embed(theta))
        return z.view(len(x), self.trials, -1), made.view(len(x), -1)

    def quadrature_points(self) -> Float[Tensor, "k size"]:
        """Return the points u of the unit cube over which whole numbers' density is averaged.

        Where all that are whole are large, so that one more is little, two will do, and where
        nothing depends on u, one.
        """
        size = self.columns.size
        if isinstance(self.columns, LevelColumns) or not self.columns.discrete:
            return torch.zeros(1, size, dtype=torch.float32)
        number = POINTS if self.columns.widest > FINE else FEW_POINTS
        u = SobolEngine(size, scramble=True, seed=0).draw(number, dtype=torch.float32)
        return u.clamp(1e-3, 1 - 1e-3)

    def encode(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "m k size_2"]:
        """Return observations in the flow's coordinates, log slopes, and 1 where a trial was made.

        Those of each trial stand one after the other, at each point u.
        """
        flat, points = x.reshape(len(x), -1), self.quadrature_points().to(x.device)
        rows, _, made = self._rows(flat, flat)
        k = len(points)
        rows, made = rows.repeat_interleave(k, dim=0), made.repeat_interleave(k)
        y, log_slope = self._encoded(rows, points.repeat(len(rows) // k, 1), made)
        parts = [y, log_slope[:, None], made.to(y)[:, None]]
        return torch.cat(parts, dim=1).view(len(x), self.trials * k, -1)

    def log_density(
        self, encoded: Float[Tensor, "r k size_2"], embedded: Float[Tensor, "r embedded"]
    ) -> Float[Tensor, " r"]:
        """Return log q(x | theta) of rows."""
        y, log_slope, made = encoded[..., :-2].flatten(0, 1), encoded[..., -2], encoded[..., -1]
        value = self.flow.log_density(y, embedded).view_as(log_slope) + log_slope
        value = value.view(len(value), self.trials, -1)
        each = value.logsumexp(2) - math.log(value.shape[2])
        made = made.view_as(value)[..., 0] > 0
        return self._of_all(each, made, embedded[:, : self.coordinates.size])

    def simulate(
        self, theta: Float[Tensor, "n dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta in float64, differentiable in theta."""
        z = self.flow.noise(len(theta) * self.trials, rng).to(self.columns.device)
        embedded = self.embed(theta.to(z.device))
        x = self.columns.decode(self.flow.generate(z, embedded), dtype=torch.float64)
        if self.number is not None:
            law = self.number(embedded[:, : self.coordinates.size]).softmax(1).cpu()
            number = torch.multinomial(law, 1, generator=rng)
            made = (torch.arange(self.trials) < number).flatten().to(x)[:, None]
            x = torch.cat([x[:, : self.mark], torch.ones_like(made), x[:, self.mark :]], 1) * made
        return x.reshape(-1, *self.event).to(theta.device)
