"""The contract of every loss and penalty: add one to the tuples and it is held to it."""

from dataclasses import FrozenInstanceError, is_dataclass

import pytest
import torch
from support.comparisons import CONTRASTIVE, DECISIONS, DIVERGENCES, PENALTIES, RELATIVE

from lfi.comparison import (
    NREB,
    Bernoulli,
    Contrastive,
    CriticLoss,
    DirectGenerator,
    DivergenceEstimate,
    GeneratorLoss,
    Penalty,
    Recovers,
    TotalVariation,
    Values,
    WithPrior,
)

HINGE, _ = DECISIONS  # the other one is flat
COMMON = (*DIVERGENCES, WithPrior(Bernoulli(), 0.3), HINGE, WithPrior(HINGE, 0.3), *RELATIVE)
CRITIC_LOSSES = (*COMMON, *CONTRASTIVE)
GENERATOR_LOSSES = (*COMMON, DirectGenerator(Bernoulli()))
ESTIMATES = (*COMMON, *DECISIONS, *CONTRASTIVE, TotalVariation())
each_loss = pytest.mark.parametrize("loss", CRITIC_LOSSES, ids=repr)
each_estimate = pytest.mark.parametrize("estimate", ESTIMATES, ids=repr)
each_generator_loss = pytest.mark.parametrize("loss", GENERATOR_LOSSES, ids=repr)
each_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def values(loss, dtype=torch.float64):
    shapes = ((12, 5), (12, 5)) if isinstance(loss, Contrastive) else ((12,), (9, 4))
    return tuple(torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes)


@each_loss
@each_dtype
def test_a_critics_loss_is_a_mean_with_a_gradient(loss, dtype):
    assert isinstance(loss, CriticLoss)
    h_p, h_q = values(loss, dtype)
    value = loss(h_p, h_q)
    assert value.shape == ()
    assert value.dtype == dtype
    (gradient,) = torch.autograd.grad(value, h_p)
    assert gradient.abs().sum() > 0
    twice = loss(torch.cat([h_p, h_p]), torch.cat([h_q, h_q]))
    torch.testing.assert_close(twice, value)


@each_loss
def test_a_critics_loss_says_what_it_recovers(loss):
    assert isinstance(loss.recovers, Recovers)
    less = (*RELATIVE, HINGE, WithPrior(HINGE, 0.3), NREB())
    assert (loss.recovers is Recovers.RATIO) == (loss not in less)


@each_estimate
def test_an_estimate_is_zero_for_a_critic_that_sees_no_difference(estimate):
    assert isinstance(estimate, DivergenceEstimate)
    h_p, h_q = (0 * h for h in values(estimate))
    value = estimate.value(h_p, h_q)
    assert value.shape == ()
    # the hinge's best constant under unequal classes is a bet on the likelier one, not 0
    if estimate == WithPrior(HINGE, 0.3):
        assert value < 0
    else:
        torch.testing.assert_close(value, torch.tensor(0.0), atol=1e-12, rtol=0)


@each_loss
def test_an_estimate_falls_as_the_critics_loss_grows(loss):
    """It is minus the loss, scaled and shifted: what one step gains, the other gains."""
    h_p, h_q = values(loss)
    gradients = [
        torch.autograd.grad(value, (h_p, h_q), materialize_grads=True)
        for value in (loss(h_p, h_q), loss.value(h_p, h_q))
    ]
    of_loss, of_value = (torch.cat([g.flatten() for g in pair]) for pair in gradients)
    scale = -(of_loss @ of_value) / (of_loss @ of_loss)
    assert scale > 0
    torch.testing.assert_close(of_value, -scale * of_loss)


@each_generator_loss
@each_dtype
def test_a_generators_loss_is_a_mean_with_a_gradient_towards_the_data(loss, dtype):
    assert isinstance(loss, GeneratorLoss)
    h_p, h_q = values(loss, dtype)
    value = loss.generator(h_p, h_q)
    assert value.shape == ()
    (gradient,) = torch.autograd.grad(value, h_q)
    assert (gradient < 0).all()
    torch.testing.assert_close(loss.generator(h_p, torch.cat([h_q, h_q])), value)


@pytest.mark.parametrize("loss", CONTRASTIVE, ids=repr)
def test_a_contrastive_generators_loss_pushes_all_that_it_draws_towards_the_data(loss):
    assert isinstance(loss, GeneratorLoss)
    h_p, h_q = values(loss)
    of_p, of_q = torch.autograd.grad(loss.generator(h_p, h_q), (h_p, h_q), materialize_grads=True)
    assert (of_p[:, 1:] < 0).all()
    assert (of_q < 0).all() or loss == NREB()
    torch.testing.assert_close(loss.generator(h_p, h_q), -loss(h_p, h_q))


@each_penalty
def test_a_penalty_is_a_number_not_below_zero_with_a_gradient(penalty):
    assert isinstance(penalty, Penalty)
    assert isinstance(penalty.keeps_optimum, bool)
    weight = torch.randn(2, requires_grad=True)
    critic = lambda x: torch.tanh(x @ weight)
    p, q = torch.randn(12, 2), torch.randn(12, 2)
    value = penalty(critic, Values(critic(p), critic(q), (p,), (q,)), torch.Generator())
    assert value.shape == ()
    assert value >= 0
    (gradient,) = torch.autograd.grad(value, weight)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    "piece",
    dict.fromkeys([*CRITIC_LOSSES, *GENERATOR_LOSSES, *ESTIMATES, *PENALTIES]),  # in order
    ids=repr,
)
def test_pieces_are_values(piece):
    assert is_dataclass(piece)
    assert hash(piece) == hash(piece)
    assert repr(piece).startswith(type(piece).__name__)
    with pytest.raises(FrozenInstanceError):
        piece.anything = 1


def test_what_is_recovered_is_ordered():
    order = "NOTHING", "SIGN", "UP_TO_X", "UP_TO_CONSTANT", "RATIO"
    assert [recovers.name for recovers in sorted(Recovers)] == list(order)
    assert min(TotalVariation().recovers, Bernoulli().recovers) is Recovers.SIGN
