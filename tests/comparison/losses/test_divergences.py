"""The rows of the table, each against its f and the divergences that bear their names."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.comparisons import FORMULAS, OWN, TEXTBOOK, quantiles, reach
from support.exact_divergences import exact
from torch.distributions import Exponential as ExponentialLaw, Gamma, Normal

from lfi.comparison import (
    KL,
    KLIEP,
    LSIF,
    NREB,
    AlphaDivergence,
    Bernoulli,
    Brier,
    Exponential,
    Hinge,
    Jeffreys,
    JensenShannon,
    Misclassification,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    PowerDivergence,
    Recovers,
    Relativistic,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
    Triangular,
    Wasserstein,
)

each = pytest.mark.parametrize("divergence, textbook", TEXTBOOK, ids=lambda value: repr(value)[:24])
each_formula = pytest.mark.parametrize("divergence, formula", FORMULAS, ids=lambda v: repr(v)[:24])
far = st.floats(-30, 30)
MEAN = 1.2  # of p = N(MEAN, 1) against q = N(0, 1)


@each
def test_f_is_the_textbooks(divergence, textbook):
    h = torch.linspace(-6, 6, 121)
    torch.testing.assert_close(divergence.f(h), textbook(h.exp()), atol=1e-11, rtol=1e-11)


@each
def test_slope_and_conjugate_are_those_of_the_textbooks_f(divergence, textbook):
    h = torch.linspace(-6, 6, 121)
    u = h.exp().requires_grad_()
    (slope,) = torch.autograd.grad(textbook(u).sum(), u)
    torch.testing.assert_close(divergence.slope(h), slope, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(
        divergence.conjugate(h), u.detach() * slope - textbook(u.detach()), atol=1e-9, rtol=1e-11
    )


@each
def test_both_functions_are_exact_to_the_last_digits_wherever_they_are_not_lines(
    divergence, textbook
):
    for h in torch.linspace(-reach(divergence), reach(divergence), 61).tolist():
        _, *expected = exact(textbook, h)
        ours = divergence.slope(torch.tensor(h)), divergence.conjugate(torch.tensor(h))
        for value, digits in zip(ours, expected, strict=True):
            # torch's softplus leaves 1e-9 out beyond 20
            assert value.item() == pytest.approx(float(digits), rel=1e-9, abs=1e-14)


# Identities, with 60 digits against the textbook's f.


@each_formula
@settings(max_examples=20)  # of each row
@given(h=far, other=far)
def test_fenchels_identity(divergence, formula, h, other):
    """f*(t) = sup over v of tv - f(v): v = u attains it at t = f'(u), there u f'(u) - f(u)."""
    h, other = (max(-reach(divergence), min(x, reach(divergence))) for x in (h, other))
    slope = mpmath.mpf(divergence.slope(torch.tensor(h)).item())
    conjugate = mpmath.mpf(divergence.conjugate(torch.tensor(h)).item())
    for v in (h, other):
        f, *_ = exact(formula, v)
        tangent = slope * mpmath.exp(v) - f
        far_out = 1e-5 if divergence in OWN else 1e-9  # a user's f is a power there
        slope_off, conjugate_off = far_out * abs(slope) + 1e-15, far_out * abs(conjugate) + 1e-15
        rounding = slope_off * (mpmath.exp(h) + mpmath.exp(v)) + conjugate_off
        assert conjugate - tangent >= -rounding
        if v == h:
            assert conjugate - tangent <= rounding


@each_formula
@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=2, max_size=5),
    st.lists(far, min_size=5, max_size=5),
)
def test_the_loss_of_ratios_is_minus_the_bound_of_f_gans(divergence, formula, logs, critic):
    """Nowozin's bound is the divergence less Sugiyama's Bregman distance of ratios: one loss.

    p and q are on a few atoms. All but the loss is computed from the textbook's f.
    """
    end = reach(divergence)
    h = torch.tensor([max(-end, min(x, end)) for x in critic[: len(logs)]])
    log_p, log_q = torch.tensor(logs).log_softmax(0).T
    loss = log_q.exp() @ divergence.conjugate(h) - log_p.exp() @ divergence.slope(h)
    bound = distance = exactly = largest = mpmath.mpf(0)
    for a, b, x in zip(log_p.tolist(), log_q.tolist(), h.tolist(), strict=True):
        p, q, u = mpmath.exp(a), mpmath.exp(b), mpmath.exp(x)
        f, slope, conjugate = exact(formula, x)
        f_of_ratio, *_ = exact(formula, a - b)
        bound += p * slope - q * conjugate
        distance += q * (f_of_ratio - f - slope * (p / q - u))
        exactly += q * f_of_ratio
        largest = max(largest, p * abs(slope), q * abs(conjugate), q * abs(f), abs(exactly))
    assert abs(exactly - distance - bound) <= 1e-12 * largest  # log p - log q is rounded
    assert distance >= -1e-12 * largest
    far_out = 1e-5 if divergence in OWN else 1e-9
    assert abs(loss.item() + bound) <= far_out * largest + 1e-15


# Values.


LINE = torch.linspace(-16, 16, 8_001)
HALF_LINE = torch.linspace(-40, 6, 8_001)  # the logarithm of x
PAIRS = {
    "shifted Gaussians": (Normal(1.2, 1.0), Normal(0.0, 1.0)),
    "Gaussians": (Normal(0.3, 0.9), Normal(0.0, 1.0)),
    "gammas": (Gamma(3.0, 1.0), Gamma(2.5, 1.2)),
    "exponentials": (ExponentialLaw(1.0), ExponentialLaw(1.2)),
}


@each_formula
@pytest.mark.parametrize("pair", PAIRS)
def test_the_exact_critics_value_is_the_divergence_by_quadrature(divergence, formula, pair):
    """Both sums are trapezoids of smooth functions that vanish at the ends: exact to rounding."""
    p, q = PAIRS[pair]
    grid = LINE if isinstance(p, Normal) else HALF_LINE
    x, weight = (grid, 1.0) if isinstance(p, Normal) else (grid.exp(), grid.exp())
    weight = weight * (grid[1] - grid[0])
    log_p, log_q = (
        type(law)(*(getattr(law, name).double() for name in law.arg_constraints)).log_prob(x)
        for law in (p, q)
    )
    h = log_p - log_q
    seen = (q_mass := weight * log_q.exp()) > 1e-300
    f = formula(torch.where(seen, h, 0.0).exp())
    exactly = (q_mass * f)[seen].sum() - formula(torch.ones(()))
    at_p = (weight * log_p.exp() * divergence.slope(h)).sum()
    at_q = (q_mass * divergence.conjugate(h)).sum()
    value = at_p - at_q - divergence.f(torch.zeros(()))
    torch.testing.assert_close(value, exactly, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "divergence, closed_form",
    [
        (KL(), MEAN**2 / 2),
        (ReverseKL(), MEAN**2 / 2),
        (Jeffreys(), MEAN**2),
        (PearsonChiSquared(), math.expm1(MEAN**2)),
        (NeymanChiSquared(), math.expm1(MEAN**2)),
        (SquaredHellinger(), 2 - 2 * math.exp(-(MEAN**2) / 8)),
        (AlphaDivergence(0.5), 4 - 4 * math.exp(-(MEAN**2) / 8)),
        (TotalVariation(), math.erf(MEAN / math.sqrt(8))),
    ],
    ids=repr,
)
def test_the_exact_critic_attains_the_divergence_of_two_gaussians(divergence, closed_form):
    h_p, h_q = (MEAN * quantiles(mean) - MEAN**2 / 2 for mean in (MEAN, 0.0))
    value = divergence.value(h_p, h_q)
    # quantiles cut the tails off: h to 4.6 deviations, worst for exp(2h)
    torch.testing.assert_close(value, torch.tensor(closed_form), rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(
    "one, other, factor",
    [
        (JensenShannon(), Bernoulli(), 1),
        (SquaredHellinger(), Exponential(), 1),
        (Triangular(), Brier(), 4),
        (PowerDivergence(1.0), PearsonChiSquared(), 1),
        (PowerDivergence(2.0), AlphaDivergence(3.0), 3),
        (AlphaDivergence(2.0), PearsonChiSquared(), 0.5),
        (AlphaDivergence(-1.0), NeymanChiSquared(), 0.5),
        (AlphaDivergence(1e-7), ReverseKL(), 1),
        (AlphaDivergence(1 + 1e-7), KL(), 1),
        (PowerDivergence(1e-7), KL(), 1),
    ],
    ids=repr,
)
def test_affine_terms_change_no_loss(one, other, factor):
    h_p, h_q = torch.randn(50), torch.randn(70)
    torch.testing.assert_close(one.value(h_p, h_q), factor * other.value(h_p, h_q))


def test_names_of_ratio_matching_are_aliases():
    assert LSIF is PearsonChiSquared
    assert KLIEP is KL


def test_the_usual_gans_generator_loss_is_softplus():
    h = torch.randn(50)
    expected = torch.nn.functional.softplus(-h).mean() + 1
    torch.testing.assert_close(NonSaturating().generator(h, h), expected)


def test_total_variation_is_a_value_and_cannot_be_trained_on():
    h = torch.randn(50, requires_grad=True)
    assert TotalVariation().recovers is Recovers.SIGN
    with pytest.raises(RuntimeError, match="does not require grad"):
        TotalVariation()(h, h).backward()


@pytest.mark.parametrize("a", [0.0, 1.0, math.inf, math.nan])
def test_alpha_divergences_name_the_row_of_their_limits(a):
    with pytest.raises(ValueError, match="use ReverseKL.*use KL.*got|must be finite"):
        AlphaDivergence(a)


@pytest.mark.parametrize("b", [0.0, -0.5, math.inf, math.nan])
def test_power_divergences_need_a_positive_power(b):
    with pytest.raises(ValueError, match="b must be positive and finite"):
        PowerDivergence(b)


@pytest.mark.parametrize("loss", [TotalVariation(), Misclassification(), Hinge(), KL()])
def test_a_value_that_is_no_number_leaves_no_number(loss):
    h = torch.tensor([0.5, torch.nan])
    assert loss(h, h[:1]).isnan() and loss(h[:1], h).isnan()


@pytest.mark.parametrize("loss", [KL(), NREB(), Relativistic(), Wasserstein()])
def test_what_are_no_values_of_a_critic_is_refused(loss):
    h = torch.zeros(4, 3)
    for wrong in (None, 3.0, h.long(), h.numpy()):
        with pytest.raises(TypeError, match="h_p must be a torch tensor of floating-point"):
            loss(wrong, h)
    with pytest.raises(ValueError, match=r"h_q must hold a value, got shape \(0,\)"):
        loss(h, torch.zeros(0))
