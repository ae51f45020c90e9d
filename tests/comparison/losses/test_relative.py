"""Divergences of mixtures: the same optimum, bounded gradients, and the sources' special cases."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.comparisons import DIVERGENCES, JOINT, log_ratio, marginals, minimise

from lfi.comparison import (
    KL,
    LSIF,
    Bernoulli,
    Brier,
    Divergence,
    Exponential,
    FDivergence,
    NeymanChiSquared,
    Recovers,
    Relative,
    ReverseKL,
    Spherical,
    TotalVariation,
    steep,
)

each = pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
STEEP = (LSIF(), NeymanChiSquared(), KL(), ReverseKL(), Exponential(), FDivergence(lambda u: u**3))


@each
@pytest.mark.parametrize(("a", "b"), [(0.1, 0.1), (0.5, 0.0), (0.0, 0.3)])
def test_the_optimum_stays_the_log_ratio(divergence, a, b):
    counts_p, counts_q = JOINT.flatten(), marginals().flatten()
    loss = Relative(divergence, a, b)
    found = minimise(
        lambda h: loss(
            h.flatten().repeat_interleave(counts_p), h.flatten().repeat_interleave(counts_q)
        ),
        JOINT.shape,
    )
    torch.testing.assert_close(found, log_ratio(), atol=1e-5, rtol=0)


@each
@settings(max_examples=25)
@given(st.lists(st.floats(-6, 6), min_size=2, max_size=6))
def test_it_is_the_divergence_between_the_mixtures(divergence, logs):
    a, b = 0.2, 0.1
    p = torch.tensor(logs).softmax(0)
    q = torch.full_like(p, 1 / len(logs))
    p_mixed, q_mixed = (1 - b) * p + b * q, (1 - a) * q + a * p
    expected = (q_mixed * divergence.f((p_mixed / q_mixed).log())).sum()
    found = (q * Relative(divergence, a, b).f((p / q).log())).sum()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.2), (0.5, 0.0), (0.0, 0.3)])
def test_f_is_the_mixtures(a, b):
    h = torch.linspace(-5, 5, 21)
    r = h.exp()
    denominator = 1 - a + a * r
    mixed = ((1 - b) * r + b) / denominator
    torch.testing.assert_close(Relative(LSIF(), a, b).mixed(h), mixed.log())
    expected = denominator * (mixed - 1).square()
    torch.testing.assert_close(Relative(LSIF(), a, b).f(h), expected)


@pytest.mark.parametrize("loss", STEEP, ids=repr)
def test_gradients_are_bounded_where_those_of_a_steep_loss_are_not(loss):
    h = torch.linspace(-60, 60, 1_201, requires_grad=True)

    def largest(loss):
        total = loss.conjugate(h).sum() + loss.slope(h).sum()
        return torch.autograd.grad(total, h)[0].abs().max()

    assert steep(loss)
    assert largest(loss) > 1e4
    assert largest(Relative(loss)) < 1e3  # at most that of r' = 9, whose cube is 729
    assert not steep(Relative(LSIF()))


def test_losses_of_bounded_gradients_are_not_steep():
    assert not any(map(steep, (Bernoulli(), Brier(), Spherical(), TotalVariation())))


@pytest.mark.parametrize("name", ["_slope", "_conjugate"])
@pytest.mark.parametrize(("gradient", "expected"), [(10.0, False), (10.5, True), (19.0, True)])
def test_a_loss_is_steep_from_a_gradient_of_ten_on(name, gradient, expected):
    class Line(Divergence):
        def _slope(self, h):
            return 0 * h

        _conjugate = _slope

    setattr(Line, name, lambda self, h: gradient * h)
    assert steep(Line()) is expected


def test_half_and_half_least_squares_is_the_score_of_brier():
    h = torch.linspace(-8, 8, 101)
    loss, brier = Relative(LSIF(), 0.5, 0.0), Brier()
    # RuLSIF with a = 1/2 and the classifier's squared error have proportional risks
    for side in ("slope", "conjugate"):
        ours, theirs = (getattr(each, side)(h) for each in (loss, brier))
        ratio = (ours[1:] - ours[:-1]) / (theirs[1:] - theirs[:-1])
        torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-6, atol=0)


def test_relative_least_squares_is_rulsif():
    a, h_p, h_q = 0.1, torch.randn(50), torch.randn(70)
    relative = lambda h: h.exp() / (a * h.exp() + 1 - a)
    squares = a * relative(h_p).square().mean() + (1 - a) * relative(h_q).square().mean()
    expected = squares - 2 * relative(h_p).mean() + 1  # Yamada et al., equation 6, twice
    torch.testing.assert_close(Relative(LSIF(), a, 0.0)(h_p, h_q), expected)


@pytest.mark.parametrize(("a", "b"), [(-0.1, 0.1), (0.1, 1.0), (math.nan, 0.1), (0.5, 0.5)])
def test_shares_that_leave_no_ratio_are_refused(a, b):
    with pytest.raises(ValueError, match="a|b"):
        Relative(LSIF(), a, b)


def test_it_recovers_what_the_divergence_does():
    assert Relative(LSIF()).recovers is Recovers.RATIO
    assert Relative(TotalVariation()).recovers is Recovers.SIGN
    with pytest.raises(TypeError, match="divergence"):
        Relative(2.0)
