"""Training a surrogate, by a critic or by a discrepancy.

First a conditional Gaussian, by maximum likelihood; then the generator, on its residuals. An
adversarial comparison tells (theta, e) from (theta, G(z, theta)), each row beside a draw at its own
theta, which keeps the noise of theta out of it. A discrepancy compares batches of pairs as they
are, theta being entries beside those of e. The default's penalty is R1.

References:
    Mescheder et al., Which training methods for GANs do actually converge?, 2018. arXiv:1801.04406
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import R1, Adversarial, Bernoulli, Discrepancy, NonSaturating
from lfi.generation.objectives import adversarial_players, discrepancy_players
from lfi.generation.settings import DEFAULTS, AdversarialSettings
from lfi.generation.surrogates.gaussian_start import fit_start
from lfi.generation.surrogates.surrogate import Surrogate
from lfi.generation.validated_training import check_resumable
from lfi.networks import VectorCritic, noise_of
from lfi.networks.data_transforms import Bounds
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_whole
from lfi.runtime import bar, child, fresh, isolated, stripped, torch_rng, within
from lfi.simulation import Simulations
from lfi.training import Batch, Checkpoint, Shuffled, TrainSettings, fit, hold_out

DEFAULT = Adversarial(Bernoulli(), NonSaturating(), R1(0.1, every=4))
MIN_SIMULATIONS = 100
SURROGATE_SETTINGS = AdversarialSettings(
    steps=1_000, critic_learning_rate=2e-3, critic_steps=2, held_out=0.05
)


class RegeneratedRows:
    """Rows that are made anew in every epoch, such as whole numbers with other fractions.

    Example:
        >>> made = lambda rng: (torch.rand(4, generator=rng),)
        >>> batches, rng = RegeneratedRows(made, size=4), torch.Generator().manual_seed(0)
        >>> torch.equal(batches.draw(rng)[0], batches.draw(rng)[0])
        False
    """

    held_out: Batch | None = None

    def __init__(
        self, make: Callable[[torch.Generator], Batch], *, size: int, device: str = "cpu"
    ) -> None:
        self.make: Callable[[torch.Generator], Batch] = make
        self.size: int = size
        self.device: str = device
        self.left: int = 0

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next `size` rows of every tensor."""
        if self.left == 0:
            rows = self.make(rng)
            self.shuffled: Shuffled = Shuffled(rows, size=self.size, device=self.device)
            self.left = self.shuffled.rows // self.size
        self.left -= 1
        return self.shuffled.draw(rng)

    def position_of(self) -> dict[str, Tensor]:
        """Return where it stands, for a checkpoint: the rows of this epoch, and the place in it."""
        if self.left == 0:
            return {"left": torch.tensor(0)}
        rows = {f"rows.{i}": tensor for i, tensor in enumerate(self.shuffled.train)}
        return {"left": torch.tensor(self.left), **rows, **self.shuffled.position_of()}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where another one stood."""
        self.left = int(position["left"])
        if self.left:
            rows = stripped("rows.", position)
            train = tuple(rows[str(i)] for i in range(len(rows)))
            self.shuffled = Shuffled(train, size=self.size, device=self.device)
            self.shuffled.go_to(position)


@checked
def fit_surrogate(
    simulations: Simulations,
    *,
    comparison: Adversarial | Discrepancy = DEFAULT,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    lower: Bounds = None,
    upper: Bounds = None,
    settings: AdversarialSettings | None = None,
    start_steps: int | None = None,
    width: int = 128,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Surrogate:
    """Train a generator of a simulator's data given its parameters.

    Args:
        simulations: What `lfi.simulate` has returned; failed ones are left out, and the surrogate
            is of x where there is one.
        comparison: The critic's loss, the generator's and the penalties; or a discrepancy, such as
            `lfi.discrepancies.Energy()`, which needs no critic.
        generator: A network of your own with `noise(n, rng)` and `forward(z, condition)`, from
            noise and standardised parameters (n, D) to (n, entries of x).
        critic: A network of your own, of (n, entries of x) and (n, D) to (n,).
        lower: A lower bound of x, a number or one for each entry, minus infinity for none. By
            default 0 for entries that were never negative.
        upper: An upper bound; by default none.
        settings: Of the generator's training: by default 1,000 steps. Where means are a hard
            function of theta, or distributions far from Gaussian, 3,000 take three minutes and are
            better. `held_out` and `patience` are those of the Gaussian.
        start_steps: Steps of the conditional Gaussian; by default three times as many, 0 for a
            generator without one.
        width: The width of all networks but your own.
        checkpoint: Where to keep what an interrupted training resumes from, in two files, of which
            that of the Gaussian ends with ".start".
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If fewer than 100 simulations are valid, if x is outside its bounds, if a
            discrepancy comes with a critic, or a checkpoint without a seed.

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 1_000, seed=1)
        >>> settings = lfi.AdversarialSettings(steps=5)
        >>> surrogate = lfi.fit_surrogate(simulations, settings=settings, seed=1)
        >>> surrogate(simulations.theta[:3], seed=2).shape
        torch.Size([3, 14])
    """
    check_counts(width=width)
    check_resumable(checkpoint, seed)
    check_whole("start_steps", start_steps, minimum=0, optional=True)
    theta, x = simulations.ok()
    if len(theta) < MIN_SIMULATIONS:
        raise ValueError(
            f"simulations: {len(theta)} valid ones are too few, need at least {MIN_SIMULATIONS}"
        )
    adversarial = isinstance(comparison, Adversarial)
    if critic is not None and not adversarial:
        raise ValueError(f"critic: {comparison} compares without one")
    complete = DEFAULTS.updated(SURROGATE_SETTINGS).updated(settings)
    steps = complete.steps
    start_steps = 3 * steps if start_steps is None else start_steps
    seed, x = fresh(seed), x.reshape(len(x), -1)
    with isolated(child(seed, 0)):
        surrogate = Surrogate(
            simulations.prior,
            tuple(simulations.x.shape[1:]),
            generator=generator,
            width=width,
            start=start_steps > 0,
            dtype=x.dtype,
        )
        size, condition = x.shape[1], surrogate.coordinates.size
        if critic is None and adversarial:
            critic = VectorCritic([(size,), (condition,)], width=width)
    surrogate.fit_from_data(theta, x, lower=lower, upper=upper)
    surrogate.to(device)
    x, condition = x.to(device), surrogate.coordinates(theta.to(device))
    batch_size = min(complete.batch_size, max(32, len(theta) // 8))
    columns: dict[str, tuple[tuple[int, float], ...]] = {}
    with bar("training the surrogate", start_steps + steps, progress) as advance:
        if surrogate.start is not None:
            rng = torch_rng(seed, 1)
            train, held_out = hold_out(
                (surrogate.columns.encode(x, rng), condition), complete.held_out, rng
            )
            with within("start"):
                columns = fit_start(
                    surrogate.start,
                    Shuffled(train, held_out, size=batch_size, device=device),
                    TrainSettings(steps=start_steps, patience=complete.patience),
                    seed=child(seed, 3),
                    device=device,
                    advance=advance,
                ).columns

        network = surrogate.generator

        def draw(condition: Tensor, rng: torch.Generator) -> Tensor:
            noise = noise_of(network)(len(condition), rng)
            return network(noise.to(condition.device), condition)

        if adversarial:
            assert critic is not None  # built above
            players = adversarial_players(network, critic, draw, comparison, complete)
        else:
            players = discrepancy_players(network, draw, comparison, complete)
        history = fit(
            players,
            RegeneratedRows(
                lambda rng: (surrogate.residuals(x, condition, rng), condition),
                size=batch_size,
                device=device,
            ),
            steps=steps,
            turn=complete.turn,
            schedule=complete.schedule,
            seed=child(seed, 2),
            device=device,
            callbacks=[lambda done, latest: advance(1)],
            checkpoint=checkpoint,
        )
    columns = {("Gaussian, held-out" if k == "held-out" else k): v for k, v in columns.items()}
    surrogate.history = replace(history, columns={**columns, **history.columns}, seed=seed)
    return surrogate.eval()
