"""Calibration: right posteriors pass at the stated rate, each mistake is seen by its own test."""

import re
from dataclasses import replace

import pytest
import scipy.stats
import torch
from support.exact_posterior import PRIOR, GaussianDraws, GaussianFlow, GaussianPosterior, held_out
from torch.distributions import Normal

from lfi.diagnostics.calibration import check
from lfi.diagnostics.verdict import Grade
from lfi.simulation import Simulations, as_prior

TESTS = ["a", "b", "coverage", "TARP", "TARP given x"]
EXACT = GaussianPosterior()


def binomial_interval(n, p):
    """The numbers of successes within 5 standard errors of the expected one."""
    error = 5 * (n * p * (1 - p)) ** 0.5
    return n * p - error, n * p + error


def checked(posterior, n=200, seed=1, samples=1024, **options):
    data = held_out(n, seed)
    return check(posterior, data, seed=seed, importance_samples=samples, **options)


# Right posteriors.


@pytest.mark.parametrize("samples, n", [(512, 4), pytest.param(16, 32, marks=pytest.mark.slow)])
def test_an_exact_posterior_fails_each_test_at_its_rate_however_few_the_samples(samples, n):
    repetitions, level = 100, 0.1
    every = [checked(EXACT, n=n, seed=s, samples=samples) for s in range(repetitions)]
    p_values = torch.tensor([list(checks.p_values.values()) for checks in every])
    low, high = binomial_interval(repetitions, level)
    failures = (p_values < level).sum(dim=0)
    assert ((low < failures) & (failures < high)).all(), failures
    # together: at most at Bonferroni's rate, since tests of the same data go together
    failures = (p_values.amin(dim=1) < level / len(TESTS)).sum()
    assert 0 < failures < high


def test_transforms_are_posterior_distribution_functions():
    data = held_out(100, seed=3)
    checks = check(EXACT, data, seed=4, importance_samples=65_536)
    mean, sd = data.x * 0.8, 0.2**0.5
    exact = Normal(mean, sd).cdf(data.theta)
    # of e effective draws, a mass is wrong by at most a standard error of 1 / (2 sqrt(e)); the
    # observations in the tails have fewer than the median, whose standard error is doubled
    error = 5 / checks.ess**0.5
    assert (checks.ranks - exact).abs().max() < error
    level = 1 - torch.exp(-((data.theta - mean) / sd).square().sum(dim=1) / 2)  # of a 2-d Gaussian
    assert (checks.credibility - level).abs().max() < error


def test_a_constant_of_x_in_the_ratio_changes_nothing():
    plain, shifted = checked(EXACT), checked(replace(EXACT, offset=7.0))
    torch.testing.assert_close(plain.ranks, shifted.ranks)
    torch.testing.assert_close(plain.credibility, shifted.credibility)


def test_coverage_is_the_distribution_function_of_credibility():
    checks = checked(EXACT)
    assert checks.coverage[0] == 0 and checks.coverage[-1] == 1
    assert checks.levels[40] == pytest.approx(0.4)
    assert checks.coverage[40] == (checks.credibility <= 0.4).double().mean()
    assert checks.tarp_coverage[40] == (checks.tarp <= 0.4).double().mean()
    assert checks.tarp_given_x_coverage[40] == (checks.tarp_given_x <= 0.4).double().mean()


def test_a_truncated_posterior_passes_over_the_truncated_prior_and_says_so():
    prior = PRIOR.truncate([-1.0, -torch.inf], [0.5, 0.25])
    posterior = replace(EXACT, prior=prior)
    checks = check(posterior, held_out(200, seed=5, prior=prior), seed=6, importance_samples=1024)
    assert checks.ok
    assert checks.scope == "over the prior truncated to a in [-1, 0.5], b in [-inf, 0.25]"
    assert checked(EXACT).scope == "over the prior"


