"""Fitting a flow as a generator: by maximum likelihood, by any comparison, by a sum of both."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from lfi.comparison import Adversarial, Discrepancy, energy_to
from lfi.generation.defaults import Comparison, critic_for, played, settings_for
from lfi.generation.flows.dequantisation import DequantisedBatches, Levels
from lfi.generation.flows.flow_generator import FlowGenerator
from lfi.generation.flows.independent_critic import IndependentCritic
from lfi.generation.objectives import (
    Draw,
    Packed,
    adversarial_players,
    discrepancy_players,
    generator_player,
)
from lfi.generation.settings import DEFAULTS, AdversarialSettings, CompleteAdversarialSettings
from lfi.generation.validated_training import (
    MAX_HELD_OUT,
    MIN_ROWS,
    batch_size_of,
    check_resumable,
    validated_training,
    validation_interval,
)
from lfi.networks import RealNVP, Standardise, is_image
from lfi.networks.standardise import column_scale
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_number, check_positive
from lfi.runtime import child, fresh, isolated, torch_rng
from lfi.training import (
    Batch,
    Batches,
    Checkpoint,
    Player,
    Shuffled,
    Step,
    TrainSettings,
    hold_out,
    one_cycle,
)

BITS, BITS_OF_TRAINING = "bits per dimension, held-out", "bits per dimension, training"


LIKELIHOOD_SETTINGS = AdversarialSettings(
    steps=1_000,
    weight_decay=1e-4,
    average=0.99,
    clip=5.0,
    betas=(0.9, 0.999),
    schedule=one_cycle(),
)


@checked
def fit_flow(
    data: Samples,
    comparison: Comparison | None = None,
    *,
    likelihood_weight: float = 0.0,
    couplings: int = 8,
    width: int = 64,
    bin_width: float | None = None,
    critic: nn.Module | None = None,
    independent_critic: IndependentCritic | None = None,
    settings: TrainSettings | None = None,
    callback: Callable[[int, FlowGenerator], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> FlowGenerator:
    """Fit a flow to data: a generator whose density is known, so that likelihood can train it too.

    The flow is a Real NVP, the same under every teacher:

        comparison=None                     maximum likelihood
        comparison=lfi.gans.WGANGP()        its samples against data, as `lfi.fit_generator`
        ..., likelihood_weight=0.1          that loss, minus the weighted log density of data

    Whole numbers, and others with a `bin_width`, have levels: they are trained on with uniform
    noise of one level, and samples are rounded. The history has the bits per dimension of held-out
    and of training data as training went.

    Args:
        data: (n, *event). Of (n, channels, height, width), of 8 to 64 pixels a side, the pixels of
            a channel share one scale, and critics are convolutional.
        comparison: As `lfi.fit_generator` takes it; `lfi.gans` has those of the literature by name.
            None is maximum likelihood alone.
        likelihood_weight: Of the mean negative log density of a row of standardised data, in nats,
            beside the comparison's loss.
        couplings: How many; fewer are a shallower flow.
        width: Of the networks in the couplings.
        bin_width: How far apart the levels are that data take, such as 1/255 for pixels divided by
            255. None is 1 for data of a whole dtype, and no levels for others.
        critic: A network of your own, as `lfi.fit_generator` takes it.
        independent_critic: Records during training how far samples are from held-out and from
            training data, by a critic trained apart.
        settings: Steps, batch size, learning rates and so on, `TrainSettings` or
            `AdversarialSettings`. By default maximum likelihood takes 1,000 steps and keeps the
            weights of the best of twenty validations, by the held-out log density; a comparison is
            trained and validated as by `lfi.fit_generator`.
        callback: Called at each validation with the steps done and the flow as it is then.
        checkpoint: Where to keep what an interrupted training resumes from.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If the data are too few, not finite, do not vary or lie between levels, a weight
            has no comparison beside it, or the independent critic has too few rows.
        TypeError: If the data are no numbers, or the comparison is none.
        Diverged: If a player's objective is no longer finite: which one's, and at which step.

    References:
        Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017. arXiv:1605.08803
        Danihelka, Lakshminarayanan, Uria, Wierstra & Dayan, Comparison of maximum likelihood and
            GAN-based training of Real NVPs, 2017. arXiv:1705.05263
        Grover, Dhar & Ermon, Flow-GAN: combining maximum likelihood and adversarial learning in
            generative models, 2018. arXiv:1705.08868 (the sum of both)

    Example:
        >>> data = torch.randn(400, 2) * torch.tensor([1.0, 10.0])
        >>> flow = lfi.fit_flow(data, settings=lfi.TrainSettings(steps=50), seed=1)
        >>> flow.sample(3, seed=2).shape, flow.log_prob(data).shape
        (torch.Size([3, 2]), torch.Size([400]))
        >>> exact = math.log(2 * math.pi) + 1 + math.log(10)  # entropy of the data, in nats
        >>> abs(-flow.log_prob(data).mean().item() - exact) < 0.2
        True
        >>> few = lfi.AdversarialSettings(steps=5)
        >>> both = lfi.fit_flow(data, lfi.gans.WGANGP(), likelihood_weight=1.0, settings=few)
        >>> sorted(both.history.columns)[:3]
        ['bits per dimension, held-out', 'bits per dimension, training', 'critic']
    """
    check_number("likelihood_weight", likelihood_weight, minimum=0)
    check_positive("bin_width", bin_width, optional=True)
    if likelihood_weight and comparison is None:
        raise ValueError(
            "likelihood_weight weighs the likelihood beside a comparison, and none was given"
        )
    check_resumable(checkpoint, seed)
    x, levels = _with_levels(data, bin_width)
    shape, seed = tuple(x.shape[1:]), fresh(seed)
    if comparison is None:
        complete = DEFAULTS.updated(LIKELIHOOD_SETTINGS).updated(settings)
    else:
        complete = settings_for(settings, shape, comparison)
    if comparison is not None and not isinstance(comparison, Discrepancy):
        comparison = played(comparison)
    (train,), (held_out,) = hold_out(
        (x,), complete.held_out, torch_rng(seed, 1), max_held_out=MAX_HELD_OUT
    )
    noisy, noisy_held_out = train, held_out
    if levels is not None:
        rng = torch_rng(seed, 5)
        noisy, noisy_held_out = (part + levels.noise(part, rng) for part in (train, held_out))
    standardise = Standardise(shape)
    standardise.fit_from_data(noisy, shared_axes=2 if is_image(shape) else 0)
    with isolated(child(seed, 0)):
        network = RealNVP(math.prod(shape), couplings=couplings, width=width)
        if critic is None and comparison is not None and not isinstance(comparison, Discrepancy):
            critic = critic_for(comparison, shape, 0)
    network.fit_from_data(standardise(noisy).flatten(1))
    flow = FlowGenerator(network, standardise, critic=critic, dtype=x.dtype, levels=levels)
    size = batch_size_of(complete, len(train), comparison)
    batches: Batches = Shuffled(
        (standardise(train),), (standardise(noisy_held_out),), size=size, device=device
    )
    if levels is not None:
        cell = levels.width / standardise.divisor
        batches = DequantisedBatches(batches, cell.float().expand(shape))
    notes: list[Callable[[int], dict[str, float]]] = [
        partial(_bits, flow, train[: len(held_out)], held_out, child(seed, 3))
    ]
    if independent_critic is not None:
        timing = {"steps": complete.steps, "every": validation_interval(complete)}
        notes.append(independent_critic.follow(flow, train, held_out, **timing, seed=seed))
    flow.to(device)
    players = flow_players(
        flow.flow, critic, partial(_draw, flow, size), comparison, complete, likelihood_weight
    )
    flow.history = validated_training(
        "flow",
        players,
        batches,
        _likelihood_of(flow) if comparison is None else _energy_of(flow, batches, seed),
        complete,
        watch=callback and (lambda step: callback(step, flow)),
        notes=lambda step: {k: v for note in notes for k, v in note(step).items()},
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
        chooses=comparison is None,
    )
    return flow.eval()


def flow_players(
    network: RealNVP,
    critic: nn.Module | None,
    draw: Draw,
    comparison: Adversarial | Packed | Discrepancy | None,
    settings: CompleteAdversarialSettings,
    likelihood_weight: float,
) -> tuple[Player, ...]:
    """Return who moves: the flow by its likelihood, or those of a comparison, or by both."""

    def likelihood(batch: Batch, step: Step) -> Tensor:
        return -network.log_prob(batch[0].flatten(1)).mean()

    if comparison is None:
        return (generator_player(network, likelihood, settings),)
    if isinstance(comparison, Discrepancy):
        players = discrepancy_players(network, draw, comparison, settings)
    else:
        assert critic is not None  # the user's or the default one
        players = adversarial_players(network, critic, draw, comparison, settings)
    if not likelihood_weight:
        return players
    *others, own = players

    def both(batch: Batch, step: Step) -> Tensor:
        return own.objective(batch, step) + likelihood_weight * likelihood(batch, step)

    return (*others, replace(own, objective=both))


def _with_levels(data: Samples, bin_width: float | None) -> tuple[Tensor, Levels | None]:
    """Return the data as real numbers, and their levels."""
    x = as_sample("data", data, min_rows=MIN_ROWS)
    if x.ndim < 2:
        raise ValueError(f"data must be (n, *event), got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        bin_width = 1.0 if bin_width is None else bin_width
        x = x.float()
    levels = None if bin_width is None else Levels.of("data", x, bin_width)
    constant = column_scale(x.flatten(1), constant=0.0) == 0
    if levels is None and constant.any():
        raise ValueError(
            f"data: entry {int(constant.nonzero()[0])} of each row does not vary, so that its "
            "density is unbounded: leave it out, or give the bin_width of its levels"
        )
    return x, levels


def _draw(flow: FlowGenerator, n: int, *inputs: Tensor | torch.Generator) -> Tensor:
    """Draw standardised samples with the random generator that comes last."""
    rng = inputs[-1]
    assert isinstance(rng, torch.Generator)
    z = flow.noise(n, rng).to(flow.standardise.location.device)
    return flow.flow(z).reshape(n, *flow.shape)


def _bits(
    flow: FlowGenerator, train: Tensor, held_out: Tensor, seed: int, step: int
) -> dict[str, float]:
    """Return the bits per dimension of held-out data, and of as many of training."""
    return {
        name: flow.bits_per_dim(x, draws=1, seed=seed).value
        for name, x in ((BITS, held_out), (BITS_OF_TRAINING, train))
    }


def _likelihood_of(flow: FlowGenerator) -> Callable[[Batch], float]:
    """Return the mean negative log density of standardised data, in nats, as a function of them."""
    return lambda batch: -float(flow.flow.log_prob(batch[0].flatten(1)).mean())


@torch.no_grad()
def _energy_of(flow: FlowGenerator, batches: Batches, seed: int) -> Callable[[Batch], float]:
    """Return the energy distance of samples to held-out data, which are always the same."""
    assert batches.held_out is not None
    y = batches.held_out[0].flatten(1)
    distance = energy_to(y)
    return lambda batch: float(distance(_draw(flow, len(y), torch_rng(seed, 3)).flatten(1)))
