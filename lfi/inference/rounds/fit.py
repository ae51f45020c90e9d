"""Sequential inference by truncation: simulations are spent where the posterior has its mass.

A preliminary posterior from few simulations locates the mass, and the next round simulates from the
prior truncated to bounds around it. Every round is an amortised fit of its own, so nothing needs
correcting: inside the bounds the posterior is the same, up to the mass that is truncated. The last
round gets most of the budget; once truncation hardly removes any mass, the preliminary rounds end.

Simulations of earlier rounds inside the bounds are draws of the truncated prior like new ones, and
are fitted along. (The bounds depend on them; this is ignored.)
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from lfi.inference.methods.neural_ratio import NeuralRatio
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.rounds.store import RoundsStore, agreed_seed, check_restorable
from lfi.inference.rounds.truncation import mass_kept, truncate_named, truncation_bounds
from lfi.inference.training_reference import TrainingReference
from lfi.inference.types import Method
from lfi.numerics.arrays import as_observation
from lfi.numerics.checks import check_share, check_whole
from lfi.runtime import child, fresh, numpy_rng
from lfi.simulation import Prior, Simulations, Simulator, as_simulator, replicate, simulate
from lfi.training import TrainSettings

ROUNDS = 3  # unless the budget or the caller says otherwise
PRELIMINARY_SHARE = 1 / 12  # of the budget, for each round but the last
MIN_SIMULATIONS = 200  # in a round
MAX_ROUNDS = 7  # so that the last has at least half of the budget
STOP_AT = 0.8  # of the prior's mass: truncation that keeps more ends the preliminary rounds

Whole = TypeVar("Whole", Prior, Simulations)

LAST_METHOD = NeuralRatio(settings=TrainSettings(steps=1_500), head_layers=None, noise_model=False)
PRELIMINARY_METHOD = NeuralRatio(
    settings=TrainSettings(steps=600), head_layers=None, noise_model=False
)


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


def fit_rounds(
    simulator: object,
    x_obs: Float[Tensor, "..."],
    *,
    rounds: int | None = None,
    budget: int | Sequence[int] = 100_000,
    method: Method = LAST_METHOD,
    preliminary: Method = PRELIMINARY_METHOD,
    parameters: Sequence[str] | None = None,
    stop_at: float = STOP_AT,
    draws: int = 10_000,
    store: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> SavedPosterior:
    """Simulate and fit in rounds, truncated around one observation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event).
        rounds: How many at most; by default 3, or as many as the budget has entries.
        budget: Simulations in all, of which each round but the last gets a twelfth; or a sequence,
            the simulations of each round.
        method: Fits the last round, by default a ratio: any of `lfi.NeuralRatio`,
            `lfi.SurrogateLikelihood`, `lfi.PosteriorFlow` and `lfi.Pool`.
        preliminary: Fits the rounds before it, which only find the truncation bounds; any of these
            too.
        parameters: The names of those to infer, in the order asked for; the others are integrated
            out, and their prior is never truncated. None infers all.
        stop_at: The stopping rule: if the truncation after a preliminary round keeps more than
            this share of the mass of the prior before, the last round follows at once and gets all
            that is left of the budget. That is so too where a preliminary fit has learnt nothing;
            1 always does all rounds.
        draws: How many posterior draws the truncation bounds are taken from.
        store: A folder that keeps every round, so that a second call goes on where the first was
            interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, or the seed that the store has on record.
        device: Where to train.
        progress: Show bars on a terminal.

    Returns:
        The last round's posterior. Its `prior` is the truncated one, and it holds for observations
        close to `x_obs` only; its `history` has all rounds, and the last entry of each says from
        how many simulations, new and of earlier rounds, and whether the stopping rule held.

    Raises:
        TypeError: If the budget is not of whole numbers, or a method fits no posterior of lfi.
        ValueError: If the budget is too small or does not fit `rounds`, a name is unknown, the
            observation does not fit the simulator, the store belongs to another call, or a file
            could not bring back what the method fits.

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
    of_parameters(simulator.prior, parameters)  # before anything is simulated
    shape = simulated_shape(simulator)
    x_obs = as_observation(x_obs, shape)
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
            "method": repr(method),
            "preliminary": repr(preliminary),
            "parameters": None if parameters is None else list(parameters),
            "stop_at": stop_at,
            "draws": draws,
        }
        seed = agreed_seed(Path(store), settings, seed)
    seed = fresh(seed)
    prior, history, note = simulator.prior, (), ""
    earlier: list[Callable[[], Simulations]] = []
    left = list(enumerate(counts))
    while True:
        index, count = left.pop(0)
        make = partial(
            simulate,
            simulator,
            count,
            prior=prior,
            seed=child(seed, index, 0),
            store=kept.simulations(index + 1),
            progress=progress,
        )
        posterior = kept.load(index + 1, of_parameters(prior, parameters), device)
        if posterior is None:
            new = make()
            rows = sum((again().within(prior) for again in earlier), start=new)
            fitted = (preliminary if left else method).fit(
                of_parameters(rows, parameters),
                x_obs=x_obs,
                seed=child(seed, index, 1),
                device=device,
                progress=progress,
            )
            if not isinstance(fitted, SavedPosterior):
                raise TypeError(
                    f"round {index + 1}: the method fitted a {type(fitted).__name__}, expected a "
                    "posterior of lfi, which can be saved"
                )
            more = f" and {len(rows) - count:,} of earlier rounds" if earlier else ""
            if not left:
                fitted = replace(fitted, training_reference=TrainingReference.of(rows, seed=0))
            *before, latest = fitted.history
            latest = replace(latest, stopped=f"{latest.stopped}; {count:,} simulations{more}{note}")
            posterior = replace(fitted, history=(*before, latest))
            kept.save(index + 1, posterior)
            if store is None:
                make = lambda new=new: new
        earlier.append(make)  # from the store, where there is one: memory is for one round
        history = (*history, *posterior.history)
        if not left:
            return replace(posterior, history=history)
        theta = posterior.sample(draws, x_obs, seed=child(seed, index, 2))
        narrow = truncate_named(prior, posterior.names, *truncation_bounds(theta))
        share, prior = mass_kept(prior, narrow), narrow
        if share > stop_at and len(left) > 1:
            note = f"; stopped truncating after round {index + 1}, which kept {share:.1%}"
            left = [(left[-1][0], sum(count for _, count in left))]


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
