"""Truncated rounds: spend simulations where the observation puts the parameters.

A first posterior from few simulations says where the mass is. The prior is truncated to a box
around it, and the next round simulates from the truncated prior only. Every round is an amortised
fit of its own, so nothing needs correcting: inside the box the posterior is the same, up to the
mass that the box cuts off. Early rounds only have to find the box, so the last gets most of the
budget.

References:
    Miller, Cole, Forre, Louppe & Weniger, Truncated marginal neural ratio estimation, 2021.
    arXiv:2107.01214
    Deistler, Goncalves & Macke, Truncated proposals for scalable and hassle-free simulation-based
    inference, 2022. arXiv:2210.04815
"""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.files import load
from lfi.inference.neural_ratio import NeuralRatio
from lfi.inference.posterior import observation
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.networks import replace_file
from lfi.simulation import Prior, Simulator, as_simulator, replicate, simulate
from lfi.training import child, fresh, numpy_rng

SCOUT_SHARE = 1 / 12  # of the budget, for each round but the last
TAIL = 1e-3  # posterior mass beyond each side of the box, before the box is widened
MARGIN = 0.2  # by which it is widened on each side, of its width
LEAST = 200  # simulations in a round
MOST_ROUNDS = 7  # so that the last has at least half of the budget
DRAWS = 10_000  # posterior draws that place the box

LAST = NeuralRatio(steps=1_500, depth=None)
SCOUT = NeuralRatio(steps=600, depth=None)


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


def plan(budget: int, rounds: int) -> tuple[int, ...]:
    """Return how many simulations each round gets.

    Raises:
        ValueError: If there are no rounds or too many, or too little for every round.

    Example:
        >>> plan(360_000, 3)
        (30000, 30000, 300000)
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds must be from 1 to {MOST_ROUNDS}, got {rounds}")
    scouts = (int(budget * SCOUT_SHARE),) * (rounds - 1)
    least = LEAST if rounds == 1 else math.ceil(LEAST / SCOUT_SHARE)
    if budget < least or budget - sum(scouts) < LEAST:
        raise ValueError(
            f"budget: {budget} simulations are too few for {rounds} rounds, need at least {least}"
        )
    return (*scouts, budget - sum(scouts))


def fit_rounds(
    simulator: object,
    x_obs: Float[Tensor, "..."],
    *,
    rounds: int = 3,
    budget: int = 100_000,
    method: NeuralRatio = LAST,
    scout: NeuralRatio = SCOUT,
    store: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> RatioPosterior:
    """Simulate and fit in rounds, truncated around one observation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event).
        rounds: How many. Each but the last gets a twelfth of the budget.
        budget: Simulations in all.
        method: Fits the last round.
        scout: Fits the rounds before it, which only place the box.
        store: A folder that keeps every round, so that a second call goes on where the first was
            interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, or the seed that the store has on record.
        device: Where to train.
        progress: Show bars on a terminal.

    Returns:
        The last round's posterior. Its `prior` is the truncated one, and it holds for observations
        close to `x_obs` only; its `history` has an entry for each round.

    Raises:
        ValueError: If the budget is too small, the observation does not fit the simulator, or the
            store belongs to another call.

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> quick = lfi.NeuralRatio(steps=30, width=8, rank=4, depth=None)
        >>> posterior = lfi.fit_rounds(influenza, influenza.x_obs, rounds=2, budget=3_000, seed=1,
        ...     method=quick, scout=quick)
        >>> posterior.prior.truncated
        True
    """
    simulator = as_simulator(simulator)
    counts, seed = plan(budget, rounds), seed if seed is None else fresh(seed)
    shape = simulated_shape(simulator)
    x_obs = observation(x_obs, tuple(torch.as_tensor(x_obs).shape) if shape is None else shape)
    if store is not None:
        settings = {
            "simulator": simulator.identity,
            "x_obs": hashlib.sha256(x_obs.numpy().tobytes()).hexdigest(),
            "budget": budget,
            "rounds": rounds,
            "method": repr(method),
            "scout": repr(scout),
        }
        seed = settle(Path(store), settings, seed)
    seed = fresh(seed)
    prior, history, posterior = simulator.prior, (), None
    for index, count in enumerate(counts):
        files = None if store is None else Path(store) / f"round_{index + 1}"
        done = None if files is None else files.with_suffix(".lfi")
        if done is not None and done.is_file():
            posterior = finished(done, prior, device)
        else:
            simulations = simulate(
                simulator,
                count,
                prior=prior,
                seed=child(seed, index, 0),
                store=None if files is None else files.with_suffix(".zarr"),
                progress=progress,
            )
            chosen = method if index == len(counts) - 1 else scout
            posterior = chosen.fit(
                simulations, seed=child(seed, index, 1), device=device, progress=progress
            )
            if done is not None:
                posterior.save(done)
        history = (*history, *posterior.history)
        if index < len(counts) - 1:
            theta = posterior.draw(DRAWS, x_obs, seed=child(seed, index, 2)).theta
            prior = prior.truncate(*box(theta))
    return replace(posterior, history=history)


def finished(path: Path, prior: Prior, device: str) -> RatioPosterior:
    """Return a round's posterior from its file.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        posterior = load(path, prior=prior)
    except ValueError as error:
        raise ValueError(f"store: {error}: delete it and call again to fit it anew") from error
    posterior.critic.to(device)
    return posterior


def simulated_shape(simulator: Simulator) -> tuple[int, ...] | None:
    """Return the shape of one simulation's x, or None if none of a few succeeds."""
    for theta in simulator.prior.sample(16, rng=numpy_rng(0)):
        try:
            return tuple(replicate(simulator, theta[None], seed=0).shape[1:])
        except RuntimeError:  # this parameter's simulation raised: it is a failure like any other
            continue
    return None


def settle(store: Path, settings: dict[str, object], seed: int | None) -> int:
    """Write down what a folder's rounds are of, or check that they are of the same, once written.

    Args:
        store: The folder, made if need be.
        settings: What must be the same, plain values.
        seed: None takes the seed on record.

    Returns:
        The seed.

    Raises:
        ValueError: If the folder holds rounds of another call.
    """
    store.mkdir(parents=True, exist_ok=True)
    record = store / "rounds.json"
    if not record.exists():
        if any(store.glob("round_*")):
            raise ValueError(
                f"store: {store} holds rounds without their record: use another folder"
            )
        settings = {**settings, "seed": fresh(seed)}
        replace_file(record, lambda part: part.write_text(json.dumps(settings, indent=1)))
        return settings["seed"]
    try:
        known = json.loads(record.read_text())
        wanted = {**settings, "seed": known["seed"] if seed is None else fresh(seed)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"store: {record} is damaged ({error}): use another folder") from error
    differ = sorted(name for name in wanted if known.get(name) != wanted[name])
    if differ:
        raise ValueError(
            f"store: {store} holds rounds of a call with another {', '.join(differ)}: "
            "use another folder, or the same arguments"
        )
    return wanted["seed"]
