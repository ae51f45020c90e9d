"""Sequential inference by truncation: simulations are spent where the posterior has its mass.

A preliminary posterior from few simulations locates the mass, and the next round simulates from the
prior truncated to bounds around it. Every round is an amortised fit of its own, so nothing needs
correcting: inside the bounds the posterior is the same, up to the mass that is truncated. The last
round gets most of the budget; once truncation hardly removes any mass, the preliminary rounds end.

Simulations of earlier rounds inside the bounds are draws of the truncated prior like new ones, and
are fitted along. (The bounds depend on them; this is ignored.)

Where a posterior concentrates at an edge, the bounds before have cut mass off: a preliminary round
takes them back on that side, and the last warns.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TypeVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lfi.inference.methods.embedded import with_embedding
from lfi.inference.methods.pool import Pool
from lfi.inference.methods.posterior_flow import PosteriorFlow
from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.posteriors.kept import NOTHING_KEPT, check_restorable
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.inference.rounds.store import RoundsStore, agreed_seed
from lfi.inference.rounds.truncation import (
    gathered,
    mass_kept,
    truncate_named,
    truncation_bounds,
    trusted_bounds,
)
from lfi.inference.training_reference import TrainingReference
from lfi.inference.types import Method, limited_fit, resumed_fit
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_positive, check_share, check_whole
from lfi.runtime import child, fresh, numpy_rng, whole_repr, within
from lfi.runtime.calls import warn_caller
from lfi.simulation import Prior, Simulations, Simulator, as_simulator, replicate, simulate
from lfi.simulation.simulators.observed import complete_observation
from lfi.training import StageSteps, StepLimit, TrainSettings

ROUNDS = 3  # unless the budget or the caller says otherwise
PRELIMINARY_SHARE = 1 / 12  # of the budget, for each round but the last
PRELIMINARY_TIME = 1 / 6  # of what is left of the minutes, for each round but the last
MIN_SIMULATIONS = 200  # in a round
MAX_ROUNDS = 7  # so that the last has at least half of the budget
CHECKED = 1_000  # draws of the last posterior that say whether mass was cut off
STOP_AT = 0.8  # of the prior's mass: truncation that keeps more ends the preliminary rounds

Whole = TypeVar("Whole", Prior, Simulations)

LAST_METHOD = Pool()
PRELIMINARY_METHOD = Pool(
    (
        PosteriorFlow(gaussian_steps=1_000, settings=TrainSettings(steps=300)),
        SurrogateLikelihood(proposal=None, gaussian_steps=1_000, settings=TrainSettings(steps=300)),
    )
)


class TruncatedMass(UserWarning):
    """A posterior concentrates at an edge that truncation made: there is mass beyond it."""


@checked
def plan_budget(budget: int | Sequence[int], rounds: int | None = None) -> tuple[int, ...]:
    """Return how many simulations each round gets; a ValueError where budget and rounds do not fit.

    The budget is that of all rounds, 3 by default, of which each but the last gets a twelfth; or a
    sequence, that of each round. A TypeError says that it is not of whole numbers.

    Example:
        >>> plan_budget(360_000, 3)
        (30000, 30000, 300000)
        >>> plan_budget((1_000, 2_000))
        (1000, 2000)
    """
    total = not isinstance(budget, Sequence)
    for count in (budget,) if total else budget:
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise TypeError(f"budget must be a whole number, or one for each round; got {budget!r}")
    if not total:
        counts = tuple(map(int, budget))
        if not counts or rounds not in (None, len(counts)):
            raise ValueError(
                f"budget has {len(counts)} rounds and rounds is {rounds}: leave rounds out where "
                "the budget lists them, at least one"
            )
        for number, count in enumerate(counts, 1):
            if count < MIN_SIMULATIONS:
                raise ValueError(
                    f"budget: {count} simulations are too few for round {number}, need at least "
                    f"{MIN_SIMULATIONS}"
                )
        return counts
    rounds = ROUNDS if rounds is None else rounds
    if not 1 <= rounds <= MAX_ROUNDS:
        raise ValueError(f"rounds must be from 1 to {MAX_ROUNDS}, got {rounds}")
    preliminary = (int(budget * PRELIMINARY_SHARE),) * (rounds - 1)
    needed = MIN_SIMULATIONS if rounds == 1 else math.ceil(MIN_SIMULATIONS / PRELIMINARY_SHARE)
    if budget < needed or budget - sum(preliminary) < MIN_SIMULATIONS:
        raise ValueError(
            f"budget: {budget} simulations are too few for {rounds} rounds, need at least {needed}"
        )
    return (*preliminary, int(budget) - sum(preliminary))


@checked
def fit_rounds(
    simulator: object,
    x_obs: Samples,
    *,
    rounds: int | None = None,
    budget: int | Sequence[int] = 100_000,
    method: Method = LAST_METHOD,
    preliminary: Method = PRELIMINARY_METHOD,
    embedding: nn.Module | None = None,
    parameters: Sequence[str] | None = None,
    stop_at: float = STOP_AT,
    draws: int = 4_000,
    minutes: float | None = None,
    stages: Sequence[StageSteps] | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    store: str | Path | None = None,
    simulated: Callable[[Simulations], object] | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> SavedDrawnPosterior:
    """Simulate and fit in rounds, truncated around one observation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event).
        rounds: How many at most; by default 3, or as many as the budget has entries.
        budget: Simulations in all, of which each round but the last gets a twelfth; or a sequence,
            the simulations of each round.
        method: Fits the last round, by default what `lfi.fit_posterior` does: any of `lfi.Pool`,
            `lfi.NeuralRatio`, `lfi.SurrogateLikelihood`, `lfi.PosteriorFlow` and
            `lfi.AdversarialPosterior`.
        preliminary: Fits the rounds before it, which only find the truncation bounds; any of these
            too. By default a pool of a flow and a likelihood, of few steps.
        embedding: A network of x for the methods of all rounds, as in `lfi.fit_posterior`: for
            series, sets and images.
        parameters: The names of those to infer, in the order asked for; the others are integrated
            out, and their prior is never truncated. None infers all.
        stop_at: The stopping rule: if the truncation after a preliminary round keeps more than
            this share of the mass of the prior before, the last round follows at once and gets all
            that is left of the budget. That is so too where a preliminary fit has learnt nothing;
            1 always does all rounds.
        draws: How many posterior draws the truncation bounds are taken from.
        minutes: How long the fits of all rounds may take together, as in `lfi.fit_posterior`, and
            those that are left where a call goes on from its store;
            simulating is not counted.
        stages: What such a call has done, its `posterior.stages`, to repeat it without a clock.
        workers: How many processes fit methods of a pool side by side, as in `lfi.fit_posterior`,
            and simulate, as in `lfi.simulate`; None simulates in this process.
        timeout: How many seconds one simulation may take, as in `lfi.simulate`.
        store: A folder that keeps every round, and the methods of a pool that are fitted without
            a limit, so that a second call goes on where the first was interrupted and ends with the
            same numbers; None keeps nothing.
        simulated: Called with the simulations of the last round before they are fitted, to do
            something with them at the same time, in another thread or process.
        seed: None takes fresh entropy, or the seed that the store has on record.
        device: Where to train.
        progress: Show bars on a terminal.

    Returns:
        The last round's posterior. Its `prior` is the truncated one, and it holds for observations
        close to `x_obs` only; its `history` has all rounds, and the last entry of each says from
        how many simulations, new and of earlier rounds, and whether the stopping rule held.

    Warns:
        TruncatedMass: If the last posterior concentrates at an edge that truncation made.

    Raises:
        TypeError: If the budget is not of whole numbers, or a method fits no posterior of lfi.
        ValueError: If the budget is too small or does not fit `rounds`, a name is unknown, the
            observation does not fit the simulator, the store belongs to another call, a file
            could not bring back what the method fits, minutes are not positive and finite, minutes
            and stages are both given, a method's time cannot be limited, or a method takes no
            embedding.

    References:
        Miller, Cole, Forre, Louppe & Weniger, Truncated marginal neural ratio estimation, 2021.
        arXiv:2107.01214

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> few = lfi.TrainSettings(steps=30)
        >>> quick = lfi.NeuralRatio(settings=few, width=8, rank=4, head_layers=None)
        >>> posterior = lfi.fit_rounds(influenza, influenza.x_obs, budget=(500, 1_000), seed=1,
        ...     method=quick, preliminary=quick, parameters=["beta"])
        >>> posterior.names, posterior.prior.truncated
        (('beta',), True)
    """
    simulator = as_simulator(simulator)
    counts, seed = plan_budget(budget, rounds), seed if seed is None else fresh(seed)
    check_share("stop_at", stop_at, ends=True)
    check_whole("draws", draws)
    check_whole("workers", workers, optional=True)
    check_positive("timeout", timeout, optional=True)
    of_parameters(simulator.prior, parameters)  # before anything is simulated
    shape = simulated_shape(simulator)
    x_obs = complete_observation(x_obs, shape)
    limit = StepLimit.of(minutes, stages)
    seconds = limit.seconds  # left for fits
    if embedding is not None:
        method = with_embedding("method", method, embedding)
        preliminary = with_embedding("preliminary", preliminary, embedding)
    limited_fit("method", method, limit)
    if len(counts) > 1:
        limited_fit("preliminary", preliminary, limit)
    kept = RoundsStore(None if store is None else Path(store))
    if store is not None:
        check_restorable("method", method)
        if len(counts) > 1:
            check_restorable("preliminary", preliminary)
        settings = {
            "simulator": simulator.identity,
            "x_obs": hashlib.sha256(x_obs.numpy().tobytes()).hexdigest(),
            "budget": list(counts) if isinstance(budget, Sequence) else int(budget),
            "rounds": len(counts),
            "method": whole_repr(method),
            "preliminary": whole_repr(preliminary),
            "parameters": None if parameters is None else list(parameters),
            "stop_at": stop_at,
            "draws": draws,
            "minutes": minutes,
            "stages": None if stages is None else [list(astuple(stage)) for stage in stages],
        }
        seed = agreed_seed(Path(store), settings, seed)
    seed = fresh(seed)
    prior, history, note = simulator.prior, (), ""
    wider = prior  # of the round before
    earlier: list[tuple[Prior, Callable[[], Simulations]]] = []
    left = list(enumerate(counts))
    while True:
        index, count = left.pop(0)
        stage = f"round {index + 1} of {len(counts)}" if len(counts) > 1 else ""
        make = partial(
            simulate,
            simulator,
            count,
            prior=prior,
            seed=simulation_seed(seed, index),
            store=kept.simulations(index + 1),
            workers=workers or 1,
            timeout=timeout,
            progress=progress,
        )
        posterior = kept.load(index + 1, of_parameters(prior, parameters), device)
        if posterior is None:
            with within(stage):
                new = make()
            if not left and simulated is not None:
                simulated(new)
            inside = (again for of, again in earlier if holds(of, prior))
            rows = sum((again().within(prior) for again in inside), start=new)
            limit = limit.with_seconds(seconds)
            share = PRELIMINARY_TIME if left else 1
            part = limit.part(f"round {index + 1}", share=share, needed=True) or limit
            chosen = preliminary if left else method
            fit = limited_fit("method", chosen, part)
            methods = NOTHING_KEPT if limit.exists else kept.methods(index + 1)
            if isinstance(chosen, Pool):
                fit = partial(fit, workers=workers, kept=methods)
            else:
                fit = resumed_fit(chosen, fit, methods.checkpoints("method"))
            with within(stage):
                fitted = fit(
                    of_parameters(rows, parameters),
                    x_obs=x_obs,
                    seed=child(seed, index, 1),
                    device=device,
                    progress=progress,
                )
            seconds = limit.left
            if not isinstance(fitted, SavedDrawnPosterior):
                raise TypeError(
                    f"round {index + 1}: the method fitted a {type(fitted).__name__}, expected a "
                    "posterior of lfi, which can be saved"
                )
            more = f" and {len(rows) - count:,} of earlier rounds" if earlier else ""
            if not left:
                fitted = replace(fitted, training_reference=TrainingReference.of(rows, seed=0))
            *before, latest = fitted.history
            told = f"{latest.stopped}; {count:,} simulations{more}{note}"
            latest = replace(latest, stopped=told, stages=limit.stages)
            posterior = replace(fitted, history=(*before, latest))
            kept.save(index + 1, posterior)
            if store is None:
                make = lambda new=new: new
        earlier.append((prior, make))  # from the store, where there is one: memory is for one round
        history = (*history, *posterior.history)
        if not left and index == 0:
            return replace(posterior, history=history)
        theta = posterior.sample(draws if left else CHECKED, x_obs, seed=child(seed, index, 2))
        below, above = edges_gathered(theta, prior, wider, posterior.names)
        if not left:
            names = [n for n, cut in zip(posterior.names, below | above, strict=True) if cut]
            if names:
                warn_caller(
                    f"the posterior concentrates at an edge of the truncated prior of "
                    f"{', '.join(names)}: earlier rounds have cut mass off; give them more "
                    "simulations (`budget=` as a sequence), or do without them (`rounds=1`)",
                    TruncatedMass,
                )
            return replace(posterior, history=history)
        before = wider if (below | above).any() else prior
        lower, upper = truncation_bounds(theta)
        lower, upper = lower.masked_fill(below, -math.inf), upper.masked_fill(above, math.inf)
        lower, upper, refused = trusted_bounds(before, posterior.names, lower, upper)
        note = f"; {', '.join(refused)} not truncated after round {index + 1}" if refused else ""
        narrow = truncate_named(before, posterior.names, lower, upper)
        share, wider, prior = mass_kept(before, narrow), before, narrow
        if share > stop_at and len(left) > 1:
            note += f"; stopped truncating after round {index + 1}, which kept {share:.1%}"
            left = [(left[-1][0], sum(count for _, count in left))]


def simulation_seed(seed: int, index: int) -> int:
    """Return the seed of the simulations of a round, counted from 0."""
    return child(seed, index, 0)


def holds(outer: Prior, inner: Prior) -> bool:
    """Return whether a prior is truncated no more than another one of the same parameters."""
    return bool((outer.lower <= inner.lower).all() and (outer.upper >= inner.upper).all())


def edges_gathered(
    theta: Float[Tensor, "n k"], prior: Prior, wider: Prior, names: Sequence[str]
) -> tuple[Bool[Tensor, " k"], Bool[Tensor, " k"]]:
    """Return at which edges draws gather, of those that a prior has and a wider one has not."""
    rows = [prior.names.index(name) for name in names]
    lower, upper = prior.lower[rows].to(theta), prior.upper[rows].to(theta)
    below, above = gathered(theta, lower, upper)
    return below & (prior.lower > wider.lower)[rows], above & (prior.upper < wider.upper)[rows]


def of_parameters(whole: Whole, parameters: Sequence[str] | None) -> Whole:
    """Return the marginal prior or simulations of the parameters to infer."""
    return whole if parameters is None else whole.marginal(parameters)


def simulated_shape(simulator: Simulator) -> tuple[int, ...] | None:
    """Return the shape of one simulation's x, or None if none of a few succeeds."""
    for theta in simulator.prior.sample(16, seed=numpy_rng(0)):
        try:
            return tuple(replicate(simulator, theta[None], seed=0).shape[1:])
        except RuntimeError:  # this parameter's simulation raised: it is a failure like any other
            continue
    return None
