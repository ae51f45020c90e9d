"""Turns on games whose convergence is known: the bilinear game, and a GAN of two numbers."""

import math

import pytest
import torch
from torch import nn

from lfi.training import (
    Player,
    Shuffled,
    adamw,
    alternating,
    consensus,
    extragradient,
    fit,
    simultaneous,
)

RATE = 0.1
DATA = torch.zeros(4, 1)


class Point(nn.Module):
    """A single number."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def sgd(parameters):
    return torch.optim.SGD(list(parameters), lr=RATE)


def bilinear(turn, steps, optimiser=sgd):
    """x y, minimised over x and maximised over y from (1, 1): the distance from the saddle."""
    x, y = Point(1.0), Point(1.0)
    players = [
        Player("x", x, lambda batch, step: x.value * y.value, optimiser),
        Player("y", y, lambda batch, step: -x.value * y.value, optimiser),
    ]
    fit(players, Shuffled((DATA,), size=4), steps=steps, turn=turn, seed=1)
    return (x.value**2 + y.value**2).sqrt().item()


@pytest.mark.parametrize(
    "turn, factor",
    [
        (simultaneous, math.sqrt(1 + RATE**2)),
        (extragradient, math.sqrt(1 - RATE**2 + RATE**4)),
        (consensus(0.0), math.sqrt(1 + RATE**2)),
        (consensus(2.0), math.sqrt((1 - 2 * RATE) ** 2 + RATE**2)),
    ],
    ids=["simultaneous", "extragradient", "no consensus", "consensus"],
)
def test_a_turn_of_the_bilinear_game_changes_the_distance_by_its_factor(turn, factor):
    assert bilinear(turn, 50) == pytest.approx(math.sqrt(2) * factor**50, rel=1e-9)


def test_alternating_play_of_a_bilinear_game_keeps_its_distance():
    # x' = x - a y, y' = y + a x': x^2 - a x y + y^2 is invariant, so |(x, y)| stays in these bounds
    low, high = math.sqrt(2) * math.sqrt(0.9 / 1.1), math.sqrt(2) * math.sqrt(1.1 / 0.9)
    assert low <= bilinear(alternating, 100) <= high


def test_extragradient_takes_the_optimisers_step_twice_and_keeps_the_second():
    # from (1, 1) with signs for gradients (Adam without memory): ahead at (0.9, 1.1), where they
    # are the same, and so the move is the first one again
    signs = adamw(0.1, betas=(0.0, 0.0))
    x, y = Point(1.0), Point(1.0)
    players = [
        Player("x", x, lambda batch, step: x.value * y.value, signs),
        Player("y", y, lambda batch, step: -x.value * y.value, signs),
    ]
    fit(players, Shuffled((DATA,), size=4), steps=1, turn=extragradient, seed=1)
    assert (x.value.item(), y.value.item()) == pytest.approx((0.9, 1.1))


def gaussian(turn, steps=300):
    """A Wasserstein GAN of N(0, 1) by N(m, s), its critic a x + b x^2, from m = 1, s = 1.5.

    With exact expectations the critic's loss is a m + b (m^2 + s^2 - 1): the saddle is m = 0,
    s = 1, a = b = 0, and the game is bilinear around it.
    """
    model, critic = Point([1.0, 1.5]), Point([0.0, 0.0])

    def loss():
        (m, s), (a, b) = model.value, critic.value
        return a * m + b * (m**2 + s**2 - 1)

    players = [
        Player("critic", critic, lambda batch, step: loss(), sgd),
        Player("generator", model, lambda batch, step: -loss(), sgd),
    ]
    fit(players, Shuffled((DATA,), size=4), steps=steps, turn=turn, seed=1)
    everything = torch.cat([model.value.detach() - torch.tensor([0.0, 1.0]), critic.value.detach()])
    return everything.norm().item()


def test_a_gaussian_gan_converges_by_extragradient_and_consensus_alone():
    # around the saddle a factor of sqrt(1 - a^2 + a^4) a turn for m: 0.995^1000 = 0.007; consensus
    # damps by 1 - a c a turn, c = 1
    assert gaussian(extragradient, 1_000) < 0.05
    assert gaussian(consensus(1.0)) < 1e-6
    assert gaussian(alternating, 1_000) > 0.3


def test_looking_ahead_counts_as_one_move_and_is_not_averaged():
    point = Point(1.0)
    # x <- x - a (x - a x): 0.91 after one turn; the average has the decay 1/11
    player = Player("point", point, lambda batch, step: point.value**2 / 2, sgd, ema=0.9)
    fit([player], Shuffled((DATA,), size=4), steps=1, turn=extragradient, seed=1)
    assert point.value.item() == pytest.approx(1 / 11 + 10 / 11 * 0.91)


def test_projections_hold_after_every_kind_of_turn():
    for turn in (alternating, simultaneous, extragradient, consensus(0.1)):
        point = Point(1.0)
        player = Player(
            "point",
            point,
            lambda batch, step, point=point: -10 * point.value,
            sgd,
            project=lambda module: module.value.data.clamp_(max=1.25),
        )
        fit([player], Shuffled((DATA,), size=4), steps=2, turn=turn, seed=1)
        assert point.value.item() == 1.25


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_the_weight_of_consensus_is_finite_and_not_negative(weight):
    with pytest.raises(ValueError, match="weight"):
        consensus(weight)
