"""Warnings point to the line that called lfi, not to one inside."""

import warnings

import torch

from lfi.runtime.calls import warn_caller


def test_a_warning_bears_the_file_of_the_caller_through_functions_of_other_packages():
    inside = {"__name__": "lfi.somewhere", "warn_caller": warn_caller, "torch": torch}
    exec(
        "def deep():\n    warn_caller('deep', UserWarning)\n"
        "deeper = torch.no_grad()(deep)\n"
        "def door():\n    deeper()\n",
        inside,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside["door"]()
    assert [warning.filename for warning in caught] == [__file__]
