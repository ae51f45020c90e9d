"""What two-sample tests share: pooled samples, relabellings and p-values."""

import numpy as np
import pytest
import torch

from lfi.comparison.two_sample.permutation import permutation_p_value, pool


def test_relabellings_keep_both_sizes_and_begin_with_the_truth():
    pooled = pool(torch.randn(3, 1), torch.randn(5, 1), standardise=True, seed=1)
    labels = pooled.relabellings(2000)
    assert labels.shape == (8, 2001)
    assert (labels.sum(dim=0) == 3).all()
    assert labels[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    share = labels[:, 1:].mean(dim=1)
    # each point is in the first sample with probability 3/8: a binomial share of 2,000
    assert ((share - 3 / 8).abs() < 5 * (15 / 64 / 2000) ** 0.5).all()


def test_coordinates_are_centred_and_of_one_unit_if_asked():
    a, b = 3 + 5 * torch.randn(30, 2, 2), np.random.default_rng(1).normal(size=(20, 2, 2))
    a[:, 0, 0], b[:, 0, 0] = 7, 7  # one that never varies
    rows = pool(a, b, standardise=True, seed=1).rows
    assert rows.shape == (50, 4)
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(4), rtol=0, atol=1e-14)
    spread = torch.tensor([0.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(rows.std(dim=0, correction=0), spread, rtol=1e-12, atol=1e-12)
    plain = pool(a, b, standardise=False, seed=1).rows
    both = torch.cat([a, torch.from_numpy(b)]).flatten(1)
    torch.testing.assert_close(plain.diff(dim=0), both.diff(dim=0))


def test_p_values_count_the_observed_one_too():
    permuted = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert permutation_p_value(0.5, permuted) == 1 / 5
    assert permutation_p_value(0.4, permuted) == 2 / 5
    assert permutation_p_value(-1.0, permuted) == 1


def test_of_statistics_in_random_order_p_values_are_uniform():
    """Each multiple of 1/20 as often as any other: the test is exact."""
    values = torch.rand(20_000, 20)
    p = torch.tensor([permutation_p_value(float(row[0]), row[1:]) for row in values])
    counts = torch.bincount((20 * p).round().long(), minlength=21)[1:] / 20_000
    assert ((counts - 0.05).abs() < 5 * (0.05 * 0.95 / 20_000) ** 0.5).all()


def test_rounding_does_not_part_what_is_equal():
    pooled = pool(torch.zeros(2, 1), torch.ones(2, 1), standardise=False, seed=1)
    values = torch.tensor([1.0, 1.0 - 1e-12, 0.5])
    assert pooled.result(values, "x").p_value == 1 / 3
    assert pooled.result(values, "x", tolerance=1e-9).p_value == 2 / 3


def test_seeds_are_kept_and_fresh_ones_repeat():
    a, b = torch.randn(4, 1), torch.randn(3, 1)
    drawn = pool(a, b, standardise=True, seed=None)
    again = pool(a, b, standardise=True, seed=drawn.seed)
    assert torch.equal(drawn.relabellings(30), again.relabellings(30))


@pytest.mark.parametrize(
    "a, b, message",
    [
        (
            np.ones((3, 2)),
            np.ones((3, 3)),
            "p and q must hold events of one shape",
        ),
        (np.ones((1, 2)), np.ones((3, 2)), "p: 1 rows are too few, need at least 2"),
        (np.ones(3), np.ones((3, 2)), "p and q must hold events of one shape"),
        (np.ones((3, 2)), np.full((3, 2), np.inf), "q: 3 of 3 rows are not finite"),
    ],
)
def test_what_cannot_be_pooled_is_named(a, b, message):
    with pytest.raises(ValueError, match=message):
        pool(a, b, standardise=True, seed=1)


def test_results_are_shown_in_words():
    test = pool([[0.0], [1.0]], np.ones((3, 1)), standardise=False, seed=1).result(
        torch.tensor([2.0, 1.0, 3.0]), "means"
    )
    assert repr(test) == (
        "p-value 0.667, statistic 2 (means)\n2 against 3 samples, 2 relabellings, seed 1"
    )
