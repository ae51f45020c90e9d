"""Samples as users bring them."""

import numpy as np
import pytest
import torch

from lfi.numerics.arrays import as_sample, two_samples


def test_arrays_and_tensors_of_any_real_dtype_are_samples():
    for x in (np.zeros((3, 2)), torch.zeros(3, 2), np.arange(6).reshape(3, 2), torch.ones(3, 2)):
        assert as_sample("x", x).shape == (3, 2)
    assert as_sample("x", torch.zeros(4), ()).shape == (4,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_counted(bad):
    x = torch.zeros(5, 2, 3)
    x[1, 0, 2] = x[4, 1, 1] = bad
    with pytest.raises(
        ValueError, match="p_samples: 2 of 5 rows are not finite, the first is row 1"
    ):
        two_samples(x, torch.zeros(5, 2, 3))


def test_events_must_agree():
    with pytest.raises(ValueError, match=r"one shape, got \(5, 2\) and \(5, 3\)"):
        two_samples(torch.zeros(5, 2), torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"x has shape \(5,\), expected \(n, 2\)"):
        as_sample("x", torch.zeros(5), (2,))


def test_few_rows_are_refused():
    with pytest.raises(ValueError, match="q_samples: 3 rows are too few, need at least 4"):
        two_samples(torch.zeros(5), torch.zeros(3), least=4)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        as_sample("x", torch.zeros(3, dtype=torch.complex64))
