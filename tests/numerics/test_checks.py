"""Checks of settings."""

import math

import numpy as np
import pytest

from lfi.numerics.checks import (
    check_instance,
    check_number,
    check_positive,
    check_share,
    check_whole,
)


def test_what_is_in_its_range_passes():
    check_number("x", -3)
    check_number("x", math.inf, above=0, maximum=math.inf)
    check_number("x", np.float32(0.5), minimum=0.5, below=1)
    check_positive("x", 1e-300)
    check_whole("x", np.int64(3), maximum=3)
    check_share("x", 1, ends=True)
    check_instance("x", [], list | tuple)
    for check in (check_number, check_positive, check_whole, check_share):
        check("x", None, optional=True)
    check_instance("x", None, list, optional=True)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (lambda v: check_number("x", v), math.nan, "x must be finite, got nan"),
        (lambda v: check_number("x", v), math.inf, "x must be finite, got inf"),
        (lambda v: check_number("x", v, above=1, below=2), 2.0, "above 1 and below 2, got 2.0"),
        (lambda v: check_number("x", v, above=0, maximum=math.inf), 0, "x must be positive"),
        (lambda v: check_number("x", v, minimum=0, maximum=math.inf), math.nan, "at least 0"),
        (lambda v: check_positive("x", v), -1, "x must be positive and finite, got -1"),
        (lambda v: check_whole("x", v, minimum=2), 1, "x must be at least 2, got 1"),
        (lambda v: check_whole("x", v, maximum=2), 3, "x must be at most 2, got 3"),
        (lambda v: check_share("x", v), 0.0, "x must lie between 0 and 1, got 0.0"),
        (lambda v: check_share("x", v, ends=True), 1.1, r"x must lie in \[0, 1\], got 1.1"),
        (lambda v: check_share("x", v, ends=True), math.nan, r"x must lie in \[0, 1\], got nan"),
    ],
)
def test_what_is_out_of_its_range_is_a_value_error(check, value, message):
    with pytest.raises(ValueError, match=message):
        check(value)


@pytest.mark.parametrize("wrong", [True, "1", None, [1.0], 1j])
def test_what_is_no_number_is_a_type_error(wrong):
    for check in (check_number, check_positive, check_share):
        with pytest.raises(TypeError, match="x must be a number, got"):
            check("x", wrong)
    with pytest.raises(TypeError, match="x must be a whole number, got"):
        check_whole("x", wrong)
    with pytest.raises(TypeError, match="x must be a whole number, got 1.0"):
        check_whole("x", 1.0)


def test_a_class_in_place_of_its_instance_is_named():
    with pytest.raises(TypeError, match="x must be a list, got the class list: give an instance"):
        check_instance("x", list, list)
    with pytest.raises(TypeError, match=r"x must be a loss, got 3$"):
        check_instance("x", 3, list, "a loss")
