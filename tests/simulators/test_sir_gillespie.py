"""The stochastic epidemic: against its master equation, and where it is a known process."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from simulators import sir_gillespie as sir

PEOPLE, START, TIMES = 6, 2, (0.5, 1.0, 3.0, 20.0)


def master_equation(beta, gamma):
    """Probabilities of (S, I) at TIMES by the exponential of the generator, dictionaries."""
    states = [(s, i) for s in range(PEOPLE) for i in range(PEOPLE + 1) if s + i <= PEOPLE]
    number = {state: k for k, state in enumerate(states)}
    rates = np.zeros((len(states), len(states)))
    for (s, i), k in number.items():
        for target, rate in (((s - 1, i + 1), beta * s * i / PEOPLE), ((s, i - 1), gamma * i)):
            if rate > 0:
                rates[k, number[target]] += rate
                rates[k, k] -= rate
    at_first = np.eye(len(states))[number[PEOPLE - START, START]]
    laws = [at_first @ scipy.linalg.expm(rates * t) for t in TIMES]
    return [dict(zip(states, law, strict=True)) for law in laws]


@pytest.mark.parametrize("theta", [(0.4, 0.125), (1.5, 0.6), (3.0, 0.2)], ids=str)
def test_states_have_the_probabilities_of_the_master_equation(theta):
    n = 40_000
    rng = torch.Generator().manual_seed(1)
    x = sir.epidemic(torch.tensor([theta]).expand(n, 2), rng, PEOPLE, START, TIMES)
    for at_time, law in zip(x.unbind(1), master_equation(*theta), strict=True):
        assert sum(law.values()) == pytest.approx(1)
        for state, p in law.items():
            share = (at_time == torch.tensor(state)).all(dim=1).double().mean().item()
            # the error of a share, and one count where the probability is next to nothing
            assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / n) + 5 / n, state
        mean = sum(i * p for (_, i), p in law.items())
        error = at_time[:, 1].std() / n**0.5
        assert (at_time[:, 1].mean() - mean).abs() < 5 * error


def test_pairs_of_times_have_the_joint_probabilities_of_the_master_equation():
    # the share of extinct epidemics among those with one infected at the time before
    n, theta = 40_000, (1.5, 0.6)
    rows = torch.tensor([theta]).expand(n, 2)
    x = sir.epidemic(rows, torch.Generator().manual_seed(1), 2, 1, (1.0, 2.0))
    # two people, one infected: infected next at rate beta / 2, or recovered at rate gamma
    one = (x[:, 0] == torch.tensor([1.0, 1.0])).all(dim=1)
    assert one.double().mean().item() == pytest.approx(math.exp(-1.35), abs=5 * 0.5 / n**0.5)
    again = (x[one, 1] == torch.tensor([1.0, 1.0])).all(dim=1).double().mean().item()
    assert again == pytest.approx(math.exp(-1.35), abs=5 * 0.5 / int(one.sum()) ** 0.5)


def test_without_infection_the_infected_are_binomial():
    n, gamma = 20_000, 0.02
    x = sir.simulate(torch.tensor([[0.0, gamma]]).expand(n, 2), torch.Generator().manual_seed(1))
    p = torch.exp(-gamma * torch.tensor(sir.days, dtype=torch.float64))
    mean, variance = sir.infected * p, sir.infected * p * (1 - p)
    assert ((x.mean(dim=0) - mean).abs() < 5 * (variance / n).sqrt()).all()
    squares = (x - mean) ** 2
    assert ((squares.mean(dim=0) - variance).abs() < 5 * squares.std(dim=0) / n**0.5).all()


def test_without_recovery_the_infected_never_become_fewer():
    x = sir.simulate(torch.tensor([[0.1, 0.0]]).expand(50, 2), torch.Generator().manual_seed(1))
    assert (x.diff(dim=1) >= 0).all()
    assert (x[:, -1] > 490).all()  # logistic growth: 5 e^12 / (1 + 5 e^12 / 495) of 500, to a few


def test_people_are_whole_and_their_sum_is_kept():
    theta = torch.tensor([[0.4, 0.125], [2.0, 0.1], [0.1, 0.3]]).repeat(20, 1)
    x = sir.epidemic(theta, torch.Generator().manual_seed(1), 500, 5, sir.days)
    assert (x == x.round()).all()
    assert (x >= 0).all()
    assert (x.sum(dim=2) <= 500).all()
    assert (x[..., 0].diff(dim=1) <= 0).all()
    assert torch.equal(sir.simulate(theta, torch.Generator().manual_seed(1)), x[..., 1])


def test_rows_end_apart_without_mixing():
    # rows that die out at once among rows that last: each keeps its own rates
    theta = torch.tensor([[1e-6, 50.0], [0.4, 0.125]]).repeat(200, 1)
    x = sir.simulate(theta, torch.Generator().manual_seed(1))
    assert (x[::2] == 0).all()
    assert (x[1::2].sum(dim=1) > 0).float().mean() > 0.9
