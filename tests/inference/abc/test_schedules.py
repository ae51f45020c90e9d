"""Schedules of tolerances: quantiles of distances, and what survivors are worth."""

import pytest
import torch

from lfi.inference import DistanceQuantile, ESSFraction


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 0.9])
def test_this_share_of_the_weight_lies_within_the_quantile_and_no_less_would(level):
    distances, weights = torch.rand(101), torch.rand(101)
    tolerance = DistanceQuantile(level)(distances, weights)
    assert weights[distances <= tolerance].sum() >= level * weights.sum()
    assert weights[distances < tolerance].sum() < level * weights.sum()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_survivors_are_worth_the_share_of_the_sample_and_no_fewer_would_be(share):
    distances, weights = torch.rand(101), torch.rand(101)
    worth = lambda w: w.sum() ** 2 / w.square().sum()
    tolerance = ESSFraction(share)(distances, weights)
    assert worth(weights[distances <= tolerance]) >= share * worth(weights)
    before = distances.sort().values
    smaller = before[before < tolerance]
    assert all(worth(weights[distances <= d]) < share * worth(weights) for d in smaller)


def test_both_agree_where_weights_are_equal():
    distances, weights = torch.rand(100), torch.full((100,), 0.01)
    for share in (0.2, 0.5, 0.77):
        assert DistanceQuantile(share)(distances, weights) == ESSFraction(share)(distances, weights)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0])
def test_shares_are_between_0_and_1(share):
    with pytest.raises(ValueError, match="level must lie"):
        DistanceQuantile(share)
    with pytest.raises(ValueError, match="share must lie"):
        ESSFraction(share)
