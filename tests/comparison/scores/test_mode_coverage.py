"""Modes: the mixture scores what it should, and each way of failing shows in a score of its own."""

import math

import pytest
import torch

from lfi.comparison.scores.mode_coverage import mode_scores
from simulators import grid, ring


def mixture(n, weights=None):
    weights = torch.ones(8) if weights is None else weights
    mode = torch.multinomial(weights, n, replacement=True)
    return ring.centres[mode] + ring.scale * torch.randn(n, 2)


def test_the_mixture_itself_scores_as_it_should():
    n = 20_000
    x = mixture(n)
    scores = mode_scores(x, ring.centres, ring.scale)
    p = 1 - math.exp(-4.5)  # |z|^2 / 2 of a plane's normal is exponential
    assert scores.expected == pytest.approx(p, rel=1e-12)
    assert scores.covered == 8
    assert abs(scores.high_quality - p) < 5 * (p * (1 - p) / n) ** 0.5
    # 2 n KL is chi-squared with 7 degrees of freedom
    assert scores.reverse_kl < (7 + 5 * 14**0.5) / (2 * n)
    # 2 counts d coordinates: the deviation has relative error 1/sqrt(2 d count)
    assert ((scores.relative_scale - 1).abs() < 5 / (4 * scores.counts) ** 0.5).all()


def test_points_at_the_centres_have_high_quality_and_no_spread():
    scores = mode_scores(grid.centres.repeat(4, 1), grid.centres, grid.scale, at_least=4)
    assert scores.covered == 25
    assert scores.high_quality == 1
    assert scores.reverse_kl == 0
    assert scores.relative_scale.abs().max() < 1e-6


def test_a_dropped_mode_costs_the_logarithm_of_what_is_left():
    scores = mode_scores(ring.centres[:6].repeat(10, 1), ring.centres, ring.scale)
    assert scores.covered == 6
    assert scores.reverse_kl.item() == pytest.approx(math.log(8 / 6), rel=1e-12)
    assert scores.relative_scale[6:].isnan().all()
    assert scores.mean_relative_scale.isfinite()


def test_a_mode_is_covered_with_as_many_points_as_are_asked_for():
    x = torch.cat([ring.centres.repeat(20, 1), ring.centres[:3]])
    assert mode_scores(x, ring.centres, ring.scale, at_least=20).covered == 8
    assert mode_scores(x, ring.centres, ring.scale, at_least=21).covered == 3


def test_strays_lower_the_quality_and_belong_to_the_nearest_mode():
    strays = ring.centres[:1].repeat(100, 1) + torch.tensor([3.1 * ring.scale, 0.0])
    x = torch.cat([ring.centres.repeat(100, 1), strays])
    scores = mode_scores(x, ring.centres, ring.scale)
    assert scores.high_quality.item() == pytest.approx(8 / 9)
    q = torch.tensor([2 / 9] + [1 / 9] * 7)
    assert scores.reverse_kl.item() == pytest.approx((q * (8 * q).log()).sum().item())


def test_the_wider_of_two_modes_claims_what_is_nearer_in_its_deviations():
    centres = torch.tensor([[0.0], [10.0]])
    scores = mode_scores(torch.tensor([[4.0]]), centres, torch.tensor([1.0, 3.0]))
    assert scores.counts.tolist() == [0, 1]


def test_spread_is_that_of_brute_force():
    x = ring.centres[0] + 0.3 * ring.scale * torch.randn(50, 2) + 0.005
    scores = mode_scores(x, ring.centres, ring.scale)
    own = (x - x.mean(0)).square().sum() / (49 * 2)
    variance = (1 - math.exp(-4.5) * 5.5) / (1 - math.exp(-4.5))  # F_4(9) / F_2(9)
    expected = (own / variance).sqrt() / ring.scale
    assert scores.counts[0] == 50
    torch.testing.assert_close(scores.relative_scale[0], expected, rtol=1e-10, atol=0)


def test_shares_of_the_modes_are_what_is_compared_with():
    weights = torch.arange(1.0, 9.0)
    x = ring.centres.repeat_interleave(weights.long(), 0)
    assert mode_scores(x, ring.centres, ring.scale, shares=weights).reverse_kl < 1e-12
    assert mode_scores(x, ring.centres, ring.scale).reverse_kl > 0.1


def test_stacked_samples_score_as_one_by_one():
    x = torch.stack([mixture(300), mixture(300, torch.arange(8.0))])
    both = mode_scores(x, ring.centres, ring.scale)
    for i in range(2):
        one = mode_scores(x[i], ring.centres, ring.scale)
        for name in ("covered", "high_quality", "reverse_kl", "counts", "relative_scale"):
            torch.testing.assert_close(getattr(both, name)[i], getattr(one, name), equal_nan=True)
    assert len(both.describe().splitlines()) == 2
    assert both.describe().splitlines()[1].startswith("7 of 8 modes, high quality ")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x": torch.zeros(5, 3)}, r"x has shape \(5, 3\)"),
        ({"scale": 0.0}, "scale must be positive"),
        ({"radius": 0.0}, "radius must be positive"),
        ({"at_least": 0}, "at_least must be at least 1"),
        ({"shares": torch.zeros(8)}, "shares must be 8 positive numbers"),
    ],
)
def test_mistakes_are_named(change, message):
    arguments = {"x": torch.zeros(5, 2), "centres": ring.centres, "scale": 0.1} | change
    with pytest.raises(ValueError, match=message):
        mode_scores(**arguments)
