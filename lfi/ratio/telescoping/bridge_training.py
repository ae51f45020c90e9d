"""Training of bridges: one batch of coupled waymarks, one loss for all bridges.

Whatever loss they minimise, bridges are validated by the held-out log-loss, which bounds how far
apart waymarks are: JS(p, q) >= log 2 - (E_p[softplus(-h)] + E_q[softplus(h)]) / 2, with h the best
guess of log p/q.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from lfi.comparison import CriticLoss
from lfi.networks import Bridges
from lfi.ratio.telescoping.endpoint_samples import EndpointSamples
from lfi.ratio.telescoping.waymarks import Waymarks
from lfi.runtime import Advance, child, silent
from lfi.training import Batch, CompleteSettings, History, Step, train_one

SMOOTH = 0.3  # the share of steps before the trunk joins in
FASTEST, EVEN = 6.0, 13.0  # factors of learning rates: see `train_bridges`


@dataclass(frozen=True, eq=False)
class Trained:
    """Bridges that have been trained."""

    network: Bridges
    divergences: list[float]  # held-out bounds of Jensen-Shannon divergences, in nats
    history: History


def train_bridges(
    network: Bridges,
    waymarks: Waymarks,
    endpoints: EndpointSamples,
    loss: CriticLoss,
    *,
    settings: CompleteSettings,
    seed: int,
    device: str = "cpu",
    advance: Advance = silent,
) -> Trained:
    """Train bridges between waymarks: first what is smooth in them, then with the trunk.

    A trunk that trained from the beginning would take a part of what is linear or quadratic, and
    beyond its samples it is neither. The smooth part alone takes the first three tenths of the
    steps. The settings are the trunk's. The noise of the n coefficients of a quadratic or linear
    form adds up, so they learn at 13/sqrt(n) times its rate, but no more than 6 times.
    """
    held_out = endpoints.batches.held_out
    if held_out is None:
        raise ValueError("endpoints: the batches hold nothing out to validate on")
    factors = {id(p): min(FASTEST, EVEN / math.sqrt(p[0].numel())) for p in network.smooth()}

    def optimiser(parameters: Iterable[nn.Parameter]) -> Optimizer:
        parts: dict[float, list[nn.Parameter]] = {}
        for parameter in parameters:
            parts.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
        groups = [{"params": part, "lr": f * settings.learning_rate} for f, part in parts.items()]
        return AdamW(groups, weight_decay=settings.weight_decay, fused=True)

    network.fit_from_moments(*waymarks.moments(endpoints.moments_p, endpoints.moments_q))
    waymarks = waymarks.to(device)

    def objective(batch: Batch, step: Step) -> Tensor:
        return loss(*network.successive(waymarks(*batch), with_trunk=step.done >= SMOOTH))

    def log_loss(rows: Batch) -> Tensor:
        h_p, h_q = network.successive(waymarks(*rows))
        return F.softplus(-h_p).mean(1) + F.softplus(h_q).mean(1)

    history = train_one(
        network,
        objective,
        endpoints.batches,
        settings,
        validate=lambda rows: float(log_loss(rows).mean()),
        name="bridges",
        optimiser=optimiser,
        seed=child(seed, 0),
        device=device,
        advance=advance,
    )
    with torch.no_grad():
        divergences = math.log(2) - log_loss(held_out) / 2
    return Trained(network, divergences.tolist(), history)
