"""Players of adversarial variational Bayes with adaptive contrast.

The generator's draws v maximise a lower bound of the evidence,

    ELBO = E_q[log p(x, v) - log q(v)],      log q(v) = log r(v) - h,

where the reference r is a Gaussian with the moments of q, so that log p(x, v) and log r(v) are
exact, and the critic h = log r/q has the ratio of two standardised distributions left to learn.
Given observations, r is a conditional Gaussian, which follows q by maximum likelihood, a player of
its own.

The gradient of the ELBO goes through the draws alone: the part through the critic's and the
reference's own dependence on q vanishes where they are right.

References:
    Mescheder, Nowozin & Geiger, Adversarial variational Bayes, ICML 2017. arXiv:1701.04722
    Huszar, Variational inference using implicit distributions, 2017. arXiv:1702.08235
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lfi.comparison import Bernoulli
from lfi.generation.objectives import critic_player, generator_player
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.inference.implicit.coordinates import GaussianCoordinates
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.joint_density import JointDensity
from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.training import Batch, Player, Shuffled, Step

DECAY = 0.98  # of the reference's moments, of batches of q
LOSS = Bernoulli()
MIN_FINITE = 0.5  # of a batch of draws, at which the model has a density


@dataclass(eq=False)
class ReferenceBatches:
    """Batches of standard normal vectors, and of observations where there are rows of them."""

    size: int
    dim: int
    device: str
    rows: Shuffled | None = None
    held_out: Batch | None = None

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch."""
        w = torch.randn(self.size, self.dim, generator=rng, dtype=torch.float32, device="cpu")
        return w.to(self.device), *(() if self.rows is None else self.rows.draw(rng))

    def position_of(self) -> dict[str, Tensor]:
        """Return where in the epoch of observations they stand."""
        return {} if self.rows is None else self.rows.position_of()

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where others stood."""
        if self.rows is not None:
            self.rows.go_to(position)


def contrast_risk(
    q: ImplicitDistribution, batch: Batch, step: Step, *, follows: bool
) -> Float[Tensor, ""]:
    """Return the critic's loss on a batch; the reference of one posterior may follow q as well."""
    w, *x = batch
    with torch.no_grad():
        v = q.draw(len(w), step.rng, *x)
        if follows and isinstance(q.reference, GaussianCoordinates):
            q.reference.follow(v, DECAY)
        of_q, _ = q.reference(v, *q.given(*x))
    return LOSS(q.contrast(w, *x), q.contrast(of_q, *x))


def reference_risk(q: ImplicitDistribution, batch: Batch, step: Step) -> Float[Tensor, ""]:
    """Return the mean of -log r at draws of q."""
    w, *x = batch
    with torch.no_grad():
        v = q.draw(len(w), step.rng, *x)
    own, log_det = q.reference(v, *q.given(*x))
    return -(standard_normal_log_prob(own) + log_det).mean()


def negative_elbo(
    q: ImplicitDistribution, density: JointDensity, batch: Batch, step: Step
) -> Float[Tensor, ""]:
    """Return -ELBO of a batch of draws, of those where the model has a density."""
    w, *x = batch
    v = q.draw(len(w), step.rng, *x)
    joint, _ = q.log_joint(density, v, *x)
    return (q.log_density(v, *x) - joint)[finite_rows(joint, step.index)].mean()


def finite_rows(joint: Float[Tensor, " n"], index: int) -> Bool[Tensor, " n"]:
    """Return which draws have a density; ValueError if few have one at a step of training."""
    finite = joint.detach().isfinite()
    if finite.double().mean() < MIN_FINITE:
        raise ValueError(
            f"model: its log density is not finite at {int((~finite).sum())} of {len(joint)} draws "
            f"of the network after {index} steps: it is to be finite on all of its support"
        )
    return finite


def implicit_players(
    q: ImplicitDistribution, density: JointDensity, settings: CompleteAdversarialSettings
) -> tuple[Player, ...]:
    """Return the players: a reference that networks make, the critic, the generator."""
    critic = critic_player(q.critic, partial(contrast_risk, q, follows=True), LOSS, settings)
    generator = generator_player(q.generator, partial(negative_elbo, q, density), settings)
    if isinstance(q.reference, GaussianCoordinates):
        # whose moments follow q as the critic moves, and are kept with it
        return replace(critic, module=nn.ModuleList([q.critic, q.reference])), generator
    reference = critic_player(
        q.reference, partial(reference_risk, q), LOSS, settings, name="reference"
    )
    return replace(reference, steps=1), critic, generator
