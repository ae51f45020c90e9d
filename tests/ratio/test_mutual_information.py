"""Mutual information from pairs."""

import math

import pytest
import torch

import lfi

TINY = lfi.TelescopingRatio(bridges=2, width=8, settings=lfi.TrainSettings(steps=20, batch_size=64))


@pytest.mark.slow
def test_mutual_information_is_recovered_through_a_nonlinear_map():
    pairs, nats, n = 5, 2.5, 40_000
    rho = math.sqrt(-math.expm1(-2 * nats / pairs))
    x = torch.randn(n, pairs)
    y = rho * x + math.sqrt(1 - rho**2) * torch.randn(n, pairs)
    method = lfi.TelescopingRatio(settings=lfi.TrainSettings(steps=800, batch_size=256))
    # any invertible map of either side alone changes nothing
    found = lfi.mutual_information(3 * x + 1, y.sinh(), method=method, seed=1, progress=False)
    # sampling error, and a tenth for what the fit misses of a y with heavy tails
    assert found.value == pytest.approx(nats, abs=5 * found.standard_error + 0.1 * nats)


@pytest.mark.slow
def test_independent_samples_share_nothing():
    x, y = torch.randn(10_000, 2), torch.randn(10_000, 2)
    method = lfi.TelescopingRatio(settings=lfi.TrainSettings(steps=200, batch_size=256))
    found = lfi.mutual_information(x, y, method=method, seed=1, progress=False)
    # an overfit of 14 terms to 7,200 pairs is about 14/7,200
    assert abs(found.value) < 5 * found.standard_error + 14 / 7_200


def test_an_estimate_repeats_itself_and_leaves_its_method_unfitted():
    x = torch.randn(400)
    y = x + torch.randn(400)
    one, two, other = (
        lfi.mutual_information(x, y, method=TINY, seed=seed, progress=False) for seed in (1, 1, 2)
    )
    assert one == two != other
    assert one.standard_error > 0
    assert not hasattr(TINY, "network_")


def test_pairs_must_match_and_be_enough():
    with pytest.raises(ValueError, match="one in a row of either"):
        lfi.mutual_information(torch.randn(200), torch.randn(201), method=TINY)
    with pytest.raises(ValueError, match="at least 100 pairs"):
        lfi.mutual_information(torch.randn(110), torch.randn(110), method=TINY)
    with pytest.raises(ValueError, match="held_out must lie"):
        lfi.mutual_information(torch.randn(400), torch.randn(400), held_out=0.0, method=TINY)
