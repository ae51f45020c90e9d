"""How likely a simulation is to be valid: the correction of posteriors for those that failed.

A network is trained to tell parameters whose simulations are valid from all others, by the
Bernoulli log-loss; its optimum is p(valid | theta). See `lfi.networks.ValidCritic` for its use.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.networks import Validity
from lfi.runtime import child, isolated, torch_rng
from lfi.simulation import Prior
from lfi.training import Batch, Monitor, Player, Shuffled, Step, adamw, fit, hold_out, one_cycle

STEPS, SIZE, RATE = 1_500, 256, 5e-3
HELD_OUT = 0.2
PATIENCE = 8


def fit_validity(
    theta: Float[Tensor, "n theta_dim"],
    valid: Bool[Tensor, " n"],
    prior: Prior,
    *,
    seed: int,
    device: str = "cpu",
) -> Validity:
    """Return log p(valid | theta), a network.

    Args:
        theta: Parameters of all simulations.
        valid: Which of them gave finite data.
        prior: Its bounds give the coordinates.
        seed: Of the split, the weights and the batches.
        device: Where to train.
    """
    data = theta.to(torch.float32), valid.to(torch.float32)
    train, held = hold_out(data, HELD_OUT, torch_rng(seed, 0))
    with isolated(child(seed, 1)):
        validity = Validity(prior.lower.tolist(), prior.upper.tolist())
    validity.coordinates.learn(train[0])

    def risk(batch: Batch, step: Step) -> Tensor:
        return F.binary_cross_entropy_with_logits(validity.logit(batch[0]), batch[1])

    def measure(batch: Batch) -> float:
        return float(F.binary_cross_entropy_with_logits(validity.logit(batch[0]), batch[1]))

    fit(
        [Player("validity", validity, risk, adamw(RATE, weight_decay=1e-2), ema=0.99, clip=5.0)],
        Shuffled(train, held, size=min(SIZE, len(train[0])), device=device),
        steps=STEPS,
        monitor=Monitor(measure, every=STEPS // 25, patience=PATIENCE),
        schedule=one_cycle(),
        seed=child(seed, 2),
        device=device,
    )
    return validity
