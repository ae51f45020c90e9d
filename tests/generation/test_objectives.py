"""The players of adversarial training: two whose objectives are the comparison's."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from lfi.comparison import (
    R1,
    R2,
    Adversarial,
    Bernoulli,
    Energy,
    NonSaturating,
    Penalty,
    Relativistic,
)
from lfi.comparison.penalties.annealed import Annealed
from lfi.generation.objectives import (
    Packed,
    StackedLoss,
    adversarial_players,
    discrepancy_players,
    packed_contrast,
    stacked_mean,
)
from lfi.generation.settings import DEFAULTS, AdversarialSettings
from lfi.training import Shuffled, Step, fit

SETTINGS = DEFAULTS.updated(AdversarialSettings(critic_steps=3, critic_learning_rate=2e-3))


class Shift(nn.Module):
    """A generator with one parameter: noise plus a shift."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, dtype=torch.float32))

    def draw(self, given, rng):
        noise = torch.randn(len(given), 1, generator=rng, dtype=torch.float32)
        return noise + self.shift


class Linear(nn.Module):
    """The exact family of critics for two Gaussians of equal spread."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1, dtype=torch.float32)

    def forward(self, x, given):
        return self.line(x)[:, 0]


def data(n=4_000):
    x = 0.5 + torch.randn(n, 1, dtype=torch.float32)
    return x, torch.zeros(n, 1, dtype=torch.float32)


@pytest.mark.parametrize(
    "comparison",
    [
        Adversarial(Bernoulli(), NonSaturating(), R1(0.1)),
        pytest.param(Adversarial(Bernoulli(), Bernoulli(), R1(0.1)), marks=pytest.mark.slow),
    ],
    ids=["non-saturating", "minimax"],
)
def test_a_generator_of_one_number_finds_the_datas_mean(comparison):
    torch.manual_seed(1)
    generator, critic, (x, given) = Shift(), Linear(), data()
    players = adversarial_players(generator, critic, generator.draw, comparison, settings=SETTINGS)
    fit(players, Shuffled((x, given), size=500), steps=1_000, seed=1)
    # a batch's mean has a standard error of 0.045, and the average is over 500 moves
    assert generator.shift.item() == pytest.approx(x.mean().item(), abs=0.045)


def test_the_objectives_are_the_losses_of_the_comparison():
    generator, critic, (x, given) = Shift(), Linear(), data(50)
    comparison = Adversarial(Bernoulli(), NonSaturating())
    critic_player, generator_player = adversarial_players(
        generator, critic, generator.draw, comparison, settings=replace(SETTINGS, critic_steps=5)
    )
    step = Step(0, torch.Generator().manual_seed(3), lambda name, value: None)
    again = torch.Generator().manual_seed(3)
    h_p, h_q = critic(x, given), critic(generator.draw(given, again), given)
    torch.testing.assert_close(critic_player.objective((x, given), step), Bernoulli()(h_p, h_q))
    step.rng.manual_seed(3)
    expected = NonSaturating().generator(h_p, h_q)
    torch.testing.assert_close(generator_player.objective((x, given), step), expected)
    assert (critic_player.steps, generator_player.steps) == (5, 1)


class Counted(nn.Module):
    """A curved critic that counts its calls."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).float()
        self.calls = 0

    def forward(self, x, given):
        self.calls += 1
        return self.layers(x)[..., 0].flatten()


def objectives(comparison):
    """Return both players' gradients on one batch, and how often each evaluated the critic."""
    torch.manual_seed(1)
    generator, critic, batch = Shift(), Counted(), data(50)
    players = adversarial_players(generator, critic, generator.draw, comparison, settings=SETTINGS)
    counts, gradients = [], []
    for player in players:
        step = Step(0, torch.Generator().manual_seed(3), lambda name, value: None)
        before = critic.calls
        value = player.objective(batch, step)
        counts.append(critic.calls - before)
        gradients.append(torch.autograd.grad(value, list(player.module.parameters())))
    return counts, gradients


@dataclass(frozen=True)
class Anew:
    """A penalty that is none of the library's, and so evaluates the critic anew."""

    penalty: Penalty
    keeps_optimum = False
    every = 1

    @property
    def weight(self):
        return self.penalty.weight

    def __call__(self, critic, values, rng):
        return self.penalty(critic, replace(values, traced=False), rng)


def test_penalties_at_data_and_samples_take_the_values_at_hand():
    penalties = R1(0.5), Annealed(R2(2.0), 0.1)
    lean = Adversarial(Bernoulli(), NonSaturating(), penalties)
    plain = replace(lean, penalty=tuple(Anew(penalty) for penalty in (R1(0.5), R2(2.0))))
    counts, gradients = objectives(lean)
    again, expected = objectives(plain)
    assert (counts, again) == ([2, 1], [4, 1])
    torch.testing.assert_close(gradients, expected)


