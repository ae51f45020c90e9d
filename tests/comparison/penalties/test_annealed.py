"""Annealed penalties: weights on a geometric path, all else as the penalty is."""

import pytest
import torch

import lfi
from lfi.comparison import Annealed, Penalty, Values


def test_the_weight_falls_geometrically():
    fading = Annealed(lfi.penalties.R1(0.4), last=0.004)
    weights = [fading.at(done).weight for done in (0.0, 0.25, 0.5, 1.0)]
    assert weights == pytest.approx([0.4, 0.4 / 10**0.5, 0.04, 0.004])


def test_all_else_is_the_penaltys():
    fading = Annealed(lfi.penalties.GradientPenalty(2.0, one_sided=True, every=4), last=8.0)
    assert isinstance(fading, Penalty)
    assert (fading.weight, fading.every, fading.keeps_optimum) == (2.0, 4, False)
    assert fading.at(0.5) == lfi.penalties.GradientPenalty(4.0, one_sided=True, every=4)
    x, rng = torch.randn(9, 1), torch.Generator().manual_seed(0)
    critic = lambda x: 3 * x[:, 0]
    values = Values(critic(x), critic(x), (x,), (x,))
    assert fading(critic, values, rng) == pytest.approx(4.0)  # (3 - 1)^2


@pytest.mark.parametrize("first, last, name", [(0.0, 1.0, "penalty"), (1.0, 0.0, "last")])
def test_weights_are_positive(first, last, name):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        Annealed(lfi.penalties.R1(first), last)


def test_a_penalty_that_cannot_take_another_weight_is_named():
    class Own:
        weight, every, keeps_optimum = 1.0, 1, False

        def __call__(self, critic, values, rng):
            return torch.zeros(())

    with pytest.raises(TypeError, match="penalty must be a dataclass"):
        Annealed(Own(), last=0.1).at(0.5)
