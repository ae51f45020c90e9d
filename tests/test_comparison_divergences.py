"""The rows of the table, each against its f and the divergences that bear their names."""

import math

import pytest
import torch
from comparisons import TEXTBOOK, quantiles

from lfi.comparison import (
    KL,
    KLIEP,
    LSIF,
    AlphaDivergence,
    Bernoulli,
    Brier,
    Exponential,
    Jeffreys,
    JensenShannon,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    PowerDivergence,
    Recovers,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
    Triangular,
)

each = pytest.mark.parametrize("divergence, textbook", TEXTBOOK, ids=lambda value: repr(value)[:24])
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
    with pytest.raises(ValueError, match="use ReverseKL.*use KL.*got"):
        AlphaDivergence(a)


@pytest.mark.parametrize("b", [0.0, -0.5, math.inf, math.nan])
def test_power_divergences_need_a_positive_power(b):
    with pytest.raises(ValueError, match="b must be positive and finite"):
        PowerDivergence(b)
