"""Sums over chunks, one of which is held at a time, with gradients.

A part is a function of a few tensors, such as the kernel's sum over a tile of pairs. Its
intermediate results are gone when the next part begins, and on the way back it is computed a second
time. Autograd sees one step in place of the parts, so that nothing at all grows with their number;
checkpoints would keep a few kilobytes of each part, strewn between large blocks that then cannot be
given back to the system.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Part = tuple[int, ...]


def summed(
    function: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    parts: Sequence[Part],
    *,
    closed: bool = True,
) -> Tensor:
    """Return the sum over parts of `function(*(tensors[i] for i in part))`.

    Args:
        function: Differentiable, and giving the same when it is called again.
        tensors: What the parts share.
        parts: Places in `tensors`, at least one part.
        closed: Whether gradients flow to `tensors` only. If the function has tensors of its own
            that take gradients, such as a bandwidth that is learned, each part is checkpointed.

    Example:
        >>> x = torch.ones(6, requires_grad=True)
        >>> total = summed(lambda part: part.square().sum(), x.split(2), [(0,), (1,), (2,)])
        >>> total.backward()
        >>> x.grad
        tensor([2., 2., 2., 2., 2., 2.])
    """
    if len(parts) == 1 or not torch.is_grad_enabled():
        return _sum(function, tensors, parts)
    if closed:
        return _Summed.apply(function, parts, *tensors)
    again = lambda *part: checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False)
    return _sum(again, tensors, parts)


def _sum(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], parts: Sequence[Part]
) -> Tensor:
    total = function(*(tensors[i] for i in parts[0]))
    for part in parts[1:]:
        total = total + function(*(tensors[i] for i in part))
    return total


class _Summed(torch.autograd.Function):
    """The sum, whose gradient takes one part at a time; twice differentiable, holding all then."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        function: Callable[..., Tensor],
        parts: Sequence[Part],
        *tensors: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(*tensors)
        ctx.function, ctx.parts = function, parts
        return _sum(function, tensors, parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple:
        again = torch.is_grad_enabled()  # the gradient is to be differentiated
        needed = ctx.needs_input_grad[2:]
        tensors = ctx.saved_tensors
        gradients = [
            torch.zeros_like(t) if n else None for t, n in zip(tensors, needed, strict=True)
        ]
        if not again:
            tensors = [t.detach().requires_grad_(n) for t, n in zip(tensors, needed, strict=True)]
        for part in ctx.parts:
            places = [i for i in dict.fromkeys(part) if needed[i]]
            if not places:
                continue
            with torch.enable_grad():
                value = ctx.function(*(tensors[i] for i in part))
            if not value.requires_grad:
                continue
            found = torch.autograd.grad(
                value,
                [tensors[i] for i in places],
                grad,
                create_graph=again,
                materialize_grads=True,
            )
            for i, new in zip(places, found, strict=True):
                if again:
                    gradients[i] = gradients[i] + new
                else:
                    gradients[i] += new  # in place: new blocks between large ones would stay
        return None, None, *gradients
