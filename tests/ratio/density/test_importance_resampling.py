"""Importance resampling from any density that can be drawn from."""

import math

import pytest
import torch

from lfi.ratio.density.importance_resampling import sample_reference

CHUNK, MAX_DRAWS = 2**16, 2**20  # by default


def normal(batch, index):
    return torch.randn(batch, generator=torch.Generator().manual_seed(index))


def narrow(sd):
    """The log ratio of N(0, sd^2) to N(0, 1)."""
    return lambda x: -(x**2) / 2 * (1 / sd**2 - 1) - math.log(sd)


def test_samples_of_q_become_samples_of_p():
    draws = sample_reference(narrow(0.5), normal, 2_000)
    assert len(draws.x) == CHUNK
    # E[w]^2 / E[w^2] = sd^2 sqrt(2/sd^2 - 1), and weights below 2 err by some 1/sqrt(CHUNK)
    assert draws.ess / CHUNK == pytest.approx(0.25 * math.sqrt(7), rel=0.03)
    assert draws.khat < 0.7
    x = draws.resample(2_000, seed=1)
    assert abs(x.mean()) < 5 * 0.5 / math.sqrt(2_000)
    assert abs(x.var() / 0.25 - 1) < 5 * math.sqrt(2 / 2_000)


def test_a_constant_in_the_ratio_changes_nothing():
    plain, shifted = (
        sample_reference(lambda x, c=c: narrow(0.5)(x) + c, normal, 100) for c in (0, 300)
    )
    torch.testing.assert_close(plain.log_weights, shifted.log_weights)


def test_draws_are_added_until_they_suffice_or_there_are_a_million():
    some = sample_reference(narrow(0.05), normal, 3_000)
    assert CHUNK < len(some.x) < MAX_DRAWS
    assert some.ess > 0.9 * 4 * 3_000
    lost = sample_reference(narrow(1e-4), normal, 3_000)
    assert len(lost.x) == MAX_DRAWS
    assert lost.ess < 3_000


def test_equal_seeds_draw_equal_samples():
    draws = sample_reference(narrow(0.5), normal, 10)
    assert torch.equal(draws.resample(10, seed=3), draws.resample(10, seed=3))
    assert not torch.equal(draws.resample(10, seed=3), draws.resample(10, seed=4))


def test_a_ratio_that_is_nowhere_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        sample_reference(lambda x: torch.full((len(x),), -torch.inf), normal, 10)


def test_chunks_are_drawn_until_there_are_enough():
    equal = lambda x: torch.zeros(len(x))
    options = {"target_ess": 2.5, "chunk": 4}
    assert len(sample_reference(equal, normal, 3, **options).x) == 8  # 7.5 are wanted
    assert len(sample_reference(equal, normal, 3, max_draws=4, **options).x) == 4
    assert len(sample_reference(equal, normal, 99, max_draws=8, **options).x) == 8
    some = lambda x: torch.where(torch.arange(len(x)) == 0, -torch.inf, 0.0)
    found = sample_reference(some, normal, 2, chunk=8, target_ess=1.0)
    torch.testing.assert_close(found.log_weights.exp(), torch.tensor([0.0] + [1 / 7] * 7))
