"""Training: the one loop over players, and what it needs."""

from lfi.training.batches import Batch, Batches, Shuffled, Together, split
from lfi.training.loop import History, Monitor, fit
from lfi.training.players import Diverged, Move, Player, Step, adamw, alternating, simultaneous
from lfi.training.progress import Advance, bar, held_out_note
from lfi.training.schedules import constant, linear_decay, one_cycle
from lfi.training.seeds import child, fresh, isolated, numpy_rng, reseed, torch_rng

__all__ = [
    "Advance",
    "Batch",
    "Batches",
    "Diverged",
    "History",
    "Monitor",
    "Move",
    "Player",
    "Shuffled",
    "Step",
    "Together",
    "adamw",
    "alternating",
    "bar",
    "child",
    "constant",
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
