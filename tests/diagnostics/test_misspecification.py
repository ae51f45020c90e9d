"""Observations among simulations: right ones pass at the stated rate, odd ones are named."""

import warnings

import pytest
import torch
from torch.distributions import Normal

from lfi.diagnostics.misspecification import Misspecified, check_observation
from lfi.diagnostics.predictive import predictive_check
from lfi.simulation import Simulations, Simulator, simulate

PRIOR = {"rate": Normal(0.0, 1.0)}


def counts(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Counts with a common factor: ties and correlated entries."""
    common = torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype) / 4
    return torch.poisson((1 + theta / 2 + common).exp().expand(-1, 6), generator=rng)


SIMULATOR = Simulator(counts, prior=PRIOR)
SIMULATIONS = simulate(SIMULATOR, 2_000, seed=1)


def test_observations_of_the_simulator_fail_at_the_stated_rate():
    m, level = 400, 0.1
    p_values = []
    for seed in range(10):
        simulations, observed = (simulate(SIMULATOR, n, seed=s) for n, s in ((800, seed), (m, 99)))
        p_values.append(check_observation(observed.x, simulations, seed=seed).p_value)
    shares = (torch.stack(p_values) <= level).double().mean(dim=1)
    # given the simulations, a share has a binomial error and that of 400 held-out ones
    error = 5 * (2 * level * (1 - level) / 400) ** 0.5
    assert (shares < level + error).all() and shares.mean() < level + error / 2
    assert shares.mean() > level - error / 2 - 0.02  # ties make p-values larger


def test_an_entry_beyond_all_simulations_is_named_with_their_range():
    x_obs = SIMULATIONS.x[0].clone()
    x_obs[4] = 1e4
    checks = check_observation(x_obs, SIMULATIONS, seed=1)
    assert not checks.ok and checks.failed == (0,) and checks.outside() == (4,)
    low, high = SIMULATIONS.x[:, 4].min(), SIMULATIONS.x[:, 4].max()
    assert (
        checks.describe()
        .splitlines()[0]
        .startswith("observation unlike the simulations, by 2000 of these: p = 0.0")
    )
    assert checks.describe().splitlines()[2] == (
        f"  entry 4 = 1e+04 is above all simulations, which lie in [{low:.4g}, {high:.4g}]"
    )
    torch.testing.assert_close(checks.entry_p_values[0, 4], torch.tensor(1 / 2001))


def test_entries_that_are_likely_alone_but_not_together_are_seen():
    x_obs = torch.tensor([0.0, 12.0, 0.0, 12.0, 0.0, 12.0])
    checks = check_observation(x_obs, SIMULATIONS, seed=1)
    assert not checks.ok and checks.outside() == ()
    assert "their combination is unlikely" in checks.describe().splitlines()[-1]


def test_what_the_predictive_check_of_a_confident_posterior_cannot_see_is_seen():
    # a simulator that makes only positive data; a posterior that answers anything
    simulator = Simulator(lambda theta: theta.exp().expand(-1, 2), prior=PRIOR)
    simulations = simulate(simulator, 1_000, seed=1)
    x_obs = torch.tensor([2.0, 3.0])  # the two entries are always equal
    checks = check_observation(x_obs, simulations, seed=1)
    assert not checks.ok
    draws = torch.full((200, 1), 0.9) + 0.5 * torch.randn(200, 1)
    assert predictive_check(draws, simulator, x_obs, n=200, seed=1).entry_p_values.min() > 0.05


def test_many_observations_are_tested_as_each_alone():
    x = torch.randn(2_000, 6)  # without ties, which rounding breaks
    simulations = Simulations.from_arrays(torch.randn(2_000, 1), x, prior=PRIOR)
    x_obs = torch.cat([torch.randn(5, 6), torch.full((1, 6), 1e5)])
    checks = check_observation(x_obs, simulations, seed=1)
    alone = [check_observation(row, simulations, seed=1) for row in x_obs]
    torch.testing.assert_close(checks.p_value, torch.cat([one.p_value for one in alone]))
    torch.testing.assert_close(
        checks.entry_p_values, torch.cat([one.entry_p_values for one in alone])
    )
    assert 5 in checks.failed and checks.outside(5) == tuple(range(6))
    assert checks.describe().splitlines()[0].endswith("(p < 0.01 fails; 0.06 expected)")
    assert "and 1 more entries lie outside" in checks.describe().splitlines()[-1]


def test_what_only_the_embedding_shows_is_said_to_be_there():
    def embed(x):
        assert x.dtype == torch.float32
        return (x[:, :3] - x[:, 3:]).abs().sum(dim=1, keepdim=True)

    x = torch.randn(3000, 3).repeat(1, 2) * torch.rand(3000, 1) * 10
    x[:, 3:] += 1e-3 * torch.randn(3000, 3)
    simulations = Simulations.from_arrays(torch.randn(3000, 1), x, prior=PRIOR)
    x_obs = torch.tensor([1.0, 1.0, 1.0, 1.2, 1.0, 1.0])
    checks = check_observation(x_obs, simulations, embed=embed, seed=1)
    assert not checks.ok
    assert checks.ranks[3:].max() == 1


def test_images_are_taken_and_their_entries_named_by_place():
    x = torch.randn(500, 2, 3)
    simulations = Simulations.from_arrays(torch.randn(500, 1), x, prior=PRIOR)
    x_obs = torch.zeros(2, 3)
    x_obs[1, 2] = -50.0
    checks = check_observation(x_obs, simulations, seed=1)
    assert checks.entry_p_values.shape == (1, 2, 3)
    assert "entry (1, 2) = -50 is below all simulations" in checks.describe().splitlines()[2]


def test_failed_simulations_are_left_out():
    x = SIMULATIONS.x.clone()
    x[::2] = torch.nan
    holes = Simulations.from_arrays(SIMULATIONS.theta, x, prior=PRIOR)
    checks = check_observation(SIMULATIONS.x[1], holes, seed=1)
    assert checks.n == 1000 and checks.lower.isfinite().all()


def test_it_warns_only_where_there_is_something_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_observation(SIMULATIONS.x[0], SIMULATIONS, seed=1).warn()
    with pytest.warns(Misspecified, match=r"entry 0 = -3 is below all(.|\n)*an extrapolation"):
        check_observation(torch.full((6,), -3.0), SIMULATIONS, seed=1).warn()


def test_the_same_seed_gives_the_same_checks_and_none_a_recorded_one():
    first = check_observation(SIMULATIONS.x[:3], SIMULATIONS)
    again = check_observation(SIMULATIONS.x[:3], SIMULATIONS, seed=first.seed)
    assert torch.equal(first.p_value, again.p_value)


@pytest.mark.parametrize(
    "x_obs, options, message",
    [
        (torch.zeros(5), {}, r"x_obs has shape \(5,\), but one simulation's x has \(6,\)"),
        (torch.full((6,), torch.inf), {}, "x_obs holds 6 values that are not finite"),
        (torch.zeros(6), {"alpha": 0.0}, "alpha must lie between 0 and 1"),
    ],
)
def test_arguments_that_cannot_be_used_are_errors(x_obs, options, message):
    with pytest.raises(ValueError, match=message):
        check_observation(x_obs, SIMULATIONS, **options)


def test_observations_of_one_number_are_checked():
    one = Simulator(lambda theta: theta.sum(1) + torch.randn(len(theta)), prior=PRIOR)
    simulations = simulate(one, 200, seed=1)
    assert check_observation(simulations.x[0], simulations, seed=1).ok
    assert not check_observation(torch.tensor(40.0), simulations, seed=1).ok
