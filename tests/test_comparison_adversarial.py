"""Comparisons by critic: what they recover, what they minimise, what they refuse."""

import pytest
import torch
from comparisons import DIVERGENCES

from lfi.comparison import (
    KL,
    NREB,
    NREC,
    R1,
    Adversarial,
    AlphaDivergence,
    Balance,
    Bernoulli,
    Brier,
    DirectGenerator,
    Exponential,
    GradientPenalty,
    NonSaturating,
    Recovers,
    ReverseKL,
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
    "divergence", [*set(DIVERGENCES) - set(DECREASING), WithPrior(KL(), 0.3)], ids=repr
)
def test_the_direct_loss_refuses_an_f_that_increases(divergence):
    with pytest.raises(ValueError, match="decreasing f.*increases: use its own `generator`"):
        DirectGenerator(divergence)


def test_equal_comparisons_are_equal():
    assert AlphaDivergence(0.5) == AlphaDivergence(0.5) != AlphaDivergence(0.6)
    assert Bernoulli() == Bernoulli() != KL()
    assert Adversarial(Bernoulli(), KL(), R1(1)) == Adversarial(Bernoulli(), KL(), R1(1))
