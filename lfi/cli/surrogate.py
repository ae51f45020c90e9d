"""The surrogate of `lfi run`: trained on the last round's simulations, and kept beside them."""

from dataclasses import dataclass
from pathlib import Path

from lfi.generation import Surrogate, fit_surrogate
from lfi.loading import load
from lfi.runtime.workers.beside import SeparateCall
from lfi.simulation import Prior, Simulations
from lfi.training import Checkpoint

CHECKPOINT_STEPS = 200
NEEDED = ("lfi.cli.surrogate", "torch._dynamo")  # that a worker imports before it forks
NICENESS = 10  # of that worker: the fit, which is waited for, goes first


@dataclass(frozen=True)
class SurrogateJob:
    """What to train a surrogate on: the first `count` simulations of a round's store.

    Attributes:
        rounds: The folder of the rounds.
        number: The round's.
        count: How many of its simulations.
        prior: What they were drawn from.
        seed: Of the training.
        device: Where to train.
    """

    rounds: Path
    number: int
    count: int
    prior: Prior
    seed: int
    device: str

    @property
    def file(self) -> Path:
        """Where the surrogate is kept: under the same record as what it was trained on."""
        return self.rounds / "surrogate.lfi"

    @property
    def calls(self) -> list[SeparateCall[None]]:
        """What is left to be computed, by any process."""
        return [] if self.file.is_file() else [SeparateCall("training the surrogate", self.train)]

    def train(self, progress: bool) -> None:
        """Train the surrogate and keep it; interrupted, it goes on from its last checkpoint."""
        checkpoint = Checkpoint(self.rounds / "surrogate.checkpoint", every=CHECKPOINT_STEPS)
        store = self.rounds / f"round_{self.number}.zarr"
        surrogate = fit_surrogate(
            Simulations.open(store, prior=self.prior)[: self.count],
            checkpoint=checkpoint,
            seed=self.seed,
            device=self.device,
            progress=progress,
        )
        surrogate.save(self.file)
        for path in self.rounds.glob("surrogate.checkpoint*"):
            path.unlink()

    def trained(self, copy: Path) -> Surrogate:
        """Return the surrogate that is kept, and save it to another place too."""
        surrogate = load(self.file, prior=self.prior)
        assert isinstance(surrogate, Surrogate)  # under that name
        surrogate.save(copy)
        return surrogate.to(self.device)
