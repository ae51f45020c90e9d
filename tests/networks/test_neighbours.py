"""Autoregressions on neighbours: inverses, Jacobians, and what sees what."""

import math

import pytest
import torch

from lfi.networks.neighbours import LAGS, Autoregression, entries_before
from lfi.runtime import isolated

EVENTS = [(2,), (13,), (2, 4), (3, 2, 2)]


def model_of(event, condition=2, *, nonlinear=True, splines=True):
    """An autoregression in float64 whose every part does something."""
    with isolated(0):
        model = Autoregression(event, condition, bins=4).double()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn(parameter.shape)
    model.nonlinear.fill_(nonlinear)
    model.splines_active.fill_(splines)
    return model.requires_grad_(False)


def inputs(event, n=4):
    size = math.prod(event)
    return torch.randn(n, size), torch.randn(n, size), torch.randn(n, 2)


each_event = pytest.mark.parametrize("event", EVENTS)
each_kind = pytest.mark.parametrize(
    ("nonlinear", "splines"), [(False, False), (True, False), (True, True)]
)


@each_kind
@each_event
def test_what_it_makes_of_entries_returns_to_them(event, nonlinear, splines):
    model, (u, mean, c) = model_of(event, nonlinear=nonlinear, splines=splines), inputs(event)
    v, _ = model(u, mean, c)
    torch.testing.assert_close(model.inverse(v, mean, c), u, rtol=1e-6, atol=1e-6)
    assert (v - u).abs().max() > 0.1


@each_event
def test_the_slope_is_that_of_the_jacobian_which_is_triangular(event):
    model, (u, mean, c) = model_of(event), inputs(event)
    _, log_slope = model(u, mean, c)
    for i in range(len(u)):
        row = slice(i, i + 1)
        jacobian = torch.autograd.functional.jacobian(
            lambda one, row=row: model(one[None], mean[row], c[row])[0][0], u[i]
        )
        assert jacobian.triu(1).abs().max() == 0
        torch.testing.assert_close(log_slope[i], jacobian.diagonal().log().sum())


def test_an_entry_of_a_series_sees_those_just_before_it():
    before = entries_before((30,))
    assert before[20].tolist() == list(range(19, 19 - LAGS, -1))
    assert before[2].tolist() == [1, 0] + [30] * (LAGS - 2)


def test_an_entry_of_several_series_sees_its_own_past_and_what_was_before_in_the_others():
    shape = (3, 5)
    seen = {divmod(j, 5) for j in entries_before(shape)[2 * 5 + 3].tolist()}
    assert seen == {(2, 2), (1, 3), (1, 2), (2, 1), (0, 3)}


def test_it_is_the_identity_before_training():
    model, (u, mean, c) = Autoregression((9,), 2).double(), inputs((9,))
    v, log_slope = model(u, mean, c)
    assert torch.equal(v, u)
    assert log_slope.abs().max() == 0
