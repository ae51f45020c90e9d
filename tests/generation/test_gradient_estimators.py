"""Gradient estimators: against exact gradients and exact variances, 10,000 estimates at a time.

Each row of `psi`, (REPEATS, d), is a copy of the parameters with an estimate of its own.
"""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, Poisson

import lfi
from lfi.generation.gradient_estimators import (
    _check_rows,
    baseline_risk,
    common_random_numbers,
    control_variate,
    leave_one_out,
    pathwise,
    pathwise_and_score,
    replay_weights,
    score_function,
)

REPEATS, DRAWS = 10_000, 4
MEAN, SD = 1.5, 0.7


def copies(*values):
    """One column of parameters for each value, which gradients are taken of."""
    return [torch.full((REPEATS, 1), value, requires_grad=True) for value in values]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gradients(objective, *parameters):
    """The estimate of each copy, (REPEATS, parameters)."""
    found = torch.autograd.grad(objective.sum(), parameters)
    return torch.cat(found, dim=1)


def assert_right(estimates, exact):
    """Means lie within three standard errors of the exact gradient."""
    error = estimates.std(0) / math.sqrt(len(estimates))
    assert ((estimates.mean(0) - torch.tensor(exact)).abs() <= 3 * error + 1e-12).all()


def assert_variance(estimates, exact):
    """The variance lies within five standard errors of the exact one."""
    squares = (estimates - estimates.mean(0)).square()
    assert (squares.mean(0) - exact).abs() <= 5 * squares.std() / math.sqrt(len(squares)) + 1e-20


def normal(mean, sd, *, path=False):
    """DRAWS of N(mean, sd^2) for each copy, and their log density, as they are or held fixed."""
    x = mean + sd * torch.randn(REPEATS, DRAWS, generator=rng())
    return (x if path else x.detach()), Normal(mean, sd).log_prob(x.detach())


# Exact gradients. E x^2 = mean^2 + sd^2.


def test_pathwise_gradients_of_a_gaussian_are_right():
    mean, sd = copies(MEAN, SD)
    x, _ = normal(mean, sd, path=True)
    assert_right(gradients(pathwise(x.square()), mean, sd), [2 * MEAN, 2 * SD])


@pytest.mark.parametrize("baseline", [None, 0.0, MEAN**2])
def test_score_function_gradients_of_a_gaussian_are_right_under_any_baseline(baseline):
    mean, sd = copies(MEAN, SD)
    x, log_prob = normal(mean, sd)
    given = None if baseline is None else torch.full_like(x, baseline)
    value = score_function(x.square(), log_prob, baseline=given)
    assert torch.allclose(value, x.square().mean(1))
    assert_right(gradients(value, mean, sd), [2 * MEAN, 2 * SD])


@pytest.mark.parametrize("predict", [lambda x: torch.zeros_like(x), torch.sin, torch.square])
def test_control_variates_are_right_whatever_they_predict(predict):
    mean, sd = copies(MEAN, SD)
    path, log_prob = normal(mean, sd, path=True)
    values = path.detach().square() + path.detach().sin()
    estimates = gradients(control_variate(values, log_prob, predict(path)), mean, sd)
    half = math.exp(-(SD**2) / 2)  # E sin x = sin(mean) exp(-sd^2 / 2)
    exact = [2 * MEAN + math.cos(MEAN) * half, 2 * SD - SD * math.sin(MEAN) * half]
    assert_right(estimates, exact)


def test_the_score_function_is_right_for_counts():
    (log_rate,) = copies(math.log(3.0))
    x = torch.poisson(log_rate.detach().exp().expand(-1, DRAWS), generator=rng())
    log_prob = Poisson(log_rate.exp()).log_prob(x)
    exact = 3 * (2 * 3 + 1.0)  # of E x^2 = rate + rate^2, in the log rate
    assert_right(gradients(score_function(x.square(), log_prob), log_rate), [exact])


