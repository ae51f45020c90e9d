"""The check of shapes in tests refuses what is wrong, also after calls that were right."""

from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor
from typechecker import check, jaxtyped

typed = jaxtyped(typechecker=check)
WRONG = [
    (torch.zeros(2), torch.zeros(3)),
    (torch.zeros(2, 1), torch.zeros(2)),
    (torch.zeros(2).long(), torch.zeros(2)),
    (torch.zeros(2), "zeros"),
    (torch.zeros(2), [0.0, 0.0]),
]


@typed
def paired(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return a + b


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_arguments_are_checked_in_every_call(given):
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="parameters"):
            paired(*given)
        with pytest.raises(TypeCheckError, match="parameters"):
            paired(given[0], b=given[1])
        assert paired(torch.zeros(2), torch.zeros(2)).shape == (2,)


def test_results_are_checked_in_every_call():
    right = torch.zeros(2)
    for wrong in ("text", torch.zeros(2, 2), torch.zeros(3), {1: right}):
        made = iter([right, wrong, right, wrong])

        @typed
        def result(a: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
            return next(made)  # noqa: B023

        for _ in range(2):
            assert result(right) is right
            with pytest.raises(TypeCheckError, match="return value"):
                result(right)


def test_parts_and_dataclasses_are_checked_in_every_call():
    @typed
    @dataclass
    class Pair:
        parts: tuple[Float[Tensor, " n"], Float[Tensor, " n"]]
        others: dict[str, Float[Tensor, " n"]]

    right, wrong = torch.zeros(2), torch.zeros(3)
    for _ in range(2):
        Pair((right, right), {"a": right})
        with pytest.raises(TypeCheckError):
            Pair((right, wrong), {"a": right})
        with pytest.raises(TypeCheckError):
            Pair((right, right), {"a": wrong})


def test_functions_of_one_line_are_told_apart_by_their_annotations():
    def made(shape):
        @typed
        def function(a: Float[Tensor, shape]) -> None: ...

        return function

    made(" n")(torch.zeros(2))
    with pytest.raises(TypeCheckError):
        made("n m")(torch.zeros(2))


def test_the_library_is_checked_so():
    import lfi

    mmd = lfi.discrepancies.MMD
    assert mmd.__call__.checked_once and mmd.__init__.checked_once
