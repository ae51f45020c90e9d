"""Sums over chunks, one of which is held at a time, with gradients.

A part, such as the kernel's sum over a tile of pairs, is computed a second time on the way back.
Autograd sees one step in place of all parts: checkpoints would keep a few kilobytes of each, strewn
between large blocks that then cannot be given back to the system.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lfi.numerics.autograd import FunctionContext

Part = tuple[int, ...]


def summed(
    function: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    parts: Sequence[Part],
    *,
    closed: bool = True,
) -> Tensor:
    """Return the sum over parts of `function(*(tensors[i] for i in part))`, a repeatable function.

    Where it has own tensors that take gradients, it is not `closed`, and parts are checkpointed.
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


class _SumContext(FunctionContext):
    function: Callable[..., Tensor]
    parts: Sequence[Part]


class _Summed(torch.autograd.Function):
    """The sum, whose gradient takes one part at a time; twice differentiable, holding all then."""

    @staticmethod
    def forward(
        ctx: _SumContext, function: Callable[..., Tensor], parts: Sequence[Part], *tensors: Tensor
    ) -> Tensor:
        ctx.save_for_backward(*tensors)
        ctx.function, ctx.parts = function, parts
        return _sum(function, tensors, parts)

    @staticmethod
    def backward(ctx: _SumContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        again = torch.is_grad_enabled()  # the gradient is to be differentiated
        needed = ctx.needs_input_grad[2:]
        tensors = ctx.saved_tensors
        gradients = {i: torch.zeros_like(t) for i, t in enumerate(tensors) if needed[i]}
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
            inputs = [tensors[i] for i in places]
            found = torch.autograd.grad(
                value, inputs, grad, create_graph=again, materialize_grads=True
            )
            for i, new in zip(places, found, strict=True):
                if again:
                    gradients[i] = gradients[i] + new
                else:
                    gradients[i] += new  # in place: new blocks between large ones would stay
        return None, None, *map(gradients.get, range(len(tensors)))
