"""Data of levels, such as pixels, under a density: noise in training, bits per dimension after it.

Levels are `origin` + k `width`, and each owns the cell of that width around it. A density of
numbers gives a level the probability of its cell, which uniform noise estimates:

    P(x) = width^d E_u p(x + u),        u uniform on (-width/2, width/2)^d,

    -log2 P(x) / d  <=  E -log2 ( width^d (1/K) sum_k p(x + u_k) ) / d,

the bound of importance weighting: with K = 1 it is what training on noisy data minimises, and it
falls towards the left side as K grows. It is exact where p is constant in cells.

References:
    Uria, Murray & Larochelle, RNADE: the real-valued neural autoregressive density-estimator, 2013.
        arXiv:1306.0186
    Theis, van den Oord & Bethge, A note on the evaluation of generative models, 2016.
        arXiv:1511.01844
    Hoogeboom, Cohen & Tomczak, Learning discrete distributions by dequantization, 2020 (the
        importance-weighted bound). arXiv:2001.11235
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.training import Batch, Shuffled

TOLERANCE = 1e-3  # of a width, within which values are on a level


@dataclass(frozen=True)
class Levels:
    """Values at equal distances.

    Example:
        >>> halves = Levels(0.5, origin=0.25)
        >>> halves.nearest(torch.tensor([0.3, 0.9]))
        tensor([0.2500, 0.7500])
    """

    width: float
    origin: float = 0.0

    @classmethod
    def of(cls, name: str, data: Tensor, width: float) -> "Levels":
        """Return the levels of data, from their smallest value; ValueError if data lie between."""
        levels = cls(width, float(data.min()))
        levels.check(name, data)
        return levels

    def check(self, name: str, x: Tensor) -> None:
        """Raise ValueError if a value is not on a level."""
        off = (x.double() - self.nearest(x.double())).abs()
        if (off > TOLERANCE * self.width).any():
            i = int(off.argmax())
            raise ValueError(
                f"{name} must be levels {self.width:g} apart, {self.origin:g} among them, got "
                f"{float(x.flatten()[i]):g}"
            )

    def nearest(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the nearest levels."""
        return self.origin + ((x - self.origin) / self.width).round() * self.width

    def noise(self, like: Float[Tensor, "*n"], rng: torch.Generator) -> Float[Tensor, "*n"]:
        """Draw uniform noise of one cell, of a tensor's shape, dtype and device."""
        return self.width * centred_noise(like, rng)


def centred_noise(like: Float[Tensor, "*n"], rng: torch.Generator) -> Float[Tensor, "*n"]:
    """Draw noise uniform on (-1/2, 1/2), of a tensor's shape, dtype and device."""
    return torch.rand(like.shape, generator=rng, dtype=like.dtype).to(like.device) - 0.5


class DequantisedBatches:
    """Shuffled rows, each with new noise whenever it is drawn.

    The noise is uniform on (-width/2, width/2), a width for each entry.
    """

    def __init__(self, rows: Shuffled, width: Float[Tensor, "..."]) -> None:
        self.rows: Shuffled = rows
        self.width: Tensor = width.to(rows.device)
        self.held_out: Batch | None = rows.held_out

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next rows with noise."""
        return tuple(x + self.width * centred_noise(x, rng) for x in self.rows.draw(rng))

    def position_of(self) -> dict[str, Tensor]:
        """Return where in the epoch it stands, for a checkpoint."""
        return self.rows.position_of()

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where another one stood."""
        self.rows.go_to(position)


@torch.no_grad()
def bits_of(
    log_density: Callable[[Float[Tensor, "n ..."]], Float[Tensor, " n"]],
    x: Float[Tensor, "n ..."],
    levels: Levels | None,
    draws: int,
    rng: torch.Generator,
) -> Float[Tensor, " n"]:
    """Return the bits per dimension of each row under a density, by so many draws of noise.

    Without levels they are minus log2 of the density itself, which depends on the data's unit.

    Example:
        >>> uniform = lambda x: torch.full((len(x),), -3 * math.log(256.0))  # on 256 cells
        >>> x = torch.randint(256, (5, 3)).double()
        >>> bits_of(uniform, x, Levels(1.0), 4, torch.Generator())
        tensor([8., 8., 8., 8., 8.])
    """
    size = x[0].numel()
    if levels is None:
        return -log_density(x) / (size * math.log(2))
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64)
    for _ in range(draws):
        total = torch.logaddexp(total, log_density(x + levels.noise(x, rng)).double().to(total))
    log_probability = total - math.log(draws) + size * math.log(levels.width)
    return -log_probability / (size * math.log(2))
