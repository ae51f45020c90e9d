"""Seeds: streams named by keys, and the global state left as it was."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from lfi.runtime import child, fresh, isolated, numpy_rng, torch_rng


@given(st.integers(0, 2**64), st.lists(st.integers(0, 2**32 - 1), max_size=3))
def test_equal_seed_and_key_give_equal_streams(seed, key):
    assert child(seed, *key) == child(seed, *key) < 2**63
    a, b = torch_rng(seed, *key), torch_rng(seed, *key)
    assert torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    assert np.array_equal(numpy_rng(seed, *key).random(3), numpy_rng(seed, *key).random(3))


def test_different_keys_never_collide_among_many():
    seeds = {child(1, kind, index) for kind in range(3) for index in range(5_000)}
    assert len(seeds) == 15_000  # 15,000 of 2^63: a collision has probability 1e-11


def test_no_seed_takes_new_entropy_each_time():
    assert len({fresh(None) for _ in range(20)}) == 20


@pytest.mark.parametrize("seed", [True, 1.5, "1"])
def test_seeds_of_a_wrong_kind_are_refused(seed):
    with pytest.raises(TypeError, match="seed"):
        fresh(seed)


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match="-3"):
        fresh(-3)


def test_numpy_integers_are_seeds():
    assert fresh(np.int64(5)) == 5


def test_isolated_repeats_itself_and_restores_every_global_state():
    def draws():
        return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()

    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with isolated(3):
        first = draws()
    with isolated(3):
        assert draws() == first
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_isolated_restores_after_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), isolated(3):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
