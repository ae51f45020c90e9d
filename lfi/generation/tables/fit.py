"""Fitting generators of tables: of vectors of encoded columns, by the energy distance or any other.

The energy distance of a batch to the data has a gradient of little noise from the first step on,
and there is no critic to learn the few rows of a table by heart. `tests/benchmarks/tables.py` holds
it beside others.
"""

from collections.abc import Callable, Mapping

from torch import nn

from lfi.comparison import Energy
from lfi.generation.defaults import Comparison
from lfi.generation.members import fit_generators
from lfi.generation.settings import AdversarialSettings
from lfi.generation.tables.encoding import TableEncoding
from lfi.generation.tables.forms import Table
from lfi.generation.tables.generator import TableGenerator
from lfi.generation.tables.kinds import ColumnKind
from lfi.generation.validated_training import check_resumable
from lfi.networks import MixedGenerator
from lfi.runtime import child, fresh, isolated
from lfi.training import Checkpoint

HELD_OUT, LEAST_HELD_OUT = 0.02, 2  # share and number of rows, where none stops training


def fit_table(
    table: Table,
    kinds: Mapping[str, ColumnKind] | None,
    *,
    comparison: Comparison | None,
    generator: nn.Module | None,
    critic: nn.Module | None,
    scaled: bool,
    settings: AdversarialSettings | None,
    callback: Callable[[int, TableGenerator], None] | None,
    checkpoint: Checkpoint | None,
    seed: int | None,
    device: str,
    progress: bool,
) -> TableGenerator:
    """Return a generator of a table; arguments are those of `lfi.fit_generator`."""
    check_resumable(checkpoint, seed)
    seed = fresh(seed)
    encoding = TableEncoding.of(table, kinds)
    x = encoding.encode(table, seed=child(seed, 4))
    if settings is None or settings.patience is None:
        share = max(HELD_OUT, min((LEAST_HELD_OUT + 0.5) / len(x), 0.5))
        settings = AdversarialSettings(held_out=share).updated(settings)
    if generator is None:
        with isolated(child(seed, 0)):
            generator, scaled = MixedGenerator(encoding.widths), True
    (one,) = fit_generators(
        x,
        1,
        comparison=Energy() if comparison is None else comparison,
        generators=[generator],
        critics=None if critic is None else [critic],
        scaled=scaled,
        settings=settings,
        callback=callback and (lambda step, now: callback(step, TableGenerator(encoding, *now))),
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    return TableGenerator(encoding, one)