def test_a_simulator_differentiable_in_part_needs_both_parts():
    # x = scale * (noise + branch), branch = 1 with probability sigmoid(logit); E x^2 is exact
    logit, scale = copies(0.4, 1.3)
    p = torch.tensor(0.4).sigmoid().item()
    coin = torch.rand(REPEATS, DRAWS, generator=rng(1)) < p
    noise = torch.randn(REPEATS, DRAWS, generator=rng())
    values = (scale * (noise + coin)).square()
    log_prob = Bernoulli(logits=logit).log_prob(coin.double())
    exact = [1.3**2 * p * (1 - p), 2 * 1.3 * (1 + p)]  # E x^2 = scale^2 (1 + p)
    assert_right(gradients(pathwise_and_score(values, log_prob), logit, scale), exact)
    (missed,) = torch.autograd.grad(pathwise(values).sum(), logit, allow_unused=True)
    assert missed is None
    alone = score_function(values, log_prob)
    assert torch.autograd.grad(alone.sum(), scale, allow_unused=True) == (None,)


def test_common_random_numbers_are_right_and_vary_less_than_others():
    # f = (theta + e)^2: the difference at equal e is exactly 2 (theta + e), of variance 4
    theta = torch.full((REPEATS, 1), MEAN, requires_grad=True)

    def function(at, seed):
        return (at + torch.randn(at.shape, generator=rng(seed))).square()[:, 0]

    def unequal(at, seed):
        return function(at, seed if at[0] > MEAN else seed + 1)

    common = gradients(common_random_numbers(function, theta, seed=0), theta)
    assert_right(common, [2 * MEAN])
    assert_variance(common, 4.0)
    other = gradients(common_random_numbers(unequal, theta, seed=0), theta)
    assert_right(other, [2 * MEAN])
    # two independent values of variance 2 + 4 theta^2 each, over (2 step)^2
    sides = [2 + 4 * (MEAN + step) ** 2 for step in (0.05, -0.05)]
    assert_variance(other, sum(sides) / 0.1**2)


