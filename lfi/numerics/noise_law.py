"""Laws of the random numbers that a simulator starts from: independent normal or uniform ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Normal, Uniform

from lfi.numerics.arguments import shown


@dataclass(frozen=True)
class NoiseLaw:
    """Independent numbers, each normal or uniform.

    Attributes:
        origins: The mean of each that is normal, the lower end of each that is uniform.
        units: The standard deviation of each that is normal, the width of each that is uniform.
        normal: Which are normal; the others are uniform.
    """

    origins: tuple[float, ...]
    units: tuple[float, ...]
    normal: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.origins)

    def sample(
        self, size: Sequence[int], rng: torch.Generator, dtype: torch.dtype
    ) -> Float[Tensor, "*size d"]:
        """Draw noise with a generator."""
        draws = (torch.randn if normal else torch.rand for normal in self.normal)
        columns = [draw(tuple(size), generator=rng, dtype=dtype) for draw in draws]
        origins, units = (torch.tensor(t, dtype=dtype) for t in (self.origins, self.units))
        return origins + units * torch.stack(columns, dim=-1)

    def standardised(self, u: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b m d"]:
        """Return noise less its mean over its deviation, in float64."""
        origins, units = (u.new_tensor(t, dtype=torch.float64) for t in (self.origins, self.units))
        normal = torch.tensor(self.normal, device=u.device)
        t = (u.double() - origins) / units
        return torch.where(normal, t, (t - 0.5) * math.sqrt(12))


def as_noise_law(noise: Distribution | Sequence[Distribution]) -> NoiseLaw:
    """Return the law of a normal or uniform distribution, or of a sequence of them.

    TypeError if one is of another kind, ValueError if a batch has more than one dimension.

    Example:
        >>> len(as_noise_law([Normal(0.0, 1.0), Uniform(torch.zeros(2), torch.ones(2))]))
        3
    """
    if not isinstance(noise, Distribution | list | tuple):
        raise TypeError(
            f"noise must be a Normal or Uniform distribution of torch, or a list of them, got "
            f"{shown(noise)}"
        )
    parts = [noise] if isinstance(noise, Distribution) else list(noise)
    if not parts:
        raise ValueError("noise must have a distribution at least, got none")
    origins: list[float] = []
    units: list[float] = []
    normal: list[bool] = []
    for part in parts:
        if not isinstance(part, Normal | Uniform):
            raise TypeError(
                f"noise must be Normal or Uniform distributions of torch, got {shown(part)}"
            )
        if len(part.batch_shape) > 1:
            raise ValueError(
                f"noise must be numbers or vectors, got a batch of shape {tuple(part.batch_shape)}"
            )
        if isinstance(part, Normal):
            origin, unit = part.loc, part.scale
        else:
            origin, unit = part.low, part.high - part.low
        origins += origin.double().reshape(-1).tolist()
        units += unit.double().reshape(-1).tolist()
        normal += [isinstance(part, Normal)] * origin.numel()
    return NoiseLaw(tuple(origins), tuple(units), tuple(normal))
