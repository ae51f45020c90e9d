"""Fitting a proposal of parameters to observations by a critic, through a black box."""

from dataclasses import replace

import torch
from torch import nn

from lfi.comparison import R1, Adversarial, Bernoulli, NonSaturating, energy_to
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.generation.settings import AdversarialSettings, CompleteAdversarialSettings
from lfi.generation.validated_training import check_resumable, validated_training
from lfi.inference.variational_optimisation.last_step import last_step, step_count
from lfi.inference.variational_optimisation.optimum import (
    DRAWS,
    ParameterProposal,
    VariationalOptimum,
    checked_proposal,
)
from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.inference.variational_optimisation.players import (
    ObservedBatches,
    optimisation_players,
    simulating_turn,
)
from lfi.inference.variational_optimisation.replay import Replay
from lfi.networks import (
    Features,
    ImageCritic,
    MixtureProposal,
    Standardise,
    VectorCritic,
    VectorProposal,
    is_image,
    stack_modules,
)
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, floating_dtype
from lfi.numerics.checks import check_number, check_whole
from lfi.runtime import bar, child, fresh, isolated, torch_rng
from lfi.simulation import as_simulator
from lfi.training import Batch, Checkpoint, Shuffled

COMPARISON = Adversarial(Bernoulli(), NonSaturating(), R1(0.1))
DEFAULTS = CompleteAdversarialSettings(
    batch_size=256, critic_steps=12, critic_learning_rate=1e-3, betas=(0.5, 0.99)
)
MOST_STEPS = 100
LEAST_SIZE = 32  # simulations of a step, so that there are fewer steps for a small budget
MIN_SIZE = 4  # likewise, under a user's settings
TRAVEL = 60.0  # natural steps of a mixture, of rate 1, in all
MAX_RATE = 0.8
NETWORK_RATE = 1e-3  # of a proposal that is a network
REPLAYED = 200_000  # past simulations that count
MEMORY = 2**26  # numbers of their data at the most
AVERAGED = 0.25  # of the steps: the memory of the average of the proposal's parameters
COMPARED = 500  # observations that the energy distance is taken to
MIN_OBSERVATIONS = 20
WIDTH = 64  # of the critic


