"""Hinge and misclassification: decisions, their divergence, and the source's table of losses."""

import math

import pytest
import torch
from support.comparisons import DECISIONS, JOINT, log_ratio, marginals

from lfi.comparison import (
    Adversarial,
    Bernoulli,
    Brier,
    DirectGenerator,
    Exponential,
    Hinge,
    Misclassification,
    NonSaturating,
    Recovers,
    ReverseKL,
    Spherical,
    TotalVariation,
    WithPrior,
)

each = pytest.mark.parametrize("loss", DECISIONS, ids=repr)
each_pi = pytest.mark.parametrize("pi", [0.2, 0.5, 0.9])

# Mohamed & Lakshminarayanan 2016, Table 1, of D = pi p / (pi p + (1 - pi) q): what a sample of p
# pays, and what one of q pays.
TABLE_1 = (
    (Bernoulli(), lambda d: -d.log(), lambda d: -(1 - d).log()),
    (Brier(), lambda d: (1 - d) ** 2, lambda d: d**2),
    (Exponential(), lambda d: ((1 - d) / d) ** 0.5, lambda d: (d / (1 - d)) ** 0.5),
    (Misclassification(), lambda d: (d <= 0.5).double(), lambda d: (d > 0.5).double()),
    (
        Hinge(),
        lambda d: (1 - (d / (1 - d)).log()).clamp(min=0),
        lambda d: (1 + (d / (1 - d)).log()).clamp(min=0),
    ),
    (
        Spherical(),
        lambda d: -d * (1 - 2 * d + 2 * d**2) ** -0.5,
        lambda d: -(1 - d) * (1 - 2 * d + 2 * d**2) ** -0.5,
    ),
)


@pytest.mark.parametrize("loss, of_p, of_q", TABLE_1, ids=lambda value: repr(value)[:20])
@each_pi
def test_the_sources_table_of_losses(loss, of_p, of_q, pi):
    h_p, h_q, shift = 3 * torch.randn(500), 3 * torch.randn(700), math.log(pi / (1 - pi))
    d_p, d_q = torch.sigmoid(h_p + shift), torch.sigmoid(h_q + shift)
    expected = pi * of_p(d_p).mean() + (1 - pi) * of_q(d_q).mean()
    torch.testing.assert_close(WithPrior(loss, pi)(h_p, h_q), expected, atol=1e-6, rtol=0)


# What the best critic says.


@each_pi
def test_the_best_hinge_critic_says_which_is_larger_and_no_more(pi):
    h = torch.linspace(-3, 3, 601)[:, None, None]
    loss, shift = WithPrior(Hinge(), pi), math.log(pi / (1 - pi))
    p, q = JOINT / 20, marginals() / 400
    risk = q * loss.conjugate(h - shift) - p * loss.slope(h - shift)  # of the log-odds h
    best = h.flatten()[risk.argmin(0)]
    torch.testing.assert_close(best, torch.sign(log_ratio() + shift))


@each_pi
def test_no_decision_errs_less_than_the_log_ratios(pi):
    p, q = (JOINT / 20).flatten(), (marginals() / 400).flatten()
    loss = WithPrior(Misclassification(), pi)
    signs = torch.tensor([-1.0, 1.0])
    every = 1e3 * torch.cartesian_prod(*[signs] * 6)  # all 64 decisions
    errors = (loss.conjugate(every) * q - loss.slope(every) * p).sum(1)
    least = torch.minimum(pi * p, (1 - pi) * q).sum()
    torch.testing.assert_close(errors.min(), least)
    h = log_ratio().flatten()
    torch.testing.assert_close((loss.conjugate(h) * q - loss.slope(h) * p).sum(), least)


@each
def test_decisions_recover_a_sign_with_any_class_prior(loss):
    assert loss.recovers is Recovers.SIGN
    assert WithPrior(loss, 0.3).recovers is Recovers.SIGN
    assert Adversarial(loss, NonSaturating()).recovers is Recovers.SIGN


# Divergences.


