"""Samples and observations as users bring them."""

import numpy as np
import pytest
import torch

from lfi.numerics.arrays import (
    as_observation,
    as_observations,
    as_sample,
    as_tensor,
    as_two_samples,
)


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
        as_two_samples(x, torch.zeros(5, 2, 3))


def test_events_must_agree():
    with pytest.raises(ValueError, match=r"one shape, got \(5, 2\) and \(5, 3\)"):
        as_two_samples(torch.zeros(5, 2), torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"x has shape \(5,\), expected \(n, 2\)"):
        as_sample("x", torch.zeros(5), (2,))


def test_few_rows_are_refused():
    with pytest.raises(ValueError, match="q_samples: 3 rows are too few, need at least 4"):
        as_two_samples(torch.zeros(5), torch.zeros(3), min_rows=4)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        as_sample("x", torch.zeros(3, dtype=torch.complex64))


class Frame:
    """What pandas and others have in common."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


def test_lists_tables_and_columns_are_samples():
    expected = torch.arange(6.0).reshape(3, 2)
    read_only = np.arange(6.0).reshape(3, 2)
    read_only.flags.writeable = False
    for x in (
        expected.tolist(),
        list(expected),
        list(expected.numpy()),
        Frame(expected.numpy()),
        read_only,
        expected.numpy()[::-1][::-1],
        expected.numpy().astype(">f8"),
    ):
        assert torch.equal(as_sample("x", x), expected)
    assert torch.equal(as_sample("x", Frame(np.array([1, 2]))), torch.tensor([1, 2]))
    assert as_tensor("x", np.arange(3.0)[::-1]).tolist() == [2.0, 1.0, 0.0]


def test_data_frames_of_pandas_are_samples():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    assert torch.equal(as_sample("x", frame), torch.tensor([[1, 0.5], [2, 1.5], [3, 2.5]]))
    assert as_sample("x", frame["a"]).tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="data frame, got DataFrame of object"):
        as_sample("x", frame.assign(c=["x", "y", "z"]))


def test_what_holds_no_numbers_is_refused():
    for wrong in (None, "123", ["a", "b"], object(), {"a": [1.0]}):
        with pytest.raises(TypeError, match="x must be a torch tensor, a NumPy array, a list of"):
            as_tensor("x", wrong)
    with pytest.raises(ValueError, match="x must be an array of numbers.*inhomogeneous"):
        as_tensor("x", [[1.0, 2.0], [3.0]])


def test_tensors_keep_their_gradients_and_dtype():
    x = torch.ones(3, 2, dtype=torch.float32, requires_grad=True)
    assert as_sample("x", x) is x
    observed = as_observation(x)
    assert observed.dtype == torch.float32
    assert not observed.requires_grad


@pytest.mark.parametrize(
    ("x", "shape", "batch", "single"),
    [
        (torch.zeros(3), (3,), (1, 3), True),
        (torch.zeros(2, 3), (3,), (2, 3), False),
        (1.5, (), (1,), True),
        ([1.5, 2.5], (), (2,), False),
        (np.zeros((2, 4)), (4,), (2, 4), False),
        (torch.zeros(4, 4), (4, 4), (1, 4, 4), True),
    ],
)
def test_one_observation_or_many(x, shape, batch, single):
    rows, alone = as_observations(x, shape)
    assert rows.shape == batch
    assert rows.dtype == (x.dtype if isinstance(x, torch.Tensor) else torch.float64)
    assert alone is single


def test_observations_of_another_shape_or_not_finite_are_refused():
    for wrong in (torch.zeros(3), torch.zeros(0, 2), torch.zeros(5, 3), torch.zeros(2, 5, 2)):
        with pytest.raises(ValueError, match=r"x_obs has shape.*one simulation's x has \(2,\)"):
            as_observations(wrong, (2,))
    with pytest.raises(ValueError, match="x_obs holds 1 values that are not finite"):
        as_observations(torch.tensor([0.0, torch.nan]), (2,))
