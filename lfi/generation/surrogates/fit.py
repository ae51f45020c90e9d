"""Training a surrogate, by a critic or by a discrepancy.

First the Gaussian start, by maximum likelihood; then the generator, on what the start leaves. An
adversarial comparison tells (theta, e) from (theta, G(z, theta)), each row beside a draw at its own
theta, which keeps the noise of theta out of the comparison. A discrepancy compares the two batches
of pairs as they are: it sees theta as entries beside those of e.

References:
    Mescheder, Geiger & Nowozin, Which training methods for GANs do actually converge?, 2018.
    arXiv:1801.04406 (the R1 penalty of the default)
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import R1, Adversarial, Bernoulli, Discrepancy, NonSaturating
from lfi.generation.objectives import duel, match
from lfi.generation.settings import Regime
from lfi.generation.surrogates.gaussian_start import fit_start
from lfi.generation.surrogates.surrogate import Surrogate
from lfi.networks import VectorCritic
from lfi.networks.data_transforms import Bounds
from lfi.runtime import bar, child, fresh, isolated, torch_rng
from lfi.simulation import Simulations
from lfi.training import Batch, History, Shuffled, fit, hold_out

DEFAULT = Adversarial(Bernoulli(), NonSaturating(), R1(0.1, every=4))
LEAST = 100  # simulations
HELD_OUT = 0.05  # of them, to choose the start by
REGIME = Regime(generator_rate=1e-3, critic_rate=2e-3)


class Renewed:
    """Rows that are made anew in every epoch, such as whole numbers with other fractions.

    Attributes:
        held_out: Nothing: what is made has no part that is kept.

    Example:
        >>> made = lambda rng: (torch.rand(4, generator=rng),)
        >>> batches, rng = Renewed(made, size=4), torch.Generator().manual_seed(0)
        >>> torch.equal(batches.draw(rng)[0], batches.draw(rng)[0])
        False
    """

    held_out: Batch | None = None

    def __init__(self, make: Callable[[torch.Generator], Batch], *, size: int) -> None:
        self.make, self.size, self.left = make, size, 0

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next `size` rows of every tensor."""
        if self.left == 0:
            rows = self.make(rng)
            self.shuffled = Shuffled(rows, size=self.size, device=str(rows[0].device))
            self.left = self.shuffled.rows // self.size
        self.left -= 1
        return self.shuffled.draw(rng)


def fit_surrogate(
    simulations: Simulations,
    *,
    comparison: Adversarial | Discrepancy = DEFAULT,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    lower: Bounds = None,
    upper: Bounds = None,
    steps: int = 1_000,
    start_steps: int | None = None,
    critic_steps: int = 2,
    width: int = 128,
    batch_size: int = 256,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Surrogate:
    """Train a generator to simulate as the simulator did.

    Args:
        simulations: What `lfi.simulate` has returned; failed ones are left out, and the surrogate
            says what x is where there is one.
        comparison: The critic's loss, the generator's and the penalties; or a discrepancy, such as
            `lfi.discrepancies.Energy()`, which needs no critic.
        generator: A network of your own with `noise(n, rng)` and `forward(z, given)`, from noise
            and standardised parameters (n, D) to (n, entries of x).
        critic: A network of your own, of (n, entries of x) and (n, D) to (n,).
        lower: What x is never below, a number or one for each entry, minus infinity for nothing. By
            default 0 for entries that were never negative.
        upper: What x is never above; by default nothing.
        steps: How often the generator moves. Where means are a hard function of theta, or laws
            far from Gaussian, 3,000 are worth their three minutes.
        start_steps: How long the Gaussian start is fitted; by default three times as many steps, 0
            for a generator that starts from nothing.
        critic_steps: How often the critic moves for each step of the generator.
        width: The width of all networks but your own.
        batch_size: Simulations in a batch.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If fewer than 100 simulations are valid, if x is outside its bounds, or if a
            discrepancy is given a critic.

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 1_000, seed=1)
        >>> surrogate = lfi.fit_surrogate(simulations, steps=5, seed=1)
        >>> surrogate(simulations.theta[:3], seed=2).shape
        torch.Size([3, 14])
    """
    theta, x = (part.to(torch.float32) for part in simulations.ok())
    if len(theta) < LEAST:
        raise ValueError(f"simulations: {len(theta)} valid ones are too few, need at least {LEAST}")
    adversarial = isinstance(comparison, Adversarial)
    if critic is not None and not adversarial:
        raise ValueError(f"critic: {comparison} compares without one")
    start_steps = 3 * steps if start_steps is None else start_steps
    seed, x = fresh(seed), x.reshape(len(x), -1)
    with isolated(child(seed, 0)):
        surrogate = Surrogate(
            simulations.prior,
            tuple(simulations.x.shape[1:]),
            generator=generator,
            width=width,
            start=start_steps > 0,
        )
        size, given = x.shape[1], surrogate.coordinates.size
        if critic is None and adversarial:
            critic = VectorCritic([(size,), (given,)], width=width)
    surrogate.learn(theta, x, lower=lower, upper=upper)
    surrogate.to(device)
    x, given = x.to(device), surrogate.coordinates(theta.to(device))
    batch_size = min(batch_size, max(32, len(theta) // 8))
    columns: dict[str, tuple[tuple[int, float], ...]] = {}
    with bar("training the surrogate", start_steps + steps, progress) as advance:
        callbacks = [lambda done, latest: advance(1)]
        if surrogate.start is not None:
            rng = torch_rng(seed, 1)
            train, held_out = hold_out((surrogate.columns.encode(x, rng), given), HELD_OUT, rng)
            columns = fit_start(
                surrogate.start,
                Shuffled(train, held_out, size=batch_size, device=device),
                steps=start_steps,
                seed=child(seed, 3),
                device=device,
                callbacks=callbacks,
            ).columns

        def draw(given: Tensor, rng: torch.Generator) -> Tensor:
            noise = surrogate.generator.noise(len(given), rng)
            return surrogate.generator(noise.to(given.device), given)

        regime = replace(REGIME, steps=steps, critic_steps=critic_steps)
        history = fit(
            duel(surrogate.generator, critic, draw, comparison, regime=regime)
            if adversarial
            else match(surrogate.generator, draw, comparison, regime=regime),
            Renewed(lambda rng: (surrogate.left(x, given, rng), given), size=batch_size),
            steps=steps,
            schedule=regime.schedule,
            seed=child(seed, 2),
            device=device,
            callbacks=callbacks,
        )
    surrogate.history = _joined(columns, history, seed)
    return surrogate.eval()


def _joined(
    start: dict[str, tuple[tuple[int, float], ...]], history: History, seed: int
) -> History:
    """Return the history of both stages, with the seed that repeats the whole fit."""
    named = {("start held-out" if name == "held-out" else name): v for name, v in start.items()}
    return replace(history, columns={**named, **history.columns}, seed=seed)
