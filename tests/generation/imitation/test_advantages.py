"""Advantages are the sums that define them, and no constant in the rewards changes them."""

import pytest
import torch

from lfi.generation.imitation.advantages import advantages_of

STEPS, COPIES = 30, 7


@pytest.fixture
def episodes():
    """Random rewards and values, with episodes that end in either way."""
    draw = lambda: torch.randn(STEPS, COPIES, dtype=torch.float64)
    ends = torch.rand(STEPS, COPIES)
    rewards, values, after = draw(), draw(), draw()
    running = ends < 0.8
    after[:-1] = torch.where(running[:-1], values[1:], after[:-1])  # the same state
    terminated, cut = ends > 0.9, (ends >= 0.8) & (ends <= 0.9)
    cut[-1] |= ~terminated[-1]
    return rewards, values, after, terminated, cut


def by_definition(rewards, values, after, terminated, cut, absorbing, discount, trace):
    """The sum over k of (g l)^k delta_(t+k), until the episode ends."""
    found = torch.zeros_like(rewards)
    for copy in range(COPIES):
        for t in range(STEPS):
            factor = 1.0
            for k in range(t, STEPS):
                follows = absorbing if terminated[k, copy] else after[k, copy]
                delta = (1 - discount) * rewards[k, copy] + discount * follows - values[k, copy]
                found[t, copy] += factor * delta
                factor *= discount * trace
                if terminated[k, copy] or cut[k, copy]:
                    break
    return found


@pytest.mark.parametrize("trace", [0.0, 0.6, 1.0])
def test_advantages_are_the_sum_that_defines_them(episodes, trace):
    ours = advantages_of(*episodes, absorbing=0.7, discount=0.9, trace=trace)
    torch.testing.assert_close(ours, by_definition(*episodes, 0.7, 0.9, trace))


def test_with_a_full_trace_advantage_and_value_are_the_discounted_rewards(episodes):
    rewards, values, after, terminated, cut = episodes
    found = values + advantages_of(*episodes, absorbing=0.7, discount=0.9, trace=1.0)
    follows = torch.where(terminated, 0.7, after)
    expected, last = torch.empty_like(found), torch.zeros(COPIES, dtype=torch.float64)
    for t in reversed(range(STEPS)):
        last = torch.where(terminated[t] | cut[t], follows[t], last)
        expected[t] = last = 0.1 * rewards[t] + 0.9 * last
    torch.testing.assert_close(found, expected)


def test_a_constant_in_all_rewards_changes_no_advantage(episodes):
    rewards, values, after, *ends = episodes
    before = advantages_of(rewards, values, after, *ends, absorbing=0.7, discount=0.9, trace=0.8)
    shifted = (part + 5 for part in (rewards, values, after))
    later = advantages_of(*shifted, *ends, absorbing=5.7, discount=0.9, trace=0.8)
    torch.testing.assert_close(later, before)
