"""The Wasserstein-1 distance by an independent critic, trained apart from any generator's own.

    W_1(p, q) = sup { E_p h - E_q h : |h(x) - h(y)| <= |x - y| },

with a critic whose slope cannot exceed one (`lfi.networks.critics.lipschitz`), trained on one part
of both samples. On the other part, the difference of its means is an unbiased estimate of a lower
bound on W_1. A generator's own critic, bounded by a penalty only, gives no such bound.

Exact transport between samples has a cost of order n^(-1/d) even where p = q; this estimate is then
zero within its error in any dimension.

References:
    Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017. arXiv:1701.07875
    Danihelka, Lakshminarayanan, Uria, Wierstra & Dayan, Comparison of maximum likelihood and
        GAN-based training of Real NVPs, 2017. arXiv:1705.05263 (the independent critic)
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Wasserstein
from lfi.networks.critics.lipschitz import LipschitzCritic
from lfi.networks.standardise import column_scale
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_two_samples
from lfi.ratio.types import standard_error
from lfi.runtime import Described, bar, child, fresh, isolated, torch_rng
from lfi.training import (
    CompleteSettings,
    History,
    JoinedBatches,
    Shuffled,
    TrainSettings,
    adamw,
    hold_out,
    linear_decay,
    train_one,
)

MIN_ROWS = 50  # of either sample
DEFAULTS = CompleteSettings(steps=500, batch_size=512, learning_rate=5e-3, held_out=0.5)


@dataclass(frozen=True, eq=False, repr=False)
class WassersteinEstimate(Described):
    """An estimated lower bound of the Wasserstein-1 distance.

    Attributes:
        value: A lower bound on W_1, in the units of the data; below zero by chance where p = q.
        standard_error: Of the value.
        potential: The critic's values, for points (k, *event), up to a constant: who has too much
            mass where they are low, and where it should go.
        history: How it was trained; its seed repeats it.
    """

    value: float
    standard_error: float
    potential: "Potential"
    history: History

    def describe(self) -> str:
        """Return the estimate, its standard error, and how the critic was trained."""
        return (
            f"W_1 is at least {self.value:.4g} +- {self.standard_error:.2g} (standard error)\n"
            f"  {self.history.describe()}"
        )


@dataclass(frozen=True, eq=False)
class Potential:
    """A critic of slope one in the units of the data."""

    critic: LipschitzCritic
    centre: Float[Tensor, " d"]
    scale: float

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Return the critic's values, (n, *event) to (n,), in float64."""
        z = (x.reshape(len(x), -1).double() - self.centre) / self.scale
        return self.critic(z.float()).double() * self.scale


@checked
def wasserstein_distance(
    p_samples: Samples,
    q_samples: Samples,
    *,
    width: int = 64,
    layers: int = 3,
    settings: TrainSettings | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> WassersteinEstimate:
    """Estimate the Wasserstein-1 distance of two samples by a critic of its own.

    Args:
        p_samples: Samples of p, (n,) or (n, *event), NumPy or torch.
        q_samples: Samples of q, (m,) or (m, *event).
        width: Of the critic, even.
        layers: Its hidden layers.
        settings: How it trains: by default 500 steps of 512 rows of either sample, whose rate falls
            linearly over the second half; the value is computed from what is held out, the half.
        seed: None takes fresh entropy, which the history records.
        device: Where to train, such as "cuda".
        progress: Show a bar on a terminal.

    Raises:
        TypeError: If a sample is not an array of numbers.
        ValueError: If a row is not finite, a sample has fewer than 50 rows, or the events differ.

    Example:
        >>> p, q = torch.randn(2_000, 2), torch.randn(2_000, 2) + torch.tensor([3.0, 4.0])
        >>> found = wasserstein_distance(p, q, settings=lfi.TrainSettings(steps=60), seed=1)
        >>> 4.5 < found.value < 5.5  # exactly 5
        True
    """
    p, q = (
        x.reshape(len(x), -1).double()
        for x in as_two_samples(p_samples, q_samples, min_rows=MIN_ROWS)
    )
    complete, seed = DEFAULTS.updated(settings), fresh(seed)
    rng = torch_rng(seed, 0)
    (train_p, test_p), (train_q, test_q) = (
        tuple(part[0] for part in hold_out((x,), complete.held_out, rng, max_held_out=None))
        for x in (p, q)
    )
    pooled = torch.cat([train_p, train_q])
    centre = pooled.mean(0)
    # one for all directions, to which those that do not vary add nothing
    scale = float(column_scale(pooled, constant=0.0).square().mean().sqrt()) or 1.0
    sides = [((x - centre) / scale).float() for x in (train_p, train_q)]
    with isolated(child(seed, 1)):
        critic = LipschitzCritic(p.shape[1], width=width, layers=layers)
    loss = Wasserstein()
    batches = JoinedBatches(
        *(Shuffled((x,), size=min(complete.batch_size, len(x)), device=device) for x in sides)
    )
    with bar("training a Wasserstein critic", complete.steps, progress) as advance:
        history = train_one(
            critic,
            lambda batch, step: loss(critic(batch[0]), critic(batch[1])),
            batches,
            complete,
            name="critic",
            optimiser=adamw(complete.learning_rate, betas=(0.5, 0.99)),
            schedule=linear_decay(),
            seed=child(seed, 2),
            device=device,
            advance=advance,
        )
    potential = Potential(critic.to("cpu"), centre, scale)
    h_p, h_q = potential(test_p), potential(test_q)
    value, history = float(loss.value(h_p, h_q)), replace(history, seed=seed)
    return WassersteinEstimate(value, standard_error(h_p, h_q), potential, history)
