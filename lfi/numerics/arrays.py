"""Samples as users bring them: NumPy or torch, (n,) or (n, *event), finite, enough of them."""

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

Sample = Num[Tensor, "_ ..."] | Num[np.ndarray, "_ ..."]  # "_": two may differ in length


def as_sample(name: str, x: Sample, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return a sample as a tensor, (n, *event).

    Args:
        name: What the caller's argument is called.
        x: The sample.
        shape: The shape its events must have; None for any.

    Raises:
        TypeError: If it is not an array of numbers.
        ValueError: If its events have another shape, or a row is not finite.
    """
    if not isinstance(x, Tensor | np.ndarray):
        raise TypeError(f"{name} must be a torch tensor or a NumPy array, got {type(x).__name__}")
    x = torch.as_tensor(x)
    if x.ndim == 0 or (shape is not None and tuple(x.shape[1:]) != shape):
        wanted = ", ".join(["n", *map(str, shape or ("*event",))])
        raise ValueError(f"{name} has shape {tuple(x.shape)}, expected ({wanted})")
    if x.is_complex() or x.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got {x.dtype}")
    bad = ~x.isfinite().reshape(len(x), -1).all(1)
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {len(x)} rows are not finite, the first is row "
            f"{int(bad.nonzero()[0])}"
        )
    return x


def floating(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of answers about a sample: its own, or the default for whole numbers."""
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def two_samples(p_samples: Sample, q_samples: Sample, least: int = 1) -> tuple[Tensor, Tensor]:
    """Return two samples of one kind of event.

    Raises:
        TypeError: If one is not an array of numbers.
        ValueError: If a row is not finite, the events differ in shape, or a sample is smaller than
            `least`.
    """
    p, q = as_sample("p_samples", p_samples), as_sample("q_samples", q_samples)
    if p.shape[1:] != q.shape[1:]:
        raise ValueError(
            "p_samples and q_samples must hold events of one shape, got "
            f"{tuple(p.shape)} and {tuple(q.shape)}"
        )
    for name, x in (("p_samples", p), ("q_samples", q)):
        if len(x) < least:
            raise ValueError(f"{name}: {len(x)} rows are too few, need at least {least}")
    return p, q
