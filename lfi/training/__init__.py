"""Training: the one loop over players, and what it needs."""

from lfi.training.batches import (
    Batch,
    Batches,
    EachItsOwn,
    Fold,
    Shuffled,
    Together,
    folds,
    hold_out,
)
from lfi.training.checkpoints import (
    Checkpoint,
)
from lfi.training.history import (
    History,
)
from lfi.training.loop import (
    Monitor,
    fit,
)
from lfi.training.players import (
    Diverged,
    Move,
    Player,
    Step,
    adamw,
)
from lfi.training.schedules import (
    constant,
    linear_decay,
    one_cycle,
)
from lfi.training.stacking import (
    minimise_in_bounds,
    stack,
    stacking_weights,
)
from lfi.training.train_one import (
    TrainSettings,
    train_one,
)
from lfi.training.turns import (
    Turn,
    alternating,
    consensus,
    extragradient,
    simultaneous,
)

__all__ = [
    "Batch",
    "Batches",
    "Checkpoint",
    "Diverged",
    "EachItsOwn",
    "Fold",
    "History",
    "Monitor",
    "Move",
    "Player",
    "Shuffled",
    "Step",
    "Together",
    "TrainSettings",
    "Turn",
    "adamw",
    "alternating",
    "consensus",
    "constant",
    "extragradient",
    "fit",
    "folds",
    "hold_out",
    "linear_decay",
    "minimise_in_bounds",
    "one_cycle",
    "simultaneous",
    "stack",
    "stacking_weights",
    "train_one",
]
