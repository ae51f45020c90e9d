"""What every discrepancy asks of its arguments."""

import pytest
import torch

from lfi.numerics.weighted_samples import check_samples, probabilities


def test_leading_dimensions_broadcast():
    assert check_samples(torch.zeros(5, 1, 9, 2), torch.zeros(3, 7, 2)) == (5, 3)


@pytest.mark.parametrize(
    "x, y, error, message",
    [
        (torch.zeros(3), torch.zeros(3, 1), ValueError, r"x must have shape .* got \(3,\)"),
        (torch.zeros(3, 1), torch.zeros(0, 1), ValueError, r"y must have .* got \(0, 1\)"),
        (torch.zeros(3, 1), torch.zeros(3, 2), ValueError, "vectors of one length"),
        (torch.zeros(2, 3, 1), torch.zeros(4, 3, 1), ValueError, "must broadcast"),
        (torch.zeros(3, 1).long(), torch.zeros(3, 1), TypeError, "x must hold floating-point"),
        (torch.zeros(3, 1).double(), torch.zeros(3, 1).float(), TypeError, "one dtype"),
    ],
)
def test_samples_that_cannot_be_compared_are_named(x, y, error, message):
    with pytest.raises(error, match=message):
        check_samples(x, y)


def test_weights_are_made_to_add_up():
    weight = torch.tensor([[1.0, 3.0], [0.0, 5.0]])
    expected = torch.tensor([[0.25, 0.75], [0.0, 1.0]])
    assert torch.equal(probabilities("weight_x", torch.zeros(2, 2, 1), weight), expected)


@pytest.mark.parametrize(
    "weight, message",
    [
        (torch.ones(2), r"weight_y must have shape \(3,\).* got \(2,\)"),
        (torch.tensor([1.0, -1.0, 1.0]), "not negative, got -1"),
        (torch.tensor([1.0, torch.nan, 1.0]), "finite"),
        (torch.zeros(3), "got only zeros"),
    ],
)
def test_weights_that_are_none_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        probabilities("weight_y", torch.zeros(3, 1), weight)
