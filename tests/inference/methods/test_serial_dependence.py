"""Whether entries depend on those before them, told by closed forms."""

import math

import pytest
import torch

from lfi.inference.methods.serial_dependence import serially_dependent
from lfi.networks import ConditionalFlow
from lfi.runtime import isolated

SIZE = 20


def told(simulate, best=math.inf):
    """What is told of 1,000 series, half of them held out, that simulate(theta, noise) makes."""
    with isolated(1):
        theta = torch.rand(1_000, 1, dtype=torch.float32) * 2 - 1
        y = simulate(theta, torch.randn(1_000, SIZE, dtype=torch.float32))
        flow = ConditionalFlow(SIZE, 1, width=8, by_entry=True, event=(SIZE,))
    flow.splines_active.fill_(False)
    flow.fit_from_data(y[:500], theta[:500])
    if math.isinf(best):  # that of the start
        with torch.no_grad():
            best = -float(flow.log_prob(y[500:], theta[500:]).mean())
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    halves = [(y[rows], theta[rows], torch.zeros(500)) for rows in (slice(500), slice(500, None))]
    found = serially_dependent(flow, halves[0], halves[1], best)
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())
    return found


def independent(theta, noise):
    return theta + noise


def by_theta(theta, noise):
    """x_t = theta x_{t-1} + noise: of theta between -1 and 1, uncorrelated in the mean."""
    path = [noise[:, :1]]
    for e in noise[:, 1:].split(1, dim=1):
        path.append(0.95 * theta * path[-1] + e)
    return torch.cat(path, 1)


def steady(theta, noise):
    """x_t = theta + .3 (x_{t-1} - theta) + noise: squares are hardly correlated, by .09."""
    path = [noise[:, :1]]
    for e in noise[:, 1:].split(1, dim=1):
        path.append(0.3 * path[-1] + e)
    return theta + torch.cat(path, 1)


def volatile(theta, noise):
    """Uncorrelated, but of a spread that the last value tells."""
    path = [noise[:, :1]]
    for e in noise[:, 1:].split(1, dim=1):
        path.append((0.3 + 0.7 * path[-1].square()).sqrt() * e)
    return torch.cat(path, 1) + 0 * theta


def equally_correlated(theta, noise):
    return theta + noise + 2 * noise[:, :1]


@pytest.mark.parametrize("simulate", [by_theta, volatile])
def test_series_that_depend_on_their_past_are_told(simulate):
    assert told(simulate)


@pytest.mark.parametrize("simulate", [independent, equally_correlated])
def test_entries_that_do_not_or_that_a_regression_describes_are_told(simulate):
    assert not told(simulate)


def test_what_a_better_model_has_found_already_is_not_tried():
    assert told(steady, best=1e9)
    assert not told(steady, best=0.0)