@checked
def fit_avo(
    simulator: object,
    x_obs: Samples,
    *,
    budget: int = 100_000,
    comparison: Adversarial = COMPARISON,
    proposal: VectorProposal | None = None,
    critic: nn.Module | None = None,
    entropy: float = 0.05,
    settings: AdversarialSettings | None = None,
    workers: int = 1,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> VariationalOptimum:
    """Find parameters of a black box at which a critic cannot tell simulations from observations.

    A proposal of parameters, at first as wide as the prior, moves and narrows by a critic's verdict
    on simulations at its draws. No gradient of the simulator is needed, and no likelihood: the
    gradient is that of the proposal's own density (the score function), over past simulations too.

    A last step moves the proposal, without a new simulation, to where its centre makes simulations
    agree with observations in what regressions of the parameters see in them; for that all past
    simulations count alike. It is left out where few are near the proposal.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`. The prior's bounds hold,
            and its quartiles say how far parameters may be from each other; it has no other
            influence.
        x_obs: A sample of observations, (n, *event), each of the shape of one simulation's x.
        budget: How many calls of the simulator there may be.
        comparison: Any losses, penalties and constraint of `lfi.Adversarial`, but learned features.
        proposal: A distribution of standardised parameters that is moved in place:
            `lfi.networks.MixtureProposal(d)`, a Gaussian and the default, `MixtureProposal(d, 4)`,
            `FlowProposal(d)`, or a `VectorProposal` of your own.
        critic: A network of your own, of standardised images, or of the 2 m features that
            `lfi.networks.Features` makes of an event of m numbers; (n, ...) to (n,). Two copies of
            it are trained.
        entropy: The weight of the proposal's entropy, in units of the deviation of the critic's
            verdict: above 0 it narrows where the critic does not tell, below 0 it widens.
        settings: Steps (by default 100 at the most), batch size, learning rates and so on. Each
            step simulates an equal share of the budget. `patience` stops early, of some 20
            validations, by the energy distance of simulations to observations; `held_out` plays no
            part, as new simulations validate.
        workers: How many processes simulate.
        checkpoint: Where to keep what an interrupted fit resumes from; simulations are not done
            again.
        seed: None takes fresh entropy, which the history records.
        device: Where the networks train; simulations are made on the CPU.
        progress: Show a bar on a terminal.

    Returns:
        The proposal, its centre, how it got there, and what it cost. Of parameters that simulations
        tell only together, the proposal narrows around a pair that fits, where the search arrived.

    Raises:
        TypeError: If what is given is no simulator, or a proposal cannot be drawn from.
        ValueError: If observations are too few, not finite or not of the shape of a simulation, or
            the budget is too small.
        RuntimeError: If all simulations of the first step that one of the critics sees fail; later
            failures count as the worst that the critic has seen.
        Diverged: If a player's objective is no longer finite.

    References:
        Louppe, Hermans & Cranmer, Adversarial variational optimization of non-differentiable
            simulators, AISTATS 2019. arXiv:1707.07113
        Staines & Barber, Variational optimization, 2012. arXiv:1212.4507

    Example:
        >>> counts = lambda theta, rng: rng.poisson(theta)
        >>> prior = {"rate": torch.distributions.LogNormal(1.5, 1.0)}
        >>> simulator = lfi.Simulator(counts, prior=prior)
        >>> x_obs = simulator(torch.full((500, 1), 7.0), seed=1)
        >>> quick = lfi.AdversarialSettings(steps=5, critic_steps=1)
        >>> found = lfi.fit_avo(simulator, x_obs, budget=200, settings=quick, seed=1)
        >>> found.theta.shape, found.proposal.sample(3, seed=2).shape, found.simulations
        (torch.Size([1]), torch.Size([3, 1]), 200)
    """
    check_resumable(checkpoint, seed)
    seed, simulator = fresh(seed), as_simulator(simulator)
    check_whole("budget", budget, minimum=LEAST_SIZE)
    check_whole("workers", workers)
    check_number("entropy", entropy)
    if isinstance(comparison.critic_loss, LearnedFeatures):
        raise TypeError(f"comparison: a verdict on each simulation is needed, got {comparison}")
    x = as_sample("x_obs", x_obs, min_rows=MIN_OBSERVATIONS).detach()
    x = x.to(floating_dtype(x.dtype))
    shape, d = tuple(x.shape[1:]), simulator.prior.dim
    parameters = StandardParameters(simulator.prior)
    parameters.fit_from_prior()
    encode = Standardise(shape) if is_image(shape) else Features(shape)
    encode.fit_from_data(x.cpu())
    encode.to(device)
    with isolated(child(seed, 0)):
        network = checked_proposal(MixtureProposal(d) if proposal is None else proposal, d)
        network.to(device).requires_grad_(True)
        new_critic = lambda: _critic(encode, shape) if critic is None else critic
        critics = [new_critic() for _ in range(2)]
    rows = encode(x.to(device))
    complete = _settings(settings, budget, network, len(rows))
    half = budget // complete.steps // 2
    kept = min(REPLAYED, MEMORY // rows[0].numel())
    replay = Replay(
        simulator,
        parameters,
        network,
        encode,
        shape,
        half=half,
        turns=max(1, min(complete.steps, kept // (2 * half))),
        seed=child(seed, 1),
        workers=workers,
        device=device,
    )
    some = torch.randperm(len(rows), generator=torch_rng(seed, 3))[:COMPARED].to(device)
    batch = complete.batch_size
    observed = [Shuffled((rows,), (rows[some],), size=batch, device=device) for _ in critics]
    distance = energy_to(rows[some].flatten(1))

    def measure(_: Batch) -> float:
        replay.weigh()  # of the averaged proposal, which is in place
        return float(distance(replay.sample(COMPARED // 2, torch_rng(seed, 4)).flatten(1)))

    history = validated_training(
        "proposal",
        optimisation_players(
            replay, stack_modules(critics).to(device), comparison, entropy, complete
        ),
        ObservedBatches(replay, *observed),
        measure,
        replace(complete, turn=simulating_turn(replay, simulator.names, complete.turn)),
        watch=None,
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    network.requires_grad_(False)
    draws = network.sample(DRAWS, torch_rng(0))
    with (
        isolated(child(seed, 5)),
        bar("reading the parameters off", step_count(complete), progress) as advance,
    ):
        shift = last_step(
            replay, new_critic, rows, draws, complete, seed=child(seed, 6), advance=advance
        )
    parameters.shift(shift)
    theta = parameters.inverse(draws.mean(0, keepdim=True))[0]
    found = ParameterProposal(parameters, network)
    return VariationalOptimum(theta, found, replay.made, replay.failed, budget, history)


def _critic(encode: Standardise | Features, shape: tuple[int, ...]) -> nn.Module:
    """Return a critic of what observations are encoded to."""
    if isinstance(encode, Features):
        return VectorCritic([(encode.size,)], width=WIDTH)
    return ImageCritic(shape)


def _settings(
    settings: AdversarialSettings | None, budget: int, network: nn.Module, rows: int
) -> CompleteAdversarialSettings:
    """Return complete settings, of which steps and the proposal's rate depend on the budget."""
    steps = min(MOST_STEPS, budget // LEAST_SIZE)
    complete = replace(DEFAULTS, steps=steps).updated(settings)
    complete = replace(complete, batch_size=min(complete.batch_size, rows))
    if complete.steps * MIN_SIZE > budget:
        raise ValueError(
            f"settings: {complete.steps} steps of {MIN_SIZE} simulations at least need more than "
            f"the budget of {budget}"
        )
    given = AdversarialSettings() if settings is None else settings
    if given.average is None:
        complete = replace(complete, average=max(0.0, 1 - 1 / (AVERAGED * complete.steps)))
    if given.learning_rate is not None:
        return complete
    natural = isinstance(network, MixtureProposal)
    rate = min(MAX_RATE, TRAVEL / (0.75 * complete.steps)) if natural else NETWORK_RATE
    return replace(complete, learning_rate=rate)
