"""Taylor series against solutions that are known."""

import math

import pytest
import torch

from simulators import taylor

TIMES = [0.0, 0.5, 2.0, 7.0]
GROWN = torch.tensor(TIMES, dtype=torch.float64)


def decay(theta, u):
    return -theta.T * u[-1]


def logistic(theta, u):
    return theta.T * (u[-1] - taylor.product(u[:, 0], u[:, 0]))


def rotation(theta, u):
    across, along = u[-1]
    return theta[:, 0] * torch.stack([along, -across])


def explosion(theta, u):
    return theta.T * taylor.product(u[:, 0], u[:, 0])


# The tolerance bounds the last terms relative to the state; over these times the state falls by
# e^-21 at most, in steps that keep their relative error, so that 1e-7 is a hundred tolerances.


def test_decay_is_exponential():
    rates = torch.tensor([[0.1], [1.0], [3.0]])
    path = taylor.solve(decay, rates, torch.ones(3, 1), TIMES)
    torch.testing.assert_close(path[:, 0], torch.exp(-rates * GROWN), rtol=1e-7, atol=0)


def test_growth_with_a_limit_is_logistic():
    rates, start = torch.tensor([[0.5], [5.0]]), torch.tensor([[0.01], [1e-9]])
    path = taylor.solve(logistic, rates, start, TIMES)
    odds = start / (1 - start) * torch.exp(rates * GROWN)
    torch.testing.assert_close(path[:, 0], odds / (1 + odds), rtol=1e-7, atol=0)


def test_rotation_keeps_its_radius():
    rates = torch.tensor([[1.0], [20.0]])
    path = taylor.solve(rotation, rates, torch.tensor([[0.3, 0.4]]).expand(2, 2), TIMES)
    torch.testing.assert_close(
        path.square().sum(dim=1), torch.full((2, 4), 0.25), rtol=1e-7, atol=0
    )
    angle = rates * GROWN
    exact = 0.3 * angle.cos() + 0.4 * angle.sin()
    torch.testing.assert_close(path[:, 0], exact, rtol=0, atol=1e-7)


def test_solutions_that_explode_are_nan_from_there_on_and_others_are_not():
    rates = torch.tensor([[1.0], [0.1]])  # 1 / (1 - rate t)
    path = taylor.solve(explosion, rates, torch.ones(2, 1), TIMES)[:, 0]
    assert path[0].isnan().tolist() == [False, False, True, True]
    torch.testing.assert_close(path[1], 1 / (1 - 0.1 * GROWN), rtol=1e-7, atol=0)


def test_states_that_die_out_underflow():
    path = taylor.solve(decay, torch.tensor([[200.0]]), torch.ones(1, 1), TIMES)[0, 0]
    assert path[1] == pytest.approx(math.exp(-100), rel=1e-6)
    assert path[2].abs() < 1e-150
    assert path[3].abs() < 1e-150


def test_a_state_of_zero_stays():
    path = taylor.solve(decay, torch.tensor([[1.0]]), torch.zeros(1, 1), TIMES)
    assert (path == 0).all()


def test_rows_do_not_depend_on_their_neighbours():
    rates = torch.tensor([[0.5], [5.0], [1.0]])
    start = torch.full((3, 1), 0.01)
    together = taylor.solve(logistic, rates, start, TIMES)
    alone = [
        taylor.solve(logistic, r[None], s[None], TIMES) for r, s in zip(rates, start, strict=True)
    ]
    # pow may differ in its last digit between one number and several
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=0)


def test_the_solution_is_float64_whatever_comes_in():
    path = taylor.solve(decay, torch.ones(1, 1).float(), torch.ones(1, 1).float(), TIMES)
    assert path.dtype == torch.float64


def test_gradients_are_those_of_the_solution():
    rate, start = torch.tensor([[0.7]]), torch.tensor([[0.2]])
    rate.requires_grad_(), start.requires_grad_()
    path = taylor.solve(logistic, rate, start, TIMES)[0, 0]
    odds = start / (1 - start) * torch.exp(rate * GROWN)
    exact = (odds / (1 + odds))[0]
    for i in range(len(TIMES)):
        ours = torch.autograd.grad(path[i], (rate, start), retain_graph=True)
        theirs = torch.autograd.grad(exact[i], (rate, start), retain_graph=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
