"""Copying: copies are found, equal distributions are not, ranks are those of scipy."""

import pytest
import scipy.stats
import torch

from lfi.comparison.scores.memorisation import memorisation


def test_copies_are_found_and_named():
    training, held_out = torch.randn(100, 3), torch.randn(50, 3)
    copied = torch.randperm(100)[:40]
    found = memorisation(training[copied] + 1e-6, training, held_out)
    assert torch.equal(found.index[:, 0], copied)
    assert found.share == 1
    assert found.z > 5


def test_new_data_are_as_close_as_other_new_data():
    repeats = 200
    z = torch.tensor(
        [
            memorisation(torch.randn(40, 2), torch.randn(60, 2), torch.randn(30, 2)).z
            for _ in range(repeats)
        ]
    )
    # one training set serves both samples: z is standard normal given it
    assert abs(z.mean()) < 5 / repeats**0.5
    assert abs(z.std() - 1) < 5 / (2 * repeats) ** 0.5


def test_points_off_the_data_are_far():
    training, held_out = torch.randn(100, 2), torch.randn(50, 2)
    assert memorisation(torch.randn(50, 2) + 20, training, held_out).z < -5


def test_the_share_is_mann_and_whitneys_with_ties():
    training = torch.zeros(1, 1)
    generated, held_out = torch.randint(5, (30, 1)).double(), torch.randint(5, (20, 1)).double()
    u = scipy.stats.mannwhitneyu(held_out[:, 0], generated[:, 0]).statistic
    assert memorisation(generated, training, held_out).share == pytest.approx(u / 600)


def test_mistakes_are_named():
    x = torch.zeros(5, 2)
    with pytest.raises(ValueError, match="k must lie between 1 and 5 points, got 6"):
        memorisation(x, x, x, k=6)
