"""Networks side by side compute and learn what each would alone."""

import copy

import pytest
import torch
from torch import nn

from lfi.networks import (
    StackedModules,
    VectorCritic,
    VectorGenerator,
    stack_modules,
    unstack_modules,
)

MEMBERS, ROWS = 3, 4


def critics():
    return [VectorCritic([(2,), (1,)], width=8, layers=1) for _ in range(MEMBERS)]


def rows(*shape):
    return torch.randn(MEMBERS * ROWS, *shape, dtype=torch.float32)


def alone(modules, *inputs):
    parts = zip(modules, *(x.chunk(MEMBERS) for x in inputs), strict=True)
    return torch.cat([module(*x) for module, *x in parts])


def test_values_are_those_of_each_network_alone():
    modules, x, condition = critics(), rows(2), rows(1)
    torch.testing.assert_close(StackedModules(modules)(x, condition), alone(modules, x, condition))


def test_gradients_of_gradients_are_those_of_each_network_alone():
    modules, x, condition = critics(), rows(2).requires_grad_(), rows(1)
    stack = StackedModules(modules)

    def penalty(values):
        (slope,) = torch.autograd.grad(values.sum(), x, create_graph=True)
        return slope.square().sum()

    penalty(stack(x, condition)).backward()
    together = [p.grad for p in stack.parameters()]
    penalty(alone(modules, x, condition)).backward()
    for i, stacked in enumerate(zip(*(m.parameters() for m in modules), strict=True)):
        # a bias that no slope depends on has no gradient alone, and zeros side by side
        expected = torch.stack([torch.zeros_like(p) if p.grad is None else p.grad for p in stacked])
        found = torch.zeros_like(expected) if together[i] is None else together[i]
        torch.testing.assert_close(found, expected)


def test_convolutions_and_buffers_stand_side_by_side():
    modules = [
        nn.Sequential(nn.Conv2d(1, 2, 3, dtype=torch.float32), nn.Flatten()).eval()
        for _ in range(MEMBERS)
    ]
    for module in modules:
        module.register_buffer("unused", torch.randn(2))
    x = rows(1, 5, 5)
    stack = StackedModules(modules)
    torch.testing.assert_close(stack(x), alone(modules, x))
    assert torch.equal(stack.member(1).unused, modules[1].unused)


def test_members_are_the_networks_and_share_the_stacks_weights():
    modules, x, condition = critics(), rows(2), rows(1)
    stack = StackedModules(modules)
    one = stack.member(1)
    assert one.state_dict().keys() == modules[1].state_dict().keys()
    torch.testing.assert_close(one(x, condition), modules[1](x, condition))
    with torch.no_grad():
        one.first.weight.zero_()
        modules[1].first.weight.zero_()
    torch.testing.assert_close(stack(x, condition), alone(modules, x, condition))


def test_a_copy_is_a_stack_of_its_own():
    stack, x, condition = StackedModules(critics()), rows(2), rows(1)
    other = copy.deepcopy(stack)
    before = other(x, condition)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.zero_()
    torch.testing.assert_close(other(x, condition), before)
    stack.load_state_dict(other.state_dict())
    torch.testing.assert_close(stack(x, condition), before)


def test_one_network_is_itself():
    network = VectorGenerator(2)
    assert stack_modules([network]) is network
    assert unstack_modules(network) == [network]
    assert len(unstack_modules(stack_modules([VectorGenerator(2), VectorGenerator(2)]))) == 2


def test_networks_of_different_shapes_and_uneven_rows_are_refused():
    with pytest.raises(ValueError, match="2 networks of 2 different shapes"):
        StackedModules([VectorGenerator(2, width=8), VectorGenerator(2, width=16)])
    with pytest.raises(ValueError, match="10 rows cannot be shared out evenly to 3"):
        StackedModules(critics())(torch.zeros(10, 2), torch.zeros(10, 1))
