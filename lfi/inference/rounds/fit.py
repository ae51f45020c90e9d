"""Truncated rounds: spend simulations where the observation puts the parameters.

A first posterior from few simulations says where the mass is. The prior is truncated to a box
around it, and the next round simulates from the truncated prior only. Every round is an amortised
fit of its own, so nothing needs correcting: inside the box the posterior is the same, up to the
mass that the box cuts off. Early rounds only have to find the box, so the last gets most of the
budget; and once a box has hardly cut anything, there is nothing more to find.

Simulations of earlier rounds that lie inside the box are draws of the truncated prior like new
ones, and are fitted along. (The box was placed by what they say; that they share this is ignored.)

References:
    Miller, Cole, Forre, Louppe & Weniger, Truncated marginal neural ratio estimation, 2021.
    arXiv:2107.01214
    Deistler, Goncalves & Macke, Truncated proposals for scalable and hassle-free simulation-based
    inference, 2022. arXiv:2210.04815
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.methods.neural_ratio import NeuralRatio
from lfi.inference.posteriors.base import TargetPosterior
from lfi.inference.rounds.store import RoundsStore, check_restorable, settle
from lfi.inference.training_reference import TrainingReference
from lfi.inference.types import Method
from lfi.numerics.arrays import as_observation
from lfi.runtime import child, fresh, numpy_rng
from lfi.simulation import Prior, Simulations, Simulator, as_simulator, replicate, simulate
from lfi.training import TrainSettings

ROUNDS = 3  # unless the budget or the caller says otherwise
SCOUT_SHARE = 1 / 12  # of the budget, for each round but the last
TAIL = 1e-3  # posterior mass beyond each side of the box, before the box is widened
MARGIN = 0.2  # by which it is widened on each side, of its width
LEAST = 200  # simulations in a round
MOST_ROUNDS = 7  # so that the last has at least half of the budget
DRAWS = 10_000  # posterior draws that place the box
SETTLED = 0.8  # of the prior's mass: a box that keeps more than this ends the scouting

Whole = TypeVar("Whole", Prior, Simulations)

LAST = NeuralRatio(settings=TrainSettings(steps=1_500), head_layers=None, noise_model=False)
SCOUT = NeuralRatio(settings=TrainSettings(steps=600), head_layers=None, noise_model=False)


def box(theta: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Return the lower and upper corner of a box that holds a posterior with room to spare.

    Example:
        >>> lower, upper = box(torch.linspace(0, 1, 1001)[:, None])
        >>> round(lower.item(), 2), round(upper.item(), 2)
        (-0.2, 1.2)
    """
    low, high = theta.quantile(TAIL, dim=0), theta.quantile(1 - TAIL, dim=0)
    room = MARGIN * (high - low)
    return low - room, high + room


