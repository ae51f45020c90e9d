"""Pyro's Hamiltonian samplers: one chain at a time, for what must be beyond doubt.

The No-U-Turn sampler chooses the length of every trajectory by itself and has been tried on many
posteriors. It moves one chain at a time, so that for a network it takes minutes where the batched
samplers take seconds: a second opinion, and for posteriors with difficult geometry.

References:
    Hoffman & Gelman, The No-U-Turn sampler, JMLR 2014. arXiv:1111.4246
    Bingham et al., Pyro: deep universal probabilistic programming, JMLR 2019. arXiv:1810.09538
"""

import math
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.samplers.adaptive_importance import Candidates
from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng
from lfi.runtime.seeds import isolated

SHORTEST = 4  # states of a chain that R-hat can judge


class Struck(Exception):
    """The time limit, raised inside Pyro."""


@dataclass(frozen=True)
class NUTS:
    """Pyro's No-U-Turn sampler, or its HMC where a trajectory is given.

    Attributes:
        chains: How many chains run one after the other, for each observation.
        warmup: Moves of each while step and mass matrix are learnt; not among the draws.
        trajectory: None ends each trajectory where it turns back; a number is the length of all.
        start: Finds where the chains start.
        time_limit: Seconds after which the states so far have to do.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[0.5]]), pair)
        >>> (draws,) = NUTS(chains=2, warmup=20)(target, 40, seed=1)
        >>> draws.theta.shape, draws.sampler
        (torch.Size([40, 1]), 'nuts')
    """

    chains: int = 4
    warmup: int = 200
    trajectory: float | None = None
    start: Importance = Importance(worth=0.1, most=2**16)
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.start.weigh(target, n, seed=child(seed, 0), clock=clock)
        return self.go_on(target, found, n, seed=seed, clock=clock)

    def go_on(
        self, target: Target, found: list[Candidates], n: int, *, seed: int, clock: Clock
    ) -> tuple[Draws, ...]:
        """Return n draws by chains that start from the candidates of each observation.

        Raises:
            TimeoutError: If the time limit strikes before the first chain's warm-up is over.
        """
        drawn = []
        for j, candidates in enumerate(found):
            one = target.select(torch.tensor([j]))
            drawn.append(self._one(one, candidates, n, child(seed, 1, j), clock, seed))
        return tuple(drawn)

    def _one(
        self, target: Target, candidates: Candidates, n: int, own: int, clock: Clock, seed: int
    ) -> Draws:
        rng = torch_rng(own, 0)
        points = candidates.resample(256, rng)
        middle, scale = points.mean(0), points.std(0).clamp_min(1e-6)
        starts = (candidates.resample(self.chains, rng) - middle) / scale

        def potential(parameters: dict[str, Tensor]) -> Tensor:
            u = (middle + scale * parameters["v"])[None, None]
            return -sum(target.unconstrained(u)).squeeze()

        length, chains, rates = math.ceil(n / self.chains), [], []
        for k, place in enumerate(starts):
            with isolated(child(own, 1, k)):
                states, rate = self._chain(potential, place, length, clock)
            if states:
                chains.append(middle + scale * torch.stack(states))
                rates.append(rate)
        if not chains:
            raise TimeoutError(
                f"time_limit: {clock.limit:g} seconds were over before NUTS had warmed up: raise "
                "it, or take a batched sampler such as lfi.samplers.HMC"
            )
        r_hat, worth = _judge(chains)
        every = torch.cat(chains)
        rows = torch.randperm(max(len(every), n), generator=rng)[:n] % len(every)
        theta = target.prior.from_unconstrained(every[rows])[0]
        return Draws(
            theta=theta,
            names=target.prior.names,
            sampler="nuts" if self.trajectory is None else "pyro hmc",
            ess=min(worth, float(n)),
            unique=len(torch.unique(theta, dim=0)),
            khat=candidates.khat,
            r_hat=r_hat,
            acceptance=sum(rates) / len(rates),
            candidates=len(candidates.u),
            seconds=clock.seconds,
            seed=seed,
            log_evidence=candidates.log_evidence,
            timed_out=len(every) < n,
        )

    def _chain(
        self, potential: object, place: Float[Tensor, " d"], length: int, clock: Clock
    ) -> tuple[list[Tensor], float]:
        """Return a chain's states, as many as there was time for, and its acceptance."""
        from pyro.infer.mcmc import HMC, MCMC
        from pyro.infer.mcmc import NUTS as Pyro

        if self.trajectory is None:
            kernel = Pyro(potential_fn=potential)
        else:
            kernel = HMC(potential_fn=potential, trajectory_length=self.trajectory)
        states, rates = [], [math.nan]

        def hook(kernel: object, parameters: dict[str, Tensor], stage: str, i: int) -> None:
            if stage.startswith("Sample"):
                states.append(parameters["v"].detach().clone())
                rates[0] = float(kernel.diagnostics()["acceptance rate"])
            if clock.struck:
                raise Struck

        chain = MCMC(
            kernel,
            num_samples=length,
            warmup_steps=self.warmup,
            initial_params={"v": place},
            hook_fn=hook,
            disable_progbar=True,
        )
        with suppress(Struck):
            chain.run()
        return states, rates[0]


def _judge(chains: list[Float[Tensor, "length d"]]) -> tuple[Tensor | None, float]:
    """Return R-hat of every dimension, where it can be told, and the effective sample size."""
    from pyro.ops.stats import effective_sample_size, split_gelman_rubin

    length = min(map(len, chains))
    if length < SHORTEST:
        return None, float(len(chains))
    states = torch.stack([chain[:length] for chain in chains])
    worth = effective_sample_size(states, chain_dim=0, sample_dim=1)
    return split_gelman_rubin(states, chain_dim=0, sample_dim=1), float(worth.min())
