"""Density ratios by critics: a classifier learns to tell samples of p from samples of q.

    h = argmin L(h_p, h_q) = log p/q

for every loss of `lfi.losses` that recovers the ratio. L takes the means over p and over q apart,
so that the optimum is log p/q, and not log (n p)/(m q), whatever the sizes n and m of the samples
are. `WithPrior` is for those who want one side to weigh more.

From finite samples losses recover the ratio only as far as the critic is smooth. Bounded gradients
(Bernoulli, Brier, spherical) are safe. KL weighs samples of q by r, reverse KL samples of p by 1/r,
Pearson (LSIF) by r^2 and Neyman by 1/r^2: their errors grow with the divergence that they estimate,
and where that is infinite, such as Neyman's of N(0, 1/4) and N(0, 1), the loss has no minimum and
only early stopping gives an answer. So every fit is validated by the log-loss on held-out rows,
whatever loss is trained.

With 5,000 points of each sample, bounded losses, the exponential loss and KL err by 0.02 to 0.11
nats (root mean square of log r), where a plain network of two layers of 64 errs by 0.07 to 0.53.
Reverse KL errs by up to 0.2, Pearson 0.3 and Neyman 1.1, and a plain network by up to 1.0, 8.3 and
9.5 (tests/benchmarks/neural_ratio.py).

References:
    Sugiyama, Suzuki & Kanamori, Density Ratio Estimation in Machine Learning, 2012.
    Menon & Ong, Linking losses for density ratio and class-probability estimation, ICML 2016.
    Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016. arXiv:1610.03483
"""

from dataclasses import replace

from torch import nn

from lfi.comparison import Bernoulli, CriticLoss, Penalty
from lfi.networks import CriticCopies, NestedCritics, SampleCritics
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_two_samples, floating_dtype
from lfi.numerics.checks import check_instance, check_whole
from lfi.ratio.neural.calibration import Calibrated, Calibration
from lfi.ratio.neural.critic_ratio import CriticRatio
from lfi.ratio.neural.nested_levels import (
    FoldedSample,
    check_loss,
    level_settings,
    train_nested,
)
from lfi.runtime import bar, child, fresh, isolated, torch_rng
from lfi.training import CompleteSettings, TrainSettings

MIN_ROWS = 50  # of either sample
DEFAULTS = CompleteSettings(steps=400, learning_rate=1e-2, held_out=0.2)


@checked
def fit_ratio(
    p_samples: Samples,
    q_samples: Samples,
    *,
    loss: CriticLoss = Bernoulli(),  # noqa: B008
    penalties: tuple[Penalty, ...] = (),
    critic: nn.Module | None = None,
    members: int = 5,
    calibration: Calibration | None = None,
    width: int = 32,
    layers: int = 1,
    settings: TrainSettings | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> CriticRatio:
    """Fit the density ratio of two samples by an ensemble of critics.

    Each member is a linear critic, a smooth one (with products and logarithms) and a free one (with
    a network), trained in this order by the same loss and weighted by held-out log-loss; see
    `lfi.networks.critics.nested`. The default takes a few seconds for 5,000 points of each in a
    few dimensions, on one thread.

    Args:
        p_samples: Samples of p, (n,) or (n, *event), NumPy or torch.
        q_samples: Samples of q, (m,) or (m, *event).
        loss: Any loss that recovers the ratio.
        penalties: What else is asked of the critics; none that moves the optimum.
        critic: A network of your own, for images, sets and the like: (n, *event) in float32, as
            they come, to (n,). Each member trains a copy. A method `fit_from_data(x)` of it is
            called with the rows it trains on first, to take scales from.
        members: How many critics, whose log ratios are averaged. Each holds other rows out: with 5
            members and a fifth held out, every row is held out once.
        calibration: Corrects each member on what it held out, such as `lfi.ratio.Isotonic()`.
        width: The width of the free critic's network.
        layers: Its residual blocks.
        settings: How the free critic trains: by default 400 steps of 256 rows of either sample, a
            fifth of the rows held out. The two critics before it take 0.3 and 0.5 of the steps in
            addition. A complicated ratio of many samples deserves more steps.
        seed: None takes fresh entropy, which the history records.
        device: Where to train, such as "cuda".
        progress: Show a bar on a terminal.

    Raises:
        TypeError: If a sample is not an array of numbers.
        ValueError: If a row is not finite, a sample has fewer than 50 rows, the events of the
            samples differ in shape, or the loss does not recover the ratio.

    Example:
        >>> p, q = 1 + torch.randn(500), torch.randn(500)
        >>> quick = lfi.TrainSettings(steps=100)
        >>> ratio = lfi.fit_ratio(p, q, members=2, settings=quick, seed=1)
        >>> ratio.log_ratio(torch.tensor([0.5])).abs() < 0.5  # exactly 0
        tensor([True])
        >>> ratio.importance_weights(q).effective_sample_size < 500
        True
    """
    check_loss(loss, penalties)
    check_instance("critic", critic, nn.Module, optional=True)
    check_instance("calibration", calibration, Calibration, optional=True)
    check_whole("members", members)
    check_whole("width", width)
    check_whole("layers", layers, minimum=0)
    complete = DEFAULTS.updated(settings)
    samples = as_two_samples(p_samples, q_samples, min_rows=MIN_ROWS)
    shape, seed = tuple(samples[0].shape[1:]), fresh(seed)
    p, q = (
        FoldedSample.of(
            x.detach().to(device, floating_dtype(x.dtype)),
            members,
            complete.held_out,
            torch_rng(seed, 0, i),
        )
        for i, x in enumerate(samples)
    )
    with isolated(child(seed, 1)):
        critics: NestedCritics = (
            SampleCritics(shape, members, width=width, layers=layers)
            if critic is None
            else CriticCopies(critic, members)
        )
    total = sum(own.steps for own in level_settings(complete, len(critics.levels)))
    with bar("fitting the ratio", total, progress) as advance:
        histories = train_nested(
            critics.to(device),
            p,
            q,
            loss,
            complete,
            penalties=penalties,
            seed=seed,
            device=device,
            advance=advance,
        )
    calibrated: tuple[Calibrated, ...] = ()
    if calibration is not None:
        pairs = zip(*(critics(s.x[s.held_out]).cpu().T for s in (p, q)), strict=True)
        calibrated = tuple(calibration.fit(h_p, h_q) for h_p, h_q in pairs)
    histories = tuple(replace(history, seed=seed) for history in histories)  # repeats the whole fit
    return CriticRatio(critics, shape, histories, calibrated)