def test_common_random_numbers_take_an_lfi_simulator():
    prior = {"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}
    simulator = lfi.Simulator(lambda theta: theta + torch.randn(theta.shape), prior=prior)
    theta = torch.tensor([1.0, -2.0], requires_grad=True)
    function = lambda at, seed: simulator(at, seed=seed) @ torch.tensor([3.0, 5.0])
    common_random_numbers(function, theta, step=torch.tensor([0.1, 0.2]), seed=1).backward()
    assert torch.allclose(theta.grad, torch.tensor([3.0, 5.0]))


# Exact variances: f(x) = x, so that with e = (x - mean) / sd an estimate is a mean of f e / sd.


@pytest.mark.parametrize(
    "baseline, variance",
    [
        ("none", (MEAN**2 / SD**2 + 2) / DRAWS),
        ("mean of the others", 2 / (DRAWS - 1)),  # the variance of a sample, over that of x
        ("true mean", 2 / DRAWS),
        ("control variate", 0.0),
        ("pathwise", 0.0),
    ],
)
def test_baselines_have_the_variance_that_theory_says(baseline, variance):
    (mean,) = copies(MEAN)
    x, log_prob = normal(mean, SD, path=True)
    values = x.detach()
    objective = {
        "none": lambda: score_function(values, log_prob, baseline=0 * values),
        "mean of the others": lambda: score_function(values, log_prob),
        "true mean": lambda: score_function(values, log_prob, baseline=MEAN + 0 * values),
        "control variate": lambda: control_variate(values, log_prob, x),
        "pathwise": lambda: pathwise(x),
    }[baseline]()
    estimates = gradients(objective, mean)
    assert_right(estimates, [1.0])
    assert_variance(estimates, variance)


def test_a_learned_baseline_of_the_state_leaves_what_the_action_decides():
    # a ~ Bernoulli(1/2), f = 3 s + a: about b(s) = 3 s + 1/2 the estimates do not vary at all
    (logit,) = copies(0.0)
    state = torch.randn(REPEATS, DRAWS, generator=rng())
    action = (torch.rand(REPEATS, DRAWS, generator=rng(1)) < 0.5).double()
    values = 3 * state + action
    columns = torch.stack([state, torch.ones_like(state)], -1)

    def slope(weights):
        weights = weights.clone().requires_grad_()
        return torch.autograd.grad(baseline_risk(columns @ weights, values).mean(), weights)[0]

    start, one = torch.zeros(2), torch.eye(2)
    bend = torch.stack([slope(each) - slope(start) for each in one])
    trained = -torch.linalg.solve(bend, slope(start))  # the risk is a parabola: one Newton step
    assert slope(trained).abs().max() < 1e-9
    learned = (columns @ trained).detach()
    variances = []
    for baseline in (learned, None):
        log_prob = Bernoulli(logits=logit).log_prob(action)
        estimates = gradients(score_function(values, log_prob, baseline=baseline), logit)
        assert_right(estimates, [0.25])
        variances.append(estimates.var().item())
    assert variances[0] < 1e-3 * variances[1]


def test_the_baseline_of_a_draw_does_not_know_it():
    values = torch.randn(3, 5, generator=rng())
    weight = torch.rand(3, 5, generator=rng(1))
    other = values.clone()
    other[:, 2] += 9
    for given in (None, weight):
        before, after = (leave_one_out(v, weight=given) for v in (values, other))
        assert torch.allclose(before[:, 2], after[:, 2])
        assert not torch.isclose(before[:, 1], after[:, 1]).any()
    assert torch.allclose(leave_one_out(values, weight=3 + 0 * values), leave_one_out(values))


# Replay.


def test_replayed_draws_give_the_gradient_of_the_present():
    # self-normalised weights are off by the order of 1 / n: draws are many in each estimate
    mean = torch.full((100, 1), 0.4, requires_grad=True)
    then = Normal(0.0, 1.0)
    x = torch.randn(100, REPEATS, generator=rng())
    log_prob = Normal(mean, 1.0).log_prob(x)
    replayed = replay_weights(log_prob, then.log_prob(x))
    assert torch.allclose(replayed.weight.mean(1), torch.ones(100))
    estimates = gradients(score_function(x.square(), log_prob, weight=replayed.weight), mean)
    assert_right(estimates, [2 * 0.4])
    # the effective share of draws from a Gaussian shifted by delta is exp(-delta^2)
    share = replayed.effective / REPEATS
    assert (share.mean() - math.exp(-(0.4**2))).abs() < 5 * share.std() / math.sqrt(100)


def test_self_normalised_replay_is_the_gradient_of_the_reweighted_mean():
    mean = torch.tensor(0.3, requires_grad=True)
    x = torch.randn(50, generator=rng())
    log_prob, then = Normal(mean, 1.0).log_prob(x), Normal(0.0, 1.0).log_prob(x)
    (exact,) = torch.autograd.grad((log_prob - then).softmax(0) @ x.square(), mean)
    weight = replay_weights(log_prob, then).weight
    centre = (weight * x.square()).mean().expand(50)
    log_prob = Normal(mean, 1.0).log_prob(x)
    objective = score_function(x.square(), log_prob, baseline=centre, weight=weight)
    (found,) = torch.autograd.grad(objective, mean)
    assert torch.isclose(exact, found)


def test_clipped_weights_are_more_even():
    now, then = torch.tensor([3.0, 0.0, 0.0, -1.0]), torch.zeros(4)
    free, clipped = replay_weights(now, then), replay_weights(now, then, clip=1.0)
    assert clipped.effective > 2 * free.effective
    assert torch.allclose(clipped.weight[:3], clipped.weight[0])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda v: score_function(v[:1], v[:1]), "give a baseline"),
        (lambda v: pathwise(v[:0]), "must hold one at least"),
        (lambda v: _check_rows(v[0], {}), r"must hold one at least, got shape \(\)"),
        (lambda v: common_random_numbers(lambda at, seed: at, v[:0]), "one parameter at least"),
        (
            lambda v: common_random_numbers(lambda at, seed: at, v, step=torch.ones(2)),
            "step must be one number or one for each of 3 parameters",
        ),
        (lambda v: replay_weights(v - math.inf, v), "have a density now"),
        (lambda v: replay_weights(v, v, clip=0.0), "clip must be positive"),
        (lambda v: common_random_numbers(lambda at, seed: at, v), "return 3 values"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.arange(3.0))
