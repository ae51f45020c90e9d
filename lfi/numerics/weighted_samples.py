"""Weighted samples: what every discrepancy asks of its arguments, checked once.

A sample (n, d) with weights w_i >= 0 stands for the distribution sum_i w_i delta(x_i) / sum_i w_i;
without weights, each point has 1/n. Leading dimensions are many samples at once, and those of x and
of y broadcast.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def check_samples(x: Tensor, y: Tensor) -> torch.Size:
    """Return the leading dimensions that x and y broadcast to.

    Raises:
        TypeError: If they are not of one floating dtype.
        ValueError: If they are not (*b, n, d) and (*c, m, d) with n, m, d > 0 and leading
            dimensions that broadcast.

    Example:
        >>> check_samples(torch.zeros(5, 10, 2), torch.zeros(8, 2))
        torch.Size([5])
    """
    for name, sample in (("x", x), ("y", y)):
        if not sample.is_floating_point():
            raise TypeError(f"{name} must hold floating-point numbers, got {sample.dtype}")
        if sample.ndim < 2 or 0 in sample.shape[-2:]:
            raise ValueError(
                f"{name} must have shape (*batch, n, d) with n, d > 0, got {tuple(sample.shape)}"
            )
    if x.dtype != y.dtype:
        raise TypeError(f"x and y must be of one dtype, got {x.dtype} and {y.dtype}")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"x and y must be vectors of one length, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    try:
        return torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except RuntimeError:
        raise ValueError(
            f"leading dimensions of x and y must broadcast, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        ) from None


def probabilities(
    name: str, sample: Float[Tensor, "*b n d"], weight: Tensor | None
) -> Float[Tensor, "*b n"]:
    """Return the weights divided by their sum; equal ones where none are given.

    Args:
        name: What the argument is called where an error is raised.
        sample: Whose weights they are.
        weight: Not negative, (*b, n); None for equal ones.

    Raises:
        ValueError: If their shape is not the sample's without the last dimension, if one is
            negative or not finite, or if all weights of a sample are zero.

    Example:
        >>> probabilities("weight_x", torch.zeros(3, 1), torch.tensor([1.0, 2.0, 1.0]))
        tensor([0.2500, 0.5000, 0.2500])
    """
    if weight is None:
        return sample.new_full(sample.shape[:-1], 1 / sample.shape[-2])
    if weight.shape != sample.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {tuple(sample.shape[:-1])}, one weight for each point, got "
            f"{tuple(weight.shape)}"
        )
    wrong = ~((weight >= 0) & weight.isfinite())
    if wrong.any():
        raise ValueError(f"{name} must be finite and not negative, got {weight[wrong][0].item():g}")
    total = weight.sum(dim=-1, keepdim=True)
    if (total == 0).any():
        raise ValueError(f"{name} must be positive for a point of each sample, got only zeros")
    return (weight / total).to(sample)
