"""The formula behind all divergences: its optimum, its numerics, its two gradients."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.comparisons import DIVERGENCES, JOINT, OWN, log_ratio, marginals, minimise, quantiles
from torch.distributions import Normal

from lfi.comparison import Bernoulli, Brier, Recovers, TotalVariation, WithPrior
from lfi.comparison.losses.divergence import LIMIT, exp, expm1, limit

each = pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
each_pi = pytest.mark.parametrize("pi", [0.2, 0.5, 0.9])
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
values = st.floats(-8, 8)


# The optimum.


def fitted(loss):
    """The table of values that minimises a loss of a discrete joint against its marginals."""
    counts_p, counts_q = JOINT.flatten(), marginals().flatten()
    return minimise(
        lambda h: loss(
            h.flatten().repeat_interleave(counts_p), h.flatten().repeat_interleave(counts_q)
        ),
        JOINT.shape,
    )


@each
def test_the_critics_optimum_is_the_log_ratio(divergence):
    torch.testing.assert_close(fitted(divergence), log_ratio(), atol=1e-5, rtol=0)


@each
@each_pi
def test_the_optimum_is_the_log_ratio_whatever_the_class_prior(divergence, pi):
    loss = WithPrior(divergence, pi)
    torch.testing.assert_close(fitted(loss), log_ratio(), atol=1e-5, rtol=0)


@each
@pytest.mark.parametrize("answer", [-12.0, 0.0, 5.0, 15.0])
def test_the_risk_falls_to_the_log_ratio_and_rises_after_also_beyond_the_limit(divergence, answer):
    h = torch.cat([torch.linspace(-40, 40, 801), torch.linspace(-1e4, 1e4, 2000)])
    h = h[(h - answer).abs() > 0.05].requires_grad_()
    risk = divergence.conjugate(h) - math.exp(answer) * divergence.slope(h)
    (gradient,) = torch.autograd.grad(risk.sum(), h)
    slack = 1e-15 * max(1, math.exp(answer))  # torch takes expm1 + 1 for its derivative
    assert (gradient[h < answer] <= slack).all()
    assert (gradient[h > answer] >= -slack).all()


@each
@settings(max_examples=25)  # of each row
@given(h=values, other=values)
def test_f_lies_above_its_tangents(divergence, h, other):
    h, other = torch.tensor(h), torch.tensor(other)
    tangent = divergence.slope(other) * h.exp() - divergence.conjugate(other)
    scale = 1 + sum(abs(term) for term in (divergence.f(h), tangent, divergence.slope(other)))
    assert divergence.f(h) >= tangent - 1e-9 * scale * h.exp().clamp(min=1)


@each
@settings(max_examples=25)
@given(
    st.lists(st.tuples(values, values), min_size=2, max_size=6),
    st.lists(st.floats(-3, 3), min_size=6, max_size=6),
)
def test_no_critic_claims_more_than_the_divergence(divergence, logs, errors):
    # a uniform q on a few atoms, p proportional to exp of the given logarithms
    log_p = torch.tensor([a for a, _ in logs]).log_softmax(0)
    h = log_p + math.log(len(logs))
    wrong = h + torch.tensor(errors[: len(logs)])
    exact = divergence.f(h).mean() - divergence.f(torch.zeros(()))
    claimed = (log_p.exp() * divergence.slope(wrong)).sum() - divergence.conjugate(wrong).mean()
    claimed = claimed - divergence.f(torch.zeros(()))
    assert claimed <= exact + 1e-9 * (1 + abs(divergence.conjugate(wrong)).max())


# Values.


@each
@each_pi
def test_a_sample_is_at_no_divergence_from_itself(divergence, pi):
    h = torch.zeros(7)
    torch.testing.assert_close(divergence.value(h, h), torch.tensor(0.0))
    torch.testing.assert_close(WithPrior(divergence, pi).value(h, h), torch.tensor(0.0))


@each
@each_pi
def test_a_class_prior_shifts_and_weighs_f(divergence, pi):
    h = torch.linspace(-5, 5, 101)
    expected = (1 - pi) * divergence.f(h + math.log(pi / (1 - pi)))
    torch.testing.assert_close(WithPrior(divergence, pi).f(h), expected)


@each_pi
def test_a_class_prior_makes_bernoulli_the_cross_entropy_of_unequal_classes(pi):
    h_p, h_q, shift = torch.randn(50), torch.randn(70), math.log(pi / (1 - pi))
    d_p, d_q = torch.sigmoid(h_p + shift), torch.sigmoid(h_q + shift)
    expected = -pi * d_p.log().mean() - (1 - pi) * (1 - d_q).log().mean()
    torch.testing.assert_close(WithPrior(Bernoulli(), pi)(h_p, h_q), expected)


@each_pi
def test_a_class_prior_shifts_and_weighs_the_generators_loss(pi):
    class OfBoth(Bernoulli):
        def generator(self, h_p, h_q):
            return h_p.mean() - h_q.square().mean()

    h_p, h_q, shift = torch.randn(50), torch.randn(70), math.log(pi / (1 - pi))
    found = WithPrior(OfBoth(), pi).generator(h_p, h_q)
    expected = (1 - pi) * ((h_p + shift).mean() - (h_q + shift).square().mean())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("pi", [0.0, 1.0, -0.5, math.nan])
def test_a_class_prior_outside_0_and_1_is_refused(pi):
    with pytest.raises(ValueError, match="pi must lie between 0 and 1, got"):
        WithPrior(Bernoulli(), pi)


def test_a_class_prior_changes_nothing_about_what_is_recovered():
    assert WithPrior(Bernoulli(), 0.2).recovers is Recovers.RATIO
    assert WithPrior(TotalVariation(), 0.2).recovers is Recovers.SIGN


# The generator.


@each
def test_the_generators_gradient_is_the_divergences(divergence):
    """The critic is exact and frozen, q = N(0.5, 1) moves against p = N(0, 1)."""
    mean = torch.tensor(0.5, requires_grad=True)
    x = quantiles(mean)
    h = (-(x**2) + (x - mean.detach()) ** 2) / 2
    (pathwise,) = torch.autograd.grad(divergence.generator(h, h), mean)

    grid = torch.linspace(-14, 14, 20_001)
    log_p, log_q = Normal(0.0, 1.0).log_prob(grid), Normal(mean, 1.0).log_prob(grid)
    integral = (log_q.exp() * divergence.f(log_p - log_q)).sum() * (grid[1] - grid[0])
    (derivative,) = torch.autograd.grad(integral, mean)
    assert derivative > 0  # towards the data is down
    torch.testing.assert_close(pathwise, derivative, rtol=0.01, atol=0)  # of the quantiles' tails


@each
def test_the_generators_loss_falls_as_h_grows(divergence):
    h = torch.linspace(-20, 20, 401, requires_grad=True)
    (gradient,) = torch.autograd.grad(divergence.generator(h, h), h)
    # autograd of a user's u f' - f cancels u f' with itself
    rounding = 1e-15 * (h.exp() * divergence.slope(h)).abs() if divergence in OWN else 0
    assert (gradient <= rounding).all()
    assert (gradient[(h.abs() < 5)] < 0).all()


# Numerics.


@each
@each_dtype
@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: WithPrior(f, 0.9)], ids=["", "pi=0.9"])
def test_losses_and_gradients_are_finite_for_any_critic(divergence, dtype, wrap):
    magnitudes = torch.tensor([0.0, 1.0, 20.0, 30.0, 31.0, 88.0, 89.0, 1e3, 1e4], dtype=dtype)
    h = torch.cat([-magnitudes, magnitudes]).requires_grad_()
    loss = wrap(divergence)
    for value in (loss(h, h), loss.generator(h, h), loss.value(h, h)):
        (gradient,) = torch.autograd.grad(value, h)
        assert value.dtype == gradient.dtype == dtype
        assert value.isfinite()
        assert gradient.isfinite().all()


@each
def test_float32_agrees_with_float64(divergence):
    def functions(h):
        h = h.requires_grad_()
        both = divergence.slope(h), divergence.conjugate(h)
        return [*both, *(torch.autograd.grad(value.sum(), h)[0] for value in both)]

    h = torch.linspace(-LIMIT, LIMIT, 241)
    for single, double in zip(functions(h.float()), functions(h), strict=True):
        # rounding of the exponent, up to 60, is a relative error of 60 * 2^-24
        torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("rate", [-2.0, -0.5, 0.5, 1.0, 2.0])
def test_exponentials_are_exact_to_the_limit_and_lines_beyond(rate):
    h = torch.linspace(-LIMIT, LIMIT, 61)
    torch.testing.assert_close(exp(h, rate), torch.exp(rate * h), rtol=1e-14, atol=0)
    torch.testing.assert_close(expm1(h, rate), torch.expm1(rate * h), rtol=1e-14, atol=0)
    beyond = math.copysign(LIMIT, rate) * torch.tensor([1.0, 2.0, 3.0])
    for values in (exp(beyond, rate), expm1(beyond, rate)):
        torch.testing.assert_close(values[1] - values[0], values[2] - values[1])
        torch.testing.assert_close(
            values[1] - values[0], torch.tensor(abs(rate) * LIMIT * math.exp(abs(rate) * LIMIT))
        )


def test_steep_exponentials_are_continued_sooner():
    assert limit(1.0, 2.0) == LIMIT
    assert limit(3.0) == 20.0
    assert limit(2.0, -4.0) == 15.0


@pytest.mark.parametrize("h", [-80.0, -25.0, 25.0, 80.0])
def test_briers_small_gradients_are_not_lost_in_float32(h):
    h = torch.tensor(h, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(Brier().slope(h) + Brier().conjugate(h), h)
    torch.testing.assert_close(gradient, 2 * torch.exp(-h.detach().abs()), rtol=1e-4, atol=0)


@pytest.mark.parametrize("h", [-17.0, -20.0, -30.0, -100.0, -1e4])
def test_a_classifier_that_is_badly_wrong_still_learns(h):
    """Where the cross-entropy of a sigmoid, as other libraries have it, has stopped."""
    h = torch.tensor(h, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(Bernoulli()(h, -h), h)
    torch.testing.assert_close(gradient, torch.tensor(-2.0, dtype=torch.float32))
    wrong = torch.nn.functional.binary_cross_entropy(torch.sigmoid(-h), torch.zeros_like(h))
    (gradient,) = torch.autograd.grad(wrong, h)
    assert gradient == 0