def test_values_at_the_data_are_computed_for_generators_that_read_them():
    for loss, calls in ((NonSaturating(), 1), (Relativistic(), 2), (Detached(), 2)):
        counts, _ = objectives(Adversarial(Bernoulli(), loss))
        assert counts == [2, calls]


@dataclass(frozen=True)
class Detached:
    """A generator's loss that reads values at the data and takes no gradient of them."""

    def generator(self, h_p, h_q):
        return (h_q - h_p.detach().mean()).square().mean()


def test_losses_of_members_are_of_each_ones_rows():
    h_p, h_q = torch.randn(12), torch.randn(12)
    loss = Relativistic()
    expected = (loss(h_p[:6], h_q[:6]) + loss(h_p[6:], h_q[6:])) / 2
    torch.testing.assert_close(StackedLoss(loss, 2)(h_p, h_q), expected)
    expected = (loss.generator(h_p[:6], h_q[:6]) + loss.generator(h_p[6:], h_q[6:])) / 2
    torch.testing.assert_close(stacked_mean(loss.generator, 2, h_p, h_q), expected)
    assert StackedLoss(loss, 2).recovers is loss.recovers


def test_packs_are_compared_whole():
    x, given = torch.randn(6, 2), torch.arange(6.0)[:, None]
    critic = lambda x, given: x.sum((1, 2)) + given.sum((1, 2))
    contrast = packed_contrast(lambda given, rng: given.expand(6, 2), 3)
    values = contrast(critic, (x, given), torch.Generator())
    totals = given.reshape(2, 3).sum(1)
    torch.testing.assert_close(values.h_p, x.reshape(2, 6).sum(1) + totals)
    torch.testing.assert_close(values.h_q, 3 * totals)
    assert (values.p[0].shape, values.given[0].shape) == ((2, 3, 2), (2, 3, 1))
    penalty = R1(1.0)(critic, values, torch.Generator())
    torch.testing.assert_close(penalty, torch.tensor(3.0))  # half the squared norm of six ones


def test_a_pack_holds_a_sample():
    with pytest.raises(ValueError, match="samples must be at least 1"):
        Packed(Adversarial(Bernoulli(), NonSaturating()), 0)


def test_penalties_fade_by_the_share_of_training_that_is_done():
    generator, critic, batch = Shift(), Linear(), data(50)
    fading = Adversarial(Bernoulli(), NonSaturating(), Annealed(R1(1.0), 0.01))
    critic_player, _ = adversarial_players(
        generator, critic, generator.draw, fading, settings=SETTINGS
    )
    slope = critic.line.weight.square().sum() / 2

    def charged(index):
        step = Step(index, torch.Generator().manual_seed(3), lambda name, value: None, 100)
        return critic_player.objective(batch, step)

    torch.testing.assert_close(charged(0) - charged(50), (1 - 0.1) * slope)


def test_a_discrepancy_is_all_that_a_generator_alone_makes_small():
    generator, (x, given) = Shift(), data(50)
    (player,) = discrepancy_players(generator, generator.draw, Energy(), settings=SETTINGS)
    step = Step(0, torch.Generator().manual_seed(3), lambda name, value: None)
    found = player.objective((x, given), step)
    made = generator.draw(given, step.rng.manual_seed(3))
    torch.testing.assert_close(
        found, Energy()(torch.cat([x, given], 1), torch.cat([made, given], 1))
    )


@pytest.mark.parametrize("penalty", [(), R2(1.0)], ids=["none", "R2"])
def test_a_critics_objective_depends_on_a_generator_that_is_not_held(penalty):
    """A turn that looks ahead differentiates the critic's moves by where the samples are."""
    generator, critic, batch = Shift(), Linear(), data(50)
    comparison = Adversarial(Bernoulli(), NonSaturating(), penalty)
    player, _ = adversarial_players(
        generator, critic, generator.draw, comparison, settings=SETTINGS
    )
    step = Step(0, torch.Generator(), lambda name, value: None)
    (slope,) = torch.autograd.grad(player.objective(batch, step), [generator.shift])
    # d/d shift of E_q softplus(h) is E sigmoid(h) times the line's slope, R2's is constant
    step.rng.manual_seed(step.rng.initial_seed())
    h_q = critic(generator.draw(batch[1], step.rng), batch[1])
    expected = torch.sigmoid(h_q).mean() * critic.line.weight.squeeze()
    torch.testing.assert_close(slope.squeeze(), expected)
