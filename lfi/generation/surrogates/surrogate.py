"""Surrogates of simulators: generators x = G(z, theta), differentiable in theta.

A surrogate is trained by any comparison on (theta, x) against (theta, G(z, theta)), each x beside a
draw at its own theta. It has a `prior` and a `simulate`, as every simulator has.

A `BoundedTransform` takes each entry of x to a scale of its own and back into its support; a
conditional Gaussian, fitted by maximum likelihood, removes location, scale and correlation given
theta; and a network generates the residuals e, which the critic compares given theta:

    x = columns^-1(m(theta) + P(theta)^-1 e),    e = net(z, theta) + exp(s(theta)) z.

Outside the prior's support, or beyond the range of the training simulations by more than a tenth,
it extrapolates, and warns; `fidelity` and `fidelity_by_region` measure how good it is inside.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lfi.generation.generator import DTYPES
from lfi.generation.surrogates.gaussian_start import GaussianStart
from lfi.networks import Coordinates, VectorGenerator, noise_of
from lfi.networks.data_transforms import BoundedTransform, Bounds
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.runtime import (
    Contents,
    Described,
    Saved,
    fresh,
    load_prefixed,
    numpy_rng,
    prefixed,
    torch_rng,
)
from lfi.runtime.calls import warn_caller
from lfi.simulation import Prior
from lfi.training import History

MARGIN = 0.1  # of the range of the training simulations, on either side


class OutsideTraining(UserWarning):
    """A surrogate is evaluated outside the range of its training simulations."""


class Surrogate(Described, Saved, nn.Module):
    """A generator of a simulator's data: x = G(z, theta).

    Attributes:
        prior: The prior of the simulations it was trained on: where it may be used.
        x_shape: The shape of one x.
        dtype: The dtype of x, which is that of the simulations.
        history: How it was trained.
        generator: The network that turns noise and theta into e.
        differentiable: True: gradients flow from x to theta.
    """

    differentiable = True
    lowest: Tensor
    highest: Tensor

    def __init__(
        self,
        prior: Prior,
        x_shape: tuple[int, ...],
        *,
        generator: nn.Module | None = None,
        width: int = 128,
        start: bool = True,
        dtype: torch.dtype = torch.float32,
        history: History | None = None,
    ) -> None:
        super().__init__()
        size = int(torch.Size(x_shape).numel())
        self.prior: Prior = prior
        self.x_shape: tuple[int, ...] = tuple(x_shape)
        self.dtype: torch.dtype = dtype
        self.history: History | None = history
        own = generator is not None
        self.spec: dict[str, int | bool] = {"width": width, "start": start, "own": own}
        self.coordinates: Coordinates = Coordinates(prior.lower.tolist(), prior.upper.tolist())
        self.columns: BoundedTransform = BoundedTransform(size)
        condition = self.coordinates.size
        self.start: GaussianStart | None = (
            GaussianStart(size, condition, width=width) if start else None
        )
        if generator is None:
            log_scale = 0.0 if start else -1.0  # what the Gaussian leaves has unit scale
            generator = VectorGenerator(size, condition, width=width, initial_log_scale=log_scale)
        self.generator: nn.Module = generator
        for name in ("lowest", "highest"):
            self.register_buffer(name, torch.zeros(condition, dtype=torch.float32))

    def fit_from_data(
        self,
        theta: Float[Tensor, "n theta_dim"],
        x: Float[Tensor, "n d"],
        *,
        lower: Bounds = None,
        upper: Bounds = None,
    ) -> None:
        """Take scales, kinds of entries and the trained range from simulations, x flat."""
        self.coordinates.fit_from_data(theta)
        self.columns.fit_from_data(x, lower=lower, upper=upper)
        condition = self.coordinates(theta)
        self.lowest.copy_(condition.amin(0))
        self.highest.copy_(condition.amax(0))

    @torch.no_grad()
    def residuals(
        self,
        x: Float[Tensor, "n d"],
        condition: Float[Tensor, "n condition"],
        rng: torch.Generator,
        *,
        chunk_size: int = 4_096,
    ) -> Float[Tensor, "n d"]:
        """Return e of flat data at standardised parameters: the residuals of the Gaussian."""
        y = self.columns.encode(x, rng)
        if self.start is None:
            return y
        parts = zip(y.split(chunk_size), condition.split(chunk_size), strict=True)
        return torch.cat([self.start.whiten(rows, at) for rows, at in parts])

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @checked
    def forward(self, theta: Samples, *, seed: int | None = None) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, (n, *event), differentiable in theta.

        Args:
            theta: Parameters, (n, theta_dim).
            seed: Names the noise: equal seeds give equal noise; None takes fresh entropy.
        """
        return self.simulate(self.prior.as_theta(theta), torch_rng(fresh(seed)))

    @checked
    def simulate(
        self, theta: Float[Tensor, "n theta_dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, with the generator that a simulator is handed.

        Warns:
            OutsideTraining: If a theta is outside the range of the training simulations.

        Raises:
            TypeError: If theta holds no real numbers.
            ValueError: If theta has another number of columns than the prior, or is not finite.
        """
        theta = self.prior.as_theta(theta)
        outside = int((~self.trusts(theta)).sum())
        if outside:
            warn_caller(
                f"{outside} of {len(theta)} parameter vectors are outside the prior's support or "
                "the range of the training simulations: the surrogate extrapolates there",
                OutsideTraining,
            )
        device = self.columns.device
        z = noise_of(self.generator)(len(theta), rng).to(device)
        return self.transform(theta.to(device), z).to(theta.device)

    def transform(
        self, theta: Float[Tensor, "n theta_dim"], z: Float[Tensor, "n ..."]
    ) -> Float[Tensor, "n ..."]:
        """Return x as a function of noise: what `export` exports."""
        size = getattr(self.generator, "size", z.shape[-1])
        if z.ndim != 2 or z.shape[1] != size:
            raise ValueError(f"z has shape {tuple(z.shape)}, expected (n, {size})")
        condition = self.coordinates(theta)
        e = self.generator(z, condition)
        y = e if self.start is None else self.start.colour(e, condition)
        return self.columns.decode(y, dtype=self.dtype).reshape(-1, *self.x_shape)

    @checked
    def trusts(self, theta: Samples) -> Bool[Tensor, " n"]:
        """Return which theta lie in the prior's support and the training simulations' range."""
        theta = self.prior.as_theta(theta).detach()
        condition = self.coordinates(theta.to(self.lowest.device))
        room = MARGIN * (self.highest - self.lowest)
        within = ((condition >= self.lowest - room) & (condition <= self.highest + room)).all(dim=1)
        return within.to(theta.device) & self.prior.contains(theta)

    def describe(self) -> str:
        """Return what it simulates, and how it was trained, in words."""
        weights = sum(parameter.numel() for parameter in self.parameters())
        lines = [
            f"surrogate of a simulator of {', '.join(self.names)}, x of shape {self.x_shape}",
            f"  {type(self.generator).__name__}, {weights:,} weights",
        ]
        if self.history is not None:
            lines.append("  " + self.history.describe().replace("\n", "\n  "))
        return "\n".join(lines)

    def export(self) -> torch.export.ExportedProgram:
        """Return `transform` as a program without lfi: theta and noise in, x out, any number.

        `torch.export.save` writes it, and a program in C++ or on a device runs it. The noise is
        what the generator's `noise` draws: standard normal, of as many entries as x.

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 200, seed=1)
            >>> brief = lfi.AdversarialSettings(steps=2)
            >>> surrogate = lfi.fit_surrogate(simulations, settings=brief, width=8, seed=1)
            >>> program = surrogate.export().module()
            >>> program(torch.ones(5, 3).float(), torch.randn(5, 14).float()).shape
            torch.Size([5, 14])
        """
        self.eval()
        example = torch.Generator().manual_seed(0)
        device = self.columns.device
        z = noise_of(self.generator)(3, example).to(device)
        theta = self.prior.sample(3, seed=numpy_rng(0)).to(device, torch.float32)
        rows = torch.export.Dim("n")
        return torch.export.export(
            _Transform(self), (theta, z), dynamic_shapes={"theta": {0: rows}, "z": {0: rows}}
        )

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec = {
            "prior": self.prior.to_contents(),
            "x_shape": list(self.x_shape),
            **self.spec,
            "dtype": str(self.dtype).removeprefix("torch."),
            "history": self.history and self.history._spec(),
        }
        return spec, prefixed("surrogate", self)

    @classmethod
    def _restore(cls, contents: Contents) -> "Surrogate":
        spec = contents.spec
        surrogate = cls(
            Prior.from_contents(contents),
            tuple(spec["x_shape"]),
            generator=contents.module("generator") if spec["own"] else None,
            width=spec["width"],
            start=spec["start"],
            dtype=DTYPES[spec.get("dtype", "float32")],
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("surrogate", surrogate, contents.tensors)
        return surrogate.eval()


class _Transform(nn.Module):
    """A surrogate's `transform` as a module, which is what can be exported."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.surrogate = surrogate

    def forward(self, theta: Tensor, z: Tensor) -> Tensor:
        """Return x."""
        return self.surrogate.transform(theta, z)
