"""Simulations of the last turns, and how much each counts under the proposal of now.

A turn's simulations are weighted by the proposal of now over that of their turn, normalised within
the turn, and the turn counts as much as the effective number of its draws: old turns fade as the
proposal moves on.

A simulation that failed, or is not finite, is no sample of x; its parameters keep their place.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.gradient_estimators import replay_weights
from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.networks import VectorProposal
from lfi.runtime import child
from lfi.simulation import Simulator, simulate_at

KEPT = ("v", "log_then", "x", "valid")  # by checkpoints


class Replay:
    """Simulations of the last `turns` turns, drawn from a proposal that moves, in two halves.

    A critic is trained on each half, and judges the other: what it says of its own training samples
    is biased, the more so the longer ago they were made, and would drive the proposal on and on.

    Attributes:
        v: Standardised parameters, (2, turns, half, d).
        log_then: Their log density when they were drawn, (2, turns, half).
        x: What critics see of their data, (2, turns, half, *inputs); of failed ones, anything.
        valid: Which simulations succeeded, (2, turns, half).
        made: How many simulations were made in all turns.
        failed: How many of these failed.
    """

    def __init__(
        self,
        simulator: Simulator,
        parameters: StandardParameters,
        proposal: VectorProposal,
        encode: nn.Module,
        shape: tuple[int, ...],
        *,
        half: int,
        turns: int,
        seed: int,
        workers: int = 1,
        device: str = "cpu",
    ) -> None:
        self.simulator: Simulator = simulator
        self.parameters: StandardParameters = parameters
        self.proposal: VectorProposal = proposal
        self.encode: nn.Module = encode
        self.shape: tuple[int, ...] = shape
        self.half: int = half
        self.turns: int = turns
        self.seed: int = seed
        self.workers: int = workers
        self.device: str = device
        blank = encode(torch.zeros(1, *shape, dtype=torch.float64, device=device))[0]
        sizes, d = (2, turns, half), simulator.prior.dim
        self.v: Tensor = torch.zeros(*sizes, d, dtype=torch.float32, device=device)
        self.log_then: Tensor = torch.zeros_like(self.v[..., 0])
        self.x: Tensor = blank.expand(*sizes, *blank.shape).clone()
        self.valid: Tensor = torch.zeros_like(self.log_then, dtype=torch.bool)
        self.turn: int = 0
        self.made: int = 0
        self.failed: int = 0
        self.cumulative: Tensor = torch.empty(0)

    @torch.no_grad()
    def simulate(self, rng: torch.Generator) -> Float[Tensor, "n theta_dim"]:
        """Simulate a turn at draws of the proposal, and return the parameters."""
        n, place = 2 * self.half, self.turn % self.turns
        v = self.proposal.sample(n, rng).to(torch.float32)
        theta = self.parameters.inverse(v)
        found = simulate_at(
            self.simulator, theta, seed=child(self.seed, self.turn), workers=self.workers
        )
        valid = (found.codes == 0).to(self.device)
        self.turn, self.made = self.turn + 1, self.made + n
        self.failed += n - int(valid.sum())
        each = valid.unflatten(0, (2, self.half)).sum(1).tolist()
        if self.turn == 1 and min(each) == 0:
            count = f"only {max(each)}" if any(each) else "none"
            raise RuntimeError(
                f"{self.simulator.name}: {count} of the first {n} simulations succeeded, and each "
                f"of two critics needs one of {self.half}: narrow the prior, or take fewer steps"
            ) from found.cause
        if found.x is not None and tuple(found.x.shape[1:]) != self.shape:
            raise ValueError(
                f"x_obs holds observations of shape {self.shape}, and one simulation's x has shape "
                f"{tuple(found.x.shape[1:])}"
            )
        x = self.x[:, place].flatten(0, 1)
        if found.x is not None:
            x[valid] = self.encode(found.x.to(self.device)[valid])
        rows = {"v": v, "log_then": self.proposal.log_prob(v), "x": x, "valid": valid}
        for name, values in rows.items():
            getattr(self, name)[:, place] = values.unflatten(0, (2, self.half))
        self.weigh()
        return theta

    def rows(self, kept: Tensor) -> Tensor:
        """Return what there is already of a tensor of all turns, (2, turns so far, half, ...)."""
        return kept[:, : min(self.turn, self.turns)]

    def log_prob(self) -> Float[Tensor, "two turns half"]:
        """Return the log density of all parameters under the proposal of now."""
        v = self.rows(self.v)
        return self.proposal.log_prob(v.flatten(0, 2)).view(v.shape[:3])

    def weights(self, log_prob: Tensor) -> tuple[Float[Tensor, "two turns half"], float]:
        """Return weights, of mean 1 in each half, and how many draws of now they are worth."""
        return replayed_turns(log_prob.detach(), self.rows(self.log_then))

    @torch.no_grad()
    def weigh(self) -> None:
        """Take the weights of the proposal of now, by which samples are drawn until then."""
        weight, _ = self.weights(self.log_prob())
        self.cumulative = (weight * self.rows(self.valid)).flatten(1).cumsum(1)

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "two_n ..."]:
        """Draw what critics see of n simulations of the first half and n of the second."""
        total = self.cumulative[:, -1:]
        at = torch.rand(2, n, generator=rng, dtype=torch.float32).to(total) * total
        rows = torch.searchsorted(self.cumulative, at, right=True)
        rows = rows.clamp(max=self.cumulative.shape[1] - 1)
        both = zip(self.rows(self.x), rows, strict=True)
        return torch.cat([x.flatten(0, 1)[row] for x, row in both])

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        counts = torch.tensor([self.turn, self.made, self.failed])
        return {**{name: getattr(self, name) for name in KEPT}, "counts": counts}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to where another one stood."""
        self.turn, self.made, self.failed = state["counts"].tolist()
        for name in KEPT:
            getattr(self, name).copy_(state[name])


def replayed_turns(
    log_prob: Float[Tensor, "*b turns n"], log_then: Float[Tensor, "*b turns n"]
) -> tuple[Float[Tensor, "*b turns n"], float]:
    """Return weights of mean 1, and how many draws of the proposal of now they are worth.

    The importance ratios of a turn have mean 1 where its draws cover the proposal of now. Where
    they do not, the mean is small, and the turn counts less by that factor.

    Example:
        >>> now, then = torch.tensor([[0.0, 0.0], [-9.0, -8.0]]), torch.zeros(2, 2)
        >>> weight, effective = replayed_turns(now, then)
        >>> weight.round(decimals=2), round(effective, 2)
        (tensor([[2., 2.],
                [0., 0.]]), 2.0)
    """
    found = replay_weights(log_prob, log_then)
    mean = (log_prob - log_then).logsumexp(-1).exp() / log_then.shape[-1]
    share = found.effective * mean.clamp(max=1)
    weight = found.weight * (share / share.mean(-1, keepdim=True))[..., None]
    return weight, float(share.sum())
