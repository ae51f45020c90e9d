"""The probability of a valid simulation, by logistic regression with a network of the parameters.

It corrects posteriors for simulations that failed; see `lfi.networks.ValidCritic` for its use.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.networks import Validity
from lfi.runtime import child, isolated, torch_rng
from lfi.simulation import Prior
from lfi.training import Batch, CompleteSettings, Shuffled, Step, hold_out, train_one

SETTINGS = CompleteSettings(steps=1_500, learning_rate=5e-3, patience=8, held_out=0.2)
VALIDATIONS = 25


def fit_validity(
    theta: Float[Tensor, "n theta_dim"],
    valid: Bool[Tensor, " n"],
    prior: Prior,
    *,
    seed: int,
    device: str = "cpu",
) -> Validity:
    """Return log p(valid | theta), a network in coordinates that the prior's bounds give."""
    data = theta, valid.to(torch.float32)
    train, held = hold_out(data, SETTINGS.held_out, torch_rng(seed, 0))
    with isolated(child(seed, 1)):
        validity = Validity(prior.lower.tolist(), prior.upper.tolist())
    validity.coordinates.fit_from_data(train[0])

    def risk(batch: Batch, step: Step | None = None) -> Tensor:
        return F.binary_cross_entropy_with_logits(validity.logit(batch[0]), batch[1])

    size = min(SETTINGS.batch_size, len(train[0]))
    train_one(
        validity,
        risk,
        Shuffled(train, held, size=size, device=device),
        SETTINGS,
        validate=lambda batch: float(risk(batch)),
        validations=VALIDATIONS,
        name="validity",
        seed=child(seed, 2),
        device=device,
    )
    return validity
