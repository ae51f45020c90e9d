"""The duel: two players whose objectives are the comparison's."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lfi.comparison import R1, Adversarial, Bernoulli, NonSaturating
from lfi.generation.adversarial import duel
from lfi.generation.regime import Regime
from lfi.training import Shuffled, Step, fit

REGIME = Regime(critic_steps=3, generator_rate=1e-3, critic_rate=2e-3)


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
        Adversarial(Bernoulli(), Bernoulli(), R1(0.1)),
    ],
    ids=["non-saturating", "minimax"],
)
def test_a_generator_of_one_number_finds_the_datas_mean(comparison):
    torch.manual_seed(1)
    generator, critic, (x, given) = Shift(), Linear(), data()
    players = duel(generator, critic, generator.draw, comparison, regime=REGIME)
    fit(players, Shuffled((x, given), size=500), steps=1_500, seed=1)
    # a batch's mean has a standard error of 0.045, and the average is over 500 moves
    assert generator.shift.item() == pytest.approx(x.mean().item(), abs=0.045)


def test_the_objectives_are_the_losses_of_the_comparison():
    generator, critic, (x, given) = Shift(), Linear(), data(50)
    comparison = Adversarial(Bernoulli(), NonSaturating())
    critic_player, generator_player = duel(
        generator, critic, generator.draw, comparison, regime=replace(REGIME, critic_steps=5)
    )
    step = Step(0, torch.Generator().manual_seed(3), lambda name, value: None)
    again = torch.Generator().manual_seed(3)
    h_p, h_q = critic(x, given), critic(generator.draw(given, again), given)
    torch.testing.assert_close(critic_player.objective((x, given), step), Bernoulli()(h_p, h_q))
    step.rng.manual_seed(3)
    expected = NonSaturating().generator(h_p, h_q)
    torch.testing.assert_close(generator_player.objective((x, given), step), expected)
    assert (critic_player.steps, generator_player.steps) == (5, 1)
