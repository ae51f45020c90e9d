"""Training: the one loop over players, and what it needs."""

from lfi.training.batches import Batch, Batches, EachItsOwn, Shuffled, Together, split
from lfi.training.checkpoints import Checkpoint
from lfi.training.history import History
from lfi.training.loop import Monitor, fit
from lfi.training.players import Diverged, Move, Player, Step, adamw
from lfi.training.progress import Advance, bar, held_out_note
from lfi.training.schedules import constant, linear_decay, one_cycle
from lfi.training.seeds import child, fresh, isolated, numpy_rng, reseed, torch_rng
from lfi.training.turns import Turn, alternating, consensus, extragradient, simultaneous

__all__ = [
    "Advance",
    "Batch",
    "Batches",
    "Checkpoint",
    "Diverged",
    "EachItsOwn",
    "History",
    "Monitor",
    "Move",
    "Player",
    "Shuffled",
    "Step",
    "Together",
    "Turn",
    "adamw",
    "alternating",
    "bar",
    "child",
    "consensus",
    "constant",
    "extragradient",
    "fit",
    "fresh",
    "held_out_note",
    "isolated",
    "linear_decay",
    "numpy_rng",
    "reseed",
    "one_cycle",
    "simultaneous",
    "split",
    "torch_rng",
]
