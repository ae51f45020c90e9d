"""Training of bridges: one player, one batch of coupled waymarks, one loss for all bridges.

Whatever loss they minimise, bridges are judged by the held-out log-loss, which also says how far
apart their waymarks are: with h the best guess of log p/q,

    JS(p, q) >= log 2 - (E_p[softplus(-h)] + E_q[softplus(h)]) / 2.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from lfi.comparison import CriticLoss
from lfi.networks import Bridges
from lfi.ratio.ends import Ends
from lfi.ratio.waymarks import Waymarks
from lfi.training import Batch, History, Monitor, Player, Step, child, fit, one_cycle

FORM_RATE = 0.04  # see `train_bridges`
JUDGEMENTS = 20  # how often bridges are judged on what is held out


@dataclass(frozen=True, eq=False)
class Trained:
    """Bridges that have been trained.

    Attributes:
        network: The bridges, with the best weights.
        divergences: For each, the held-out bound of the Jensen-Shannon divergence of its waymarks,
            in nats.
        history: How it went.
    """

    network: Bridges
    divergences: list[float]
    history: History


def train_bridges(
    network: Bridges,
    waymarks: Waymarks,
    ends: Ends,
    loss: CriticLoss,
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str,
    advance: Callable[[int], object],
) -> Trained:
    """Train bridges between waymarks.

    Args:
        network: As many bridges as there are waymarks less one; trained in place.
        waymarks: The way from one end to the other.
        ends: Where samples of p and q come from.
        loss: Of every bridge; the mean of its bridges' is minimised.
        steps: How many.
        learning_rate: Its peak; a one-cycle schedule. A quadratic form of d entries has d^2
            coefficients whose noise adds up, and they learn at `FORM_RATE` / d if that is less.
        weight_decay: AdamW's.
        seed: Of the batches.
        device: Where to train.
        advance: Called with 1 after every step.
    """

    def optimiser(parameters: Iterable[nn.Parameter]) -> Optimizer:
        form = {id(network.form)} if network.quadratic else set()
        slow, rest = [], []
        for parameter in parameters:
            (slow if id(parameter) in form else rest).append(parameter)
        rate = min(learning_rate, FORM_RATE / len(ends.of_p[0]))
        groups = [{"params": rest, "lr": learning_rate}, {"params": slow, "lr": rate}]
        groups = [group for group in groups if group["params"]]
        return AdamW(groups, weight_decay=weight_decay, fused=True)

    network.learn(*waymarks.moments(ends.of_p, ends.of_q))
    waymarks = waymarks.to(device)

    def objective(batch: Batch, step: Step) -> Tensor:
        return loss(*network.successive(waymarks(*batch)))

    def log_loss(held_out: Batch) -> Tensor:
        h_p, h_q = network.successive(waymarks(*held_out))
        return F.softplus(-h_p).mean(1) + F.softplus(h_q).mean(1)

    history = fit(
        [Player("bridges", network, objective, optimiser, ema=0.998, clip=5.0)],
        ends.batches,
        steps=steps,
        monitor=Monitor(
            lambda held_out: float(log_loss(held_out).mean()), every=max(1, steps // JUDGEMENTS)
        ),
        schedule=one_cycle(),
        seed=child(seed, 0),
        device=device,
        callbacks=[lambda done, latest: advance(1)],
    )
    with torch.no_grad():
        divergences = math.log(2) - log_loss(ends.batches.held_out) / 2
    return Trained(network, divergences.tolist(), history)
