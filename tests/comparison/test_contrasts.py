"""Contrasts: which pairs a critic sees, in which columns, at what cost."""

import pytest
import torch
from torch import nn

from lfi.comparison import (
    EmbeddingCritic,
    Values,
    against_generator,
    joint_among,
    joint_vs_marginals,
    two_samples,
)

RNG = torch.Generator()
each_k = pytest.mark.parametrize("k", [1, 2, 5])


class Witness:
    """A pair critic whose value tells the pair: 1000 theta + x. It counts its work."""

    def __init__(self):
        self.embedded = self.paired = 0

    def embed(self, theta, x):
        self.embedded += len(theta)
        return 1000 * theta, x

    def pair(self, embedded_theta, embedded_x):
        h = (embedded_theta + embedded_x).squeeze(-1)
        self.paired += h.numel()
        return h

    def __call__(self, theta, x):
        return self.pair(*self.embed(theta, x))


def batch(n):
    """Row i holds theta = i and x = i."""
    return torch.arange(n + 0.0)[:, None], torch.arange(n + 0.0)[:, None]


def decode(h):
    return (h // 1000).long(), (h % 1000).long()


def columns_of_shuffled_pairs(h):
    """The thetas of each column, after a look at their x."""
    theta, x = decode(h)
    rows = torch.arange(len(h))
    assert (x == rows[:, None]).all()  # x stays in its row
    assert (theta != rows[:, None]).all()
    for column in theta.T:
        assert column.unique().numel() == len(h)  # each theta serves once: their mean is kept
    for row in theta:
        assert row.unique().numel() == theta.shape[1]
    return theta


def test_two_samples_are_seen_each_on_their_side():
    x_p, x_q = torch.randn(4, 2), torch.randn(6, 2)
    values = two_samples(lambda x: x.sum(1), (x_p, x_q), RNG)
    torch.testing.assert_close(values.h_p, x_p.sum(1))
    torch.testing.assert_close(values.h_q, x_q.sum(1))
    assert values.p[0] is x_p
    assert values.q[0] is x_q


@each_k
def test_joint_pairs_are_contrasted_with_k_shuffled_ones(k):
    values = joint_vs_marginals(k)(Witness(), batch(7), RNG)
    torch.testing.assert_close(values.h_p, 1001 * torch.arange(7.0))
    assert values.h_q.shape == (7, k)
    columns_of_shuffled_pairs(values.h_q)


@each_k
def test_the_joint_pair_is_in_column_0_among_shuffled_ones(k):
    values = joint_among(k)(Witness(), batch(7), RNG)
    assert values.h_p.shape == values.h_q.shape == (7, k)
    torch.testing.assert_close(values.h_p[:, 0], 1001 * torch.arange(7.0))
    torch.testing.assert_close(values.joint, values.h_p[:, 0])
    if k > 1:
        columns_of_shuffled_pairs(values.h_p[:, 1:])
    columns_of_shuffled_pairs(values.h_q)


@each_k
@pytest.mark.parametrize("contrast", [joint_vs_marginals, joint_among])
def test_a_batch_is_embedded_once_and_paired_k_and_one_times(contrast, k):
    critic = Witness()
    contrast(k)(critic, batch(7), RNG)
    assert critic.embedded == 7
    assert critic.paired == 7 * (k + 1)


@pytest.mark.parametrize("contrast", [joint_vs_marginals(3), joint_among(3)])
def test_the_critic_can_be_evaluated_anew_at_the_inputs(contrast):
    values = contrast(Witness(), batch(7), RNG)
    torch.testing.assert_close(Witness()(*values.p, *values.given), values.joint)
    torch.testing.assert_close(Witness()(*values.q, *values.given), values.h_q[:, 0])


@pytest.mark.parametrize("contrast", [joint_vs_marginals, joint_among])
def test_a_batch_needs_more_rows_than_contrasts(contrast):
    assert contrast(4)(Witness(), batch(5), RNG).h_q.shape == (5, 4)
    with pytest.raises(
        ValueError, match="5 shuffled pairs need a batch of more than 5 rows, got 5"
    ):
        contrast(5)(Witness(), batch(5), RNG)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        contrast(0)


def test_a_generator_is_contrasted_at_the_same_given():
    x, theta = torch.randn(6, 3), torch.randn(6, 2)
    generator = nn.Linear(2, 3)
    contrast = against_generator(
        lambda theta, rng: generator(theta) + torch.randn(len(theta), 3, generator=rng)
    )
    critic = lambda x, theta: x.sum(1) * theta.sum(1)
    values = contrast(critic, (x, theta), RNG.manual_seed(1))
    noise = torch.randn(6, 3, generator=RNG.manual_seed(1))
    torch.testing.assert_close(values.h_p, critic(x, theta))
    torch.testing.assert_close(values.h_q, critic(generator(theta) + noise, theta))
    assert values.p[0] is x
    assert values.given[0] is theta
    torch.testing.assert_close(critic(*values.q, *values.given), values.h_q)
    values.h_q.mean().backward()
    assert generator.weight.grad.abs().sum() > 0


def test_a_generator_of_data_alone_needs_nothing_given():
    contrast = against_generator(lambda rng: torch.randn(4, 1, generator=rng))
    values = contrast(lambda x: x[:, 0], (torch.zeros(4, 1),), RNG)
    assert values.given == ()
    assert values.h_q.shape == (4,)


def test_a_generator_of_another_shape_is_refused():
    contrast = against_generator(lambda theta, rng: theta)
    with pytest.raises(ValueError, match=r"data's shape \(4, 3\), got \(4, 2\)"):
        contrast(lambda x, theta: x.sum(1), (torch.zeros(4, 3), torch.zeros(4, 2)), RNG)


def test_a_witness_is_a_pair_critic():
    assert isinstance(Witness(), EmbeddingCritic)
    assert not isinstance(nn.Linear(1, 1), EmbeddingCritic)


def test_values_are_compared_by_identity_since_tensors_have_no_truth():
    h = torch.zeros(3)
    assert Values(h, h, (), ()) != Values(h, h, (), ())
