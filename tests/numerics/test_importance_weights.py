"""Importance weights: against ArviZ, against Pareto draws of known shape, and by symmetry."""

import arviz
import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.importance_weights import _quantile


@pytest.mark.parametrize("n", [25, 26, 100, 1000, 5000])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_weights_and_shape_are_those_of_arviz(n, spread):
    log_weights = spread * torch.randn(n)
    smoothed, khat = pareto_smooth(log_weights)
    expected, expected_khat = arviz.psislw(log_weights.numpy().copy())
    np.testing.assert_allclose(smoothed.numpy(), expected, atol=1e-9, rtol=0)
    np.testing.assert_allclose(khat.item(), expected_khat, atol=1e-9)


def test_weights_too_small_to_be_numbers_are_no_part_of_the_tail():
    log_weights = torch.full((100,), -torch.inf)
    log_weights[:8] = -torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 720.0, 800.0])
    smoothed, khat = pareto_smooth(log_weights)
    tail, expected_khat = arviz.psislw(log_weights.numpy().copy())
    np.testing.assert_allclose(khat.item(), expected_khat, atol=1e-9)
    np.testing.assert_allclose(smoothed[:8].numpy(), tail[:8], atol=1e-9)


def test_quantiles_of_shape_0_are_exponential():
    at = torch.tensor([0.0, 0.3, 0.9])
    torch.testing.assert_close(_quantile(at, 0.0, 2.0), -2 * torch.log(1 - at))
    torch.testing.assert_close(_quantile(at, 0.0, 2.0), _quantile(at, 1e-9, 2.0))


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_khat_is_the_shape_of_pareto_weights(shape):
    n = 20_000
    log_weights = -shape * torch.rand(n).log()
    _, khat = pareto_smooth(log_weights)
    tail = 3 * n**0.5
    prior = abs(shape - 0.5) * 10 / (tail + 10)  # the pull to 1/2
    assert abs(khat - shape) < 5 * (1 + shape) / tail**0.5 + prior


