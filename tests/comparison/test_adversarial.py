"""Comparisons by critic: what they recover, what they minimise, what they refuse."""

import pytest
import torch
from support.comparisons import NAMED, OWN
from torch.distributions import Normal

from lfi.comparison import (
    KL,
    NREB,
    NREC,
    R1,
    R2,
    Adversarial,
    AlphaDivergence,
    Balance,
    Bernoulli,
    Brier,
    DirectGenerator,
    Exponential,
    FDivergence,
    GradientPenalty,
    Jeffreys,
    JensenShannon,
    NonSaturating,
    PearsonChiSquared,
    Recovers,
    ReverseKL,
    Spherical,
    SquaredHellinger,
    TotalVariation,
    Values,
    WithPrior,
    objective,
)

DECREASING = (Bernoulli(), Brier(), Exponential(), ReverseKL(), NonSaturating())
RNG = torch.Generator()


@pytest.mark.parametrize(
    "loss, penalty, recovers",
    [
        (Bernoulli(), (), Recovers.RATIO),
        (Bernoulli(), Balance(), Recovers.RATIO),
        (Bernoulli(), R1(0.1), Recovers.NOTHING),
        (Bernoulli(), (Balance(), GradientPenalty(10.0)), Recovers.NOTHING),
        (TotalVariation(), (), Recovers.SIGN),
        (NREB(), (), Recovers.UP_TO_X),
        (NREB(), Balance(), Recovers.UP_TO_X),
        (NREC(), (Balance(),), Recovers.RATIO),
        (WithPrior(KL(), 0.2), (), Recovers.RATIO),
    ],
    ids=repr,
)
def test_a_comparison_recovers_the_weaker_of_its_parts(loss, penalty, recovers):
    assert Adversarial(loss, NonSaturating(), penalty).recovers is recovers


def test_one_penalty_is_a_tuple_of_one():
    assert Adversarial(Bernoulli(), NonSaturating()).penalties == ()
    assert Adversarial(Bernoulli(), NonSaturating(), R1(0.1)).penalties == (R1(0.1),)
    both = (R1(0.1), Balance())
    assert Adversarial(Bernoulli(), NonSaturating(), both).penalties == both


def test_the_objective_is_the_loss_and_the_weighed_penalties():
    critic = lambda x: 2 * x[:, 0]
    p, q = torch.randn(20, 1), torch.randn(20, 1)
    values = Values(critic(p), critic(q), (p,), (q,))
    penalties = (R1(0.25), Balance(3.0))
    expected = (
        Bernoulli()(values.h_p, values.h_q)
        + 0.25 * 2  # R1 of slope 2
        + 3 * Balance()(critic, values, RNG)
    )
    torch.testing.assert_close(objective(Bernoulli(), penalties, critic, values, RNG), expected)
    torch.testing.assert_close(
        objective(Bernoulli(), (), critic, values, RNG), Bernoulli()(values.h_p, values.h_q)
    )


# The source's generator loss.


@pytest.mark.parametrize("divergence", DECREASING, ids=repr)
def test_the_direct_loss_is_the_mean_of_a_decreasing_f(divergence):
    h = torch.randn(50)
    direct = DirectGenerator(divergence)
    torch.testing.assert_close(direct.generator(h, h), divergence.f(h).mean())


