"""The independent Wasserstein critic against exact distances, never above them beyond its error."""

import pytest
import torch

import lfi
from lfi.ratio.wasserstein_distance import wasserstein_distance


def steps(count):
    return lfi.TrainSettings(steps=count)


def test_on_a_line_it_is_the_exact_distance():
    p, q = torch.randn(4_000, 1), 2 * torch.randn(3_000, 1) + 0.5
    exact = lfi.discrepancies.Wasserstein1D()(p, q)
    found = wasserstein_distance(p, q, settings=steps(120), seed=1)
    # the exact distance of the samples is off by 1/sqrt(n) and so is the held-out value
    assert abs(found.value - exact) < 5 * found.standard_error + 0.05 * exact


def test_equal_distributions_are_at_distance_zero_in_many_dimensions():
    found = wasserstein_distance(
        torch.randn(1_000, 10), torch.randn(1_000, 10), settings=steps(60), seed=1
    )
    assert abs(found.value) < 5 * found.standard_error


def test_a_shift_is_its_length_in_the_units_of_the_data():
    shift = torch.tensor([30.0, -40.0, 0.0])
    p, q = 10 * torch.randn(2_000, 3), 10 * torch.randn(2_000, 3) + shift
    found = wasserstein_distance(p, q, settings=steps(100), seed=1)
    assert found.value < 50 + 5 * found.standard_error
    assert found.value > 50 - 5 * found.standard_error - 1.0  # what training leaves: 2%


def test_the_potential_rises_no_faster_than_one_and_towards_p():
    p, q = torch.randn(500, 2), torch.randn(500, 2) + torch.tensor([5.0, 0.0])
    potential = wasserstein_distance(p, q, settings=steps(50), seed=1).potential
    line = torch.stack([torch.linspace(0, 5, 50), torch.zeros(50)], dim=1)
    slope = potential(line).diff() / (5 / 49)
    assert (slope < 0).double().mean() > 0.9
    assert slope.abs().max() < 1 + 1e-4


def test_the_recorded_seed_repeats_it_and_images_are_flattened():
    p, q = torch.randn(100, 2, 3), torch.randn(120, 2, 3)
    first = wasserstein_distance(p, q, settings=steps(3))
    again = wasserstein_distance(p.numpy(), q.numpy(), settings=steps(3), seed=first.history.seed)
    assert repr(first).startswith("W_1 is at least ")
    assert (first.value, first.standard_error) == (again.value, again.standard_error)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="p_samples: 10 rows are too few"):
        wasserstein_distance(torch.zeros(10, 2), torch.zeros(100, 2))
    with pytest.raises(ValueError, match="events of one shape"):
        wasserstein_distance(torch.zeros(100, 3), torch.zeros(100, 2))