def test_the_same_seed_gives_the_same_checks_and_none_a_recorded_one():
    first, again = checked(EXACT), checked(EXACT)
    assert torch.equal(first.ranks, again.ranks) and first.p_values == again.p_values
    fresh = check(EXACT, held_out(20, seed=1), importance_samples=256)
    again = check(EXACT, held_out(20, seed=1), importance_samples=256, seed=fresh.seed)
    assert torch.equal(fresh.tarp, again.tarp)


# Wrong ones.


@pytest.mark.parametrize(
    "wrong, seen, unseen",
    [
        (replace(EXACT, scale=0.5), TESTS, []),
        (replace(EXACT, scale=2.0), TESTS, []),
        (replace(EXACT, shift=1.0), ["a", "b", "coverage", "TARP given x"], []),
        (replace(EXACT, correlation=0.8), ["coverage"], ["a", "b"]),
        (replace(EXACT, informed=False), ["TARP given x"], ["a", "b", "coverage", "TARP"]),
    ],
    ids=["half as wide", "twice as wide", "shifted", "correlated", "the prior"],
)
def test_a_wrong_posterior_fails_the_tests_that_see_its_mistake(wrong, seen, unseen):
    every = [checked(wrong, seed=seed) for seed in range(3)]
    for checks in every:
        assert not checks.ok
        assert set(seen) <= set(checks.failed)
        assert checks.verdict.startswith("posterior not calibrated: ")
        assert checks.verdict.endswith(f"(fails: {', '.join(checks.failed)})")
        assert checks.judgement.state is Grade.PROBLEM and "simulations" in checks.judgement.advice
    for name in unseen:  # uniform p-values: two of three are below 0.01 once in 3,000 times
        assert sorted(checks.p_values[name] for checks in every)[1] > 0.01


SLANTED = {"scale": torch.tensor([0.5, 1.0]), "shift": torch.tensor([0.0, 0.6])}


@pytest.mark.parametrize("by", [GaussianPosterior, GaussianDraws, GaussianFlow])
def test_a_wrong_posterior_is_told_by_parameter_which_way_and_how_far(by):
    checks = checked(by(**SLANTED), n=400)
    narrow, high = (checks.departures[name].words for name in "ab")
    # of 400: spreads have a standard error of 1.17 * 2 / 20, medians one of 1.25 / 20
    (spread,) = re.findall(r"^too narrow \(true values spread ([\d.]+) times as wide\)$", narrow)
    assert abs(float(spread) - 2) < 5 * 0.117
    (bias,) = re.findall(r"^biased high \(by ([\d.]+) sd\)$", high)
    assert abs(float(bias) - 0.6) < 5 * 0.063
    assert f"a {narrow}, b {high} (fails: a, b, " in checks.verdict
    assert checks.judgement.advice.startswith("fit to more simulations (a larger budget)")
    assert f"fails: {narrow}" in checks.describe() and "what to do: fit" in checks.describe()


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"scale": 2.0}, "a too wide (true values spread 0."),
        ({"shift": -1.0}, "a biased low (by "),
        ({"shift": 0.8, "scale": 0.5}, "a biased high (by 1."),  # in its own standard deviations
        ({"correlation": 0.8}, "coverage: regions too small ("),
        ({"informed": False}, "TARP given x: regions too large ("),
    ],
)
def test_each_mistake_has_its_words(wrong, words):
    checks = checked(replace(EXACT, **wrong), n=400)
    assert checks.verdict.startswith(f"posterior not calibrated: {words}")


def test_coverage_lies_below_the_diagonal_for_overconfidence_and_above_for_caution():
    middle = slice(30, 70)
    narrow, wide = checked(replace(EXACT, scale=0.5)), checked(replace(EXACT, scale=2.0))
    assert (narrow.coverage[middle] < narrow.levels[middle]).all()
    assert (wide.coverage[middle] > wide.levels[middle]).all()