@pytest.mark.parametrize("divergence", DECREASING, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_direct_loss_stays_finite_and_never_pushes_away_from_the_data(divergence, dtype):
    h = torch.cat([torch.linspace(-40, 40, 81), torch.tensor([-1e4, -1e3, 1e3, 1e4])]).to(dtype)
    h.requires_grad_()
    value = DirectGenerator(divergence).generator(h, h)
    (gradient,) = torch.autograd.grad(value, h)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert (gradient <= torch.finfo(dtype).eps).all()  # of entries near 1 that cancel


@pytest.mark.parametrize(
    "divergence", [*set(NAMED) - set(DECREASING), WithPrior(KL(), 0.3), *OWN[:2]], ids=repr
)
def test_the_direct_loss_refuses_an_f_that_increases(divergence):
    with pytest.raises(ValueError, match="decreasing f.*increases: use its own `generator`"):
        DirectGenerator(divergence)


# f increases somewhere: through a frozen critic E_q f(r) moves q = N(1.5, 1) away from p = N(0, 1).
REFUSED = (
    KL(),
    JensenShannon(),
    PearsonChiSquared(),
    SquaredHellinger(),
    Jeffreys(),
    Spherical(),
)


def frozen_gradient(divergence, mean=1.5):
    """The derivative in mean of E_q f(r), r frozen, by quadrature: E_q of the slope of f(r(x))."""
    x = torch.linspace(-12, 14, 20_001, requires_grad=True)
    h = (-(x**2) + (x - mean) ** 2) / 2
    (of_sample,) = torch.autograd.grad(divergence.f(h).sum(), x)
    density = Normal(mean, 1.0).log_prob(x.detach()).exp()
    return (density * of_sample).sum() * (x[1] - x[0]).detach()


@pytest.mark.parametrize("divergence", REFUSED, ids=repr)
def test_what_the_direct_loss_refuses_would_push_away_from_the_data(divergence):
    assert frozen_gradient(divergence) < 0
    with pytest.raises(ValueError, match="use its own `generator`"):
        DirectGenerator(divergence)


def test_the_direct_loss_of_kl_is_as_wrong_as_its_docstring_says():
    # E_q f(r) has the derivative -E_q[r (1 + log r) mean] = -mean (1 + mean^2/2), not mean
    torch.testing.assert_close(frozen_gradient(KL()), torch.tensor(-1.5 * (1 + 1.5**2 / 2)))


@pytest.mark.parametrize("divergence", DECREASING, ids=repr)
def test_what_the_direct_loss_takes_pushes_towards_the_data(divergence):
    assert frozen_gradient(divergence) > 0
    h = torch.randn(20, requires_grad=True)
    (gradient,) = torch.autograd.grad(DirectGenerator(divergence).generator(h, h), h)
    assert (gradient < 0).all()


def test_the_direct_loss_takes_a_users_decreasing_f():
    own = FDivergence(lambda u: (1 + u) * (1 + 1 / u).log())
    h = torch.randn(20)
    torch.testing.assert_close(
        DirectGenerator(own).generator(h, h), DirectGenerator(NonSaturating()).generator(h, h)
    )


# Lazy penalties.


def test_lazy_penalties_are_charged_in_turn_and_cost_the_same_on_average():
    critic = lambda x: 2 * x[:, 0]
    p, q = torch.randn(20, 1), torch.randn(20, 1)
    values = Values(critic(p), critic(q), (p,), (q,))
    lazy = R1(0.25, every=3), R2(0.5, every=2)
    loss = Bernoulli()(values.h_p, values.h_q)
    charged = torch.stack(
        [objective(Bernoulli(), lazy, critic, values, RNG, i) - loss for i in range(6)]
    )
    r1, r2 = 3 * 0.25 * 2, 2 * 0.5 * 2  # slope 2: R1 and R2 are 2
    torch.testing.assert_close(charged, torch.tensor([r1 + r2, 0, r2, r1, r2, 0.0]))
    eager = objective(Bernoulli(), (R1(0.25), R2(0.5)), critic, values, RNG) - loss
    torch.testing.assert_close(charged.mean(), eager)


def test_a_penalty_out_of_turn_is_not_computed():
    values = Values(torch.zeros(2), torch.zeros(2), (), ())
    fails = lambda *x: pytest.fail("the critic was called")
    objective(Bernoulli(), (R1(1.0, every=2),), fails, values, RNG, 1)


def test_equal_comparisons_are_equal():
    assert AlphaDivergence(0.5) == AlphaDivergence(0.5) != AlphaDivergence(0.6)
    assert Bernoulli() == Bernoulli() != KL()
    assert Adversarial(Bernoulli(), KL(), R1(1)) == Adversarial(Bernoulli(), KL(), R1(1))
