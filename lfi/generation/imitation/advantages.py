"""Advantages of actions, by generalised advantage estimation, with time limits and terminal states.

With V the learnt baseline, r the reward of a step, and delta how much better it went than V said,

    delta_t = r_t + g V(s_{t+1}) - V(s_t),        A_t = delta_t + g l A_{t+1},

for the discount g and the trace l. l = 1 is the sum of rewards less the baseline, l = 0 one step.
What follows the last step of an episode:

    time was up          the episode would have gone on: V of the state reached, and A_{t+1} = 0
    a terminal state     nothing but the absorbing state for ever, whose value is known, r_absorbing

Rewards are multiplied by 1 - g, so that V is an average of rewards rather than a sum, and the value
of what earns r for ever is r itself. A constant added to all rewards, the absorbing state's too,
is then added to V and changes no advantage: no critic's reward favours short or long episodes by
its sign, as -log(1 - D) > 0 and log D < 0 do where a terminal state is worth 0.

References:
    Schulman, Moritz, Levine, Jordan & Abbeel, High-dimensional continuous control using generalized
        advantage estimation, 2016. arXiv:1506.02438
    Pardo, Tavakoli, Levdik & Kormushev, Time limits in reinforcement learning, 2018.
        arXiv:1712.00378
    Kostrikov, Agrawal, Dwibedi, Levine & Tompson, Discriminator-actor-critic, 2019.
        arXiv:1809.02925 (absorbing states)
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def advantages_of(
    rewards: Float[Tensor, "steps copies"],
    values: Float[Tensor, "steps copies"],
    values_after: Float[Tensor, "steps copies"],
    terminated: Bool[Tensor, "steps copies"],
    cut: Bool[Tensor, "steps copies"],
    *,
    absorbing: Float[Tensor, ""] | float,
    discount: float,
    trace: float,
) -> Float[Tensor, "steps copies"]:
    """Return the advantage of each step's action; advantage plus value is the estimated return.

    Args:
        rewards: Of each step, as the critic gives them.
        values: The baseline at the state before each step, an average of rewards.
        values_after: The baseline at the state after it, where an episode ended its last state.
        terminated: Whether the step led to a terminal state.
        cut: Whether the episode ended though there would have been more.
        absorbing: The reward of the absorbing state.
        discount: In [0, 1).
        trace: From 0, one step, to 1, to the episode's end.

    Example:
        >>> one, no = torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.bool)
        >>> advantages_of(one, 0 * one, one, no, ~no, absorbing=0.0, discount=0.9, trace=0.5)
        tensor([[1.]])
    """
    after = torch.where(terminated, torch.as_tensor(absorbing, dtype=values.dtype), values_after)
    surprise = (1 - discount) * rewards + discount * after - values
    carried = discount * trace * (~(terminated | cut)).to(values.dtype)
    found, last = torch.empty_like(surprise), torch.zeros_like(surprise[0])
    for t in reversed(range(len(surprise))):
        last = surprise[t] + carried[t] * last
        found[t] = last
    return found