def test_smoothing_keeps_an_estimate_and_tames_its_largest_weight():
    """E_p[x] = 1 of p = N(1, 1) by draws of q = N(0, 1): log p/q = x - 1/2."""
    x = torch.randn(4000)
    smoothed, khat = pareto_smooth(x - 0.5)
    raw = torch.log_softmax(x - 0.5, 0)
    error = ((smoothed.exp() * (x - 1)) ** 2).sum().sqrt()
    assert abs((smoothed.exp() * x).sum() - 1) < 5 * error
    assert khat < 0.7
    assert (smoothed[raw.argsort()].diff() >= 0).all()
    assert smoothed.max() <= raw.max()
    smallest = raw.argsort()[: 4000 - 190]  # 3 sqrt(4000) = 189.7 are the tail
    shift = (smoothed - raw)[smallest]
    torch.testing.assert_close(shift, shift[:1].expand_as(shift))


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=60),
    st.floats(-500, 500),
    st.randoms(use_true_random=False),
)
def test_neither_scale_nor_order_matters(values, constant, random):
    log_weights = torch.tensor(values)
    smoothed, khat = pareto_smooth(log_weights)
    torch.testing.assert_close(smoothed.exp().sum(), torch.tensor(1.0))
    assert not khat.isnan()
    order = torch.tensor(random.sample(range(len(values)), len(values)))
    again, same_khat = pareto_smooth(log_weights[order])
    torch.testing.assert_close(again, smoothed[order])
    torch.testing.assert_close(same_khat, khat)
    torch.testing.assert_close(
        effective_sample_size(log_weights + constant), effective_sample_size(log_weights)
    )
    # a scale changes rounding only, unless that makes ties
    if (np.diff(np.unique(values)) > 1e-9).all():
        scaled, same_khat = pareto_smooth(log_weights + constant)
        torch.testing.assert_close(scaled, smoothed, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(same_khat, khat, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rows_of_a_batch_are_smoothed_by_themselves(dtype):
    log_weights = (2 * torch.randn(2, 3, 200)).to(dtype)
    before = log_weights.clone()
    smoothed, khat = pareto_smooth(log_weights)
    assert smoothed.shape == (2, 3, 200)
    assert khat.shape == (2, 3)
    assert smoothed.dtype == khat.dtype == dtype
    row, row_khat = pareto_smooth(log_weights[1, 2])
    assert torch.equal(row, smoothed[1, 2])
    assert torch.equal(row_khat, khat[1, 2])
    assert torch.equal(log_weights, before)


def test_zero_weights_stay_zero():
    log_weights = torch.cat([torch.randn(500), torch.full((500,), -torch.inf)])
    smoothed, khat = pareto_smooth(log_weights)
    assert (smoothed[500:] == -torch.inf).all()
    assert khat.isfinite()
    torch.testing.assert_close(smoothed.exp().sum(), torch.tensor(1.0))


def test_equal_weights_are_as_good_as_can_be():
    smoothed, khat = pareto_smooth(torch.full((100,), 3.0))
    assert khat == 0
    torch.testing.assert_close(smoothed.exp(), torch.full((100,), 0.01))


def test_equal_weights_are_smoothed_alike_whatever_their_order():
    log_weights = -(torch.arange(150) // 3 / 9)  # 30 of which are the tail
    alone = pareto_smooth(log_weights + 1e-9 * torch.rand(150))  # in some order
    for order in (torch.arange(150), torch.randperm(150)):
        smoothed, khat = pareto_smooth(log_weights[order])
        weights = smoothed.exp()[order.argsort()].reshape(50, 3)
        torch.testing.assert_close(weights, weights[:, :1].expand(50, 3))
        torch.testing.assert_close(khat, alone[1])
        torch.testing.assert_close(weights.sum(1), alone[0].exp().reshape(50, 3).sum(1))


def test_weights_that_are_equal_to_rounding_are_equal():
    """Logarithms near 0 tell apart what weights near 1 do not."""
    smoothed, khat = pareto_smooth(-1e-18 * torch.arange(100))
    assert khat == 0
    torch.testing.assert_close(smoothed.exp(), torch.full((100,), 0.01))


def test_one_weight_beside_others_that_are_hardly_numbers_is_not_to_be_trusted():
    log_weights = torch.full((100,), -torch.inf)
    log_weights[:31] = -torch.cat([torch.zeros(1), torch.linspace(708.3, 708.39, 30)])
    smoothed, khat = pareto_smooth(log_weights)
    assert khat == torch.inf
    torch.testing.assert_close(smoothed, log_weights.log_softmax(0))


def test_a_few_weights_are_not_to_be_trusted():
    few = torch.full((100,), -torch.inf)
    few[:4] = torch.randn(4)
    for log_weights in (few, torch.randn(10), torch.tensor([0.0, 1.0])):
        smoothed, khat = pareto_smooth(log_weights)
        assert khat == torch.inf
        torch.testing.assert_close(smoothed, log_weights.log_softmax(0))


@pytest.mark.parametrize(
    "log_weights, message",
    [
        ([0.0, float("nan")], "finite or -inf, got nan or inf"),
        ([0.0, float("inf")], "finite or -inf, got nan or inf"),
        ([-float("inf"), -float("inf")], "a weight above zero in every row, got none"),
        ([[0.0, 0.0], [-float("inf"), -float("inf")]], "a weight above zero in every row"),
        ([], "a weight above zero in every row, got none"),
    ],
)
def test_weights_that_are_none_are_refused(log_weights, message):
    with pytest.raises(ValueError, match=message):
        pareto_smooth(torch.tensor(log_weights))


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=50))
def test_effective_sample_size_lies_between_one_and_all(values):
    size = effective_sample_size(torch.tensor(values))
    assert 1 - 1e-9 <= size <= len(values) + 1e-9


def test_effective_sample_size_counts_equal_weights():
    log_weights = torch.tensor([[0.0, 0.0, 0.0, 0.0], [5.0, 5.0, -torch.inf, -torch.inf]])
    torch.testing.assert_close(effective_sample_size(log_weights), torch.tensor([4.0, 2.0]))
