"""Waymarks: the way from p to q, its marginals, and how it is cut."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from lfi.networks import moments
from lfi.ratio.telescoping.waymarks import (
    MAX_BRIDGES,
    STRIDE,
    Waymarks,
    even_coefficients,
    respaced,
)


def uncorrelated(n=64, size=3):
    """x_0 and x_1 whose sample means are zero and whose sample covariance is exactly none."""
    x = torch.randn(n, 2 * size)
    q, _ = torch.linalg.qr(x - x.mean(0))
    q = q * math.sqrt(n)
    return q[:, :size] @ torch.randn(size, size), q[:, size:] @ torch.randn(size, size)


def test_waymarks_run_from_p_to_q():
    x_0, x_1 = torch.randn(5, 2), torch.randn(5, 2)
    z = Waymarks(even_coefficients(6))(x_0, x_1)
    assert z.shape == (7, 5, 2)
    assert torch.equal(z[0], x_0)
    assert torch.equal(z[-1], x_1)


def test_waymarks_are_the_linear_combinations_of_their_levels():
    x_0, x_1, a = torch.randn(5, 2), torch.randn(5, 2), even_coefficients(4)
    by_hand = [(1 - v**2).sqrt() * x_0 + v * x_1 for v in a]
    torch.testing.assert_close(Waymarks(a)(x_0, x_1), torch.stack(by_hand))


def test_a_covariance_that_p_and_q_share_is_kept_at_every_waymark():
    root = torch.randn(3, 3)
    shared = (torch.zeros(3), root @ root.T)
    mean, covariance = Waymarks(even_coefficients(9)).moments(shared, shared)
    torch.testing.assert_close(mean, torch.zeros(10, 3))
    torch.testing.assert_close(covariance, shared[1].expand(10, 3, 3))


@pytest.mark.parametrize("mixed", [None, torch.tensor([False, True, True])])
def test_moments_are_those_of_the_samples(mixed):
    x_0, x_1 = uncorrelated()
    way = Waymarks(even_coefficients(5), mixed)
    x_0, x_1 = x_0 + 1, x_1 - 2
    mean, covariance = way.moments(moments(x_0), moments(x_1))
    for k, z in enumerate(way(x_0, x_1)):
        torch.testing.assert_close((mean[k], covariance[k]), moments(z))


def test_entries_that_are_not_mixed_stay_in_their_row():
    x_0, x_1 = torch.randn(5, 3), torch.randn(5, 3)
    z = Waymarks(even_coefficients(4), torch.tensor([False, True, False]))(x_0, x_1)
    assert torch.equal(z[..., [0, 2]], x_0[:, [0, 2]].expand(5, 5, 2))
    assert torch.equal(z[-1, :, 1], x_1[:, 1])


def test_a_product_of_marginals_keeps_the_marginal_of_what_is_mixed():
    # x_1 is x with another y: the covariance of y stays, that with x falls by the factor of x_0
    root = torch.randn(4, 4)
    joint = root @ root.T
    is_y = torch.tensor([False, False, True, True])
    apart = joint * (is_y[:, None] == is_y)
    way = Waymarks(even_coefficients(5), is_y)
    _, covariance = way.moments((torch.zeros(4), joint), (torch.zeros(4), apart))
    torch.testing.assert_close(covariance[:, 2:, 2:], joint[2:, 2:].expand(6, 2, 2))
    torch.testing.assert_close(covariance[:, :2, :2], joint[:2, :2].expand(6, 2, 2))
    cross = (1 - even_coefficients(5).square()).sqrt()[:, None, None] * joint[:2, 2:]
    torch.testing.assert_close(covariance[:, :2, 2:], cross)


@pytest.mark.parametrize("coefficients", [[0.0, 0.5], [0.1, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0]])
def test_coefficients_must_increase_from_0_to_1(coefficients):
    with pytest.raises(ValueError, match="coefficients must increase from 0 to 1"):
        Waymarks(torch.tensor(coefficients))


@pytest.mark.parametrize("bridges", [1, 2, 3, 16, 40])
def test_even_levels_are_even_in_the_log_of_the_signal_to_noise_ratio(bridges):
    a = even_coefficients(bridges)
    assert len(a) == bridges + 1
    Waymarks(a)
    steps = (torch.log1p(-a[1:-1].square()) - a[1:-1].square().log()).diff()
    torch.testing.assert_close(steps, steps[:1].expand(len(steps)), rtol=1e-6, atol=1e-6)


@given(st.lists(st.floats(-0.01, math.log(2)), min_size=2, max_size=20), st.integers(1, 12))
def test_any_measured_way_can_be_cut_into_any_number_of_parts(divergences, bridges):
    a = respaced(even_coefficients(len(divergences)), divergences, bridges)
    assert len(a) == bridges + 1
    Waymarks(a.float())  # strictly increasing, in float32 too


def test_a_way_of_equal_steps_is_cut_where_it_was():
    a = even_coefficients(8)
    torch.testing.assert_close(respaced(a, [0.1] * 8, 8), a, atol=1e-9, rtol=0)
    torch.testing.assert_close(respaced(a, [0.1] * 8, 4), a[::2], atol=1e-9, rtol=0)


def test_waymarks_go_where_the_distance_is():
    a = even_coefficients(4)
    cut = respaced(a, [0.0, 0.3, 0.0, 0.0], 10)
    between = (cut >= a[1]) & (cut <= a[2])
    assert between.sum() >= 9


def test_the_number_of_bridges_follows_the_distance():
    a = even_coefficients(4)
    one_stride = STRIDE**2 / 8
    assert len(respaced(a, [one_stride * 0.99] * 4)) == 5
    assert len(respaced(a, [1e-4] * 4)) == 2
    assert len(respaced(even_coefficients(100), [0.5] * 100)) == MAX_BRIDGES + 1
