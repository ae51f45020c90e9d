"""Training of players of generators on data, a part of which is held out to validate samples.

`lfi.fit_generator`, `lfi.fit_flow` and `lfi.fit_autoencoder` differ in networks and players; what
data they take, how a training is validated and goes on from a checkpoint is the same of all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from lfi.generation.objectives import Packed
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.numerics.arrays import Samples, as_sample
from lfi.runtime import bar, child, held_out_note
from lfi.training import Batch, Batches, Checkpoint, History, Monitor, Player, fit

MIN_ROWS = 20  # of data
MAX_HELD_OUT = 1_000  # rows, of which the energy distance is taken
VALIDATIONS = 20


def real_data(data: Samples) -> Tensor:
    """Return data of real numbers; ValueError if of others, too few, or no events."""
    x = as_sample("data", data)
    if not x.is_floating_point() or x.ndim < 2 or len(x) < MIN_ROWS:
        raise ValueError(
            f"data must be real numbers, (n, *event), at least {MIN_ROWS} rows; "
            f"got {x.dtype} of shape {tuple(x.shape)}"
        )
    return x


def check_resumable(checkpoint: Checkpoint | None, seed: int | None) -> None:
    """Raise ValueError for a checkpoint without a seed, by which rows are held out."""
    if checkpoint is not None and seed is None:
        raise ValueError("seed: a checkpoint needs the seed of the training that it resumes")


def batch_size_of(settings: CompleteAdversarialSettings, rows: int, comparison: object) -> int:
    """Return the size of a batch, at most all rows; under `Packed`, of whole packs."""
    size = min(settings.batch_size, rows)
    return size - size % comparison.samples if isinstance(comparison, Packed) else size


def validated_training(
    what: str,
    players: Sequence[Player],
    batches: Batches,
    measure: Callable[[Batch], float],
    settings: CompleteAdversarialSettings,
    *,
    watch: Callable[[int], None] | None,
    checkpoint: Checkpoint | None,
    seed: int,
    device: str,
    progress: bool,
    chooses: bool = False,
    notes: Callable[[int], Mapping[str, float]] | None = None,
) -> History:
    """Train players, validated twenty times, and return the history, with the seed of the fit.

    The weights of the best validation are kept where it `chooses`, or patience may end training.
    """
    with bar(f"training the {what}", settings.steps, progress) as advance:
        history = fit(
            players,
            batches,
            steps=settings.steps,
            turn=settings.turn,
            monitor=Monitor(
                measure,
                every=validation_interval(settings),
                patience=settings.patience,
                chooses=chooses or settings.patience is not None,
                watch=watch,
                notes=notes,
            ),
            schedule=settings.schedule,
            seed=child(seed, 2),
            device=device,
            callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
            checkpoint=checkpoint,
        )
    return replace(history, seed=seed)  # the one that repeats the whole fit


def validation_interval(settings: CompleteAdversarialSettings) -> int:
    """Return how many steps lie between two validations."""
    return max(1, settings.steps // VALIDATIONS)
