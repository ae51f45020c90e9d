import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.optimize import linprog, minimize

from lfi.numerics.simplex import duality_gap, minimise_on_simplex

seeds = st.integers(0, 10_000)


def quadratic(seed, n, rank):
    """A convex quadratic f(v) = v'Av/2 - b'v, singular where rank < n."""
    rng = torch.Generator().manual_seed(seed)
    root = torch.randn(n, rank, generator=rng)
    return root @ root.T, torch.randn(n, generator=rng)


@settings(max_examples=25)
@given(seeds, st.integers(2, 8), st.sampled_from([None, 0.6, 1.0]))
def test_gap_is_the_largest_decrease_of_the_linear_program(seed, n, upper):
    rng = torch.Generator().manual_seed(seed)
    gradient, v = torch.randn(n, generator=rng), torch.full((n,), 1 / n)
    best = linprog(gradient.numpy(), A_eq=np.ones((1, n)), b_eq=[1.0], bounds=(0, upper)).fun
    assert duality_gap(v, gradient, upper) == pytest.approx(float(gradient @ v) - best, abs=1e-9)


@settings(max_examples=25)
@given(seeds, st.integers(2, 12), st.sampled_from([None, 1.5, 4.0]))
def test_optimum_of_a_quadratic_is_that_of_a_general_solver(seed, n, factor):
    hessian, b = quadratic(seed, n, rank=n)
    upper = None if factor is None else factor / n
    start = torch.full((n,), 1 / n)
    v = minimise_on_simplex(
        lambda v: (hessian @ v - b, hessian), start, upper=upper, tolerance=1e-11
    )
    peer = minimize(
        lambda v: v @ hessian.numpy() @ v / 2 - b.numpy() @ v,
        start.numpy(),
        jac=lambda v: hessian.numpy() @ v - b.numpy(),
        bounds=[(0, upper)] * n,
        constraints={"type": "eq", "fun": lambda v: v.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    value = float(v @ hessian @ v / 2 - b @ v)
    assert value <= peer.fun + 1e-7  # the peer's accuracy
    assert v.sum() == pytest.approx(1, abs=1e-9)
    assert (v > 0).all()
    assert upper is None or (v < upper).all()


@pytest.mark.parametrize("upper", [None, 0.1])
def test_a_singular_problem_is_solved_to_the_gap_asked_for(upper):
    hessian, b = quadratic(0, n=40, rank=3)
    start = torch.full((40,), 1 / 40)
    v = minimise_on_simplex(
        lambda v: (hessian @ v - b, hessian), start, upper=upper, tolerance=1e-12
    )
    assert duality_gap(v, hessian @ v - b, upper) <= 1e-12


def test_an_objective_that_is_already_flat_returns_where_it_started():
    start = torch.full((5,), 0.2)
    v = minimise_on_simplex(lambda v: (torch.ones(5), torch.zeros(5, 5)), start)
    torch.testing.assert_close(v, start)


def test_no_optimum_is_an_error():
    concave = -100 * torch.eye(3)
    with pytest.raises(RuntimeError):
        minimise_on_simplex(lambda v: (concave @ v + torch.arange(3.0), concave), torch.ones(3) / 3)
