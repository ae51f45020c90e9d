"""Surrogates: a generator x = G(z, theta) that stands in for a simulator.

It is trained by any adversarial comparison on (theta, x) against (theta, G(z, theta)), is
differentiable in theta whatever the simulator was, and goes wherever a simulator goes: it has a
`prior` and a `simulate`.

Networks see x through y = asinh(x / s), standardised: linear for small values and logarithmic for
large ones, so that counts over several orders of magnitude are one scale. Whole numbers are spread
by uniform noise for training and rounded down again in drawing, which the gradient passes through.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import R1, Adversarial, Bernoulli, NonSaturating
from lfi.generation.adversarial import duel
from lfi.generation.regime import Regime
from lfi.networks import (
    Contents,
    Coordinates,
    Standardise,
    VectorCritic,
    VectorGenerator,
    load_prefixed,
    prefixed,
    write,
)
from lfi.networks.standardise import knee
from lfi.simulation import Prior, Simulations
from lfi.training import (
    History,
    Shuffled,
    bar,
    child,
    fit,
    fresh,
    isolated,
    torch_rng,
)

DEFAULT = Adversarial(Bernoulli(), NonSaturating(), R1(0.1))
REGIME = Regime(generator_rate=1e-3, critic_rate=2e-3)


class Outputs(nn.Module):
    """The map between x and the numbers of order one that the networks exchange.

    Attributes:
        whole: Whether x is made of whole numbers.
        non_negative: Whether x is never below zero.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.standardise = Standardise((size,))
        self.register_buffer("knee", torch.ones(size, dtype=torch.float32))
        self.register_buffer("lowest", torch.full((size,), -torch.inf, dtype=torch.float32))
        self.register_buffer("highest", torch.full((size,), torch.inf, dtype=torch.float32))
        self.register_buffer("whole", torch.tensor(False))
        self.register_buffer("non_negative", torch.tensor(False))

    def learn(self, x: Float[Tensor, "n d"], rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Take the scales from flat data, and return the data as the networks see them."""
        self.whole.fill_(bool((x == x.floor()).all()))
        self.non_negative.fill_(bool((x >= 0).all()))
        self.knee.copy_(knee(x))
        if self.whole:
            x = x + torch.rand(x.shape, generator=rng, dtype=x.dtype)
        y = torch.asinh(x / self.knee)
        self.standardise.learn(y)
        y = self.standardise(y)
        self.lowest.copy_(y.amin(0) - 1)  # a little beyond what was seen, and no further:
        self.highest.copy_(y.amax(0) + 1)  # sinh would make anything of a stray value
        return y

    def decode(self, y: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return x, flat."""
        y = torch.minimum(torch.maximum(y, self.lowest), self.highest)
        x = torch.sinh(self.standardise.inverse(y)) * self.knee
        if self.non_negative:
            x = x.clamp_min(0.0)
        if self.whole:
            x = x + (x.floor() - x).detach()
        return x


class Surrogate(nn.Module):
    """A generator of a simulator's data: x = G(z, theta).

    Attributes:
        prior: The prior of the simulations it was trained on: where it may be used.
        x_shape: The shape of one x.
        history: How it was trained.
        generator: The network G.
    """

    def __init__(
        self,
        prior: Prior,
        x_shape: tuple[int, ...],
        *,
        width: int = 64,
        history: History | None = None,
    ) -> None:
        super().__init__()
        size = int(torch.Size(x_shape).numel())
        self.prior, self.x_shape, self.history = prior, tuple(x_shape), history
        self.coordinates = Coordinates(prior.lower.tolist(), prior.upper.tolist())
        self.outputs = Outputs(size)
        self.generator = VectorGenerator(size, self.coordinates.size, width=width)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    def forward(
        self, theta: Float[Tensor, "n theta_dim"], *, seed: int | None = None
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, (n, *event), differentiable in theta.

        Args:
            theta: Parameters, (n, theta_dim).
            seed: Names the noise: equal seeds give equal noise; None takes fresh entropy.
        """
        return self.simulate(theta, torch_rng(fresh(seed)))

    def simulate(
        self, theta: Float[Tensor, "n theta_dim"], rng: torch.Generator
    ) -> Float[Tensor, "n ..."]:
        """Return one x for each theta, with the generator that a simulator is handed.

        Raises:
            ValueError: If theta has another number of columns than the prior.
        """
        if theta.ndim != 2 or theta.shape[1] != self.prior.dim:
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}, expected (n, {self.prior.dim}): "
                f"{', '.join(self.names)}"
            )
        device = self.outputs.knee.device
        z = self.generator.noise(len(theta), rng).to(device)
        y = self.generator(z, self.coordinates(theta.to(device, torch.float32)))
        return self.outputs.decode(y).reshape(-1, *self.x_shape).to(theta)

    def save(self, path: str | Path) -> None:
        """Write the surrogate to a file that `lfi.load` reads: safetensors and JSON."""
        spec = {
            "prior": self.prior.describe(),
            "x_shape": list(self.x_shape),
            "width": self.generator.spec["width"],
            "history": self.history and self.history.describe(),
        }
        write(path, "Surrogate", spec, prefixed("surrogate", self))

    @classmethod
    def restore(
        cls, contents: Contents, *, prior: Prior | None, modules: Mapping[str, nn.Module]
    ) -> "Surrogate":
        """Build the surrogate from a file's contents; see `lfi.load`."""
        spec = contents.spec
        if prior is None and spec["prior"] is None:
            raise ValueError("the file cannot name its prior: give it with load(path, prior=...)")
        surrogate = cls(
            Prior.restore(spec["prior"]) if prior is None else prior,
            tuple(spec["x_shape"]),
            width=spec["width"],
            history=spec["history"] and History.restore(spec["history"]),
        )
        load_prefixed("surrogate", surrogate, contents.tensors)
        return surrogate.eval()


def fit_surrogate(
    simulations: Simulations,
    *,
    comparison: Adversarial = DEFAULT,
    steps: int = 700,
    critic_steps: int = 3,
    width: int = 64,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Surrogate:
    """Train a generator to simulate as the simulator did.

    Args:
        simulations: What `lfi.simulate` has returned; failed ones are left out, and the surrogate
            says what x is where there is one.
        comparison: The critic's loss, the generator's and the penalties.
        steps: How often the generator moves.
        critic_steps: How often the critic moves for each of them.
        width: The width of both networks.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If fewer than 100 simulations are valid.

    References:
        Mescheder, Geiger & Nowozin, Which training methods for GANs do actually converge?, 2018.
        arXiv:1801.04406 (the R1 penalty of the default)

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 1_000, seed=1)
        >>> surrogate = lfi.fit_surrogate(simulations, steps=5, seed=1)
        >>> surrogate(simulations.theta[:3], seed=2).shape
        torch.Size([3, 14])
    """
    theta, x = (part.to(torch.float32) for part in simulations.ok())
    if len(theta) < 100:
        raise ValueError(f"simulations: {len(theta)} valid ones are too few, need at least 100")
    seed = fresh(seed)
    with isolated(child(seed, 0)):
        surrogate = Surrogate(simulations.prior, tuple(x.shape[1:]), width=width)
        critic = VectorCritic(
            [(surrogate.generator.size,), (surrogate.coordinates.size,)], width=width
        )
    surrogate.coordinates.learn(theta)
    y = surrogate.outputs.learn(x.flatten(1), torch_rng(seed, 1))
    given = surrogate.coordinates(theta)

    def draw(given: Tensor, rng: torch.Generator) -> Tensor:
        noise = surrogate.generator.noise(len(given), rng)
        return surrogate.generator(noise.to(given.device), given)

    size = min(1024, max(64, len(theta) // 20), len(theta))
    regime = replace(REGIME, steps=steps, critic_steps=critic_steps)
    players = duel(surrogate.generator, critic, draw, comparison, regime=regime)
    with bar("training the surrogate", steps, progress) as advance:
        history = fit(
            players,
            Shuffled((y, given), size=size, device=device),
            steps=steps,
            schedule=regime.schedule,
            seed=child(seed, 2),
            device=device,
            callbacks=[lambda done, latest: advance(1)],
        )
    surrogate.history = replace(history, seed=seed)  # the one that repeats the whole fit
    return surrogate.to(device).eval()
