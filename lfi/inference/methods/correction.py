"""A ratio between simulator and surrogate, at the same theta: what the surrogate gets wrong.

    log p(x | theta) = log q(x | theta) + log c(theta, x),     c = p(x | theta) / q(x | theta)

A critic tells simulations (theta, x) from (theta, x'), x' drawn from the surrogate at the same
theta, afresh for every batch, and is kept only if it tells held-out pairs better than c = 1 does.
Where the surrogate is a flow that was fitted to the same simulations, little is left to find; a
surrogate that is wrong in kind leaves more.

References:
    Cranmer, Pavez & Louppe, Approximating likelihood ratios with calibrated discriminative
    classifiers, 2015. arXiv:1506.02169
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import Bernoulli
from lfi.inference.methods.flow_training import LEFT_OUT
from lfi.networks import PairCritic
from lfi.runtime import bar, child, held_out_note, isolated, torch_rng
from lfi.simulation import Prior
from lfi.training import Batch, History, Monitor, Player, Shuffled, adamw, fit, one_cycle

Simulate = Callable[[Tensor, torch.Generator], Tensor]

LOSS = Bernoulli()
JUDGEMENTS = 20  # how often the critic is judged on what is held out
CHANCE = 2 * math.log(2)  # the loss of c = 1


def fit_correction(
    simulate: Simulate,
    prior: Prior,
    train: tuple[Float[Tensor, "n dim"], Float[Tensor, "n ..."]],
    held_out: tuple[Float[Tensor, "m dim"], Float[Tensor, "m ..."]],
    *,
    steps: int,
    seed: int,
    device: str = "cpu",
    progress: bool = True,
) -> tuple[nn.Module | None, History]:
    """Return the critic log c, None where it finds nothing, and how it was trained.

    Args:
        simulate: Draws x from the surrogate, one for each theta.
        prior: Of theta; its bounds fix the critic's coordinates.
        train: Simulations, theta and x in float32.
        held_out: Simulations to judge on.
        steps: How many steps.
        seed: Names the streams.
        device: Where to train.
        progress: Show a bar on a terminal.
    """
    with isolated(child(seed, 0)):
        critic = PairCritic(prior.lower.tolist(), prior.upper.tolist(), train[1].shape[1:], depth=2)
    critic.learn(*train)
    critic.to(device)

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        theta, x = batch
        with torch.no_grad():
            other = simulate(theta, rng)
        return LOSS(critic(theta, x), critic(theta, other))

    held_out = tuple(part.to(device) for part in held_out)
    size = min(256, len(train[0]))
    player = Player(
        "correction",
        critic,
        lambda batch, step: loss(batch, step.rng),
        adamw(1e-3, weight_decay=1e-2),
        ema=0.995,
        clip=5.0,
    )
    with bar("correcting the likelihood", steps, progress) as advance:
        history = fit(
            [player],
            Shuffled(train, held_out, size=size, device=device),
            steps=steps,
            monitor=Monitor(
                lambda rows: float(loss(rows, torch_rng(seed, 1))), max(1, steps // JUDGEMENTS)
            ),
            schedule=one_cycle(),
            seed=child(seed, 2),
            device=device,
            callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
        )
    critic.eval().requires_grad_(False)
    if min(value for _, value in history.columns["held-out"]) < CHANCE:
        return critic, history
    return None, replace(history, stopped=f"{history.stopped}; {LEFT_OUT}")