def plan(budget: int | Sequence[int], rounds: int | None = None) -> tuple[int, ...]:
    """Return how many simulations each round gets.

    Args:
        budget: Simulations in all, of which each round but the last gets a twelfth; or those of
            each round.
        rounds: How many; by default 3, or as many as the budget has entries.

    Raises:
        TypeError: If the budget is not of whole numbers.
        ValueError: If there are no rounds or too many, too little for one of them, or other rounds
            than those that the budget has.

    Example:
        >>> plan(360_000, 3)
        (30000, 30000, 300000)
        >>> plan((1_000, 2_000))
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
            if count < LEAST:
                raise ValueError(
                    f"budget: {count} simulations are too few for round {number}, need at least "
                    f"{LEAST}"
                )
        return counts
    rounds = ROUNDS if rounds is None else rounds
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds must be from 1 to {MOST_ROUNDS}, got {rounds}")
    scouts = (int(budget * SCOUT_SHARE),) * (rounds - 1)
    least = LEAST if rounds == 1 else math.ceil(LEAST / SCOUT_SHARE)
    if budget < least or budget - sum(scouts) < LEAST:
        raise ValueError(
            f"budget: {budget} simulations are too few for {rounds} rounds, need at least {least}"
        )
    return (*scouts, int(budget) - sum(scouts))


def fit_rounds(
    simulator: object,
    x_obs: Float[Tensor, "..."],
    *,
    rounds: int | None = None,
    budget: int | Sequence[int] = 100_000,
    method: Method = LAST,
    scout: Method = SCOUT,
    parameters: Sequence[str] | None = None,
    settled: float = SETTLED,
    store: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> TargetPosterior:
    """Simulate and fit in rounds, truncated around one observation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event).
        rounds: How many at most; by default 3, or as many as the budget has entries.
        budget: Simulations in all, of which each round but the last gets a twelfth; or a sequence,
            the simulations of each round.
        method: Fits the last round, by default a ratio: any of `lfi.NeuralRatio`,
            `lfi.SurrogateLikelihood`, `lfi.PosteriorFlow` and `lfi.Pool`.
        scout: Fits the rounds before it, which only place the box; any of these too.
        parameters: The names of those to infer, in the order asked for; the others are integrated
            out, and their prior is never truncated. None infers all.
        settled: If the box of a scouting round keeps more than this share of the mass of the prior
            before, the last round follows at once and gets all that is left of the budget. That
            is so too where a scout has learnt nothing; 1 always does all rounds.
        store: A folder that keeps every round, so that a second call goes on where the first was
            interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, or the seed that the store has on record.
        device: Where to train.
        progress: Show bars on a terminal.

    Returns:
        The last round's posterior. Its `prior` is the truncated one, and it holds for observations
        close to `x_obs` only; its `history` has all rounds, and the last entry of each says from
        how many simulations, new and of earlier rounds, and whether scouting has ended early.

    Raises:
        TypeError: If the budget is not of whole numbers.
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
        ...     method=quick, scout=quick, parameters=["beta"])
        >>> posterior.names, posterior.prior.truncated
        (('beta',), True)
    """
    simulator = as_simulator(simulator)
    counts, seed = plan(budget, rounds), seed if seed is None else fresh(seed)
    if not 0 <= settled <= 1:
        raise ValueError(f"settled must be a share from 0 to 1, got {settled}")
    inferred(simulator.prior, parameters)  # before anything is simulated
    shape = simulated_shape(simulator)
    x_obs = as_observation(x_obs, shape)
    kept = RoundsStore(None if store is None else Path(store))
    if store is not None:
        check_restorable("method", method)
        if len(counts) > 1:
            check_restorable("scout", scout)
        settings = {
            "simulator": simulator.identity,
            "x_obs": hashlib.sha256(x_obs.numpy().tobytes()).hexdigest(),
            "budget": list(counts) if isinstance(budget, Sequence) else int(budget),
            "rounds": len(counts),
            "method": repr(method),
            "scout": repr(scout),
            "parameters": None if parameters is None else list(parameters),
            "settled": settled,
        }
        seed = settle(Path(store), settings, seed)
    seed = fresh(seed)
    prior, history, said = simulator.prior, (), ""
    earlier: list[Callable[[], Simulations]] = []
    left = list(enumerate(counts))
    while left:
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
        posterior = kept.load(index + 1, inferred(prior, parameters), device)
        if posterior is None:
            new = make()
            rows = sum((again().within(prior) for again in earlier), start=new)
            posterior = (scout if left else method).fit(
                inferred(rows, parameters),
                x_obs=x_obs,
                seed=child(seed, index, 1),
                device=device,
                progress=progress,
            )
            more = f" and {len(rows) - count:,} of earlier rounds" if earlier else ""
            if not left:
                posterior = replace(
                    posterior, training_reference=TrainingReference.of(rows, seed=0)
                )
            posterior = noted(posterior, f"{count:,} simulations{more}{said}")
            kept.save(index + 1, posterior)
            if store is None:
                make = lambda new=new: new
        earlier.append(make)  # from the store, where there is one: memory is for one round
        history = (*history, *posterior.history)
        if left:
            theta = posterior.draw(DRAWS, x_obs, seed=child(seed, index, 2)).theta
            narrow = truncated(prior, posterior.names, *box(theta))
            share, prior = mass(prior, narrow), narrow
            if share > settled and len(left) > 1:
                said = f"; scouting ended with round {index + 1}, whose box keeps {share:.1%}"
                left = [(left[-1][0], sum(count for _, count in left))]
    return replace(posterior, history=history)


def inferred(whole: Whole, parameters: Sequence[str] | None) -> Whole:
    """Return a prior or simulations as of the parameters to infer."""
    return whole if parameters is None else whole.marginal(parameters)


def truncated(
    prior: Prior, names: Sequence[str], lower: Float[Tensor, " k"], upper: Float[Tensor, " k"]
) -> Prior:
    """Return the prior truncated in the parameters named, and in no other."""
    columns = [prior.names.index(name) for name in names]
    low, high = torch.full((2, prior.dim), math.inf, dtype=prior.dtype)
    low.neg_()[columns] = lower.to(prior.dtype)
    high[columns] = upper.to(prior.dtype)
    return prior.truncate(low, high)


def mass(prior: Prior, narrow: Prior) -> float:
    """Return the probability under a prior of the box that it was truncated to.

    Inside the box the densities differ by this factor, wherever one looks.

    Example:
        >>> prior = lfi.simulation.as_prior({"share": torch.distributions.Uniform(0.0, 2.0)})
        >>> round(mass(prior, prior.truncate([0.5], [1.0])), 6)
        0.25
    """
    theta = narrow.sample(1, seed=numpy_rng(0))
    return float((prior.log_prob(theta) - narrow.log_prob(theta)).exp())


def noted(posterior: TargetPosterior, text: str) -> TargetPosterior:
    """Return the posterior with a text added to what its latest history says of its end."""
    *before, latest = posterior.history
    latest = replace(latest, stopped=f"{latest.stopped}; {text}")
    return replace(posterior, history=(*before, latest))


def simulated_shape(simulator: Simulator) -> tuple[int, ...] | None:
    """Return the shape of one simulation's x, or None if none of a few succeeds."""
    for theta in simulator.prior.sample(16, seed=numpy_rng(0)):
        try:
            return tuple(replicate(simulator, theta[None], seed=0).shape[1:])
        except RuntimeError:  # this parameter's simulation raised: it is a failure like any other
            continue
    return None
