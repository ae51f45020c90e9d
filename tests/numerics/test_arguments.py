"""`checked` refuses what annotations do not allow, by one form of message, and lets all else be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import check_device, check_kind, checked, is_one, shown
from lfi.numerics.arrays import Samples

NAN = float("nan")


@runtime_checkable
class Weighs(Protocol):
    """Two samples and a weight."""

    def __call__(self, p: Tensor, q: Tensor, *, weight: Tensor | None = None) -> Tensor: ...


GOOD = [
    (int, 3),
    (int, np.int64(3)),
    (float, 3),
    (float, np.float32(0.5)),
    (bool, np.True_),
    (int | None, None),
    (Samples, [[1.0, 2.0]]),
    (Samples, np.zeros(3)),
    (Samples, 2.5),
    (Sequence[str], ("a", "b")),
    (Sequence[float], [1, 2.5]),
    (Sequence[float], torch.zeros(2)),
    (tuple[float, float], (0.0, 1.0)),
    (Mapping[str, str], {"a": "1"}),
    (Callable[[Tensor], Tensor], torch.nn.Identity()),
    (Float[Tensor, "n d"], torch.zeros(3, 2)),
    (Float[Tensor, "*batch d"], torch.zeros(3, 2, 1)),
    (Weighs, lambda p, q, *, weight=None: p),
    (Weighs, lambda p, q, **weights: p),
    (object, NAN),
]
BAD = [
    (int, 2.5, "must be a whole number, got 2.5"),
    (int, True, "must be a whole number, got True"),
    (float, "a", "must be a number, got 'a'"),
    (float, 1j, "must be a number, got 1j"),
    (bool, 1.0, "must be True or False, got 1.0"),
    (str | None, 3, "must be a string, got 3"),
    (Samples, "x", "must be a torch tensor, a NumPy array, a list of numbers or a data frame"),
    (Samples, None, "or a data frame, got None"),
    (Sequence[str], "ab", "must be a list of strings, got 'ab'"),
    (Sequence[str], [3], r"must be a list of strings, got \[3\]"),
    (tuple[float, float], (0.0,), r"must be a tuple of 2, got \(0.0,\)"),
    (Mapping[str, str], {"a": 3}, "must be a dictionary from strings to strings"),
    (Callable[[Tensor], Tensor], 3, "must be a function, got 3"),
    (torch.nn.Module, torch.nn.ReLU, r"got the class ReLU: give an instance, ReLU\(\)"),
    (Float[Tensor, "n d"], torch.zeros(3, 2).long(), "got a Tensor of torch.int64"),
    (Float[Tensor, "n d"], torch.zeros(3, 2).cfloat(), "got a Tensor of torch.complex64"),
    (Weighs, lambda p, q: p, "must be a weighs, got"),
]


@pytest.mark.parametrize("annotation, value", GOOD)
def test_what_an_annotation_allows_passes(annotation, value):
    check_kind("x", value, annotation)


@pytest.mark.parametrize("annotation, value, message", BAD)
def test_what_it_does_not_allow_is_told_by_name(annotation, value, message):
    with pytest.raises(TypeError, match=f"^x must be .*{message.removeprefix('must be ')}"):
        check_kind("x", value, annotation)


def test_a_tensor_of_other_axes_and_nan_are_wrong_values():
    with pytest.raises(ValueError, match=r"x has shape \(3,\), expected \(n, 2\)"):
        check_kind("x", torch.zeros(3), Float[Tensor, "n 2"])
    with pytest.raises(ValueError, match="x must be a number, got nan"):
        check_kind("x", NAN, float | None)


def test_positions_names_and_defaults_are_all_checked():
    @checked
    def scale(x: float, *, by: int = 2, seed: int | None = None) -> float:
        return x * by

    assert scale(1.5) == scale(x=1.5, by=2) == 3.0
    for wrong in ({"x": "a"}, {"x": 1.5, "by": 2.5}):
        with pytest.raises(TypeError, match="must be a"):
            scale(**wrong)
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        scale(1.5, seed=-1)


def test_a_class_tells_of_nan_after_its_own_checks():
    @checked
    class Positive:
        def __init__(self, x: float, y: float = 0.0) -> None:
            if not x > 0:
                raise ValueError(f"x must be positive, got {x}")

    with pytest.raises(ValueError, match="x must be positive, got nan"):
        Positive(NAN)
    with pytest.raises(ValueError, match="y must be a number, got nan"):
        Positive(1.0, NAN)


@pytest.mark.parametrize("device", ["zzz", "hpu", "meta", "3"])
def test_devices_that_are_not_here_are_told(device):
    check_device("cpu")
    with pytest.raises(ValueError, match="device must "):
        check_device(device)


def test_what_came_is_told_in_short():
    assert shown(torch.zeros(3, 2).float()) == "a Tensor of torch.float32, shape (3, 2)"
    assert len(shown("x" * 1_000)) < 100
    assert not is_one(torch.nn.ReLU, torch.nn.Module)
