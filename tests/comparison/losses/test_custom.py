"""A user's own f: what is derived from it, where it is trusted, and what is refused.

The contract tests of divergences hold for `comparisons.OWN` too.
"""

import copy
from dataclasses import dataclass

import pytest
import torch
from support.comparisons import OWN, TEXTBOOK, arctangent, fourth_power, reach

from lfi.comparison import (
    Adversarial,
    Bernoulli,
    DirectGenerator,
    Divergence,
    FDivergence,
    NonSaturating,
    PearsonChiSquared,
    PowerDivergence,
    Recovers,
    WithPrior,
)
from lfi.comparison.losses.divergence import exp
from lfi.generation.objectives import adversarial_players
from lfi.generation.settings import DEFAULTS, AdversarialSettings
from lfi.training import Shuffled, fit

each = pytest.mark.parametrize("divergence, textbook", TEXTBOOK, ids=lambda value: repr(value)[:24])


def functions(divergence, h):
    """The slope and the conjugate, and their first two derivatives."""
    h = h.clone().requires_grad_()
    found = []
    for value in (divergence.slope(h), divergence.conjugate(h)):
        found.append([value.detach()])
        for order in (1, 2):
            value = value + 0 * h  # also where a derivative is constant
            (value,) = torch.autograd.grad(value.sum(), h, create_graph=order == 1)
            found[-1].append(value.detach())
    return found


@each
def test_what_autograd_derives_is_the_named_divergence(divergence, textbook):
    h = torch.linspace(-11, 11, 221)
    own, named = functions(FDivergence(textbook), h), functions(divergence, h)
    for derived, formula in zip(own, named, strict=True):
        for order, (ours, theirs) in enumerate(zip(derived, formula, strict=True)):
            # each derivative of a formula such as (u-1)^2/u cancels terms u^2 times its size
            digits = 1e-9 if order == 0 else 1e-15 * (2 * h.abs()).exp()
            slack = digits * (1 + theirs.abs()) + 1e-9 * theirs.abs()
            assert ((ours - theirs).abs() <= slack).all()


@each
def test_further_out_it_is_a_power_that_goes_on_as_it_should(divergence, textbook):
    end = reach(divergence)
    h = torch.cat([torch.linspace(-end, -11, 150), torch.linspace(11, end, 150)])
    own = FDivergence(textbook)
    for ours, theirs in (
        (own.slope(h), divergence.slope(h)),
        (own.conjugate(h), divergence.conjugate(h)),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)


@each
def test_lines_begin_where_those_of_the_named_divergence_do(divergence, textbook):
    assert_lines_are_the_same(FDivergence(textbook), divergence)


@pytest.mark.parametrize("b", [4.0, 5.0])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e30])
def test_steep_functions_become_lines_sooner(b, scale):
    """From 60 / (1 + b), before the formula ends, whatever its size."""
    own = FDivergence(lambda u: scale * (u ** (1 + b) - (1 + b) * u + b) / b)
    assert_lines_are_the_same(own, PowerDivergence(b), scale)


