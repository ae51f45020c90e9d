"""Weighted samples: batches of two samples and their weights, checked.

A sample (n, d) with weights w_i >= 0, by default equal, is sum_i w_i delta(x_i) / sum_i w_i;
weights of either sign, as quadrature has them, are a signed measure of total 1.
Leading dimensions are many samples at once, and those of p and of q broadcast.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arrays import Samples, as_tensor, floating_dtype


def as_batches(
    p: Samples, q: Samples, *, names: tuple[str, str] = ("p", "q"), finite: bool = False
) -> tuple[Float[Tensor, "*b n d"], Float[Tensor, "*c m d"]]:
    """Return two samples, or batches of them, as tensors of one floating dtype.

    Arrays beside a tensor take its dtype and device; tensors are returned as they are. TypeError if
    tensors are not of one floating dtype, ValueError if shapes do not fit, or if a value is not
    finite where they are to be `finite`.
    """
    both = " and ".join(names)
    if not (isinstance(p, Tensor) and isinstance(q, Tensor)):
        p, q = _alike(p, q, names)
    for name, sample in zip(names, (p, q), strict=True):
        if not sample.is_floating_point():
            raise TypeError(f"{name} must hold floating-point numbers, got {sample.dtype}")
        if sample.ndim < 2 or 0 in sample.shape[-2:]:
            raise ValueError(
                f"{name} must have shape (*batch, n, d) with n, d > 0, got {tuple(sample.shape)}"
            )
        if finite and not sample.isfinite().all():
            count = int((~sample.isfinite()).sum())
            raise ValueError(f"{name} must be finite, got {count} values that are not")
    if p.dtype != q.dtype:
        raise TypeError(f"{both} must be of one dtype, got {p.dtype} and {q.dtype}")
    shapes = f"got shapes {tuple(p.shape)} and {tuple(q.shape)}"
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"{both} must be vectors of one length, {shapes}")
    try:
        torch.broadcast_shapes(p.shape[:-2], q.shape[:-2])
    except RuntimeError:
        raise ValueError(f"leading dimensions of {both} must broadcast, {shapes}") from None
    return p, q


def _alike(p: Samples, q: Samples, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Return both as tensors, arrays in the dtype and on the device of a tensor beside them."""
    given = next((x for x in (p, q) if isinstance(x, Tensor)), None)
    p, q = (as_tensor(name, x) for name, x in zip(names, (p, q), strict=True))
    if given is not None and given.is_floating_point():
        return p.to(given), q.to(given)
    dtype = floating_dtype(torch.promote_types(p.dtype, q.dtype))
    return p.to(dtype), q.to(dtype)


def given_weights(
    p: Tensor,
    q: Tensor,
    weight_p: Samples | None,
    weight_q: Samples | None,
    *,
    signed: bool = False,
) -> tuple[Tensor | None, Tensor | None]:
    """Return both samples' `probabilities`, None where no weights are given."""
    return (
        None if weight_p is None else probabilities("weight_p", p, weight_p, signed=signed),
        None if weight_q is None else probabilities("weight_q", q, weight_q, signed=signed),
    )


def probabilities(
    name: str, sample: Float[Tensor, "*b n d"], weight: Samples | None, *, signed: bool = False
) -> Float[Tensor, "*b n"]:
    """Return a sample's weights divided by their sum; equal ones where none are given.

    Where they may be `signed`, some may be negative, as in quadrature; their sum is positive.
    """
    if weight is None:
        return sample.new_full(sample.shape[:-1], 1 / sample.shape[-2])
    weight = as_tensor(name, weight).to(sample.device)
    if weight.shape != sample.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {tuple(sample.shape[:-1])}, one weight for each point, got "
            f"{tuple(weight.shape)}"
        )
    total = weight.sum(dim=-1, keepdim=True)
    if signed:
        if not ((total > 0) & total.isfinite()).all():
            raise ValueError(
                f"{name} must be finite, with a positive sum, got a sum of {total.min():g}"
            )
        return (weight / total).to(sample)
    wrong = ~((weight >= 0) & weight.isfinite())
    if wrong.any():
        raise ValueError(f"{name} must be finite and not negative, got {weight[wrong][0].item():g}")
    if (total == 0).any():
        raise ValueError(f"{name} must be positive for a point of each sample, got only zeros")
    return (weight / total).to(sample)


def deviations(points: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Return standard deviations along a dimension, which is kept; never zero.

    Where points do not vary, but for rounding, it is a millionth of their size, so that units make
    no difference.

    Example:
        >>> deviations(torch.tensor([[1e-9, 3.0], [3e-9, 3.0]]), 0)
        tensor([[1.4142e-09, 3.0000e-06]])
    """
    return never_zero(points.std(dim, keepdim=True), points, dim)


def never_zero(
    sd: Float[Tensor, "..."], points: Float[Tensor, "..."], dim: int
) -> Float[Tensor, "..."]:
    """Return standard deviations of points, a millionth of their size where they do not vary."""
    size = points.abs().amax(dim, keepdim=True)
    rounding = 4 * torch.finfo(points.dtype).eps * size
    return torch.where(sd > rounding, sd, 1e-6 * torch.where(size > 0, size, 1.0))
