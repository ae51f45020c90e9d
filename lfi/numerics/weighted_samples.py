"""Weighted samples: batches of two samples and their weights, checked.

A sample (n, d) with weights w_i >= 0 stands for the distribution sum_i w_i delta(x_i) / sum_i w_i;
without weights, each point has 1/n. Leading dimensions are many samples at once, and those of p and
of q broadcast.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arrays import Samples, as_tensor, floating_dtype


def as_batches(p: Samples, q: Samples) -> tuple[Float[Tensor, "*b n d"], Float[Tensor, "*c m d"]]:
    """Return two samples, or batches of them, as tensors of one floating dtype.

    Arrays beside a tensor take its dtype and device; tensors are returned as they are.

    Raises:
        TypeError: If they are not real numbers, or tensors not of one floating dtype.
        ValueError: If they are not (*b, n, d) and (*c, m, d) with n, m, d > 0 and leading
            dimensions that broadcast.

    Example:
        >>> p, q = as_batches(torch.zeros(5, 10, 2), [[1, 2], [3, 4]])
        >>> q
        tensor([[1., 2.],
                [3., 4.]])
    """
    if not (isinstance(p, Tensor) and isinstance(q, Tensor)):
        p, q = _alike(p, q)
    for name, sample in (("p", p), ("q", q)):
        if not sample.is_floating_point():
            raise TypeError(f"{name} must hold floating-point numbers, got {sample.dtype}")
        if sample.ndim < 2 or 0 in sample.shape[-2:]:
            raise ValueError(
                f"{name} must have shape (*batch, n, d) with n, d > 0, got {tuple(sample.shape)}"
            )
    if p.dtype != q.dtype:
        raise TypeError(f"p and q must be of one dtype, got {p.dtype} and {q.dtype}")
    shapes = f"got shapes {tuple(p.shape)} and {tuple(q.shape)}"
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"p and q must be vectors of one length, {shapes}")
    try:
        torch.broadcast_shapes(p.shape[:-2], q.shape[:-2])
    except RuntimeError:
        raise ValueError(f"leading dimensions of p and q must broadcast, {shapes}") from None
    return p, q


def _alike(p: Samples, q: Samples) -> tuple[Tensor, Tensor]:
    """Return both as tensors, arrays in the dtype and on the device of a tensor beside them."""
    given = next((x for x in (p, q) if isinstance(x, Tensor)), None)
    p, q = as_tensor("p", p), as_tensor("q", q)
    if given is not None and given.is_floating_point():
        return p.to(given), q.to(given)
    dtype = floating_dtype(torch.promote_types(p.dtype, q.dtype))
    return p.to(dtype), q.to(dtype)


def probabilities(
    name: str, sample: Float[Tensor, "*b n d"], weight: Samples | None
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
        >>> probabilities("weight_p", torch.zeros(3, 1), torch.tensor([1.0, 2.0, 1.0]))
        tensor([0.2500, 0.5000, 0.2500])
    """
    if weight is None:
        return sample.new_full(sample.shape[:-1], 1 / sample.shape[-2])
    weight = as_tensor(name, weight).to(sample.device)
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
