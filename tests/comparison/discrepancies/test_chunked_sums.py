"""Sums in parts: values and gradients of the plain sum, with one part in memory."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lfi.comparison.discrepancies.chunked_sums import summed

PARTS = [(0, 3), (1, 3), (2, 4), (0, 4), (1, 4)]


def function(a, b):
    return torch.stack([(a.sin()[:, None] * b.exp()).sum(), (a.sum() * b.square().sum())])


@pytest.mark.parametrize("closed", [True, False])
def test_values_and_gradients_are_those_of_the_plain_sum(closed):
    tensors = [torch.randn(k, requires_grad=True) for k in (2, 3, 1, 2, 4)]
    total = lambda *t: summed(function, t, PARTS, closed=closed)
    plain = sum(function(tensors[i], tensors[j]) for i, j in PARTS)
    torch.testing.assert_close(total(*tensors), plain)
    assert gradcheck(total, tensors)
    assert gradgradcheck(total, tensors)
    with torch.no_grad():
        torch.testing.assert_close(total(*tensors), plain)


def test_tensors_that_need_no_gradient_get_none_and_unused_ones_get_zero():
    a, b = torch.randn(3, requires_grad=True), torch.randn(3)
    unused = torch.randn(2, requires_grad=True)
    parts = [(0, 1, 2), (1, 1, 2), (0, 0, 2)]
    summed(lambda x, y, z: (x * y).sum(), (a, b, unused), parts).backward()
    torch.testing.assert_close(a.grad, b + 2 * a.detach())
    assert b.grad is None
    assert (unused.grad == 0).all()


def test_a_tensor_of_the_function_itself_is_reached_when_it_is_said():
    scale = torch.tensor(2.0, requires_grad=True)
    tensors = torch.arange(4.0).split(2)
    summed(lambda part: (scale * part).sum(), tensors, [(0,), (1,)], closed=False).backward()
    assert scale.grad == 6


def test_no_part_leaves_its_intermediates_behind():
    alive, most = set(), [0]

    class Watched(torch.autograd.Function):
        """The identity, which counts how many of its copies are alive."""

        @staticmethod
        def forward(ctx, x):
            ctx.token = object()
            copy = x.clone()
            copy.watch = Token(alive, most)
            ctx.watch = copy.watch
            return copy

        @staticmethod
        def backward(ctx, grad):
            return grad

    x = torch.randn(64, requires_grad=True)
    parts = [(i,) for i in range(32)]
    total = summed(lambda part: Watched.apply(part).square().sum(), x.split(2), parts)
    assert most[0] <= 2
    total.backward()
    assert most[0] <= 2
    torch.testing.assert_close(x.grad, 2 * x.detach())


class Token:
    """Something that is counted while it lives."""

    def __init__(self, alive, most):
        self.alive = alive
        alive.add(id(self))
        most[0] = max(most[0], len(alive))

    def __del__(self):
        self.alive.discard(id(self))
