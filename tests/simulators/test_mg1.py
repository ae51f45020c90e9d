"""The queue: departures against a direct loop, closed forms of queueing, quantiles, gradients."""

import numpy as np
import torch

from simulators import mg1


def served_one_by_one(services, gaps):
    """Times between departures as a server would note them."""
    now, arrival, noted = 0.0, 0.0, []
    for service, gap in zip(services, gaps, strict=True):
        arrival += gap
        leaves = max(now, arrival) + service
        noted.append(leaves - now)
        now = leaves
    return noted


def test_departures_are_those_of_customers_served_one_by_one():
    services = torch.rand(30, mg1.customers) * 5 + 1
    for busy in (0.1, 1.0, 10.0):
        gaps = -torch.rand(30, mg1.customers).log() * 3 / busy
        exact = [
            served_one_by_one(*rows) for rows in zip(services.tolist(), gaps.tolist(), strict=True)
        ]
        torch.testing.assert_close(mg1.interdepartures(services, gaps), torch.tensor(exact))


def test_long_queues_wait_as_pollaczek_and_khinchine_say():
    # from empty the mean wait comes close to its limit: e^-(1/2 r (1 - load)^2 ...) of 4,000 jobs
    # at a load of 0.6 is nothing; the first 1,000 are left out
    rate, low, width, n, jobs = 0.2, 1.0, 4.0, 200, 4000
    services = low + width * torch.rand(n, jobs)
    gaps = -torch.log1p(-torch.rand(n, jobs)) / rate
    leaves = mg1.interdepartures(services, gaps).cumsum(dim=1)
    waits = (leaves - services - gaps.cumsum(dim=1))[:, 1000:].mean(dim=1)
    square = (low + width / 2) ** 2 + width**2 / 12
    exact = rate * square / (2 * (1 - rate * (low + width / 2)))
    assert (waits.mean() - exact).abs() < 5 * waits.std() / n**0.5


def test_the_first_departure_has_its_mean_and_variance():
    n = 50_000
    theta = torch.tensor([mg1.theta_true]).expand(n, 3)
    first = mg1.queue(theta, torch.Generator().manual_seed(1))[:, 0]
    low, width, rate = mg1.theta_true
    mean, variance = 1 / rate + low + width / 2, 1 / rate**2 + width**2 / 12
    squares = (first - mean).square()
    assert (first.mean() - mean).abs() < 5 * (variance / n) ** 0.5
    assert (squares.mean() - variance).abs() < 5 * squares.std() / n**0.5


def test_draws_are_those_of_an_independent_program():
    n, rng = 4000, np.random.default_rng(1)
    low, width, rate = mg1.theta_true
    shape = n, mg1.customers
    services, gaps = rng.uniform(low, low + width, shape), rng.exponential(1 / rate, shape)
    other = np.array([served_one_by_one(*rows) for rows in zip(services, gaps, strict=True)])
    other = torch.from_numpy(np.percentile(other, [0, 25, 50, 75, 100], axis=1).T)
    theta = torch.tensor([mg1.theta_true]).expand(n, 3)
    own = mg1.simulate(theta, torch.Generator().manual_seed(1))
    assert own.shape == (n, 5)
    for moment in (lambda x: x, lambda x: (x - other.mean(dim=0)) ** 2):
        a, b = moment(own), moment(other)
        error = ((a.var(dim=0) + b.var(dim=0)) / n).sqrt()
        assert ((a.mean(dim=0) - b.mean(dim=0)).abs() < 5 * error).all()


def test_quantiles_are_numpys_and_no_departure_is_faster_than_a_service():
    theta = torch.tensor([mg1.theta_true, (9.0, 1.0, 0.3), (3.0, 0.1, 0.01)])
    raw = mg1.queue(theta, torch.Generator().manual_seed(1))
    quantiles = mg1.simulate(theta, torch.Generator().manual_seed(1))
    exact = np.quantile(raw.numpy(), mg1.levels, axis=1).T
    torch.testing.assert_close(quantiles, torch.from_numpy(exact))
    assert (raw >= theta[:, :1]).all()


def test_quantiles_have_the_gradient_of_their_differences():
    theta = torch.tensor([mg1.theta_true, (4.0, 2.0, 0.3)], requires_grad=True)
    assert mg1.differentiable
    assert torch.autograd.gradcheck(
        lambda t: mg1.simulate(t, torch.Generator().manual_seed(1)), theta
    )
