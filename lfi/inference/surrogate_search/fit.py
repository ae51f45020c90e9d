"""Search through a surrogate: the parameters of a black box by gradients of what is fitted to it.

    1. simulate at parameters that are proposed, at first by the prior;
    2. fit a differentiable surrogate to the simulations around them, q(x | theta);
    3. draw from the posterior p(theta) q(x_obs | theta), by gradients through the surrogate;
    4. propose parameters around these draws, and begin again.

A surrogate needs to be right only where the next parameters are proposed, and a local one is learnt
from few simulations. Where it is poor, what it does not explain counts as noise: its posterior is
wide, and narrows as the surrogate comes to explain the data. Likelihoods do not depend on where
parameters were proposed, so nothing has to be corrected for it. The optimum is found by gradient
ascent: the mode of the posterior in unconstrained parameters, such as logarithms of positive ones,
where it is nearer the mean than the mode of a skewed density is.

References:
    Shirobokov et al., Black-box optimization with local generative surrogates, NeurIPS 2020.
        arXiv:2002.04632
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, AISTATS 2019. arXiv:1805.07226
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.posteriors.likelihood import LikelihoodPosterior
from lfi.inference.rounds.store import RoundsStore, agreed_seed
from lfi.inference.samplers.maximum import modes
from lfi.inference.samplers.target import Sampler
from lfi.inference.surrogate_search.neighbourhood import nearby, proposed_near
from lfi.inference.surrogate_search.record import SearchRecord
from lfi.inference.surrogate_search.result import (
    SAMPLER,
    SearchResult,
    SearchRound,
    moments_of_draws,
)
from lfi.inference.types import MIN_SIMULATIONS
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_instance, check_positive, check_whole
from lfi.runtime import bar, child, fresh, numpy_rng
from lfi.simulation import Simulator, as_simulator
from lfi.simulation.simulators.observed import complete_observation
from lfi.training import TrainSettings

ROUNDS = 5  # unless the budget is small or the caller says otherwise
LEAST_ROUND = 200  # simulations of a round, unless the caller says otherwise
DRAWS = 1_000  # of a round's posterior at least
STARTS = 8  # of the ascents to the optimum
METHOD = SurrogateLikelihood(
    proposal=None, width=64, gaussian_steps=1_500, settings=TrainSettings(steps=500)
)


@checked
def search(
    simulator: object,
    x_obs: Samples,
    *,
    budget: int = 5_000,
    rounds: int | None = None,
    method: SurrogateLikelihood = METHOD,
    sampler: Sampler = SAMPLER,
    workers: int = 1,
    timeout: float | None = None,
    store: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> SearchResult:
    """Find a black box's parameters through a surrogate that is fitted where it is needed.

    Rounds of true simulations, each at parameters that the surrogate of the round before proposes.
    The simulator needs no derivative and no likelihood; both are the surrogate's.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event); independent ones are one observation of a simulator with
            `trials`.
        budget: How many true simulations there may be.
        rounds: In how many rounds, of equal size; by default 5, fewer where they would be of less
            than 200 simulations.
        method: How a surrogate is fitted. Without a proposal distribution, as here, importance
            samples are drawn from mixtures fitted to them.
        sampler: Draws from the posterior of a round, of any in `lfi.samplers`; by default
            importance resampling where that suffices, and else Hamiltonian Monte Carlo.
        workers: How many processes simulate.
        timeout: How many seconds one call of the simulator may take before its row has failed.
        store: A folder that keeps simulations and surrogates, so that a second call goes on where
            the first was interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, which the result records, or the seed that the store has on
            record.
        device: Where the networks train; simulations are made on the CPU.
        progress: Show bars on a terminal.

    Returns:
        The optimum, the posterior, and whether the last round has left it where it was.

    Raises:
        TypeError: If what is given is no simulator, or not a method that fits a likelihood.
        ValueError: If the observation does not fit the simulator, the budget is too small for the
            rounds, too few simulations have succeeded, or the store belongs to another call.
        RuntimeError: If no simulation of the first round succeeds.

    Example:
        >>> waits = lambda theta, rng: rng.exponential(1 / theta, (len(theta), 5))
        >>> prior = {"rate": torch.distributions.LogNormal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(waits, prior=prior)
        >>> quick = lfi.SurrogateLikelihood(proposal=None, width=16, gaussian_steps=50,
        ...     settings=lfi.TrainSettings(steps=20))
        >>> found = lfi.search(simulator, [0.5, 0.1, 1.2, 0.3, 0.4], budget=400, method=quick,
        ...     seed=1)
        >>> found.theta.shape, found.simulations, found.draw(100, seed=1).theta.shape
        (torch.Size([1]), 400, torch.Size([100, 1]))
    """
    simulator = as_simulator(simulator)
    check_whole("budget", budget, minimum=MIN_SIMULATIONS)
    rounds = max(1, min(ROUNDS, budget // LEAST_ROUND)) if rounds is None else rounds
    check_whole("rounds", rounds)
    if budget < rounds * MIN_SIMULATIONS:
        raise ValueError(
            f"budget: {budget} simulations are too few for {rounds} rounds, need at least "
            f"{rounds * MIN_SIMULATIONS}"
        )
    check_instance("sampler", sampler, Sampler, "a sampler such as lfi.samplers.HMC()")
    check_whole("workers", workers)
    check_positive("timeout", timeout, optional=True)
    seed = seed if seed is None else fresh(seed)
    x_obs = complete_observation(x_obs)
    folder = None if store is None else Path(store)
    if folder is not None:
        settings = {
            "search": simulator.identity,
            "x_obs": hashlib.sha256(x_obs.numpy().tobytes()).hexdigest(),
            "budget": int(budget),
            "rounds": int(rounds),
            "method": repr(method),
            "sampler": repr(sampler),
        }
        seed = agreed_seed(folder, settings, seed)
    seed = fresh(seed)
    record = SearchRecord(simulator, tuple(x_obs.shape), child(seed, 0), folder, workers, timeout)
    done = _Search(simulator, x_obs, record, RoundsStore(folder), method, sampler, seed)
    kept: list[SearchRound] = []
    posterior, theta = None, None
    for number in range(1, rounds + 1):
        size = number * budget // rounds - (number - 1) * budget // rounds
        with bar(f"round {number}: simulating", size, progress) as advance:
            record.simulate(number, done.proposed(number, size, theta), advance)
        done.check(number, last=number == rounds)
        if done.valid < MIN_SIMULATIONS:
            continue
        posterior, fitted = done.fit(number, theta, device, progress)
        theta = done.drawn(posterior, number, max(DRAWS, budget // rounds))
        mean, sd = moments_of_draws(theta)
        failed = record.failed - sum(each.failed for each in kept)
        made = len(record.rows) - sum(each.simulations for each in kept)
        kept.append(SearchRound(made, failed, fitted, mean, sd))
    assert posterior is not None  # the last round had enough simulations
    target = posterior.target(x_obs[None])
    (best,) = modes(target, starts=STARTS, seed=child(seed, 4), jacobian=True)
    return SearchResult(best, posterior, x_obs, tuple(kept), budget, seed)


@dataclass(frozen=True, eq=False)
class _Search:
    """What the rounds of a search have in common."""

    simulator: Simulator
    x_obs: Float[Tensor, "..."]
    record: SearchRecord
    store: RoundsStore
    method: SurrogateLikelihood
    sampler: Sampler
    seed: int

    @property
    def valid(self) -> int:
        """How many simulations have succeeded."""
        return len(self.record.rows) - self.record.failed

    def proposed(self, number: int, n: int, theta: Tensor | None) -> Float[Tensor, "n dim"]:
        """Return where a round simulates: at prior draws until there are draws of a posterior."""
        prior = self.simulator.prior
        if theta is None:
            return prior.sample(n, seed=numpy_rng(self.seed, 1, number))
        return proposed_near(prior, theta, n, child(self.seed, 1, number))

    def check(self, number: int, *, last: bool) -> None:
        """Raise what simulations that have failed ask for."""
        made, name = len(self.record.rows), self.simulator.name
        if number == 1 and self.valid == 0:
            raise RuntimeError(
                f"{name}: none of the first {made:,} simulations succeeded: narrow the prior to "
                "where it runs"
            ) from self.record.rows.cause
        if last and self.valid < MIN_SIMULATIONS:
            raise ValueError(
                f"simulator: {self.valid} of {made:,} simulations of {name} succeeded, too few for "
                f"a surrogate, which needs {MIN_SIMULATIONS}: narrow the prior to where it runs"
            )

    def fit(
        self, number: int, theta: Tensor | None, device: str, progress: bool
    ) -> tuple[LikelihoodPosterior, int]:
        """Return the posterior by a surrogate of what was simulated near, and of how many rows."""
        prior, whole = self.simulator.prior, self.record.simulations()
        rows = torch.arange(len(whole)) if theta is None else nearby(prior, whole.theta, theta)
        if int(whole.valid[rows].sum()) < MIN_SIMULATIONS:  # what is near has failed
            rows = torch.arange(len(whole))
        kept = self.store.load(number, prior, device)
        if isinstance(kept, LikelihoodPosterior):
            return kept, len(rows)
        fitted = self.method.fit(
            self.record.simulations(rows),
            seed=child(self.seed, 2, number),
            device=device,
            progress=progress,
        )
        self.store.save(number, fitted)
        return fitted, len(rows)

    def drawn(self, posterior: LikelihoodPosterior, number: int, n: int) -> Float[Tensor, "n dim"]:
        """Return draws of a round's posterior, of which only the last has to be reliable."""
        target = posterior.target(self.x_obs[None])
        (draws,) = self.sampler(target, n, seed=child(self.seed, 3, number))
        return draws.theta
