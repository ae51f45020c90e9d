"""Turns on games whose convergence is known: the bilinear game, and a GAN of two numbers."""

import math

import pytest
import torch
from torch import nn

from lfi.comparison import Wasserstein
from lfi.training import (
    Player,
    Shuffled,
    adamw,
    alternating,
    consensus,
    extragradient,
    fit,
    simultaneous,
    unrolled,
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


def play_bilinear(turn, steps, optimiser=sgd):
    """Where x y, minimised over x and maximised over y, leads from (1, 1)."""
    x, y = Point(1.0), Point(1.0)
    players = [
        Player("x", x, lambda batch, step: x.value * y.value, optimiser),
        Player("y", y, lambda batch, step: -x.value * y.value, optimiser),
    ]
    fit(players, Shuffled((DATA,), size=4), steps=steps, turn=turn, seed=1)
    return x.value.item(), y.value.item()


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
    distance = math.hypot(*play_bilinear(turn, 50))
    assert distance == pytest.approx(math.sqrt(2) * factor**50, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 10, 1_000])
def test_alternating_play_of_a_bilinear_game_keeps_an_ellipse(steps):
    # x' = x - a y, y' = y + a x': x^2 - a x y + y^2 is invariant, 2 - a at the start, and a turn
    # goes round by the angle whose cosine is half the trace, 1 - a^2 / 2
    x, y = play_bilinear(alternating, steps)
    assert x**2 - RATE * x * y + y**2 == pytest.approx(2 - RATE, rel=1e-12)
    angle = math.acos(1 - RATE**2 / 2)
    # (x_n, y_n) = (x_0, y_0) cos n w + ((x_1, y_1) - (x_0, y_0) cos w) sin n w / sin w
    x_1 = 1 - RATE
    for start, first, found in ((1.0, x_1, x), (1.0, 1 + RATE * x_1, y)):
        swing = (first - math.cos(angle) * start) / math.sin(angle)
        expected = start * math.cos(steps * angle) + swing * math.sin(steps * angle)
        assert found == pytest.approx(expected, abs=1e-10)


def play_quadratic(turn, damping, optimiser=sgd):
    """Where x y - damping y^2 / 2, maximised over y first, leads from (0.7, -0.4) in a turn."""
    x, y = Point(0.7), Point(-0.4)
    value = lambda: x.value * y.value - damping * y.value**2 / 2
    players = [
        Player("y", y, lambda batch, step: -value(), optimiser),
        Player("x", x, lambda batch, step: value(), optimiser),
    ]
    history = fit(players, Shuffled((DATA,), size=4), steps=1, turn=turn, seed=1)
    return x.value.item(), y.value.item(), history


@pytest.mark.parametrize("damping", [0.0, 1.5])
@pytest.mark.parametrize("ahead", [0, 1, 5, 200])
def test_an_unrolled_move_follows_the_gradient_through_the_others_answers(ahead, damping):
    # y_j+1 = y_j + a (x - c y_j): y_k = r^k y + s x, with r = 1 - a c and s = a (1 + r + ... )
    x, y = 0.7, -0.4
    y += RATE * (x - damping * y)  # its own move, which is kept
    r = 1 - RATE * damping
    s = RATE * sum(r**j for j in range(ahead))
    y_k = r**ahead * y + s * x
    # d/dx of x y_k - c y_k^2 / 2
    expected = x - RATE * (y_k + s * x - damping * y_k * s)
    found = play_quadratic(unrolled(ahead), damping)
    assert found[:2] == pytest.approx((expected, y), rel=1e-12)
    # the value that is noted of x is the one ahead, of y the one of its own move
    assert found[2].columns["x"][-1][1] == pytest.approx(x * y_k - damping * y_k**2 / 2)
    assert found[2].columns["y"][-1][1] == pytest.approx(0.28 + damping * 0.08)


@pytest.mark.parametrize("optimiser", [sgd, adamw(RATE)], ids=["sgd", "adam"])
def test_to_look_no_move_ahead_is_to_alternate(optimiser):
    found = [play_quadratic(turn, 1.0, optimiser)[:2] for turn in (unrolled(0), alternating)]
    assert found[0] == found[1]


