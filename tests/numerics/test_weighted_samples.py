"""What every discrepancy asks of its arguments."""

import numpy as np
import pytest
import torch

from lfi.numerics.weighted_samples import as_batches, deviations, probabilities


def test_leading_dimensions_broadcast():
    p, q = torch.zeros(5, 1, 9, 2), torch.zeros(3, 7, 2)
    assert as_batches(p, q) == (p, q)


@pytest.mark.parametrize(
    "x, y, error, message",
    [
        (torch.zeros(3), torch.zeros(3, 1), ValueError, r"p must have shape .* got \(3,\)"),
        (torch.zeros(3, 1), torch.zeros(0, 1), ValueError, r"q must have .* got \(0, 1\)"),
        (torch.zeros(3, 1), torch.zeros(3, 2), ValueError, "vectors of one length"),
        (torch.zeros(2, 3, 1), torch.zeros(4, 3, 1), ValueError, "must broadcast"),
        (torch.zeros(3, 1).long(), torch.zeros(3, 1), TypeError, "p must hold floating-point"),
        (torch.zeros(3, 1).double(), torch.zeros(3, 1).float(), TypeError, "one dtype"),
    ],
)
def test_samples_that_cannot_be_compared_are_named(x, y, error, message):
    with pytest.raises(error, match=message):
        as_batches(x, y)


def test_weights_are_made_to_add_up():
    weight = torch.tensor([[1.0, 3.0], [0.0, 5.0]])
    expected = torch.tensor([[0.25, 0.75], [0.0, 1.0]])
    assert torch.equal(probabilities("weight_p", torch.zeros(2, 2, 1), weight), expected)


@pytest.mark.parametrize(
    "weight, message",
    [
        (torch.ones(2), r"weight_q must have shape \(3,\).* got \(2,\)"),
        (torch.tensor([1.0, -1.0, 1.0]), "not negative, got -1"),
        (torch.tensor([1.0, torch.nan, 1.0]), "finite"),
        (torch.zeros(3), "got only zeros"),
    ],
)
def test_weights_that_are_none_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        probabilities("weight_q", torch.zeros(3, 1), weight)


def test_arrays_take_the_dtype_of_a_tensor_beside_them():
    x = torch.zeros(2, 1, dtype=torch.float32)
    p, q = as_batches(x, [[1], [2]])
    assert p is x
    assert q.dtype == torch.float32
    assert all(side.dtype == torch.float64 for side in as_batches(np.ones((2, 1)), np.ones((3, 1))))
    assert probabilities("weight_p", x, [1, 3]).tolist() == [0.25, 0.75]


def test_rounding_is_no_deviation():
    for dtype in (torch.float32, torch.float64):
        for value, n in ((0.1, 7), (2459000.3, 1_000)):
            points = torch.full((n, 1), value, dtype=dtype)
            torch.testing.assert_close(deviations(points, 0), 1e-6 * points[:1], rtol=1e-6, atol=0)
