"""Conformal outlier test: p-values of points against a sample.

Half of the sample, at most 10,000 points, is the reference; the other half, at most 2,000, tells
how far a point of the same distribution lies from it. Coordinates are distances from the median in
interquartile ranges, then asinh, so that no outlier sets the scale and one entry a thousand times
too large does not pass for two. Three distances are taken:

    nearest       to the fifth nearest reference point: sees holes and bends in the support
    mahalanobis   z' C^-1 z, C the reference's covariance, shrunk (Ledoit and Wolf): sees entries
                  that do not belong together, however many there are
    farthest      the largest |z|: sees a single entry far out

and the same three in other features, such as a network's embedding, where given. The p-value of a
point is that of the largest of its ranks among the n held-out points and itself,

    p = (1 + #{held-out points with a largest rank at least as large}) / (1 + n).

All 1 + n are exchangeable if it comes from the sample's distribution, so that p <= alpha with
probability alpha at most: for every distribution, dimension and embedding.

References:
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.
    Bates et al., Testing for outliers with conformal p-values, 2023. arXiv:2104.08279
    Ledoit & Wolf, A well-conditioned estimator for large covariance matrices, J. Mult. Anal. 2004.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.numerics.neighbours import neighbour_distance

REFERENCE, HELD_OUT = 10_000, 2_000  # points at most
NEIGHBOUR = 5
MIN_POINTS = 20  # of a sample
PART = 256  # points tested at a time: this bounds the memory

Embedding = Callable[[Tensor], Tensor]


def robust_scale(rows: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Return each column's median and interquartile range, in units of a Gaussian's deviation.

    A column of which more than half is one number has for a scale the median of the distances from
    it other than zero, a constant one the least number that changes it.
    """
    low, middle, high = rows.quantile(rows.new_tensor([0.25, 0.5, 0.75]), dim=0)
    distance = (rows - middle).abs()
    some = torch.where(distance > 0, distance, torch.nan).nanmedian(dim=0).values.nan_to_num(0.0)
    scale = torch.where(high > low, (high - low) / 1.349, some)
    return middle, torch.maximum(scale, 1e-9 * middle.abs() + torch.finfo(rows.dtype).tiny)


def robust_coordinates(
    reference: Float[Tensor, "n d"], *others: Float[Tensor, "_ d"]
) -> tuple[Float[Tensor, "_ d"], ...]:
    """Return reference and others as asinh((x - median) / scale), by the reference's quantiles."""
    middle, scale = robust_scale(reference)
    return tuple(torch.asinh((rows - middle) / scale) for rows in (reference, *others))


class _Distances:
    """The three distances of points to a reference, in one kind of coordinates."""

    def __init__(self, reference: Float[Tensor, "n d"]) -> None:
        from sklearn.covariance import ledoit_wolf

        self.middle, self.scale = robust_scale(reference)
        self.reference = self.coordinates(reference)
        self.mean = self.reference.mean(dim=0)
        covariance = torch.from_numpy(ledoit_wolf(self.reference.numpy())[0])
        floor = 1e-9 * covariance.diagonal().mean() + torch.finfo(torch.float64).tiny
        self.root = torch.linalg.cholesky(covariance + floor * torch.eye(len(self.mean)).double())
        self.neighbour = min(NEIGHBOUR, len(reference))

    def coordinates(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return torch.asinh((rows - self.middle) / self.scale)

    def __call__(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "3 n"]:
        z = self.coordinates(rows)
        nearest = neighbour_distance(z, self.reference, self.neighbour)
        white = torch.linalg.solve_triangular(self.root, (z - self.mean).T, upper=False)
        return torch.stack([nearest, white.square().sum(dim=0), z.abs().amax(dim=1)])


@dataclass(frozen=True, eq=False)
class OutlierTest:
    """An outlier test: distances (kinds, n) of held-out points, to compare others with."""

    kinds: tuple[str, ...]
    held_out: Float[Tensor, "k n"]
    _measures: tuple[tuple[Embedding, _Distances], ...]

    @staticmethod
    def fit_from_data(
        x: Float[Tensor, "n ..."], *, embed: Embedding | None = None, rng: torch.Generator
    ) -> "OutlierTest":
        """Split independent, finite points into both halves; `embed` may have seen them."""
        if len(x) < MIN_POINTS:
            raise ValueError(
                f"x: {len(x)} points are too few for an outlier test, need at least {MIN_POINTS}"
            )
        order = torch.randperm(len(x), generator=rng)
        half = len(x) // 2
        reference, held_out = order[half:][:REFERENCE], order[:half][:HELD_OUT]
        return OutlierTest.from_parts(x[reference], x[held_out], embed=embed)

    @staticmethod
    def from_parts(
        reference: Float[Tensor, "n ..."],
        held_out: Float[Tensor, "m ..."],
        *,
        embed: Embedding | None = None,
    ) -> "OutlierTest":
        """Take a sample's two parts, already chosen at random."""
        embeddings, names = [flatten], [""]
        if embed is not None:
            embeddings.append(lambda x: flatten(embed(x)))
            names.append(" in the embedding")
        features = [f(reference) for f in embeddings]
        for rows in features:
            if len(rows) != len(reference) or not rows.isfinite().all():
                raise ValueError(
                    "embed must return one finite row for each point, got shape "
                    f"{tuple(rows.shape)} with {int((~rows.isfinite()).sum())} values that are not"
                )
        measures = tuple(map(lambda f, rows: (f, _Distances(rows)), embeddings, features))
        distances = torch.cat([measure(f(held_out)) for f, measure in measures])
        kinds = tuple(
            kind + name for name in names for kind in ("nearest", "mahalanobis", "farthest")
        )
        return OutlierTest(kinds, distances, measures)

    def distances(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "k m"]:
        """Return the distances of points, (m, *event)."""
        return torch.cat([measure(f(x)) for f, measure in self._measures])

    def ranks(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "k m"]:
        """Return the share of held-out points that are nearer than each point, by each distance."""
        return _below(self.held_out, self.distances(x)).double() / self.held_out.shape[1]

    def p_values(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, " m"]:
        """Return the p-value of each point on its own."""
        n = self.held_out.shape[1]
        own = _below(self.held_out, self.held_out)  # (k, n)
        values = []
        for distances in self.distances(x).split(PART, dim=1):
            beyond = (distances[:, :, None] < self.held_out[:, None]).long()
            largest = (own[:, None] + beyond).amax(dim=0)  # (part, n)
            observed = _below(self.held_out, distances).amax(dim=0)
            values.append((1 + (largest >= observed[:, None]).sum(dim=1)).double() / (1 + n))
        return torch.cat(values)


def flatten(x: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
    """Return events as rows of float64 on the CPU."""
    return x.detach().cpu().double().reshape(len(x), -1)


def _below(sample: Float[Tensor, "k n"], values: Float[Tensor, "k m"]) -> Int[Tensor, "k m"]:
    """Return how many of each row of the sample lie below each value."""
    return torch.searchsorted(sample.sort(dim=1).values, values.contiguous())
