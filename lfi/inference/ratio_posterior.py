"""The posterior of a ratio: p(theta | x) = p(theta) r(theta, x), r = p(theta, x) / p(theta) p(x).

The ratio is a network, so it is cheap in bulk: draws come from importance resampling of prior
draws, and from ensemble chains started there where the weights do not suffice.

References:
    Hermans, Begy & Louppe, Likelihood-free MCMC with amortized approximate ratio estimators, 2020.
    arXiv:1903.04057
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import Recovers
from lfi.inference.ensemble import walk
from lfi.inference.export import inference_data
from lfi.inference.importance import resample, weigh
from lfi.inference.posterior import Draws, Weighted, observation
from lfi.networks import Contents, build_critic, load_prefixed, prefixed, write
from lfi.simulation import Prior, as_simulator, replicate
from lfi.training import History, child, fresh, numpy_rng, torch_rng

if TYPE_CHECKING:
    import arviz

ROWS = 2**15  # pairs that the critic sees at a time: keeps memory flat
RELIABLE = 0.7  # Pareto k above which importance weights are not relied on alone
WORTH = 2.0  # and the effective sample size per draw below which duplicates show


@dataclass(frozen=True, eq=False)
class RatioPosterior:
    """A posterior by a fitted log ratio.

    Attributes:
        critic: log r(theta, x), with `embed_theta`, `embed_x` and `pair`, as
            `lfi.networks.PairCritic` has them.
        prior: The prior that the simulations were drawn from; truncated where rounds truncated it.
        recovers: What the critic tells. A ratio up to a function of x is enough for a posterior.
        x_shape: The shape of one simulation's x.
        history: How the critic was trained, one entry for each round.
        normalised: False: `log_prob` lacks the normalising constant.
    """

    critic: nn.Module
    prior: Prior
    recovers: Recovers
    x_shape: tuple[int, ...]
    history: tuple[History, ...] = field(default=())
    normalised: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Refuse a critic from whose values no posterior follows."""
        if self.recovers < Recovers.UP_TO_X:
            raise ValueError(
                f"a critic that recovers {self.recovers.name} of the ratio gives no posterior: "
                "train it with a loss that recovers the ratio and no penalty that moves its optimum"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def device(self) -> torch.device:
        """Where the critic is."""
        return next(self.critic.parameters()).device

    @torch.no_grad()
    def _at(self, theta: Tensor, embedded_x: Tensor) -> Tensor:
        """Return log ratios of (n, D) with one embedded observation, in chunks, on the CPU."""
        critic, values = self.critic, []
        for part in theta.split(ROWS):
            embedded = critic.embed_theta(part.to(self.device, torch.float32))
            values.append(critic.pair(embedded, embedded_x).cpu())
        return torch.cat(values).to(theta.dtype)

    @torch.no_grad()
    def _embedded(self, x: Tensor) -> Tensor:
        return self.critic.embed_x(x.to(self.device, torch.float32))

    def log_ratio(
        self, theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "..."]
    ) -> Float[Tensor, " n"]:
        """Return log p(x | theta) / p(x), up to what `recovers` leaves open.

        Args:
            theta: Parameters, (n, theta_dim).
            x: One observation, (*event), or one for each parameter, (n, *event).

        Raises:
            ValueError: If a shape does not fit.
        """
        self._check_theta(theta)
        if x.shape == self.x_shape:
            return self._at(theta, self._embedded(x))
        if x.shape != (len(theta), *self.x_shape):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected one observation {self.x_shape} "
                f"or one for each parameter {(len(theta), *self.x_shape)}"
            )
        parts = zip(theta.split(ROWS), x.split(ROWS), strict=True)
        return torch.cat([self._at(t, self._embedded(part)) for t, part in parts])

    def log_prob(
        self,
        theta: Float[Tensor, "n theta_dim"],
        x_obs: Float[Tensor, "..."],
        *,
        normalise: bool = False,
    ) -> Float[Tensor, " n"]:
        """Return log p(theta) + log r(theta, x_obs), minus infinity outside the prior's support.

        Args:
            theta: Parameters, (n, theta_dim).
            x_obs: One observation, (*event).
            normalise: Subtract the log of the integral, estimated with 2^16 prior draws (a fixed
                stream, so that values can be compared).
        """
        x_obs = observation(x_obs, self.x_shape)
        log_prior = self.prior.log_prob(theta)
        value = torch.where(
            log_prior.isfinite(), log_prior + self.log_ratio(theta, x_obs), log_prior
        )
        if not normalise:
            return value
        draws = self.prior.sample(2**16, rng=numpy_rng(0))
        integral = self.log_ratio(draws, x_obs).double().logsumexp(0) - 16 * torch.log(
            torch.tensor(2.0)
        )
        return value - integral.to(value.dtype)

    def sample(
        self, n: int, x_obs: Float[Tensor, "..."], *, seed: int | None = None
    ) -> Float[Tensor, "n theta_dim"]:
        """Return n draws inside the prior's support, in random order, (n, theta_dim).

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 2_000, seed=1)
            >>> posterior = lfi.fit_posterior(simulations, method=lfi.NeuralRatio(steps=50), seed=1)
            >>> posterior.sample(100, influenza.x_obs, seed=2).shape
            torch.Size([100, 3])
        """
        return self.draw(n, x_obs, seed=seed).theta

    def draw(self, n: int, x_obs: Float[Tensor, "..."], *, seed: int | None = None) -> Draws:
        """Return n draws with the account of how they were made.

        Prior draws are weighted and resampled. Where Pareto k is above 0.7, or the weighted draws
        are worth less than twice n, ensemble chains take them from there.

        Args:
            n: How many.
            x_obs: One observation, (*event).
            seed: None takes fresh entropy, which the draws record.

        Raises:
            ValueError: If n is not positive or the observation does not fit.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        seed, begin = fresh(seed), time.monotonic()
        embedded = self._embedded(observation(x_obs, self.x_shape))
        candidates = weigh(lambda theta: self._at(theta, embedded), self.prior, n, child(seed, 0))
        theta, sampler, ess = resample(candidates, n, child(seed, 1)), "importance", candidates.ess
        r_hat = acceptance = None
        if candidates.khat > RELIABLE or candidates.ess < WORTH * n:
            walkers = max(n, 256, 2 * self.prior.dim + 2)
            start = self.prior.to_unconstrained(resample(candidates, walkers, child(seed, 1)))

            def target(u: Tensor) -> Tensor:
                theta, log_jacobian = self.prior.from_unconstrained(u)
                return self.prior.log_prob(theta) + log_jacobian + self._at(theta, embedded)

            end = walk(target, start, torch_rng(seed, 2))
            rows = torch.randperm(walkers, generator=torch_rng(seed, 3))[:n]
            theta, sampler = self.prior.from_unconstrained(end.u[rows])[0], "ensemble"
            r_hat, acceptance = end.r_hat, end.acceptance
            ess = n * (1 - end.memory) + min(n, ess) * end.memory
        return Draws(
            theta=theta,
            names=self.names,
            sampler=sampler,
            ess=min(ess, float(n)),
            unique=len(torch.unique(theta, dim=0)),
            khat=candidates.khat,
            r_hat=r_hat,
            acceptance=acceptance,
            candidates=len(candidates.x),
            seconds=time.monotonic() - begin,
            seed=seed,
        )

    @torch.no_grad()
    def weighted(
        self, x: Float[Tensor, "m ..."], candidates: int = 4096, *, seed: int | None = None
    ) -> Weighted:
        """Weigh the same prior draws for many observations at once, as calibration needs.

        Args:
            x: Observations, (m, *event).
            candidates: How many prior draws to weigh.
            seed: None takes fresh entropy.
        """
        theta = self.prior.sample(candidates, rng=numpy_rng(fresh(seed)))
        embedded = self.critic.embed_theta(theta.to(self.device, torch.float32))
        rows = max(1, 8 * ROWS // candidates)
        values = [
            self.critic.pair(embedded, self._embedded(part)[:, None]).cpu()
            for part in x.split(rows)
        ]
        return Weighted(theta, torch.cat(values).double().log_softmax(-1))

    def to_arviz(
        self,
        x_obs: Float[Tensor, "..."],
        *,
        draws: int = 2_000,
        simulator: object = None,
        seed: int | None = None,
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData: posterior, prior and observed data.

        Args:
            x_obs: The observation, (*event).
            draws: How many.
            simulator: Adds data simulated at the posterior's draws, `posterior_predictive`.
            seed: None takes fresh entropy, which the group `posterior` records.
        """
        seed = fresh(seed)
        posterior = replace(self.draw(draws, x_obs, seed=child(seed, 0)), seed=seed)
        prior = self.prior.sample(draws, rng=numpy_rng(seed, 1))
        predictive = None
        if simulator is not None:
            predictive = replicate(as_simulator(simulator), posterior.theta, seed=child(seed, 2))
        return inference_data(posterior, prior, observation(x_obs, self.x_shape), predictive)

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file that `lfi.load` reads: safetensors and JSON."""
        spec = {
            "prior": self.prior.describe(),
            "names": list(self.names),
            "critic": getattr(self.critic, "spec", None) and self.critic.spec,
            "recovers": self.recovers.name,
            "x_shape": list(self.x_shape),
            "history": [history.describe() for history in self.history],
        }
        write(path, "RatioPosterior", spec, prefixed("critic", self.critic))

    @classmethod
    def restore(
        cls, contents: Contents, *, prior: Prior | None, modules: Mapping[str, nn.Module]
    ) -> "RatioPosterior":
        """Build the posterior from a file's contents; see `lfi.load`."""
        spec: dict[str, Any] = contents.spec
        if prior is None and spec["prior"] is None:
            raise ValueError("the file cannot name its prior: give it with load(path, prior=...)")
        critic = modules.get("critic")
        if critic is None:
            if spec["critic"] is None:
                raise ValueError(
                    "the file cannot name its critic: give a network of the same shape with "
                    "load(path, modules={'critic': ...})"
                )
            critic = build_critic(spec["critic"])
        load_prefixed("critic", critic, contents.tensors)
        return cls(
            critic.eval(),
            Prior.restore(spec["prior"]) if prior is None else prior,
            Recovers[spec["recovers"]],
            tuple(spec["x_shape"]),
            tuple(History.restore(entry) for entry in spec["history"]),
        )

    def _check_theta(self, theta: Tensor) -> None:
        if theta.ndim != 2 or theta.shape[1] != self.prior.dim:
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}, expected (n, {self.prior.dim}): "
                f"{', '.join(self.names)}"
            )
