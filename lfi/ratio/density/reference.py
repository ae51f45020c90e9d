"""A reference density wider than the data: a Student t of their mean and covariance.

    t(x) ~ (1 + (x - m)' S^{-1} (x - m) / df)^{-(df + d)/2},       S the covariance of the data

With 5 degrees of freedom it has 5/3 of the covariance S, and tails that fall like a power. Under a
Gaussian, p/q would grow without bound in the tails of most data, where q has few samples; under the
t it falls towards zero there, and importance weights are bounded.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Chi2, Distribution, constraints

DEGREES = 5.0  # of freedom; the smallest for which a fourth moment of the reference exists


class WideT(Distribution):
    """A multivariate Student t of events of any shape.

    Example:
        >>> reference = WideT.of(torch.randn(1000, 2))
        >>> reference.sample((3,)).shape, reference.log_prob(torch.zeros(3, 2)).shape
        (torch.Size([3, 2]), torch.Size([3]))
    """

    arg_constraints: ClassVar[Mapping[str, constraints.Constraint]] = {}

    def __init__(
        self,
        location: Float[Tensor, " d"],
        scale_tril: Float[Tensor, "d d"],
        shape: tuple[int, ...],
        df: float = DEGREES,
    ) -> None:
        self.location: Float[Tensor, " d"] = location
        self.scale_tril: Float[Tensor, "d d"] = scale_tril
        self.df: float = float(df)
        super().__init__(torch.Size(), torch.Size(shape), validate_args=False)

    @classmethod
    def of(cls, x: Float[Tensor, "n ..."]) -> "WideT":
        """Return the t of the mean and the covariance of data, (n, *event); every entry must vary.

        The covariance is shrunk towards a multiple of the identity as Ledoit and Wolf do, after
        each entry is brought to variance 1, so that there may be fewer rows than entries.
        """
        from sklearn.covariance import ledoit_wolf

        flat = x.detach().reshape(len(x), -1).double().cpu()
        location, scale = flat.mean(0), flat.std(0)
        still = scale <= 1e-12 * flat.abs().amax(0)
        if still.any():
            raise ValueError(
                f"x: {int(still.sum())} of {len(still)} entries do not vary (the first is "
                f"{int(still.nonzero()[0])}), and such data have no density: leave them out"
            )
        correlation = torch.from_numpy(ledoit_wolf(((flat - location) / scale).numpy())[0])
        tril = scale[:, None] * torch.linalg.cholesky(correlation)
        return cls(location, tril, tuple(x.shape[1:]))

    @property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Return samples, (*sample_shape, *event)."""
        shape, d = torch.Size(sample_shape), len(self.location)
        generator = torch.default_generator  # as all of torch.distributions draw
        z = torch.randn(*shape, d, generator=generator, dtype=self.location.dtype)
        u = Chi2(self.location.new_tensor(self.df)).sample(shape)
        wide = z * torch.sqrt(self.df / u)[..., None]
        return (self.location + wide @ self.scale_tril.T).reshape(*shape, *self.event_shape)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the log density of (*n, *event), (*n,)."""
        n, d = value.shape[: value.ndim - len(self.event_shape)], len(self.location)
        centred = value.reshape(-1, d).to(self.location) - self.location
        z = torch.linalg.solve_triangular(self.scale_tril, centred.T, upper=False)
        half, df = self.location.new_tensor((self.df + d) / 2), self.location.new_tensor(self.df)
        constant = (
            torch.lgamma(half)
            - torch.lgamma(df / 2)
            - d / 2 * torch.log(df * torch.pi)
            - self.scale_tril.diagonal().log().sum()
        )
        return (constant - half * torch.log1p(z.square().sum(0) / df)).reshape(n)
