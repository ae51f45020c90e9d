"""Regions: a fault in one part of the parameters is found there, and only there."""

import pytest
import torch
from torch.distributions import Normal, Uniform

import lfi
from lfi.generation.surrogates.fidelity_by_region import fidelity_by_region

PRIOR = {"location": Uniform(-1.0, 1.0), "other": Normal(0.0, 1.0)}


def right(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta[:, :1] + 0.3 * torch.randn(len(theta), 3, generator=rng)


def faulty(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Right where the location is below 1/2, and too wide above."""
    x = right(theta, rng)
    return torch.where(theta[:, :1] > 0.5, theta[:, :1] + 4 * (x - theta[:, :1]), x)


SIMULATOR, FAULTY = (lfi.Simulator(f, prior=PRIOR) for f in (right, faulty))


@pytest.fixture(scope="module")
def held_out():
    return lfi.simulate(SIMULATOR, 1_600, seed=1)


def test_the_simulator_itself_is_trusted_everywhere(held_out):
    regions = fidelity_by_region(SIMULATOR, held_out, parts=2, seed=2)
    assert regions.statistic.shape == (2, 2)
    assert regions.trusted.all()
    # 800 predictions in each part; they share training data, which at most doubles the error
    assert ((regions.statistic - 0.5).abs() < 5 * 2 * 0.5 / 800**0.5).all()


def test_a_fault_is_found_where_it_is(held_out):
    regions = fidelity_by_region(FAULTY, held_out, parts=4, seed=2)
    assert regions.trusted[0].tolist() == [True, True, True, False]
    assert regions.p_value[0, 3] < 1e-3
    theta = torch.tensor([[0.0, 0.1], [0.9, 0.1], [0.0, 50.0]])
    assert regions.trusts(theta).tolist()[1:] == [False, False]
    text = regions.describe().splitlines()
    assert "<table>" in regions._repr_html_()
    assert len(text) == 1 + 8
    assert text[4].endswith("not trusted") and "location in (" in text[4]


def test_the_same_seed_gives_the_same_numbers_and_none_recorded_ones(held_out):
    first = fidelity_by_region(SIMULATOR, held_out[:200], parts=1)
    again = fidelity_by_region(SIMULATOR, held_out[:200], parts=1, seed=first.seed)
    assert torch.equal(first.statistic, again.statistic)


def test_mistakes_are_named(held_out):
    with pytest.raises(ValueError, match="1600 valid simulations are too few for 100 parts"):
        fidelity_by_region(SIMULATOR, held_out, parts=100)
    with pytest.raises(ValueError, match="parts must be at least 1"):
        fidelity_by_region(SIMULATOR, held_out, parts=0)
    other = lfi.Simulator(lambda theta: theta, prior={"mean": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="'mean'.*'location'"):
        fidelity_by_region(other, held_out)
    flat = lfi.Simulator(lambda theta: theta, prior=PRIOR)
    with pytest.raises(ValueError, match=r"shape \(2,\), the simulator \(3,\)"):
        fidelity_by_region(flat, held_out)
