"""Fitted generators: noise in, samples in the units of the data out."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.conditioning import Given
from lfi.networks import ImageGenerator, MixtureGenerator, Standardise, VectorGenerator
from lfi.runtime import Contents, Saved, fresh, load_prefixed, prefixed, torch_rng
from lfi.training import History

OURS = {kind.__name__: kind for kind in (ImageGenerator, MixtureGenerator, VectorGenerator)}
ROWS = 16_384  # samples are drawn in parts of so many
DTYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


class Generator(Saved, nn.Module):
    """A generator of data: x = G(z), or x = G(z, given).

    Attributes:
        network: G itself, on standardised data unless it is `scaled`.
        standardise: The data's location and scale.
        shape: The shape of one sample.
        given: How what is given enters the network; None where nothing is.
        dtype: The dtype of samples, which is that of the data.
        scaled: Whether the network's own samples are in the data's units.
        history: How it was trained.
    """

    def __init__(
        self,
        network: nn.Module,
        standardise: Standardise,
        given: Given | None = None,
        *,
        critic: nn.Module | None = None,
        dtype: torch.dtype = torch.float32,
        scaled: bool = False,
        history: History | None = None,
    ) -> None:
        super().__init__()
        self.network, self.given, self.standardise = network, given, standardise
        self.shape, self.dtype, self.scaled = tuple(standardise.location.shape), dtype, scaled
        self.history = history
        self._critic = (critic,)  # in a tuple, or files would hold it

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n ..."]:
        """Draw n noises, on the CPU."""
        return self.network.noise(n, rng)

    def forward(self, z: Float[Tensor, "n ..."], given: Tensor | None = None) -> Tensor:
        """Return G(z, given) in the units of the data, (n, *shape), differentiable in z and given.

        Raises:
            ValueError: If something is given and the generator takes nothing, or the reverse.
        """
        if (given is None) != (self.given is None):
            takes = "takes nothing given" if self.given is None else "needs what to generate from"
            raise ValueError(f"given: the generator {takes}")
        inputs = (z,) if given is None else (z, self.given(given))
        x = self.network(*inputs).reshape(len(z), *self.shape)
        return x if self.scaled else self.standardise.inverse(x)

    @torch.no_grad()
    def criticise(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Return what the critic of its training says of x, (n, *shape); files do not keep it.

        Raises:
            ValueError: If there is none: after loading, and where no critic took part.
        """
        (critic,) = self._critic
        if critic is None:
            raise ValueError("the generator has no critic: it was loaded, or trained without one")
        location = self.standardise.location
        inputs = (self.standardise(x.to(location)),)
        if given is not None and self.given is not None:
            inputs += (self.given(given.to(location.device)),)
        return critic(*inputs).cpu().to(self.dtype)

    @torch.no_grad()
    def sample(self, n: int, given: Tensor | None = None, *, seed: int | None = None) -> Tensor:
        """Draw samples, (n, *shape), on the CPU in the dtype of the data.

        Args:
            n: How many.
            given: What each of them is generated from, (n, ...), or for all of them the same.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is negative, or what is given has another number of rows.
        """
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        z = self.noise(n, torch_rng(fresh(seed)))
        if given is not None and self.given is not None:
            given = torch.as_tensor(given)
            if tuple(given.shape) == self.given.shape:
                given = given.expand(n, *given.shape)
            if len(given) != n:
                raise ValueError(f"given has {len(given)} rows for {n} samples")
        device = self.standardise.location.device
        parts = []
        for start in range(0, n, ROWS):
            rows = slice(start, start + ROWS)
            share = None if given is None else given[rows].to(device)
            parts.append(self(z[rows].to(device), share).cpu().to(self.dtype))
        return torch.cat(parts) if parts else torch.empty(0, *self.shape, dtype=self.dtype)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        kind = type(self.network).__name__
        ours = kind in OURS and type(self.network) is OURS[kind]
        spec = {
            "network": kind if ours else None,
            "arguments": self.network.spec if ours else None,
            "shape": list(self.shape),
            "given": self.given and [list(self.given.shape), self.given.classes],
            "dtype": str(self.dtype).removeprefix("torch."),
            "scaled": self.scaled,
            "history": self.history and self.history._spec(),
        }
        return spec, prefixed("generator", self)

    @classmethod
    def _restore(cls, contents: Contents) -> "Generator":
        spec = contents.spec
        if spec["network"] is not None:
            network = OURS[spec["network"]](**spec["arguments"])
        else:
            network = contents.module("generator")
        generator = cls(
            network,
            Standardise(spec["shape"]),
            spec["given"] and Given(tuple(spec["given"][0]), spec["given"][1]),
            dtype=DTYPES[spec["dtype"]],
            scaled=spec["scaled"],
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("generator", generator, contents.tensors)
        return generator.eval()
