"""Critics that are far behind are given up, and no others."""

import math

import pytest
import torch
from support.conjugate import ExactCritic, model

import lfi
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.inference.methods.race import (
    AT_END,
    BEHIND,
    MEASURED,
    NEAR,
    Entry,
    Race,
    agree,
    compared,
    lacking,
    third_gain,
)
from lfi.inference.methods.ratio_training import VALIDATIONS
from lfi.inference.methods.stacking_table import MIN_GAIN, HeldOutSamples, best_weights


def of_critic(sd=1.0):
    return RatioPosterior(ExactCritic(sd), model().prior, Recovers.RATIO, (2,))


def table_of(samples, *posteriors):
    return samples.table([samples.log_weights(each) for each in posteriors])


@pytest.fixture(scope="module")
def samples():
    return HeldOutSamples.draw(None, lfi.simulate(model(), 400, seed=1), 1)


def test_the_target_is_the_density_of_the_exact_posterior(samples):
    race = Race.against(samples, table_of(samples, of_critic()), [of_critic()])
    assert race.lacking == math.inf  # there is nothing to compare it with
    entropy = math.log(math.pi * math.e)  # of two independent N(x / 2, 1 / 2)
    # one standard deviation of log p is 1 for two numbers; the pool's weight is fitted: half a nat
    assert race.target == pytest.approx(-entropy, abs=4 / math.sqrt(MEASURED))
    assert race.density(of_critic()) <= race.target + 1e-6
    assert race.density(of_critic(0.3)) < race.target - 1  # far too narrow


class OtherKind(RatioPosterior):
    """A posterior of another method."""


def test_posteriors_of_different_kinds_agree_where_both_are_right(samples):
    other = OtherKind(ExactCritic(1.0), model().prior, Recovers.RATIO, (2,))
    same = table_of(samples, of_critic(), of_critic())
    assert agree([of_critic(), other], same)
    assert not agree([of_critic(), of_critic()], same)  # they would err in the same way
    assert not agree([other], table_of(samples, other))
    assert not agree([of_critic(0.7), other], table_of(samples, of_critic(0.7), other))
    twice = [
        of_critic(),
        of_critic(),
        OtherKind(ExactCritic(0.7), model().prior, Recovers.RATIO, (2,)),
    ]
    assert not agree(twice, table_of(samples, *twice))  # the best two are of one kind


def test_posteriors_whose_pool_is_better_do_not_agree(samples):
    """Theirs err in different parameters, by as much."""
    exact = samples.log_weights(of_critic())
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(1)) / 2
    table = samples.table([exact + noise, exact - noise])
    other = OtherKind(ExactCritic(1.0), model().prior, Recovers.RATIO, (2,))
    assert not agree([of_critic(), other], table)


def test_a_pool_fits_no_ratio_where_a_flow_and_a_likelihood_agree():
    few = lfi.TrainSettings(steps=1)
    size = {"gaussian_steps": 1, "settings": few, "width": 8}
    flow, likelihood = lfi.PosteriorFlow(**size), lfi.SurrogateLikelihood(proposal=None, **size)
    simulations = lfi.simulate(model(), 1_000, seed=1)  # the start, a regression, is right
    method = lfi.Pool((flow, likelihood, lfi.NeuralRatio()))
    choice = lfi.fit_posterior(simulations, method=method, seed=1).choice
    assert choice.names == ("PosteriorFlow", "SurrogateLikelihood")
    assert choice.settled == ("NeuralRatio",)
    assert choice.describe().endswith("NeuralRatio not fitted: the others agree")


def run(race, critic):
    """Return the share of steps at which a critic that does not learn is given up, or 1."""
    entry = Entry(race, critic, VALIDATIONS)
    for validation in range(1, VALIDATIONS + 1):
        entry.measure()
        if entry.give_up(validation / VALIDATIONS, 0.0):
            return validation / VALIDATIONS
    return 1.0


def test_the_farther_behind_the_earlier_a_critic_is_given_up(samples):
    race = Race.against(samples, table_of(samples, of_critic()), [of_critic()])
    density = race.density(of_critic())
    for share, nats in BEHIND:
        race.target = density + nats + 0.01
        given_up = run(race, of_critic())
        assert share <= given_up <= share + 1 / VALIDATIONS
    race.target = density + BEHIND[-1][1] - 0.01
    assert run(race, of_critic()) == 1.0


def noisy(samples, count, sd, seed):
    """Return log weights of the exact posterior with errors at each parameter."""
    rng = torch.Generator().manual_seed(seed)
    exact = samples.log_weights(of_critic())
    return [exact + sd * torch.randn(exact.shape, generator=rng) for _ in range(count)]