def test_unrolled_play_of_a_bilinear_game_spirals_in():
    # a turn is linear, of determinant 1 - 2 k a^2: after n turns the distances are within the
    # eccentricity of an ellipse of its n/2-th power
    for ahead, start in ((1, 1.0), (5, 1.0)):
        x, y = Point(start), Point(start)
        players = [
            Player("y", y, lambda batch, step, x=x, y=y: -x.value * y.value, sgd),
            Player("x", x, lambda batch, step, x=x, y=y: x.value * y.value, sgd),
        ]
        fit(players, Shuffled((DATA,), size=4), steps=200, turn=unrolled(ahead), seed=1)
        shrunk = (1 - 2 * ahead * RATE**2) ** 100
        assert shrunk / 3 < math.hypot(x.value.item(), y.value.item()) / math.sqrt(2) < 3 * shrunk


@pytest.mark.parametrize("ahead", [-1, 1.5])
def test_moves_ahead_are_a_count(ahead):
    with pytest.raises((TypeError, ValueError), match="ahead"):
        unrolled(ahead)


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


def gaussian(turn, steps=300, start=(1.0, 1.5)):
    """A Wasserstein GAN of N(0, 1) by N(m, s), its critic a x + b x^2: |(m, s - 1, a, b)|.

    With exact expectations the critic's loss is a m + b (m^2 + s^2 - 1): the saddle is m = 0,
    s = 1, a = b = 0, and around it the game is a m + 2 b (s - 1), two bilinear ones.
    """
    model, critic = Point(list(start)), Point([0.0, 0.0])

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


@pytest.mark.parametrize("frequency, moved", [(1, (1.0, 0.0)), (2, (0.0, 1.0))], ids=["m", "s"])
@pytest.mark.parametrize(
    "turn, factor",
    [
        (simultaneous, lambda a, w: math.sqrt(1 + a**2 * w**2)),
        (extragradient, lambda a, w: math.sqrt(1 - a**2 * w**2 + a**4 * w**4)),
        (consensus(1.5), lambda a, w: math.sqrt((1 - 1.5 * a * w**2) ** 2 + a**2 * w**2)),
    ],
    ids=["simultaneous", "extragradient", "consensus"],
)
def test_near_its_saddle_a_gaussian_gan_turns_as_two_bilinear_games(turn, factor, frequency, moved):
    # what is left out is of second order in the distance, which is 1e-7 at first and grows by 2
    off = 1e-7
    start = (off * moved[0], 1 + off * moved[1])
    expected = off * factor(RATE, frequency) ** 20
    assert gaussian(turn, 20, start) == pytest.approx(expected, rel=1e-5)


def test_a_gaussian_gan_converges_by_extragradient_and_consensus_alone():
    # around the saddle a factor of sqrt(1 - a^2 + a^4) a turn for m: 0.995^700 = 0.03; consensus
    # damps by 1 - a c a turn, c = 1
    assert gaussian(extragradient, 700) < 0.05
    assert gaussian(consensus(1.0), 200) < 1e-6
    assert gaussian(alternating, 300) > 0.3
    assert gaussian(simultaneous, 200) > 0.3


@pytest.mark.parametrize(
    "turn, rate", [(extragradient, 2 * RATE), (consensus(1.0), RATE)], ids=["ahead", "consensus"]
)
def test_a_gaussian_gan_of_samples_finds_mean_and_scale(turn, rate):
    data, loss = 0.3 + 0.8 * torch.randn(5_000, 1), Wasserstein()
    quick = lambda parameters: torch.optim.SGD(list(parameters), lr=rate)
    model, critic = Point([1.0, 1.5]), Point([0.0, 0.0])

    def values(batch, step):
        (m, s), (a, b) = model.value, critic.value
        x, z = batch[0], torch.randn(batch[0].shape, generator=step.rng)
        return (a * x + b * x**2 for x in (x, m + s * z))

    players = [
        Player("critic", critic, lambda batch, step: loss(*values(batch, step)), quick),
        Player(
            "generator",
            model,
            lambda batch, step: loss.generator(*values(batch, step)),
            quick,
            ema=0.995,
        ),
    ]
    fit(players, Shuffled((data,), size=500), steps=600, turn=turn, seed=1)
    # a batch's mean and deviation have standard errors of 0.036 and 0.025, and the average is over
    # 200 moves
    expected = torch.stack([data.mean(), data.std()])
    torch.testing.assert_close(model.value.detach(), expected, atol=0.036, rtol=0)


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
