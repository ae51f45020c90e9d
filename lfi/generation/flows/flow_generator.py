"""A fitted flow: samples, and the density, the codes and the bits per dimension of data."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.flows.dequantisation import Levels, bits_of
from lfi.generation.generator import DTYPES, Generator
from lfi.networks import RealNVP, Standardise
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_counts
from lfi.ratio.types import Estimate, standard_error
from lfi.runtime import Contents, fresh, load_prefixed, prefixed, torch_rng
from lfi.training import History

DRAWS = 16  # of noise, for bits per dimension


class FlowGenerator(Generator):
    """A generator whose density is known, as `lfi.fit_flow` returns it.

    Samples of data that have levels are rounded to levels: they have exactly the probabilities that
    `bits_per_dim` bounds.

    Attributes:
        network: The flow, on standardised data.
        bin_width: How far apart the data's levels are; None for data without.
        history: How it was trained, with the bits per dimension as training went.
    """

    def __init__(
        self,
        network: RealNVP,
        standardise: Standardise,
        *,
        critic: nn.Module | None = None,
        dtype: torch.dtype = torch.float32,
        levels: Levels | None = None,
        history: History | None = None,
    ) -> None:
        super().__init__(network, standardise, critic=critic, dtype=dtype, history=history)
        self.levels: Levels | None = levels

    @property
    def flow(self) -> RealNVP:
        """The network."""
        assert isinstance(self.network, RealNVP)  # as it was given
        return self.network

    @property
    def bin_width(self) -> float | None:
        """How far apart the data's levels are."""
        return None if self.levels is None else self.levels.width

    @checked
    def sample(
        self,
        n: int,
        condition: object = None,
        *,
        chunk_size: int = 16_384,
        seed: int | None = None,
    ) -> Float[Tensor, "n ..."]:
        """Draw samples, (n, *shape), on the CPU in the dtype of the data.

        Args:
            n: How many.
            condition: None: a flow takes no condition.
            chunk_size: How many samples are drawn at once.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is negative, or there is a condition.
        """
        x = super().sample(n, condition, chunk_size=chunk_size, seed=seed)
        return x if self.levels is None else self.levels.nearest(x)

    @checked
    def log_prob(self, x: Samples) -> Float[Tensor, " n"]:
        """Return the log density in the units of the data, in float64, with gradients.

        Of data that have levels it is that of the data with noise, between levels too.

        Args:
            x: Where, (n, *shape); NumPy or torch.

        Raises:
            ValueError: If the events have another shape than the data, or are not finite.

        Example:
            >>> quick = lfi.TrainSettings(steps=5)
            >>> flow = lfi.fit_flow(torch.randn(200, 2), settings=quick, seed=1)
            >>> flow.log_prob(torch.zeros(3, 2)).shape, flow.codes(torch.zeros(3, 2)).shape
            (torch.Size([3]), torch.Size([3, 2]))
        """
        y = self._standardised(x)
        return (self.flow.log_prob(y) - self.standardise.divisor.log().sum()).cpu()

    @checked
    def codes(self, x: Samples) -> Float[Tensor, "n d"]:
        """Return the codes that x come from, (n, entries): normal where the flow is right.

        Data that have levels get their codes at the middle of cells: add noise for a test, as
        `lfi.scores.gaussianity(flow.codes(flow.dequantise(x, seed=1)))`.

        Args:
            x: Data, (n, *shape); NumPy or torch.

        Raises:
            ValueError: If the events have another shape than the data, or are not finite.
        """
        return self.flow.codes(self._standardised(x))[0].cpu().to(self.dtype)

    @checked
    def dequantise(self, x: Samples, *, seed: int | None = None) -> Float[Tensor, "n ..."]:
        """Return data with noise uniform in the cells of their levels, or as they are without.

        Args:
            x: Data, (n, *shape).
            seed: None takes fresh entropy.

        Raises:
            ValueError: If x has another shape than the data, or values between levels.
        """
        x = as_sample("x", x, self.shape, min_rows=1).to(self.dtype)
        if self.levels is None:
            return x
        self.levels.check("x", x)
        return x + self.levels.noise(x, torch_rng(fresh(seed)))

    @checked
    def bits_per_dim(self, x: Samples, *, draws: int = DRAWS, seed: int | None = None) -> Estimate:
        """Return the mean bits per dimension of data: fair on data that it was not trained on.

        Data of levels cost -log2 of the probability of their cells, whatever the unit: as many bits
        as an ideal code would take. What is returned is an upper bound, by noise, which more draws
        tighten. Without levels it is -log2 of the density, which depends on the unit.

        Args:
            x: Data, (n, *shape), of levels if those that the flow was fitted to were.
            draws: Of noise for each row.
            seed: Of the noise; None takes fresh entropy.

        Raises:
            ValueError: If x has another shape than the data, is empty, or has values between
                levels.

        Example:
            >>> levels = torch.randint(4, (400, 2))
            >>> flow = lfi.fit_flow(levels, settings=lfi.TrainSettings(steps=40), seed=1)
            >>> 2 < flow.bits_per_dim(levels, seed=1).value < 2.6  # two bits tell four levels
            True
        """
        check_counts(draws=draws)
        x = as_sample("x", x, self.shape, min_rows=1)
        if self.levels is not None:
            self.levels.check("x", x)
        bits = bits_of(self.log_prob, x.double(), self.levels, draws, torch_rng(fresh(seed)))
        return Estimate(float(bits.mean()), standard_error(bits) if len(bits) > 1 else 0.0)

    def describe(self) -> str:
        """Return what it generates, and how it was trained, in words."""
        spec, lines = self.flow.spec, super().describe().split("\n")
        of = f"{spec['couplings']} couplings of width {spec['width']}"
        levels = "" if self.levels is None else f", of levels {self.levels.width:g} apart"
        first = f"flow of {of}, which generates events of shape {self.shape}{levels}"
        return "\n".join([first, *lines[1:]])

    def _standardised(self, x: Samples) -> Float[Tensor, "n d"]:
        x = as_sample("x", x, self.shape, min_rows=1).to(self.standardise.location.device)
        return self.standardise(x).flatten(1)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec = {
            "network": self.flow.spec,
            "shape": list(self.shape),
            "dtype": str(self.dtype).removeprefix("torch."),
            "levels": self.levels and [self.levels.width, self.levels.origin],
            "history": self.history and self.history._spec(),
        }
        tensors = prefixed("flow", self.flow) | prefixed("standardise", self.standardise)
        return spec, tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "FlowGenerator":
        spec, tensors = contents.spec, contents.tensors
        flow = cls(
            RealNVP(**spec["network"]),
            Standardise(spec["shape"]),
            dtype=DTYPES[spec["dtype"]],
            levels=spec["levels"] and Levels(*spec["levels"]),
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("flow", flow.flow, tensors)
        load_prefixed("standardise", flow.standardise, tensors)
        flow.eval()
        return flow