def test_a_departure_of_the_resolution_is_flagged_about_half_of_the_time_or_more():
    checks = checked(EXACT, n=500)
    repetitions, u = 100, torch.rand(100, 500)
    gap = checks.resolution  # a share of the values below 1/2 + gap is moved below 1/2
    moved = torch.where((u > 0.5) & (u < 0.5 + gap), u - gap, u)
    level = checks.alpha / len(TESTS)
    flagged = sum(scipy.stats.kstest(row.numpy(), "uniform").pvalue < level for row in moved)
    assert flagged > binomial_interval(repetitions, 0.5)[0]


# Known by draws.


@pytest.mark.parametrize("posterior", [GaussianDraws(), GaussianFlow()], ids=["draws", "flow"])
def test_a_right_posterior_known_by_few_draws_fails_each_test_at_its_rate(posterior):
    repetitions, level = 100, 0.2
    every = [checked(posterior, n=10, seed=s, draws=5) for s in range(repetitions)]
    p_values = torch.tensor([list(checks.p_values.values()) for checks in every])
    low, high = binomial_interval(repetitions, level)
    failures = (p_values < level).sum(dim=0)
    assert ((low < failures) & (failures < high)).all(), failures


def test_ranks_of_draws_are_uniform_on_each_of_the_places_among_them():
    checks = checked(GaussianDraws(), n=2000, draws=3)
    places = (checks.ranks * 4).long().clamp(max=3)  # ties broken inside each place
    counts = torch.stack([(places == k).sum(dim=0) for k in range(4)])
    low, high = binomial_interval(2000, 1 / 4)
    assert ((low < counts) & (counts < high)).all()


@pytest.mark.parametrize(
    "wrong, seen",
    [
        ({"scale": 0.5}, TESTS),
        ({"scale": 2.0}, TESTS),
        ({"shift": 1.0}, ["a", "b", "coverage", "TARP given x"]),
        ({"correlation": 0.8}, ["coverage"]),
        ({"informed": False}, ["TARP given x"]),
    ],
    ids=["half as wide", "twice as wide", "shifted", "correlated", "the prior"],
)
def test_a_wrong_posterior_known_by_draws_fails_the_same_tests_with_and_without_a_density(
    wrong, seen
):
    for posterior in (GaussianDraws(**wrong), GaussianFlow(**wrong)):
        checks = checked(posterior, n=300)
        assert set(seen) <= set(checks.failed)


def test_a_number_of_draws_takes_draws_of_a_posterior_that_has_a_ratio_too():
    class Both(GaussianPosterior):
        def sample(self, n, x_obs, *, seed=None):
            return GaussianDraws().sample(n, x_obs, seed=seed)

    assert checked(Both()).ess != 101
    assert checked(Both(), draws=100).ess == pytest.approx(101)
    with pytest.raises(ValueError, match="draws must be at least 2, got 1"):
        checked(Both(), draws=1)


class Sampled(GaussianPosterior):
    """Known by its ratio, and by draws."""

    def sample(self, n, x_obs, *, seed=None):
        return GaussianDraws(self.shift, self.scale).sample(n, x_obs, seed=seed)


def test_draws_stand_in_for_importance_samples_too_few_to_judge():
    assert not checked(EXACT, samples=16).enough  # it cannot be drawn from
    right, wrong = checked(Sampled(), samples=16), checked(Sampled(scale=0.5), samples=16)
    assert right.ok and right.ess == pytest.approx(65)  # 64 draws and the truth
    assert {"a", "b", "coverage"} <= set(wrong.failed)
    assert "too narrow" in wrong.verdict
    assert checked(Sampled(), samples=1024).ess > 100


@pytest.mark.slow
def test_a_right_posterior_that_falls_back_to_draws_fails_each_test_at_its_rate():
    repetitions, level = 200, 0.2
    every = [checked(Sampled(), n=20, seed=s, samples=32) for s in range(repetitions)]
    p_values = torch.tensor([list(checks.p_values.values()) for checks in every])
    low, high = binomial_interval(repetitions, level)
    failures = (p_values < level).sum(dim=0)
    assert ((low < failures) & (failures < high)).all(), failures


