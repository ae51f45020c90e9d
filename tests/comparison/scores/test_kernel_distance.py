"""Kernel distance: unbiased where p = q, right where moments are known, blocks as one by one."""

import pytest
import torch

from lfi.comparison.scores.kernel_distance import Polynomial, kernel_distance


def test_it_averages_zero_where_the_distributions_are_equal():
    repeats = 400
    x, y = torch.randn(repeats, 24, 3), torch.randn(repeats, 16, 3)
    values = kernel_distance(x, y, blocks=1).statistic
    assert abs(values.mean()) < 5 * values.std() / repeats**0.5
    assert (values < 0).any()


def test_its_error_is_that_of_repetition():
    repeats = 400
    found = kernel_distance(torch.randn(repeats, 80, 2), torch.randn(repeats, 80, 2), blocks=8)
    # relative error of a standard deviation of 400 values, which are not quite normal
    assert (
        abs(found.standard_error.square().mean().sqrt() / found.statistic.std() - 1)
        < 5 * 1.5 / 800**0.5
    )
    assert kernel_distance(torch.randn(9, 2), torch.randn(9, 2), blocks=1).standard_error.isnan()


def test_it_equals_the_double_sums():
    x, y = torch.randn(7, 3), torch.randn(5, 3) + 1
    k = lambda a, b: (a @ b.T / 3 + 1) ** 3
    xx, yy = k(x, x), k(y, y)
    xx, yy = (xx.sum() - xx.trace()) / 42, (yy.sum() - yy.trace()) / 20
    expected = xx + yy - 2 * k(x, y).mean()
    torch.testing.assert_close(
        kernel_distance(x, y, blocks=1).statistic, expected, rtol=1e-12, atol=0
    )


def test_a_linear_kernel_has_the_distance_of_the_means():
    repeats = 400
    x, y = torch.randn(repeats, 30, 2), torch.randn(repeats, 30, 2) + torch.tensor([1.0, 2.0])
    values = kernel_distance(x, y, kernel=Polynomial(degree=1), blocks=1).statistic
    assert abs(values.mean() - 5 / 2) < 5 * values.std() / repeats**0.5


@pytest.mark.parametrize("blocks", [0, 4])
def test_blocks_need_two_rows(blocks):
    with pytest.raises(ValueError, match="blocks must be at least 1 and leave two rows"):
        kernel_distance(torch.zeros(9, 2), torch.zeros(7, 2), blocks=blocks)


def test_results_are_shown_in_words():
    found = kernel_distance(torch.randn(2, 40, 2), torch.randn(2, 40, 2))
    first, second = repr(found).splitlines()
    assert first.startswith("kernel distance ")
    assert f"(standard error {found.standard_error[1]:.2g})" in second
