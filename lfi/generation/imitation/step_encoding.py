"""Steps as rows that a critic compares: (s, a), or (s, s') where the expert was only watched.

    with actions    standardised s, 0, the action         absorbing    0 ... 0, 1, 0 ... 0
    states alone    standardised s, 0, s', 0              absorbing    0 ... 0, 1, 0 ... 0, 1
                    before a terminal state s, 0, 0, 1

An episode that ends in a terminal state stays in the absorbing state for ever. Of a discounted
process, which goes on with probability g, that is 1 / (1 - g) steps, so that the absorbing row
stands for so many: a critic sees how often either side ends.

References:
    Torabi, Warnell & Stone, Generative adversarial imitation from observation, 2018.
        arXiv:1807.06158
    Merel et al., Learning human behaviors from motion capture by adversarial imitation, 2017.
        arXiv:1707.02201
    Kostrikov et al., Discriminator-actor-critic, 2019. arXiv:1809.02925
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lfi.generation.imitation.action_models import ActionModel
from lfi.networks import Standardise

LIMIT = 10.0  # deviations, beyond which a state is taken to be there


class StepEncoding(nn.Module):
    """States as networks take them, and steps as the critic does.

    Attributes:
        size: How many numbers a row has.
        state_only: Whether the critic sees states alone.
    """

    def __init__(
        self, standardise: Standardise, actions: ActionModel, *, state_only: bool = False
    ) -> None:
        super().__init__()
        self.standardise: Standardise = standardise
        self.actions: ActionModel = actions
        self.state_only: bool = state_only
        self.states: int = math.prod(standardise.location.shape)
        self.size: int = self.states + 1 + (self.states + 1 if state_only else actions.size)

    def state(self, observations: Float[Tensor, "n ..."]) -> Float[Tensor, "n states"]:
        """Return standardised states, flattened."""
        device = self.standardise.location.device
        return self.standardise(observations.to(device)).flatten(1).clamp(-LIMIT, LIMIT)

    def rows(
        self,
        observations: Float[Tensor, "n ..."],
        after: Float[Tensor, "n ..."],
        draws: Tensor | None,
        final: Bool[Tensor, " n"],
    ) -> Float[Tensor, "n size"]:
        """Return a row for each step; `final` where a terminal state follows."""
        state = self.state(observations)
        no = torch.zeros_like(state[:, :1])
        if self.state_only:
            ends = final.to(state.device)[:, None]
            return torch.cat([state, no, torch.where(ends, 0.0, self.state(after)), no + ends], 1)
        assert draws is not None  # else the expert was only watched
        return torch.cat([state, no, self.actions.code(draws.to(state.device))], 1)

    def absorbing(self) -> Float[Tensor, "1 size"]:
        """Return the row of the absorbing state."""
        device = self.standardise.location.device
        row = torch.zeros(1, self.size, dtype=torch.float32, device=device)
        row[:, self.states] = 1.0
        if self.state_only:
            row[:, -1] = 1.0
        return row


def with_absorbing(
    rows: Float[Tensor, "n size"],
    absorbing: Float[Tensor, "1 size"],
    final: Bool[Tensor, " n"],
    discount: float,
) -> tuple[Float[Tensor, "m size"], Float[Tensor, " m"]]:
    """Return the rows, the absorbing one after them, and for how many steps each of them stands."""
    ends = float(final.sum())
    weights = torch.ones(len(rows) + 1, dtype=torch.float64)
    weights[-1] = ends / (1 - discount)
    return torch.cat([rows, absorbing]), weights