def expected_value(loss, h):
    """The value of a critic h of the discrete joint, in exact expectation."""
    counts_p, counts_q = JOINT.flatten(), marginals().flatten()
    h = h.flatten()
    return loss.value(h.repeat_interleave(counts_p), h.repeat_interleave(counts_q))


def test_values_are_the_total_variation():
    total = (JOINT / 20 - marginals() / 400).abs().sum() / 2
    h = log_ratio()
    torch.testing.assert_close(expected_value(Misclassification(), h), total)
    torch.testing.assert_close(expected_value(TotalVariation(), h), total)
    torch.testing.assert_close(expected_value(Hinge(), torch.sign(h)), 2 * total)
    assert expected_value(Hinge(), h) < 2 * total
    assert expected_value(Hinge(), 100 * h) < 2 * total


@each
@each_pi
def test_values_are_what_a_decision_gains_over_the_class_prior(loss, pi):
    """Nobody who sees no x errs less than the rarer class; the hinge counts errors twice."""
    times = 2 if isinstance(loss, Hinge) else 1
    least = torch.minimum(pi * JOINT / 20, (1 - pi) * marginals() / 400).sum()
    shift = math.log(pi / (1 - pi))
    best = torch.sign(log_ratio() + shift) - shift
    expected = times * (min(pi, 1 - pi) - least)
    torch.testing.assert_close(expected_value(WithPrior(loss, pi), best), expected)


@each
def test_f_lies_above_what_any_critic_claims_of_it(loss):
    h, claimed = torch.linspace(-6, 6, 241), torch.linspace(-6, 6, 121)[:, None]
    tangent = loss.slope(claimed) * h.exp() - loss.conjugate(claimed)
    assert (loss.f(h) >= tangent - 1e-12 * h.exp()).all()
    attained = tangent.max(0).values
    torch.testing.assert_close(attained, loss.f(h))
    torch.testing.assert_close(loss.f(torch.zeros(())), loss.f(torch.zeros(1))[0])


@each
@each_pi
def test_a_sample_is_at_no_divergence_from_itself(loss, pi):
    """The best that a critic can do is to bet on the likelier class."""
    shift = math.log(pi / (1 - pi))
    h = (math.copysign(1.0, shift) - shift) * torch.ones(7)
    torch.testing.assert_close(WithPrior(loss, pi).value(h, h), torch.tensor(0.0))
    torch.testing.assert_close(loss.value(0 * h, 0 * h), torch.tensor(0.0))


def test_accuracy_is_the_share_of_right_decisions():
    h_p, h_q = torch.randn(50) + 1, torch.randn(70)
    right = ((h_p > 0).double().mean() + (h_q < 0).double().mean()) / 2
    torch.testing.assert_close(Misclassification().accuracy(h_p, h_q), right)
    undecided = torch.zeros(5)
    torch.testing.assert_close(
        Misclassification().accuracy(undecided, undecided), torch.tensor(0.5)
    )


# Training.


def test_errors_cannot_be_trained_on():
    h = torch.randn(50, requires_grad=True)
    for value in (Misclassification()(h, h), Misclassification().generator(h, h)):
        with pytest.raises(RuntimeError, match="does not require grad"):
            value.backward()


@each_pi
def test_the_hinge_generator_never_saturates(pi):
    h = torch.tensor([-1e4, -5.0, 0.0, 5.0, 1e4], dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(WithPrior(Hinge(), pi).generator(h, h), h)
    torch.testing.assert_close(gradient, torch.full_like(h, -(1 - pi) / 5))
    inside = 2 * torch.rand(50) - 1
    minimax = -Hinge().conjugate(inside).mean()
    torch.testing.assert_close(Hinge().generator(inside, inside), minimax + 1)


def test_through_the_log_ratio_the_hinge_generator_is_the_reverse_kl():
    h = torch.randn(50)
    expected = ReverseKL().generator(h, h) - 1
    torch.testing.assert_close(Hinge().generator(h, h), expected)


def test_the_direct_loss_takes_the_hinges_f():
    h = torch.randn(50)
    expected = -2 * torch.minimum(h.exp(), torch.ones(())).mean()
    torch.testing.assert_close(DirectGenerator(Hinge()).generator(h, h), expected)
