"""Conditions of generation: nothing, a class (one-hot), or numbers of any shape (standardised)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks import Standardise

MAX_CLASSES = 10_000


class Condition(nn.Module):
    """The map from conditions to vectors of order one; numbers where `classes` is 0.

    Example:
        >>> digits = Condition.fit_from_data(torch.tensor([0, 2, 1, 2]))
        >>> digits(torch.tensor([2])).tolist()
        [[0.0, 0.0, 1.0]]
    """

    def __init__(self, shape: tuple[int, ...], classes: int = 0) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = tuple(shape)
        self.classes: int = classes
        self.size: int = classes or int(torch.Size(shape).numel())
        self.standardise: Standardise = Standardise((0 if classes else self.size,))

    @classmethod
    def fit_from_data(cls, condition: Tensor, *, shared_axes: int = 0) -> "Condition":
        """Return the map for conditions, (n, *shape): whole numbers are classes.

        Numbers share a location and a scale along the last `shared_axes`.
        """
        if condition.is_floating_point():
            new = cls(tuple(condition.shape[1:]))
            shape = new.shape or (1,)
            scale = Standardise(shape)
            scale.fit_from_data(condition.reshape(-1, *shape), shared_axes=shared_axes)
            new.standardise.load_state_dict({k: v.flatten() for k, v in scale.state_dict().items()})
            return new
        if condition.ndim != 1 or condition.min() < 0:
            raise ValueError(
                "condition: classes are whole numbers from 0, (n,), got shape "
                f"{tuple(condition.shape)} and a smallest value of {condition.min().item()}"
            )
        classes = int(condition.max()) + 1
        if classes > MAX_CLASSES:
            raise ValueError(
                f"condition: at most {MAX_CLASSES:,} classes are one-hot, got {classes:,}: give "
                "floating-point numbers if they are no classes"
            )
        return cls((), classes)

    def forward(self, condition: Tensor) -> Float[Tensor, "n size"]:
        """Return the vectors of (n, *shape)."""
        if tuple(condition.shape[1:]) != self.shape:
            raise ValueError(
                f"condition has shape {tuple(condition.shape)}, expected (n, "
                f"{', '.join(map(str, self.shape))})"
            )
        if not self.classes:
            flat = condition.reshape(len(condition), -1).to(self.standardise.location.device)
            return self.standardise(flat)
        if condition.is_floating_point():
            raise TypeError(f"condition: classes are whole numbers, got {condition.dtype}")
        if condition.min() < 0 or condition.max() >= self.classes:
            raise ValueError(
                f"condition: classes are 0 to {self.classes - 1}, got {condition.unique()}"
            )
        hot = nn.functional.one_hot(condition.long(), self.classes)
        return hot.to(self.standardise.location.device, torch.float32)
