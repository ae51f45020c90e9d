"""Discrepancies of learned features: whose side each player is on, and the witness's slope."""

import pytest
import torch
from torch import nn

import lfi
from lfi.comparison import (
    Gaussian,
    GradientPenalty,
    Learned,
    LearnedFeatures,
    Linear,
    Sum,
    Values,
    energy_kernel,
)

NETWORK = nn.Linear(3, 2, dtype=torch.float64)
KERNEL = Sum((Gaussian(1.0), Linear()))
CASES = {
    "energy": (lfi.discrepancies.Energy(), energy_kernel),
    "mmd": (lfi.discrepancies.MMD(KERNEL), KERNEL),
    "learned": (lfi.discrepancies.MMD(Learned(NETWORK, KERNEL)), Learned(NETWORK, KERNEL)),
}
each_case = pytest.mark.parametrize("discrepancy, kernel", CASES.values(), ids=CASES)


def features():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))


def test_the_critic_and_the_generator_want_the_opposite():
    h_p, h_q = torch.randn(30, 4), torch.randn(20, 4) + 1
    loss = LearnedFeatures(lfi.discrepancies.Energy(), 4)
    assert loss(h_p, h_q) == -lfi.discrepancies.Energy()(h_p, h_q)
    assert loss.generator(h_p, h_q) == loss.value(h_p, h_q) == lfi.discrepancies.Energy()(h_p, h_q)


@each_case
def test_the_witness_is_the_difference_of_mean_embeddings(discrepancy, kernel):
    phi, p, q = features(), torch.randn(20, 2), torch.randn(20, 2) + 1
    values = Values(phi(p), phi(q), (p,), (q,))
    witness = LearnedFeatures(discrepancy, 3).critic_of(phi, values)
    x = torch.randn(15, 2, requires_grad=True)
    exact = kernel(phi(x), phi(p)).mean(1) - kernel(phi(x), phi(q)).mean(1)
    torch.testing.assert_close(witness(x), exact)
    (slope,) = torch.autograd.grad(witness(x).sum(), x)
    (expected,) = torch.autograd.grad(exact.sum(), x)
    torch.testing.assert_close(slope, expected)


@each_case
def test_members_have_witnesses_of_their_own(discrepancy, kernel):
    phi, p, q = features(), torch.randn(20, 2), torch.randn(20, 2) + 1
    x = torch.randn(20, 2, requires_grad=True)
    loss = LearnedFeatures(discrepancy, 3)

    def slope(rows, members):
        values = Values(phi(p[rows]), phi(q[rows]), (p[rows],), (q[rows],))
        witness = loss.critic_of(phi, values, members)
        return torch.autograd.grad(witness(x[rows]).sum(), x)[0][rows]

    everyone, first, second = slice(0, 20), slice(0, 10), slice(10, 20)
    expected = torch.cat([slope(first, 1), slope(second, 1)])
    torch.testing.assert_close(slope(everyone, 2), expected)


def test_the_discrepancy_is_how_far_the_witness_tells_both_apart():
    """|mu_p - mu_q|^2 = E_p w - E_q w, with both samples' own points among the pairs."""
    p, q = torch.randn(20, 3), torch.randn(30, 3) + 1
    for discrepancy in (
        lfi.discrepancies.Energy(lfi.comparison.Biased()),
        lfi.discrepancies.MMD(KERNEL, lfi.comparison.Biased()),
    ):
        told = discrepancy.witness(p, p, q).mean() - discrepancy.witness(q, p, q).mean()
        torch.testing.assert_close(told, discrepancy(p, q))


def test_a_witness_chooses_its_bandwidth_from_both_samples():
    at, p, q = torch.randn(5, 3), torch.randn(2, 20, 3), torch.randn(30, 3) + 1
    kernel = lfi.comparison.fixed(Gaussian(), p, q)
    exact = kernel(at, p).mean(-1) - kernel(at, q).mean(-1)
    found = lfi.discrepancies.MMD().witness(at, p, q)
    assert found.shape == (2, 5)
    torch.testing.assert_close(found, exact)
    for discrepancy in (lfi.discrepancies.MMD(), lfi.discrepancies.Energy()):
        with pytest.raises(TypeError, match="p and q must be of one dtype"):
            discrepancy.witness(at.float(), p, q)


def test_there_is_a_feature():
    with pytest.raises(ValueError, match="features must be at least 1"):
        LearnedFeatures(lfi.discrepancies.Energy(), 0)


def test_penalties_need_a_witness():
    loss = LearnedFeatures(lfi.discrepancies.SlicedWasserstein(), 2)
    data, quick = torch.randn(200, 2), lfi.AdversarialSettings(steps=2)
    lfi.fit_generator(data, comparison=lfi.Adversarial(loss, loss), settings=quick, seed=1)
    charged = lfi.Adversarial(loss, loss, GradientPenalty(1.0))
    with pytest.raises(
        TypeError, match="comparison: penalties are on the witness.*SlicedWasserstein.* has none"
    ):
        lfi.fit_generator(data, comparison=charged, settings=quick, seed=1)


def test_gradient_penalties_are_of_the_witness():
    # the energy distance of features 3 x: far from all p and q, the witness's slope is
    # 3 (direction to p less direction to q) = 0 where both lie on the same side, 6 between
    phi, rng = (lambda x: 3 * x), torch.Generator().manual_seed(0)
    p, q = torch.full((10, 1), -1e6), torch.full((10, 1), 1e6)
    values = Values(phi(p), phi(q), (p,), (q,))
    witness = LearnedFeatures(lfi.discrepancies.Energy(), 1).critic_of(phi, values)
    penalty = GradientPenalty(1.0)(witness, values, rng)
    torch.testing.assert_close(penalty, torch.tensor(25.0))  # (6 - 1)^2