def test_few_draws_are_no_pass():
    checks = checked(GaussianDraws(), draws=5)
    assert not checks.enough and not checks.ok


# What it cannot judge.


def test_a_small_effective_sample_size_is_no_pass():
    checks = checked(EXACT, samples=16)
    assert checks.ess < 5 and not checks.failed
    assert not checks.enough and not checks.ok
    assert checks.verdict == "calibration not assessed: too few effective samples"
    assert checks.judgement.state is Grade.NOT_ASSESSED and checks.judgement.ok is None
    assert {checks.result(name).state for name in TESTS} == {Grade.NOT_ASSESSED}
    assert "10 needed: raise `importance_samples`" in checks.describe().splitlines()[-1]
    assert checked(EXACT, samples=1024).ok


def test_more_simulations_see_more_and_need_more_samples():
    few, many = checked(EXACT, n=25), checked(EXACT, n=400)
    assert many.resolution == pytest.approx(few.resolution / 4, rel=0.05)
    assert few.min_ess == 10 and many.min_ess == pytest.approx(1 / many.resolution)


def test_failed_simulations_are_left_out():
    data = held_out(100, seed=1)
    x = data.x.clone()
    x[::2] = torch.nan
    holes = Simulations.from_arrays(data.theta, x, prior=PRIOR)
    kept = Simulations.from_arrays(data.theta[1::2], data.x[1::2], prior=PRIOR)
    checks, expected = (
        check(EXACT, part, seed=2, importance_samples=256) for part in (holes, kept)
    )
    assert checks.n == 50
    assert torch.equal(checks.ranks, expected.ranks)


def test_a_truth_that_the_posterior_rules_out_lies_beyond_all_its_mass():
    class Blind(GaussianPosterior):
        def log_ratio(self, theta, x):
            return torch.where(theta[..., 0] > 0, -torch.inf, super().log_ratio(theta, x))

    data = held_out(100, seed=1)
    checks = check(Blind(), data, seed=1, importance_samples=512)
    positive = data.theta[:, 0] > 0
    assert (checks.ranks[positive, 0] == pytest.approx(1.0)) and "a" in checks.failed
    assert checks.credibility[positive].min() == pytest.approx(1.0)


# Mistakes of the caller.


def test_no_valid_simulation_is_an_error():
    data = held_out(3, seed=1)
    empty = Simulations.from_arrays(data.theta, data.x * torch.nan, prior=PRIOR)
    with pytest.raises(ValueError, match="no valid simulation among 3"):
        check(EXACT, empty)


def test_other_names_are_an_error():
    other = as_prior({"a": Normal(0.0, 1.0), "c": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="'c'.*'b'"):
        check(EXACT, held_out(10, seed=1, prior=other))


def test_another_shape_of_x_is_an_error():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        check(replace(EXACT, x_shape=(3,)), held_out(10, seed=1))


def test_simulations_from_outside_the_truncated_prior_are_an_error():
    narrow = replace(EXACT, prior=PRIOR.truncate([0.0, 0.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match="lie outside.*prior=posterior.prior"):
        check(narrow, held_out(10, seed=1))


def test_simulations_from_a_narrower_prior_are_an_error():
    narrow = PRIOR.truncate([0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="narrower prior.*a in \\[0, 1\\]"):
        check(EXACT, held_out(10, seed=1, prior=narrow))


def test_a_ratio_that_is_not_a_number_is_an_error():
    class Broken(GaussianPosterior):
        def log_ratio(self, theta, x):
            return super().log_ratio(theta, x) * torch.nan

    with pytest.raises(ValueError, match="no finite log-ratios"):
        check(Broken(), held_out(10, seed=1))


@pytest.mark.parametrize("options", [{"importance_samples": 1}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_options_out_of_range_are_errors(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        check(EXACT, held_out(10, seed=1), **options)
