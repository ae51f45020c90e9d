"""The predictive check: its level where the model is right, its power where it is not."""

from dataclasses import replace

import pandas
import pytest
import torch
from support import report_parts as parts
from support.exact_posterior import PRIOR as EXACT_PRIOR, SIGMA, VARIANCE, GaussianDraws
from torch.distributions import Normal

from lfi.diagnostics.predictive import predictive_check, predictive_checks
from lfi.simulation import Simulator

PRIOR = {"rate": Normal(0.0, 1.0)}
DAYS = 14


def counts(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Overdispersed counts with a common factor: ties, heavy tails and correlated entries."""
    common = torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype) / 4
    return torch.poisson((1 + theta / 4 + common).exp().expand(-1, DAYS), generator=rng)


SIMULATOR = Simulator(counts, prior=PRIOR)


def draws(n, seed):
    return torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))


def observed(seed):
    """An observation that is one more draw from the predictive distribution."""
    return SIMULATOR(draws(1, 10_000 + seed), seed=10_000 + seed)[0]


def test_the_overall_p_value_of_a_right_model_is_uniform():
    repetitions = 200
    p_values = torch.tensor(
        [
            predictive_check(draws(99, s), SIMULATOR, observed(s), n=99, seed=s).p_value
            for s in range(repetitions)
        ]
    )
    for level in (0.1, 0.3, 0.5, 0.8):  # binomial, within 5 standard errors
        error = 5 * (repetitions * level * (1 - level)) ** 0.5
        assert abs((p_values <= level).sum() - repetitions * level) < error


def test_p_values_of_entries_are_centred_whatever_the_ties():
    repetitions = 200
    every = torch.stack(
        [
            predictive_check(draws(99, s), SIMULATOR, observed(s), n=99, seed=s).entry_p_values
            for s in range(repetitions)
        ]
    )
    # F is a mid-p: of mean 1/2 and a variance below 1/12; two-sided, the mean is at least 1/2.
    # Entries go together, so the standard error is that of the observations' means
    means = every.mean(dim=1)
    assert means.mean() > 0.5 - 5 * means.std() / repetitions**0.5
    assert (every > 0).all() and (every <= 1).all()


def test_entries_far_out_have_the_least_possible_p_value_and_typical_ones_a_large_one():
    x_obs = torch.full((DAYS,), 3.0)
    x_obs[4], x_obs[7] = 1e4, -1.0
    check = predictive_check(draws(999, 0), SIMULATOR, x_obs, n=999, seed=1)
    torch.testing.assert_close(check.entry_p_values[[4, 7]], torch.full((2,), 1 / 1000))
    assert check.entry_p_values[0] > 0.5
    assert not check.ok and check.p_value <= 2 / 1000  # another row may have the other top rank
    assert (
        "number 4" in check.describe().splitlines()[1]
        or "number 7" in check.describe().splitlines()[1]
    )


def test_entries_that_are_likely_alone_but_not_together_are_seen():
    def walk(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        steps = torch.randn(len(theta), DAYS, generator=rng, dtype=theta.dtype)
        return theta + steps.cumsum(dim=1)

    zigzag = torch.tensor([1.0, -1.0] * (DAYS // 2))
    check = predictive_check(draws(1000, 0), Simulator(walk, prior=PRIOR), zigzag, n=1000, seed=1)
    assert check.entry_p_values.min() > 0.1
    assert not check.ok


def test_data_without_variation_are_compatible_with_themselves_only():
    constant = Simulator(lambda theta: torch.ones(len(theta), 2), prior=PRIOR)
    assert predictive_check(draws(50, 0), constant, torch.ones(2), n=50, seed=1).p_value == 1
    away = predictive_check(draws(200, 0), constant, torch.tensor([1.0, 2.0]), n=200, seed=1)
    assert not away.ok


def test_bands_are_quantiles_of_the_replicates():
    check = predictive_check(draws(200, 0), SIMULATOR, observed(1), n=200, seed=1)
    bands = check.bands((0.0, 0.5, 1.0))
    assert bands.shape == (3, DAYS)
    torch.testing.assert_close(bands[0], check.x.min(dim=0).values)
    torch.testing.assert_close(bands[1], check.x.quantile(0.5, dim=0))


def test_replicates_belong_to_draws_each_used_once_where_there_are_enough():
    theta = draws(300, 0)
    noiseless = Simulator(lambda theta: theta.repeat(1, 2), prior=PRIOR)
    check = predictive_check(theta, noiseless, torch.zeros(2), n=300, seed=1)
    torch.testing.assert_close(check.x, check.theta.repeat(1, 2), check_dtype=False)
    torch.testing.assert_close(check.theta.sort(dim=0).values, theta.sort(dim=0).values)
    assert predictive_check(theta[:3], noiseless, torch.zeros(2), n=50, seed=1).n == 50


def test_failed_simulations_are_counted_and_left_out():
    def fragile(theta: torch.Tensor) -> torch.Tensor:
        return torch.where(theta > 0, theta, torch.nan)

    theta = draws(200, 0)
    check = predictive_check(theta, Simulator(fragile, prior=PRIOR), torch.ones(1), n=200, seed=1)
    assert check.failed == (theta <= 0).sum() and check.n == (theta > 0).sum()
    assert check.x.isfinite().all() and len(check.theta) == check.n
    assert f"{check.failed} simulations failed" in check.describe().splitlines()[-1]


def test_a_module_is_taken_as_a_simulator_and_events_may_have_any_shape():
    class Images:
        prior = PRIOR

        @staticmethod
        def simulate(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
            return theta[:, :, None] + torch.randn(len(theta), 3, 2, generator=rng)

    check = predictive_check(draws(100, 0), Images(), torch.zeros(3, 2), n=100, seed=1)
    assert check.ok and check.entry_p_values.shape == (3, 2) and check.bands().shape == (5, 3, 2)


# Test quantities of the user's own.


def spread(x):
    return x.amax(dim=1) - x.amin(dim=1)


def test_a_quantity_of_the_data_has_a_uniform_p_value_where_the_model_is_right():
    repetitions = 200
    noisy = Simulator(lambda theta: theta + torch.randn(len(theta), 5), prior=PRIOR)
    p_values = []
    for s in range(repetitions):
        x_obs = noisy(draws(1, 10_000 + s), seed=10_000 + s)[0]
        check = predictive_check(
            draws(99, s), noisy, x_obs, n=99, seed=s, statistics={"spread": spread}
        )
        p_values.append(check.quantities["spread"].p_value)
    p_values = torch.tensor(p_values)
    for level in (0.1, 0.3, 0.5, 0.8):  # binomial, within 5 standard errors
        error = 5 * (repetitions * level * (1 - level)) ** 0.5
        assert abs((p_values <= level).sum() - repetitions * level) < error


def test_a_quantity_that_the_model_misses_fails_though_each_entry_is_likely():
    noisy = Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=PRIOR)
    x_obs = torch.full((3,), 0.1)
    check = predictive_check(
        draws(999, 0), noisy, x_obs, n=999, seed=1, statistics={"spread": spread}
    )
    assert check.entry_p_values.min() > 0.5 and check.p_value > 0.01
    assert check.misfits == ("spread",) and not check.ok
    assert check.tests["spread"] == check.quantities["spread"].p_value
    assert "spread = 0, of replicates 90% in" in check.describe().splitlines()[2]
    assert check.describe().splitlines()[2].endswith("fails")


def test_a_discrepancy_compares_the_data_with_the_parameters_of_each_draw():
    noisy = Simulator(lambda theta: theta + torch.randn(len(theta), 4), prior=PRIOR)
    square = {"chi2": lambda x, theta: (x - theta).square().sum(dim=1)}
    theta = 1 + draws(400, 0) / 10
    check = predictive_check(theta, noisy, torch.ones(4), n=400, seed=1, discrepancies=square)
    quantity = check.quantities["chi2"]
    expected = ((1 - check.theta) ** 2).sum(dim=1) * 4
    torch.testing.assert_close(quantity.observed, expected.double())
    larger = (quantity.replicated > quantity.observed).sum()
    assert quantity.p_value == pytest.approx(
        2 * min(1 - (larger + 0.5) / 401, (larger + 0.5) / 401)
    )


def test_several_quantities_share_the_false_alarm_rate():
    names = [f"entry {i}" for i in range(9)]
    statistics = {name: lambda x, i=i: x[:, i] for i, name in enumerate(names)}
    check = predictive_check(draws(99, 0), SIMULATOR, observed(1), n=99, statistics=statistics)
    assert check.quantities.keys() == set(names)
    torch.testing.assert_close(
        torch.tensor([check.tests[name] for name in names]), check.entry_p_values[:9].double()
    )
    low = replace(
        check,
        p_value=0.5,
        quantities={n: replace(q, p_value=0.0015) for n, q in check.quantities.items()},
    )
    assert low.ok and not replace(low, alpha=0.02).ok  # ten tests: below 0.001, below 0.002


@pytest.mark.parametrize(
    "statistic", [lambda x: x, lambda x: x.sum(dim=1) * torch.nan], ids=["shape", "nan"]
)
def test_a_quantity_that_is_no_number_for_each_row_is_an_error(statistic):
    with pytest.raises(ValueError, match="mine must return one finite number for each of 50 rows"):
        predictive_check(draws(50, 0), SIMULATOR, observed(1), n=50, statistics={"mine": statistic})


# Many observations.


def test_many_observations_are_checked_each_against_its_own_draws_by_one_call():
    calls = []

    def simulate(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        calls.append(len(theta))
        return theta + torch.randn(len(theta), 3, generator=rng, dtype=theta.dtype)

    means = torch.tensor([0.0, 50.0, -50.0, 0.0])
    theta = means[:, None, None] + 0.1 * torch.randn(4, 300, 1)
    x_obs = means[:, None] + torch.randn(4, 3)
    x_obs[3, 1] = 50.0
    checks = predictive_checks(
        theta, Simulator(simulate, prior=PRIOR), x_obs, n=200, seed=1, statistics={"s": spread}
    )
    assert sum(calls) == 4 * 200 and len(calls) == 1
    assert [check.ok for check in checks] == [True, True, True, False]
    for check, mean, row in zip(checks, means, x_obs, strict=True):
        assert abs(check.x.mean() - mean) < 1
        torch.testing.assert_close(check.x_obs, row, check_dtype=False)
        assert check.n == 200 and "s" in check.quantities
    with pytest.raises(ValueError, match="draws of 3 posteriors for 4 of x_obs"):
        predictive_checks(theta[:3], Simulator(simulate, prior=PRIOR), x_obs)


def test_the_same_seed_gives_the_same_check_and_none_a_recorded_one():
    first = predictive_check(draws(50, 0), SIMULATOR, observed(1), n=50)
    again = predictive_check(draws(50, 0), SIMULATOR, observed(1), n=50, seed=first.seed)
    assert torch.equal(first.x, again.x) and first.p_value == again.p_value


@pytest.mark.parametrize(
    "change, message",
    [
        ({"theta": torch.zeros(5, 2)}, r"posterior: expected draws of rate.*\(5, 2\)"),
        ({"theta": torch.zeros(0, 1)}, r"posterior: expected draws of rate.*\(0, 1\)"),
        ({"x_obs": torch.zeros(3)}, r"x_obs has shape \(3,\).*\(14,\)"),
        ({"x_obs": torch.full((DAYS,), torch.nan)}, "x_obs holds 14 values that are not finite"),
        ({"n": 1}, "n must be at least 2"),
    ],
)
def test_mistakes_are_named(change, message):
    arguments = {"theta": torch.zeros(5, 1), "x_obs": torch.zeros(DAYS), "n": 10} | change
    with pytest.raises(ValueError, match=message):
        predictive_check(
            arguments["theta"], SIMULATOR, arguments["x_obs"], n=arguments["n"], seed=1
        )


def test_a_simulator_that_never_returns_a_number_is_an_error():
    broken = Simulator(lambda theta: theta * torch.nan, prior=PRIOR)
    with pytest.raises(ValueError, match="only 0 of 10"):
        predictive_check(draws(10, 0), broken, torch.zeros(1), n=10, seed=1)


# What stands for the posterior and the observation.


def test_a_posterior_is_drawn_from_for_one_observation_and_for_many():
    noisy = Simulator(lambda theta: theta + SIGMA * torch.randn(len(theta), 2), prior=EXACT_PRIOR)
    x_obs = torch.tensor([[0.3, -0.2], [9.0, 9.0]])
    check = predictive_check(GaussianDraws(), noisy, x_obs[0], n=300, seed=1)
    assert check.ok and check.n == 300
    error = 5 * (VARIANCE / 300) ** 0.5
    assert (check.theta.mean(dim=0) - x_obs[0] * (1 - VARIANCE)).abs().max() < error
    wrong = GaussianDraws(shift=20.0)
    assert [check.ok for check in predictive_checks(wrong, noisy, x_obs, n=300)] == [False, False]


@pytest.mark.parametrize(
    "rows, row",
    [
        (torch.Tensor.numpy, torch.Tensor.numpy),
        (torch.Tensor.tolist, torch.Tensor.tolist),
        (lambda theta: pandas.DataFrame(theta.numpy()), lambda x: pandas.Series(x.numpy())),
        (lambda theta: parts.draws(50, ("rate",), theta=theta), lambda x: x),
    ],
    ids=["NumPy", "lists", "data frames", "draws of a sampler"],
)
def test_draws_and_observations_are_taken_as_users_have_them(rows, row):
    theta, x_obs = draws(50, 0), observed(1)
    expected = predictive_check(theta, SIMULATOR, x_obs, n=50, seed=1)
    found = predictive_check(rows(theta), SIMULATOR, row(x_obs), n=50, seed=1)
    assert found.p_value == expected.p_value
