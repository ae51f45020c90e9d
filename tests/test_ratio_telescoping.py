"""Telescoping ratios: where one classifier is blind, a sum of easy ones is not."""

import math

import pytest
import torch

import lfi
from lfi.ratio.waymarks import Waymarks, even_levels

FAST = {"steps": 300}


def gaussians(n, pairs, rho):
    x = torch.randn(n, pairs)
    return x, rho * x + math.sqrt(1 - rho**2) * torch.randn(n, pairs)


@pytest.mark.slow
def test_a_far_shift_is_bridged():
    p, q = 6 + torch.randn(3_000), torch.randn(3_000)
    ratio = lfi.TelescopingRatio(**FAST).fit(p, q, seed=1, progress=False)
    x = torch.linspace(1, 5, 9)
    exact = 6 * x - 18
    # The exact log ratio runs from -12 to 12; a tenth of its spread is what a quick fit may miss.
    assert (ratio.log_ratio(x) - exact).square().mean().sqrt() < 1.6
    assert len(ratio.separation_) == len(ratio.levels_) - 1 > 1


def test_the_sum_of_bridges_is_the_ratio_and_seeds_repeat_it():
    p, q = 2 + torch.randn(500, 2), torch.randn(500, 2)
    one, two = (
        lfi.TelescopingRatio(bridges=3, steps=50).fit(p, q, seed=4, progress=False)
        for _ in range(2)
    )
    x = torch.randn(7, 2)
    assert one.bridge_log_ratios(x).shape == (3, 7)
    torch.testing.assert_close(one.bridge_log_ratios(x).sum(0), one.log_ratio(x))
    assert torch.equal(one.log_ratio(x), two.log_ratio(x))


def test_waymarks_of_standard_normals_are_standard_normal():
    levels = even_levels(4)
    assert levels[0] == 0 and levels[-1] == 1 and (levels.diff() > 0).all()
    with pytest.raises(ValueError):
        Waymarks(torch.tensor([0.0, 0.7, 0.5, 1.0]))


@pytest.mark.slow
def test_mutual_information_of_correlated_gaussians_is_recovered():
    pairs, nats = 5, 2.5
    rho = math.sqrt(1 - math.exp(-2 * nats / pairs))
    x, y = gaussians(20_000, pairs, rho)
    found = lfi.ratio.mutual_information(
        x, y, method=lfi.TelescopingRatio(steps=1_000), seed=1, progress=False
    )
    assert found.value == pytest.approx(nats, rel=0.1)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"loss": lfi.Hinge()}, "recovers SIGN"),
        ({"bridges": 2, "levels": (0.0, 1.0)}, "bridges or levels"),
        ({"bridges": 0}, "bridges must be positive"),
        ({"held_out": 0.0}, "held_out must lie"),
    ],
)
def test_wrong_arguments_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        lfi.TelescopingRatio(**change).fit(torch.randn(200), torch.randn(200), seed=1)


def test_it_must_be_fitted_first_and_can_be_cloned():
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        lfi.TelescopingRatio().log_ratio(torch.zeros(3))
    copy = clone(lfi.TelescopingRatio(bridges=5, width=32))
    assert copy.get_params()["bridges"] == 5 and copy.width == 32