@pytest.mark.parametrize(("sd", "expected"), [(0.5, True), (1.0, False)])
def test_nothing_is_left_to_a_third_where_one_is_exact_and_the_other_near(sd, expected):
    """Errors of variance v put the other v / 2 nats behind: half of `NEARLY`, and twice that."""
    many = HeldOutSamples.draw(None, lfi.simulate(model(), 4_000, seed=2), 1)
    table = many.table([many.log_weights(of_critic()), *noisy(many, 1, sd, 1)])
    other = OtherKind(ExactCritic(1.0), model().prior, Recovers.RATIO, (2,))
    difference, gain = compared([of_critic(), other], table)
    # standard error: that of the mean of 4,000 errors of deviation sd
    assert difference == pytest.approx(sd**2 / 2, abs=4 * sd / math.sqrt(4_000))
    assert third_gain(lacking([of_critic(), other], table), 0.0) < MIN_GAIN
    assert agree([of_critic(), other], table) is expected


def test_what_a_pool_lacks_is_told_from_how_its_members_differ():
    """Independent errors of variance v cost v / 2 nats, and those of pools likewise."""
    many = HeldOutSamples.draw(None, lfi.simulate(model(), 4_000, seed=2), 1)
    (first,), (second,) = noisy(many, 1, 0.5, 1), noisy(many, 1, 0.7, 2)
    other = OtherKind(ExactCritic(1.0), model().prior, Recovers.RATIO, (2,))
    table = many.table([first, second])
    a, b = 0.5**2 / 2, 0.7**2 / 2
    found = lacking([of_critic(), other], table)
    # a mean of 4,000 differences of standard deviation .5 to .7 has a standard error of .01
    assert found == pytest.approx(a * b / (a + b), abs=0.03)
    assert lacking([of_critic(), of_critic()], table) == math.inf
    (third,) = noisy(many, 1, 0.9, 3)
    pools = [many.table([first, second]), many.table([first, second, third])]
    before, after = (float(t.densities(best_weights(t)).mean()) for t in pools)
    behind = 0.9**2 / 2 - a * b / (a + b)
    assert after - before == pytest.approx(third_gain(a * b / (a + b), behind), abs=0.01)


def test_a_critic_that_approaches_slowly_is_given_up_where_little_is_to_be_gained(samples):
    race = Race.against(samples, table_of(samples, of_critic()), [of_critic()])
    race.target = race.density(of_critic()) + 0.2
    assert run(race, of_critic()) == 1.0  # it is not far behind, and may be of use
    race.lacking = 0.1
    assert third_gain(0.1, 0.2 * AT_END[-1][1]) > 0.01 and run(race, of_critic()) == 1.0
    race.lacking = 0.01
    assert run(race, of_critic()) == AT_END[0][0]
    race.target = race.density(of_critic()) + NEAR - 0.01
    assert run(race, of_critic()) == 1.0  # so near that it may be the best


def test_a_finished_critic_raises_the_target_for_those_that_follow(samples):
    race = Race(samples.first(MEASURED), -10.0)
    entry = Entry(race, of_critic(), 1)
    entry.measure()
    entry.finish()
    assert race.target == entry.density > -10.0
    worse = Entry(race, of_critic(0.3), 1)
    worse.measure()
    worse.finish()
    assert race.target == entry.density


def test_a_pool_does_not_train_critics_to_the_end_beside_a_likelihood_that_is_exact():
    few = lfi.TrainSettings(steps=1)
    likelihood = lfi.SurrogateLikelihood(proposal=None, gaussian_steps=1, settings=few, width=8)
    # a ratio that has to be learnt for far longer than this, of a posterior of a tenth's width
    ratio = lfi.NeuralRatio(
        settings=lfi.TrainSettings(steps=60, learning_rate=1e-4), width=8, head_layers=None
    )
    simulations = lfi.simulate(model(0.1), 3_000, seed=1)  # so many that weights are sparse
    method = lfi.Pool((likelihood, ratio))
    with pytest.MonkeyPatch.context() as patch:
        steps = []
        original = lfi.NeuralRatio.fit

        def fit(self, *arguments, **options):
            found = original(self, *arguments, **options)
            steps.append(found.history[0].steps)
            return found

        patch.setattr(lfi.NeuralRatio, "fit", fit)
        posterior = method.fit(simulations, seed=1)
    assert posterior.choice.weights[1] == 0.0
    alone = ratio.fit(simulations, seed=1)
    assert steps[0] < 0.75 * alone.history[0].steps


def test_a_ratio_that_is_near_the_best_is_trained_to_the_end(samples):
    simulations = lfi.simulate(model(), 400, seed=1)
    ratio = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=25), width=8, head_layers=None)
    alone = ratio.fit(simulations, seed=1)
    raced = ratio.fit(
        simulations,
        seed=1,
        race=Race.against(samples, table_of(samples, of_critic()), [of_critic()]),
    )
    theta = torch.randn(50, 2)
    assert torch.equal(
        raced.log_ratio(theta, simulations.x[0]), alone.log_ratio(theta, simulations.x[0])
    )