def assert_lines_are_the_same(own, named, scale=1.0):
    h = torch.tensor([9.5, 11.5, 13.0, 16.0, 25.0, 40.0, 1e3, 1e4])
    h = torch.cat([-h, h])
    for ours, theirs in ((own.slope, named.slope), (own.conjugate, named.conjugate)):
        torch.testing.assert_close(ours(h) / scale, theirs(h), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("divergence", OWN, ids=repr)
def test_conjugate_and_slope_stay_those_of_one_convex_function(divergence):
    """The derivative of the conjugate is u times that of the slope: the optimum stays log r."""
    at = reach(divergence)
    h = torch.linspace(-at, at, 301)
    (_, slope, _), (_, conjugate, _) = functions(divergence, h)
    assert (slope > 0).all()
    torch.testing.assert_close(conjugate, h.exp() * slope, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("divergence", OWN, ids=repr)
def test_there_is_no_seam_where_the_power_begins(divergence):
    for edge in divergence._edges:
        h = edge.side * edge.at + torch.tensor([-2e-6, 2e-6])
        for value, first, _ in functions(divergence, h):
            torch.testing.assert_close(value[0], value[1], rtol=1e-4, atol=1e-7)
            torch.testing.assert_close(first[0], first[1], rtol=1e-4, atol=1e-7)
        exactly = torch.tensor([float(edge.side * edge.at)])
        for (_, at, _), (_, near, _) in zip(
            functions(divergence, exactly), functions(divergence, h[:1]), strict=True
        ):
            torch.testing.assert_close(at, near, rtol=1e-4, atol=1e-7)  # not counted twice


def test_what_is_a_power_everywhere_is_continued_from_the_outermost_edge():
    assert [edge.at for edge in FDivergence(torch.square)._edges] == [18.0, 18.0]


def test_what_is_a_power_nowhere_is_continued_from_where_it_is_closest_to_one():
    def waves(u):  # of the curvature f'' = 1 + sin(log u) / 10
        return u**2 / 2 + u**2 * (u.log().sin() - 3 * u.log().cos()) / 100

    for edge in FDivergence(waves)._edges:
        h = edge.side * torch.arange(1.0, 19.0)
        log_steepness = h + (1 + h.sin() / 10).log()
        rate = edge.side * (1 + h.cos() / (10 + h.sin()))
        off = (log_steepness.diff() - (rate[1:] + rate[:-1]) / 2).abs()
        assert edge.at == 2 + off.argmin()
        assert edge.steepness == pytest.approx(log_steepness[off.argmin() + 1].exp().item())


def test_a_line_is_added_as_constants():
    """b (u - 1) has the slope b, and u b - b (u - 1) = b, however large."""
    h, b = torch.linspace(-15, 15, 7), 1e9
    own = FDivergence(lambda u: u**2 + b * (u - 1))
    torch.testing.assert_close(own.slope(h), 2 * h.exp() + b)
    torch.testing.assert_close(own.conjugate(h), h.exp().square() + b)


@pytest.mark.parametrize("divergence", OWN, ids=repr)
def test_results_have_the_critics_dtype_and_float64s_digits(divergence):
    h = torch.linspace(-30, 30, 121, dtype=torch.float32)
    for of in (divergence.slope, divergence.conjugate):
        single = of(h)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single, of(h.double()).float(), rtol=0, atol=0)


def test_values_are_computed_without_gradients_too():
    h = torch.randn(9)
    with torch.no_grad():
        own = FDivergence(arctangent)
        value = own.value(h, h + 1)
    assert not value.requires_grad
    torch.testing.assert_close(value, own.value(h, h + 1))


def test_second_derivatives_pass_gradcheck():
    h = torch.randn(4, requires_grad=True)
    own = FDivergence(fourth_power)
    assert torch.autograd.gradcheck(own.slope, h)
    assert torch.autograd.gradgradcheck(own.conjugate, h)


def test_it_is_a_value_with_the_functions_name():
    own = FDivergence(arctangent)
    assert repr(own) == "FDivergence(arctangent)"
    assert own == FDivergence(arctangent) != FDivergence(fourth_power)
    assert own == copy.deepcopy(own)
    assert own.recovers is Recovers.RATIO


# In every consumer.


def test_it_serves_with_a_class_prior_and_as_a_direct_loss():
    own = FDivergence(lambda u: u * u.log() - (1 + u) * (1 + u).log())
    h_p, h_q = torch.randn(20), torch.randn(30)
    torch.testing.assert_close(
        WithPrior(own, 0.2).value(h_p, h_q), WithPrior(Bernoulli(), 0.2).value(h_p, h_q)
    )
    torch.testing.assert_close(
        DirectGenerator(own).generator(h_p, h_q), DirectGenerator(Bernoulli()).generator(h_p, h_q)
    )
    assert Adversarial(own, NonSaturating()).recovers is Recovers.RATIO


class Shift(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def draw(self, given, rng):
        return torch.randn(len(given), 1, generator=rng) + self.shift


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, given):
        return self.line(x)[:, 0]


def test_a_generator_trains_by_it():
    """As critic's and as generator's loss, the same numbers as by the divergence it is."""
    comparisons = [
        Adversarial(f, f) for f in (FDivergence(lambda u: (u - 1) ** 2), PearsonChiSquared())
    ]
    shifts = []
    x = 0.4 + torch.randn(400, 1)
    for comparison in comparisons:
        torch.manual_seed(3)
        generator, critic = Shift(), Line()
        players = adversarial_players(
            generator,
            critic,
            generator.draw,
            comparison,
            settings=DEFAULTS.updated(AdversarialSettings(critic_steps=1)),
        )
        fit(players, Shuffled((x, 0 * x), size=200), steps=60, seed=1)
        shifts.append(generator.shift.item())
    assert shifts[0] == pytest.approx(shifts[1], abs=1e-9)
    assert abs(shifts[0]) > 1e-3


def test_three_lines_are_a_divergence_too():
    @dataclass(frozen=True)
    class HalfSquare(Divergence):
        def _slope(self, h):
            return exp(h)

        def _conjugate(self, h):
            return exp(h, 2.0) / 2

    h_p, h_q = torch.randn(20), torch.randn(30)
    derived = FDivergence(lambda u: u**2 / 2)
    torch.testing.assert_close(HalfSquare()(h_p, h_q), derived(h_p, h_q))
    torch.testing.assert_close(
        HalfSquare().value(h_p, h_q), PearsonChiSquared().value(h_p, h_q) / 2
    )
    assert HalfSquare() == HalfSquare()
    assert HalfSquare().recovers is Recovers.RATIO


# What is refused.


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda u: -(u**2), "strictly convex: its slope does not grow at u = 6.14e-06"),
        (lambda u: u.sin(), "strictly convex"),
        (lambda u: 3 * u, "strictly convex"),
        (lambda u: u * 0 + 1, "strictly convex"),
        (lambda u: (u - 1).abs() / 2, "strictly convex"),
        (lambda u: (u - 2).relu() ** 2, "strictly convex"),
        (lambda u: u**2 + (u - 1).abs(), "smooth: its slope jumps at u = 1"),
        (lambda u: u**2 - (u - 1).abs(), "smooth: its slope jumps at u = 1"),
        # (u - v)^2 < 5 first at the grid's v = e^1.1, u = e^-.25
        (lambda u: u**2 + 5 * (u > 3), "convex: at u = 0.779 it lies below its tangent at u = 3$"),
        (lambda u: (u - 3).log(), "finite: f is not at u = 6.14e-06"),
        (lambda u: u.exp(), "finite: f is not at u = 7"),
        (lambda u: (u**2).mean(), r"elementwise: of shape \(481,\) it made \(\)"),
        (lambda u: (u * u.log()).cumsum(0)[:-1], "elementwise"),
    ],
)
def test_an_f_that_is_not_convex_is_refused_with_the_place(f, message):
    with pytest.raises(ValueError, match=message):
        FDivergence(f)


@pytest.mark.parametrize("f", [3.0, None, "u*log(u)"])
def test_an_f_is_a_function(f):
    with pytest.raises(TypeError, match="function"):
        FDivergence(f)


def test_an_f_returns_a_tensor():
    with pytest.raises(TypeError, match="f must return a tensor, got float"):
        FDivergence(lambda u: 1.0)
