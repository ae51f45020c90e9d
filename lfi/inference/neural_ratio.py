"""Neural ratio estimation: a critic learns to tell (theta, x) from shuffled pairs.

Whatever loss of the comparison room it minimises, its optimum is log p(theta, x) / p(theta) p(x)
(or that up to a function of x), and so a posterior. Nothing here depends on which loss: the method
is a contrast, a loss and one player.

References:
    Hermans, Begy & Louppe, 2020. arXiv:1903.04057 (Bernoulli: NRE-A)
    Durkan, Murray & Papamakarios, On contrastive learning for likelihood-free inference, 2020.
    arXiv:2002.03712 (NRE-B)
    Miller, Weniger & Forre, Contrastive neural ratio estimation, 2022. arXiv:2210.06170 (NRE-C)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lfi.comparison import (
    NREB,
    Bernoulli,
    Contrast,
    Contrastive,
    CriticLoss,
    Penalty,
    Recovers,
    joint_among,
    joint_vs_marginals,
    objective,
    recovered,
)
from lfi.comparison import PairCritic as EmbedsPairs
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.networks import PairCritic
from lfi.simulation import Simulations
from lfi.training import (
    Batch,
    Monitor,
    Player,
    Shuffled,
    Step,
    adamw,
    bar,
    child,
    fit,
    fresh,
    held_out_note,
    isolated,
    one_cycle,
    split,
    torch_rng,
)

EPOCHS = 60  # the most passes over the simulations that a fit makes
JUDGEMENTS = 20  # how often a fit is judged on what is held out
MOST_HELD_OUT = 5_120  # simulations: five batches to be judged on


def contrast_for(loss: CriticLoss, contrasts: int) -> Contrast:
    """Return the contrast of (theta, x) with shuffled pairs in the shape that the loss takes."""
    return (
        joint_among(contrasts) if isinstance(loss, Contrastive) else joint_vs_marginals(contrasts)
    )


def held_out_loss(
    recovers: Recovers, critic: EmbedsPairs, contrasts: int
) -> Callable[[Batch], float]:
    """Return what judges every ratio, whatever it was trained with: a proper log-loss.

    It is Bernoulli's where the critic claims the ratio itself, and the softmax cross-entropy,
    which ignores functions of x, where it does not.
    """
    loss = Bernoulli() if recovers == Recovers.RATIO else NREB()
    contrast = contrast_for(loss, contrasts)

    def measure(held_out: Batch) -> float:
        rng = torch_rng(0)
        parts = list(zip(*(tensor.split(1024) for tensor in held_out), strict=True))
        full = [part for part in parts if len(part[0]) == len(parts[0][0])]
        values = [contrast(critic, part, rng) for part in full]
        return float(sum(loss(v.h_p, v.h_q) for v in values) / len(values))

    return measure


@dataclass(frozen=True)
class NeuralRatio:
    """A posterior by a neural density ratio.

    Attributes:
        loss: Any critic loss that recovers the ratio, at least up to a function of x.
        penalties: What else is asked of the critic; none that moves the optimum.
        contrasts: How many shuffled pairs each joint one is compared with (contrastive losses
            count the joint one among them).
        width: The critic's width.
        depth: The number of residual blocks that pairs pass through.
        steps: How many steps to train; never more than 60 passes over the simulations.
        batch_size: None takes a hundredth of the simulations, between 64 and 1024.
        learning_rate: Its peak; a one-cycle schedule.
        weight_decay: AdamW's.
        held_out: The share of simulations on which the best weights are chosen.
    """

    loss: CriticLoss = NREB()
    penalties: tuple[Penalty, ...] = ()
    contrasts: int = 8
    width: int = 64
    depth: int = 1
    steps: int = 1_500
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    held_out: float = 0.1

    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> RatioPosterior:
        """Return the posterior for any observation; `x_obs` is not needed.

        Args:
            simulations: At least 100, all of them valid.
            x_obs: Ignored: the ratio is amortised.
            seed: None takes fresh entropy, which the history records.
            device: Where to train.
            progress: Show a bar on a terminal.

        Raises:
            ValueError: If the loss gives no posterior, simulations have failed (a ratio fitted to
                the others is the posterior of a simulator that never fails), or there are too few.
        """
        recovers = recovered(self.loss, self.penalties)
        if recovers < Recovers.UP_TO_X:  # before hours of training, not after them
            raise ValueError(
                f"loss: {self.loss} with penalties {self.penalties} recovers {recovers.name} of "
                "the ratio and gives no posterior: take a loss that recovers the ratio"
            )
        theta, x = self._data(simulations)
        seed = fresh(seed)
        train, held = split((theta, x), self.held_out, torch_rng(seed, 0), most=MOST_HELD_OUT)
        n = len(train[0])
        size = self.batch_size or min(
            1024, max(64, 2 ** round(math.log2(max(1, len(theta) / 100))))
        )
        size = min(size, n)
        prior = simulations.prior
        with isolated(child(seed, 1)):
            critic = PairCritic(
                prior.lower.tolist(),
                prior.upper.tolist(),
                x.shape[1:],
                width=self.width,
                depth=self.depth,
            )
        critic.learn(*train)
        contrast = contrast_for(self.loss, self.contrasts)

        def loss(batch: Batch, step: Step) -> Tensor:
            values = contrast(critic, batch, step.rng)
            return objective(self.loss, self.penalties, critic, values, step.rng, step.index)

        steps = min(self.steps, EPOCHS * n // size)
        judge = held_out_loss(recovers, critic, self.contrasts)
        player = Player(
            "critic",
            critic,
            loss,
            adamw(self.learning_rate, weight_decay=self.weight_decay),
            ema=0.995,
            clip=5.0,
        )
        with bar("fitting the ratio", steps, progress) as advance:
            history = fit(
                [player],
                Shuffled(train, held, size=size, device=device),
                steps=steps,
                monitor=Monitor(judge, every=max(1, steps // JUDGEMENTS)),
                schedule=one_cycle(),
                seed=child(seed, 2),
                device=device,
                callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
            )
        history = replace(history, seed=seed)  # the one that repeats the whole fit
        return RatioPosterior(critic, prior, recovers, tuple(x.shape[1:]), (history,))

    def _data(self, simulations: Simulations) -> tuple[Tensor, Tensor]:
        failed = int((~simulations.valid).sum())
        if failed:
            raise ValueError(
                f"simulations: {failed} of {len(simulations)} have failed; a ratio fitted to the "
                "rest would be biased: mend the simulator, or narrow the prior to where it runs"
            )
        if len(simulations) < 100:
            raise ValueError(f"simulations: {len(simulations)} are too few, need at least 100")
        return simulations.theta.to(torch.float32), simulations.x.to(torch.float32)
