"""Distances: against broadcast subtraction, where it is hard, and quantiles against sorting."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lfi.numerics import (
    euclidean_distances,
    manhattan_distances,
    median_distance,
    quantile_distances,
    squared_distances,
)

dimensions = pytest.mark.parametrize("d", [1, 3, 17, 60])


def differences(x, y):
    return x[..., :, None, :] - y[..., None, :, :]


@dimensions
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_distances_are_those_of_subtracted_coordinates(d, far):
    x, y = torch.randn(2, 30, d) + far, torch.randn(20, d) + far
    delta = differences(x, y)
    torch.testing.assert_close(squared_distances(x, y), delta.square().sum(-1), rtol=1e-11, atol=0)
    torch.testing.assert_close(euclidean_distances(x, y), delta.norm(dim=-1), rtol=1e-11, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(
            euclidean_distances(x, y), delta.norm(dim=-1), rtol=1e-11, atol=0
        )
    torch.testing.assert_close(manhattan_distances(x, y), delta.abs().sum(-1), rtol=1e-11, atol=0)


@dimensions
def test_neighbours_far_from_the_others_keep_their_digits_in_float32(d):
    """A matrix product alone would leave 1e-7 of the squared norm, a million times too much."""
    x = torch.randn(50, d).float()
    x[1] = x[0] + 1e-4
    x[2:5] += 1e4
    exact = differences(x.double(), x.double()).square().sum(-1)
    found = squared_distances(x, x).double()
    assert (found.diagonal() == 0).all()
    assert (found >= 0).all()
    # float32's 6e-8 twice, over two digits that a product may lose, and sums of d terms
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=0)


def test_many_close_pairs_are_all_computed_directly():
    x = torch.cat([torch.randn(20, 40) * 1e-5, 1 + torch.randn(20, 40) * 1e-5])
    exact = differences(x, x).square().sum(-1)
    torch.testing.assert_close(squared_distances(x, x), exact, rtol=1e-10, atol=0)


@dimensions
def test_gradients_are_derivatives_twice(d):
    x, y = torch.randn(2, 2, d, requires_grad=True), torch.randn(2, d, requires_grad=True)
    for distance in (squared_distances, euclidean_distances):
        assert gradcheck(distance, (x, y))
        assert gradgradcheck(distance, (x, y))
    assert gradcheck(manhattan_distances, (x, y))


@dimensions
@pytest.mark.parametrize(
    "distance",
    [squared_distances, euclidean_distances, manhattan_distances],
    ids=lambda f: f.__name__,
)
def test_gradients_are_zero_at_equal_points(d, distance):
    x = torch.randn(4, d, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    distance(x, y).diagonal().sum().backward()
    assert (x.grad == 0).all()
    assert (y.grad == 0).all()


@pytest.mark.parametrize("level", [0.0, 0.05, 0.3, 0.5, 0.95, 1.0])
def test_quantiles_are_order_statistics_of_all_pairs(level):
    x, y = torch.randn(12, 2), torch.randn(12, 2)
    i, j = torch.triu_indices(24, 24, offset=1)
    pooled = torch.cat([x, y])
    ordered = (pooled[i] - pooled[j]).norm(dim=-1).sort().values
    rank = max(1, -(-round(level * len(ordered) * 1000) // 1000))  # the ceiling
    (found,) = quantile_distances(x, y, (level,))
    assert torch.isclose(found, ordered[rank - 1], rtol=1e-14)


def test_quantiles_of_weighted_points_are_those_of_repeated_rows():
    x, y = torch.randn(10, 2), torch.randn(7, 2)
    w, v = torch.randint(0, 4, (10,)), torch.randint(1, 3, (7,))
    levels = [0.1, 0.37, 0.5, 0.9]
    repeated = quantile_distances(x.repeat_interleave(w, 0), y.repeat_interleave(v, 0), levels)
    weighted = quantile_distances(x, y, levels, weight_p=w.double(), weight_q=v / 7)
    torch.testing.assert_close(weighted, repeated, rtol=1e-14, atol=0)


def test_quantiles_are_in_the_norm_asked_for_and_one_row_a_level():
    x, y = torch.randn(3, 1, 8, 4), torch.randn(2, 9, 4)
    found = quantile_distances(x, y, (0.2, 0.5), distance=manhattan_distances)
    assert found.shape == (2, 3, 2)
    one = quantile_distances(x[1, 0], y[1], (0.2, 0.5), distance=manhattan_distances)
    assert torch.equal(found[:, 1, 1], one)


def test_of_many_points_a_bounded_and_fixed_number_is_used():
    x, y = torch.randn(20_000, 2), torch.randn(300, 2)
    found = median_distance(x, y)
    assert torch.equal(found, median_distance(x, y))
    # |x - y| ~ sqrt(2) Rayleigh, median sqrt(4 log 2); its density there is log 2 / sqrt(log 2).
    # A U-statistic of 500 points has variance at most 4/500 x 1/4 of the indicator's.
    error = (1 / 500) ** 0.5 / 0.8325
    assert abs(found - (4 * torch.tensor(2.0).log()).sqrt()) < 5 * error


def test_equal_points_have_a_median_distance_of_one():
    assert median_distance(torch.ones(5, 2), torch.ones(3, 2)) == 1


def test_bandwidths_take_no_gradient():
    x = torch.randn(5, 2, requires_grad=True)
    assert not median_distance(x, x).requires_grad


def test_points_without_weight_are_not_there_however_many():
    x, y = torch.randn(1_000, 2), torch.randn(17, 2)
    weight = torch.zeros(1_000)
    kept = torch.arange(3, 1_000, 53)  # few, and none of the 250 evenly spaced rows of all
    weight[kept] = torch.rand(len(kept)) + 0.1
    levels = (0.1, 0.5, 0.9)
    among = quantile_distances(x, y, levels, weight_p=weight)
    alone = quantile_distances(x[kept], y, levels, weight_p=weight[kept])
    torch.testing.assert_close(among, alone)
