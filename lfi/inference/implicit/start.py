"""Where training starts: coordinates in which the posterior is nearly standard normal.

Given observations, they are those of a conditional Gaussian that maximises its own lower bound of
the evidence. Of one posterior, they are those of the moments of importance samples, and then bent
so as to maximise the bound: a scale that depends on the coordinates before it follows a funnel,
such as effects whose deviation is unknown have. Bent coordinates that lose a part of the posterior
are let go.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.inference.implicit.coordinates import (
    AutoregressiveCoordinates,
    ConditionalCoordinates,
    GaussianCoordinates,
)
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.joint_density import JointDensity
from lfi.inference.implicit.players import ReferenceBatches, finite_rows
from lfi.inference.implicit.posterior import FitVerdict, verdict_of
from lfi.inference.samplers.adaptive_importance import ImportanceSamples, smoothed_samples
from lfi.networks import VectorCritic, VectorGenerator, moments
from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.networks.residual import last_linear, zero
from lfi.runtime import child, torch_rng
from lfi.runtime.progress import Advance
from lfi.training import Batch, History, Step, TrainSettings, train_one

SETTINGS = TrainSettings(learning_rate=5e-3, weight_decay=0.0, clip=10.0)


def start_at(coordinates: nn.Module, points: Tensor) -> None:
    """Take the coordinates of one posterior from points of it."""
    if isinstance(coordinates, AutoregressiveCoordinates):
        coordinates = coordinates.base
    assert isinstance(coordinates, GaussianCoordinates)
    coordinates.fit_from_moments(*moments(points))


def fit_conditional_start(
    q: ImplicitDistribution,
    density: JointDensity,
    batches: ReferenceBatches,
    steps: int,
    rows: Tensor,
    seed: int,
    device: str,
    advance: Advance,
) -> History:
    """Fit the conditional Gaussian that training starts from, and begin the reference at q."""
    assert isinstance(q.start, ConditionalCoordinates)
    assert isinstance(q.reference, ConditionalCoordinates)
    q.start.base.fit_from_moments(*moments(density.start))
    history = _maximise_bound(q, density, batches, steps, seed, device, advance)
    with torch.no_grad():
        v = q.draw(len(rows), torch_rng(seed, 4), rows)
        q.reference.gaussian.gaussian.fit_from_data(v, *q.given(rows))
    return history


def fit_bent_start(
    q: ImplicitDistribution,
    density: JointDensity,
    batches: ReferenceBatches,
    steps: int,
    others: ImportanceSamples,
    judged: int,
    seed: int,
    device: str,
    advance: Advance,
) -> tuple[History, FitVerdict]:
    """Bend the coordinates of one posterior, unless other samples then find more evidence.

    The verdict is on draws of a standard normal distribution in them.
    """
    assert isinstance(q.start, AutoregressiveCoordinates)
    history = _maximise_bound(q, density, batches, steps, seed, device, advance)
    w = torch.randn(judged, density.dim, generator=torch_rng(seed, 4), dtype=torch.float32)
    with torch.no_grad():
        joint, u = q.log_joint(density, w.to(device))
        log_weights = joint.cpu().double() - standard_normal_log_prob(w).double()
    own = smoothed_samples(u, log_weights, late=False)
    verdict = verdict_of(own, log_weights, others)
    if verdict.missed:
        q.start.reset()
    return history, verdict


@torch.no_grad()
def return_to_start(q: ImplicitDistribution) -> None:
    """Let draws be standard normal in the coordinates that training started from, exactly."""
    assert isinstance(q.generator, VectorGenerator) and isinstance(q.critic, VectorCritic)
    assert isinstance(q.reference, GaussianCoordinates)
    for layer in (last_linear(q.generator.rest), last_linear(q.critic.rest)):
        zero(layer)
    assert isinstance(q.generator.log_scale, nn.Parameter)
    q.generator.log_scale.zero_()
    d = q.generator.size
    q.reference.fit_from_moments(torch.zeros(d), torch.eye(d))


def _maximise_bound(
    q: ImplicitDistribution,
    density: JointDensity,
    batches: ReferenceBatches,
    steps: int,
    seed: int,
    device: str,
    advance: Advance,
) -> History:
    """Let draws of a standard normal distribution in the start's coordinates maximise the ELBO."""

    def risk(batch: Batch, step: Step) -> Tensor:
        w, *x = batch
        joint, _ = q.log_joint(density, w, *x)
        return -joint[finite_rows(joint, step.index)].mean()

    history = train_one(
        q.start,
        risk,
        batches,
        replace(SETTINGS, steps=steps),
        seed=child(seed, 4),
        device=device,
        advance=advance,
    )
    q.start.requires_grad_(False)
    return replace(history, seed=seed)
