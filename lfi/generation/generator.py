"""Fitted generators: noise in, samples in the units of the data out."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.conditioning import Condition
from lfi.networks import (
    ImageGenerator,
    MixedGenerator,
    MixtureGenerator,
    Standardise,
    VectorGenerator,
    noise_of,
)
from lfi.numerics.arguments import checked, shown
from lfi.numerics.arrays import Samples, as_tensor
from lfi.numerics.checks import check_counts
from lfi.runtime import Contents, Described, Saved, fresh, load_prefixed, prefixed, torch_rng
from lfi.training import History

NETWORKS = {
    kind.__name__: kind
    for kind in (ImageGenerator, MixedGenerator, MixtureGenerator, VectorGenerator)
}
DTYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


class Generator(Described, Saved, nn.Module):
    """A fitted generator of data: x = G(z), or x = G(z, condition).

    Attributes:
        network: G itself, on standardised data unless it is `scaled`.
        standardise: The data's location and scale.
        shape: The shape of one sample.
        condition: The map from conditions to what the network sees; None for no condition.
        dtype: The dtype of samples, which is that of the data.
        scaled: Whether the network's own samples are in the data's units.
        history: How it was trained.
    """

    def __init__(
        self,
        network: nn.Module,
        standardise: Standardise,
        condition: Condition | None = None,
        *,
        critic: nn.Module | None = None,
        dtype: torch.dtype = torch.float32,
        scaled: bool = False,
        history: History | None = None,
    ) -> None:
        super().__init__()
        self.network: nn.Module = network
        self.condition: Condition | None = condition
        self.standardise: Standardise = standardise
        self.shape: tuple[int, ...] = tuple(standardise.location.shape)
        self.dtype: torch.dtype = dtype
        self.scaled: bool = scaled
        self.history: History | None = history
        self._critic = (critic,)  # in a tuple, or files would hold it

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n ..."]:
        """Draw n noises, on the CPU."""
        return noise_of(self.network)(n, rng)

    def forward(self, z: Float[Tensor, "n ..."], condition: Tensor | None = None) -> Tensor:
        """Return G(z, condition), (n, *shape), in the data's units and dtype, with gradients.

        Raises:
            ValueError: If there is a condition and the generator takes none, or the reverse.
        """
        encode = self.condition
        if (condition is None) != (encode is None):
            takes = "takes no condition" if encode is None else "needs a condition"
            raise ValueError(f"condition: the generator {takes}, got {shown(condition)}")
        inputs = (z,) if encode is None else (z, encode(condition))
        x = self.network(*inputs).reshape(len(z), *self.shape)
        return (x if self.scaled else self.standardise.inverse(x)).to(self.dtype)

    @torch.no_grad()
    def criticise(self, x: Samples, condition: object = None) -> Tensor:
        """Return the values at x, (n, *shape), of the critic that it was trained against.

        Files do not keep the critic.

        Raises:
            ValueError: If there is none: after loading, and where no critic took part.
        """
        (critic,) = self._critic
        if critic is None:
            raise ValueError("the generator has no critic: it was loaded, or trained without one")
        location = self.standardise.location
        inputs = (self.standardise(as_tensor("x", x).to(location.device)),)
        if condition is not None and self.condition is not None:
            inputs += (self.condition(as_tensor("condition", condition).to(location.device)),)
        return critic(*inputs).cpu().to(self.dtype)

    @checked
    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: object = None,
        *,
        chunk_size: int = 16_384,
        seed: int | None = None,
    ) -> Tensor:
        """Draw samples, (n, *shape), on the CPU in the dtype of the data.

        Args:
            n: How many.
            condition: One for each sample, (n, ...), or one for all of them.
            chunk_size: How many samples are drawn at once.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is negative, or the condition has another number of rows.
        """
        check_counts(minimum=0, n=n)
        check_counts(chunk_size=chunk_size)
        z = self.noise(n, torch_rng(fresh(seed)))
        given = None if condition is None else as_tensor("condition", condition)
        if given is not None and not given.isfinite().all():
            raise ValueError(f"condition holds {int((~given.isfinite()).sum())} values not finite")
        if given is not None and self.condition is None:
            raise ValueError(f"condition: the generator takes no condition, got {shown(condition)}")
        if given is not None and self.condition is not None:
            if tuple(given.shape) == self.condition.shape:
                given = given.expand(n, *given.shape)
            if given.ndim == 0:
                raise ValueError(f"condition has shape (), expected one for each of {n} samples")
            if len(given) != n:
                raise ValueError(f"condition has {len(given)} rows for {n} samples")
        device = self.standardise.location.device
        parts = []
        for start in range(0, n, chunk_size):
            rows = slice(start, start + chunk_size)
            share = None if given is None else given[rows].to(device)
            parts.append(self(z[rows].to(device), share).cpu().to(self.dtype))
        return torch.cat(parts) if parts else torch.empty(0, *self.shape, dtype=self.dtype)

    def describe(self) -> str:
        """Return what it generates, and how it was trained, in words."""
        lines = [f"generator of events of shape {self.shape}, {type(self.network).__name__}"]
        if self.condition is not None:
            classes, shape = self.condition.classes, self.condition.shape
            lines.append(f"given one of {classes} classes" if classes else f"given {shape} numbers")
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        lines.append(f"{weights:,} weights, samples in {str(self.dtype).removeprefix('torch.')}")
        if self.history is not None:
            lines.append(self.history.describe())
        return "\n  ".join(lines)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        kind = type(self.network).__name__
        ours = kind in NETWORKS and type(self.network) is NETWORKS[kind]
        spec = {
            "network": kind if ours else None,
            "arguments": self.network.spec if ours else None,
            "shape": list(self.shape),
            "condition": self.condition and [list(self.condition.shape), self.condition.classes],
            "dtype": str(self.dtype).removeprefix("torch."),
            "scaled": self.scaled,
            "history": self.history and self.history._spec(),
        }
        return spec, prefixed("generator", self)

    @classmethod
    def _restore(cls, contents: Contents) -> "Generator":
        spec = contents.spec
        if spec["network"] is not None:
            network = NETWORKS[spec["network"]](**spec["arguments"])
        else:
            network = contents.module("generator")
        generator = cls(
            network,
            Standardise(spec["shape"]),
            spec["condition"] and Condition(tuple(spec["condition"][0]), spec["condition"][1]),
            dtype=DTYPES[spec["dtype"]],
            scaled=spec["scaled"],
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("generator", generator, contents.tensors)
        return generator.eval()
