"""Regimes: how a generator and its critic are trained, whatever compares them."""

from dataclasses import dataclass, replace

from lfi.training import Turn, alternating, linear_decay
from lfi.training.schedules import Schedule

RATE = 1e-3  # of both players, where nothing else is known to suit them


@dataclass(frozen=True)
class Regime:
    """How a game is played.

    Attributes:
        steps: How often the generator moves.
        batch: Rows of a batch, of either side; never more than there are.
        critic_steps: How often the critic moves for each of them. None takes 5 under a Wasserstein
            loss, whose critic has to be nearly right before it is of use, and 1 else.
        generator_rate: The generator's learning rate. None takes one that suits what is trained.
        critic_rate: The critic's, likewise.
        betas: Adam's. By default no momentum: the other player's moves would turn it stale.
        average: The decay of the average of the generator's weights, which it ends with; None for
            its own.
        schedule: The factor of both rates, of the share of steps done.
        turn: Who moves when.

    Raises:
        ValueError: If a number is not positive.
    """

    steps: int = 3_000
    batch: int = 256
    critic_steps: int | None = None
    generator_rate: float | None = None
    critic_rate: float | None = None
    betas: tuple[float, float] = (0.0, 0.99)
    average: float | None = 0.998
    schedule: Schedule = linear_decay()
    turn: Turn = alternating

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "critic_steps", "generator_rate", "critic_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")

    def at_rates(self, generator: float, critic: float) -> "Regime":
        """Return the regime with learning rates where it has none.

        Example:
            >>> Regime(critic_rate=0.1).at_rates(0.01, 0.02).critic_rate
            0.1
        """
        return replace(
            self,
            generator_rate=self.generator_rate or generator,
            critic_rate=self.critic_rate or critic,
        )
