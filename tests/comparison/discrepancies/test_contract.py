"""The contract of discrepancies, over all of them: see discrepancies.py."""

import inspect

import pytest
import torch
from jaxtyping import TypeCheckError
from support.discrepancies import DISCREPANCIES
from torch.autograd import gradcheck

from lfi.comparison import MMD, Biased, Block, Discrepancy, Energy, Gaussian

TOLERANCE = 1e-10  # of float64, for values of order 1


def cases(*promises):
    """Parametrise over the discrepancies that make all these promises."""
    chosen = [c for c in DISCREPANCIES if all(getattr(c, promise) for promise in promises)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def close(value, expected):
    torch.testing.assert_close(value, expected, atol=TOLERANCE, rtol=TOLERANCE)


def samples(case, n=17, m=12, lead_x=(), lead_y=()):
    return torch.randn(*lead_x, n, case.dim), 0.5 + 1.5 * torch.randn(*lead_y, m, case.dim)


@cases()
def test_names_are_distinct_and_pieces_are_discrepancies(case):
    assert [other.name for other in DISCREPANCIES].count(case.name) == 1
    assert isinstance(case.discrepancy, Discrepancy)
    parameters = inspect.signature(type(case.discrepancy).__call__).parameters
    assert parameters["weight_p"].kind is inspect.Parameter.KEYWORD_ONLY
    hash(case.discrepancy)


@cases("zero")
def test_a_sample_is_at_zero_from_itself(case):
    x, _ = samples(case)
    close(case.discrepancy(x, x.clone()), torch.tensor(0.0))


@cases()
def test_far_is_further_than_near(case):
    x, y = torch.randn(200, case.dim), torch.randn(200, case.dim)
    near, middle, far = (case.discrepancy(x, y + shift) for shift in (0, 0.7, 3))
    assert near < middle < far


@cases()
def test_arrays_and_lists_are_samples(case):
    x, y = samples(case)
    value = case.discrepancy(x, y)
    assert torch.equal(case.discrepancy(x.numpy(), y.tolist()), value)
    assert torch.equal(case.discrepancy(x.tolist(), y), value)


@cases("symmetric")
def test_neither_sample_comes_first(case):
    x, y = samples(case)
    close(case.discrepancy(x, y), case.discrepancy(y, x))


@cases("orderly")
def test_the_order_of_rows_does_not_matter(case):
    x, y = samples(case)
    value = case.discrepancy(x, y)
    close(case.discrepancy(x[torch.randperm(17)], y[torch.randperm(12)]), value)


@cases()
def test_batches_are_loops(case):
    x, y = samples(case, lead_x=(2, 3), lead_y=(3,))
    value = case.discrepancy(x, y)
    assert value.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            close(value[i, j], case.discrepancy(x[i, j], y[j]))


@cases()
def test_many_samples_meet_one(case):
    x, y = samples(case, lead_x=(4,))
    value = case.discrepancy(x, y)
    assert value.shape == (4,)
    close(value, torch.stack([case.discrepancy(row, y) for row in x]))
    swapped = case.discrepancy(y, x)
    close(swapped, torch.stack([case.discrepancy(y, row) for row in x]))


@cases("weighted")
def test_batches_of_weights_are_loops(case):
    x, y = samples(case, lead_x=(3,))
    w, v = torch.rand(3, 17), torch.rand(12)
    value = case.discrepancy(x, y, weight_p=w, weight_q=v)
    for k in range(3):
        close(value[k], case.discrepancy(x[k], y, weight_p=w[k], weight_q=v))


@cases("weighted")
def test_equal_weights_change_nothing_and_need_not_sum_to_one(case):
    x, y = samples(case)
    value = case.discrepancy(x, y)
    close(case.discrepancy(x, y, weight_p=torch.full((17,), 3.0)), value)
    w, v = torch.rand(17), torch.rand(12)
    value = case.discrepancy(x, y, weight_p=w, weight_q=v)
    close(case.discrepancy(x, y, weight_p=5 * w, weight_q=v / 7), value)


@cases("weighted", "counts")
def test_whole_weights_are_repeated_rows(case):
    x, y = samples(case)
    w, v = torch.randint(1, 4, (17,)), torch.randint(0, 4, (12,))
    value = case.discrepancy(x, y, weight_p=w.double(), weight_q=v.double())
    close(case.discrepancy(x.repeat_interleave(w, 0), y.repeat_interleave(v, 0)), value)


@cases("weighted")
def test_points_of_no_weight_are_not_there(case):
    x, y = samples(case)
    w = torch.rand(17)
    w[5:] = 0
    close(case.discrepancy(x, y, weight_p=w), case.discrepancy(x[:5], y, weight_p=w[:5]))


@cases("gradient")
def test_gradients_are_derivatives(case):
    x, y = samples(case, n=5, m=4)
    # A bandwidth from data is a constant to autograd, and would move with a finite difference.
    discrepancy = case.discrepancy
    kernel = getattr(discrepancy, "kernel", None)
    if hasattr(kernel, "fixed"):
        discrepancy = type(discrepancy)(
            **{**vars(discrepancy), "kernel": kernel.fixed(x.detach(), y.detach())}
        )
    assert gradcheck(discrepancy, (x.requires_grad_(), y.requires_grad_()), fast_mode=True)
    if case.weighted:
        w, v = torch.rand(5).requires_grad_(), torch.rand(4).requires_grad_()
        weighted = lambda w, v: discrepancy(x.detach(), y.detach(), weight_p=w, weight_q=v)
        assert gradcheck(weighted, (w, v), fast_mode=True)


@cases("gradient")
def test_gradients_are_finite_at_equal_points(case):
    x = torch.randn(9, case.dim)
    x[3] = x[4]
    y = x.clone().requires_grad_()
    x.requires_grad_()
    case.discrepancy(x, y).backward()
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


@cases()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_results_have_the_dtype_of_the_samples(case, dtype):
    x, y = samples(case)
    value = case.discrepancy(x.to(dtype), y.to(dtype))
    assert value.dtype == dtype
    # sums of hundreds of values of order 1
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(
        value.double(), case.discrepancy(x, y), atol=tolerance, rtol=tolerance
    )


@cases()
def test_inputs_are_left_alone(case):
    x, y = samples(case)
    before = x.clone(), y.clone(), torch.get_rng_state()
    case.discrepancy(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


@cases()
def test_samples_that_do_not_fit_are_refused(case):
    x, y = samples(case)
    for bad in (x[:, :0], x[:0], x[0], torch.randn(4, 17, case.dim + 1)):
        with pytest.raises((ValueError, TypeCheckError)):  # the check of shapes in tests, or ours
            case.discrepancy(bad, y)
    with pytest.raises((ValueError, TypeCheckError)):
        case.discrepancy(x.expand(2, 17, case.dim), y.expand(3, 12, case.dim))
    with pytest.raises((TypeError, TypeCheckError)):
        case.discrepancy(x.float(), y)
    with pytest.raises((TypeError, TypeCheckError)):
        case.discrepancy(x.long(), y.long())


@cases("weighted")
def test_weights_that_do_not_fit_are_refused(case):
    x, y = samples(case)
    for bad in (-torch.ones(17), torch.zeros(17), torch.full((17,), torch.nan)):
        with pytest.raises(ValueError, match="weight_p must be"):
            case.discrepancy(x, y, weight_p=bad)
    with pytest.raises((ValueError, TypeCheckError)):
        case.discrepancy(x, y, weight_q=torch.ones(11))


@pytest.mark.parametrize(
    "case", [c for c in DISCREPANCIES if not c.weighted], ids=lambda case: case.name
)
def test_those_without_weights_say_so(case):
    x, y = samples(case)
    with pytest.raises(ValueError, match="takes no weights"):
        case.discrepancy(x, y, weight_p=torch.ones(17))


@pytest.mark.parametrize("case", DISCREPANCIES, ids=lambda case: case.name)
def test_a_row_that_is_no_number_leaves_no_number(case):
    x, y = samples(case)
    x[3, 0] = torch.nan
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert not case.discrepancy(x, y).isfinite()


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", [MMD(Gaussian(1.0)), Energy(), MMD(Gaussian(1.0), Biased())])
def test_what_depends_on_q_is_the_whole_but_for_a_constant(kind, d):
    x, y = torch.randn(30, d), torch.randn(4, 20, d)
    w, v = torch.rand(30), torch.rand(4, 20)
    whole = kind(x, y, weight_p=w, weight_q=v)
    part = kind.of_q(x, y, weight_p=w, weight_q=v)
    torch.testing.assert_close(whole - part, (whole - part)[:1].expand(4))
    assert (whole - part).abs().min() > 0.1


def test_blocks_have_no_part_that_depends_on_q_alone():
    x, y = torch.randn(30, 1), torch.randn(20, 1)
    for kind in (MMD(Gaussian(1.0), Block()), Energy(Block())):
        assert kind.of_q(x, y) == kind(x, y)
