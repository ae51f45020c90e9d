"""Fitting policies: imitation by a discriminator, and behaviour cloning beside it."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from lfi.comparison import R1, Adversarial, Bernoulli
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.generation.imitation.action_models import GaussianActions, action_model_of
from lfi.generation.imitation.environments import LONGEST, Copies, Environment
from lfi.generation.imitation.players import ImitationGame
from lfi.generation.imitation.policy import LAYERS, Policy, policy_network
from lfi.generation.imitation.rollouts import Rollouts
from lfi.generation.imitation.settings import ImitationSettings
from lfi.generation.imitation.step_encoding import StepEncoding
from lfi.generation.imitation.trajectories import Trajectories
from lfi.generation.validated_training import VALIDATIONS, check_resumable
from lfi.networks import Standardise, VectorCritic
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts
from lfi.runtime import bar, child, fresh, isolated, torch_rng
from lfi.training import (
    Batch,
    Checkpoint,
    Shuffled,
    Step,
    TrainSettings,
    fit,
    hold_out,
    linear_decay,
    train_one,
)

COMPARISON = Adversarial(Bernoulli(), Bernoulli(), R1(1.0))
CLONING = TrainSettings(steps=2_000, batch_size=256, learning_rate=1e-3)


@checked
def fit_imitation(
    environment: Environment,
    expert: Trajectories,
    *,
    comparison: Adversarial | None = None,
    budget: int = 200_000,
    state_only: bool = False,
    policy: nn.Module | None = None,
    critic: nn.Module | None = None,
    settings: ImitationSettings | None = None,
    callback: Callable[[int, Policy], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Policy:
    """Train a policy whose episodes a critic cannot tell from an expert's.

    Generative adversarial imitation learning: the policy is an implicit model, its environment a
    black box, and what the critic of (state, action) makes of a step is the step's reward. The
    environment's own rewards are not looked at. The policy is optimised by proximal policy
    optimisation (PPO) with a learnt baseline and generalised advantages; the value at a time limit
    is estimated, and a terminal state leads to an absorbing one whose reward is the critic's, so
    that no reward favours short or long episodes by its sign.

    Args:
        environment: A name, such as "CartPole-v1", a function that makes one of Gymnasium's
            environments, or copies that step together (`VectorEnv`, with
            `autoreset_mode=AutoresetMode.SAME_STEP`). States are arrays of numbers, actions
            Discrete or a Box.
        expert: The expert's episodes.
        comparison: Losses, penalties and constraint of the critic; the reward is what its
            generator's loss charges, negated. By default a classifier's, -log(1 - D), as Ho & Ermon
            have it, with an R1 penalty.
        budget: Steps of the environment in all, those of the untrained policy by which states are
            standardised included; at least one turn is played.
        state_only: Whether the critic sees (state, next state), not actions, as where the expert
            was only watched.
        policy: A network of your own: standardised states, (n, states), to as many numbers as
            there are actions, or means of them. It is trained in place.
        critic: A network of your own, (n, size) to (n,): a row is the standardised state, 0, and
            the action, or the next state and 0; 1 stands for the absorbing state.
        settings: Copies, discount, learning rates and so on.
        callback: Called at every twentieth of the turns with the steps of the environment taken and
            the policy as it is then: of that moment only, without history, to be neither changed
            nor moved.
        checkpoint: Where to keep what an interrupted training resumes from.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ImportError: If Gymnasium is not installed (`pip install 'lfi[imitation]'`).
        ValueError: If there is no such environment, the expert's episodes do not fit it or hold no
            actions, a network of your own returns another shape, or a checkpoint has no seed.
        TypeError: If states or actions are of another kind, or a comparison has no reward for a
            step, as that of learned features.
        Diverged: If a player's objective is no longer finite: which one's, and at which turn.

    References:
        Ho & Ermon, Generative adversarial imitation learning, 2016. arXiv:1606.03476
        Torabi, Warnell & Stone, Generative adversarial imitation from observation, 2018.
            arXiv:1807.06158

    Example:
        >>> push = lambda states: (states[:, 2:] @ [3, 1] > 0).astype(int)
        >>> expert = lfi.imitation.record("CartPole-v1", push, 2, longest=50, seed=1)
        >>> quick = lfi.imitation.ImitationSettings(copies=2, horizon=20, epochs=1, critic_steps=1)
        >>> policy = lfi.fit_imitation("CartPole-v1", expert, budget=80, settings=quick, seed=1)
        >>> policy.act([0.0, 0.0, 0.1, 0.0]) in (0, 1)
        True
        >>> policy.play(2, seed=2).returns.shape
        torch.Size([2])
    """
    check_counts(budget=budget)
    check_resumable(checkpoint, seed)
    chosen = settings or ImitationSettings()
    compared = COMPARISON if comparison is None else comparison
    if isinstance(compared.critic_loss, LearnedFeatures):
        raise TypeError(
            "comparison: learned features compare whole samples, and have no reward for a step; "
            f"got {compared}"
        )
    seed = fresh(seed)
    copies = Copies(environment, chosen.copies)
    try:
        begin = _untrained(environment, copies, expert, chosen, policy, seed, state_only)
        begin.to(device)
        check_network("policy", begin.network, begin.encoding.states, (begin.model.outputs,))
        horizon = chosen.horizon or copies.horizon or min(LONGEST, int(expert.lengths.max()))
        rollouts = Rollouts(copies, begin, horizon)
        _standardise(begin, expert, rollouts, seed)
        with isolated(child(seed, 1)):
            rows = begin.encoding.size
            against = critic
            if against is None:
                against = VectorCritic([(rows,)], width=chosen.width, layers=LAYERS)
            baseline = VectorCritic([(begin.encoding.states,)], width=chosen.width, layers=LAYERS)
        for module in (against, baseline):
            module.to(device)
        check_network("critic", against, rows, ())
        game = ImitationGame(begin, baseline, against, expert, compared, chosen)
        turns = max(1, budget // rollouts.size - 1)  # the first standardises
        every = max(1, turns // VALIDATIONS)
        with bar("imitating the expert", turns, progress) as advance:

            def told(done: int, latest: dict[str, float]) -> None:
                advance(1, f"reward {latest['reward']:.3g}" if "reward" in latest else "")
                if callback is not None and done % every == 0:
                    callback((done + 1) * rollouts.size, begin)

            history = fit(
                game.players(),
                rollouts,
                steps=turns,
                turn=game.turn,
                schedule=linear_decay(0.0),
                seed=child(seed, 2),
                device=device,
                callbacks=[told],
                checkpoint=checkpoint,
            )
    finally:
        copies.close()
    begin.history = replace(history, seed=seed)
    return begin.eval()


@checked
def fit_cloning(
    environment: Environment,
    expert: Trajectories,
    *,
    policy: nn.Module | None = None,
    settings: TrainSettings | None = None,
    squashed: bool = False,
    width: int = 64,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Policy:
    """Train a policy to do as an expert did in the same states: behaviour cloning.

    Maximum likelihood of the expert's actions, a tenth of them held out. No step of the environment
    is taken. Where the policy errs it comes into states that the expert never saw, and errs more.

    Args:
        environment: As `fit_imitation` takes it, for its kinds of states and actions.
        expert: The expert's episodes.
        policy: A network of your own, as `fit_imitation` takes it.
        settings: Steps, batch size, learning rate and so on.
        squashed: Whether actions in a box are squashed into it, not clipped.
        width: Of the hidden layers.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ImportError: If Gymnasium is not installed.
        ValueError: If there is no such environment, the expert's episodes do not fit it or hold no
            actions, or a network of your own returns another shape.
        TypeError: If states or actions are of another kind.

    References:
        Pomerleau, Efficient training of artificial neural networks for autonomous navigation, 1991.
        Ross & Bagnell, Efficient reductions for imitation learning, 2010 (errors add up).

    Example:
        >>> push = lambda states: (states[:, 2:] @ [3, 1] > 0).astype(int)
        >>> expert = lfi.imitation.record("CartPole-v1", push, 2, longest=50, seed=1)
        >>> quick = lfi.TrainSettings(steps=5)
        >>> policy = lfi.imitation.fit_cloning("CartPole-v1", expert, settings=quick, seed=1)
        >>> policy.log_prob(expert.observations, expert.actions).shape
        torch.Size([100])
    """
    check_counts(width=width)
    seed, complete = fresh(seed), CLONING.updated(settings)
    chosen = ImitationSettings(copies=1, squashed=squashed, width=width)
    copies = Copies(environment, 1)
    try:
        begin = _untrained(environment, copies, expert, chosen, policy, seed, False).to(device)
    finally:
        copies.close()
    check_network("policy", begin.network, begin.encoding.states, (begin.model.outputs,))
    begin.encoding.standardise.fit_from_data(expert.observations)
    assert expert.actions is not None  # else refused before
    rows = (
        begin.encoding.state(expert.observations),
        begin.model.draws_of("expert", expert.actions).to(device),
    )
    train, held_out = hold_out(rows, complete.held_out or 0.1, torch_rng(seed, 1))

    def risk(batch: Batch, step: Step | None = None) -> torch.Tensor:
        states, draws = batch
        return -begin.model.log_prob(begin.network(states), draws).mean()

    size = min(complete.batch_size or 256, len(train[0]))
    with bar("cloning the expert", complete.steps, progress) as advance:
        history = train_one(
            begin,
            risk,
            Shuffled(train, held_out, size=size, device=device),
            complete,
            validate=lambda batch: float(risk(batch)),
            seed=child(seed, 2),
            device=device,
            advance=advance,
        )
    begin.history = replace(history, seed=seed)
    return begin.eval()


def _untrained(
    environment: Environment,
    copies: Copies,
    expert: Trajectories,
    settings: ImitationSettings,
    network: nn.Module | None,
    seed: int,
    state_only: bool,
) -> Policy:
    """Return a policy with initial weights; ValueError where the expert does not fit it."""
    shape = tuple(expert.observations.shape[1:])
    if shape != copies.shape:
        raise ValueError(
            f"expert: observations have shape {shape}, the environment's have {copies.shape}"
        )
    model = action_model_of(copies.space, squashed=settings.squashed)
    if expert.actions is not None:
        model.draws_of("expert", expert.actions)
        if isinstance(model, GaussianActions):
            model.fit_from_data(expert.actions)
    elif not state_only:
        raise ValueError("expert: the episodes hold no actions: only `state_only=True` is possible")
    encoding = StepEncoding(Standardise(shape), model, state_only=state_only)
    with isolated(child(seed, 0)):
        own = network
        if own is None:
            own = policy_network(math.prod(shape), model.outputs, settings.width)
    name = environment if isinstance(environment, str) else None
    return Policy(own, encoding, environment=name, own=network is not None)


@torch.no_grad()
def check_network(name: str, network: nn.Module, size: int, event: tuple[int, ...]) -> None:
    """Raise ValueError unless a network returns a row of a shape for each row of so many numbers.

    A critic of (n, 1) would else have its rewards broadcast, and a policy of too few logits would
    never take some of the actions.
    """
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    rows, training = torch.zeros(2, size, dtype=torch.float32, device=device), network.training
    network.eval()  # so that two rows of zeros leave no trace in running means
    try:
        found = network(rows)
    except RuntimeError as error:
        raise ValueError(f"{name} does not take (n, {size}) of torch.float32: {error}") from error
    finally:
        network.train(training)
    got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if got != (2, *event):
        raise ValueError(f"{name} must return {(2, *event)} of (2, {size}) inputs, got {got}")


def _standardise(policy: Policy, expert: Trajectories, rollouts: Rollouts, seed: int) -> None:
    """Standardise states by the expert's and by as many that the untrained policy comes into."""
    layer, states, rng = policy.encoding.standardise, expert.observations, torch_rng(seed, 3)
    layer.fit_from_data(states)
    own = rollouts.play(rng).observations.flatten(0, 1)
    some = torch.randperm(len(own), generator=rng)[: len(states)]
    layer.fit_from_data(torch.cat([states, own[some].to(states.dtype)]))
