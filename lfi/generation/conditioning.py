"""What generation is given: nothing, a class, or numbers of any shape.

Networks see classes one-hot and numbers flattened and standardised.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks import Standardise


class Given(nn.Module):
    """The map from what is given to vectors of order one.

    Attributes:
        classes: How many classes there are; 0 where numbers are given.
        shape: The shape of one given event; () for a class.
        size: How many numbers the networks see.

    Example:
        >>> digits = Given.of(torch.tensor([0, 2, 1, 2]))
        >>> digits(torch.tensor([2])).tolist()
        [[0.0, 0.0, 1.0]]
    """

    def __init__(self, shape: tuple[int, ...], classes: int = 0) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        self.size = classes or int(torch.Size(shape).numel())
        self.standardise = Standardise((0 if classes else self.size,))

    @classmethod
    def of(cls, given: Tensor, *, alike: int = 0) -> "Given":
        """Return the map for what is given with the data, of n rows: whole numbers are classes.

        Args:
            given: What is given.
            alike: How many of the last axes of numbers share a location and a scale.

        Raises:
            ValueError: If there are negative classes, or classes of more than one number.
        """
        if given.is_floating_point():
            new = cls(tuple(given.shape[1:]))
            scale = Standardise(new.shape)
            scale.learn(given.to(torch.float32), alike=alike)
            new.standardise.load_state_dict({k: v.flatten() for k, v in scale.state_dict().items()})
            return new
        if given.ndim != 1 or given.min() < 0:
            raise ValueError(
                "given: classes are whole numbers from 0, (n,), got shape "
                f"{tuple(given.shape)} and a least value of {given.min().item()}"
            )
        return cls((), int(given.max()) + 1)

    def forward(self, given: Tensor) -> Float[Tensor, "n size"]:
        """Return the vectors of (n, *shape).

        Raises:
            ValueError: If the shape is another one, or a class is unknown.
        """
        if tuple(given.shape[1:]) != self.shape:
            raise ValueError(
                f"given has shape {tuple(given.shape)}, expected (n, "
                f"{', '.join(map(str, self.shape))})"
            )
        if not self.classes:
            flat = given.reshape(len(given), -1).to(self.standardise.location)
            return self.standardise(flat)
        if given.min() < 0 or given.max() >= self.classes:
            raise ValueError(f"given: classes are 0 to {self.classes - 1}, got {given.unique()}")
        hot = nn.functional.one_hot(given.long(), self.classes)
        return hot.to(self.standardise.location)
