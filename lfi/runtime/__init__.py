"""What every room runs on: seeds, progress bars, files, the display of results."""

from lfi.runtime.display import (
    Described,
)
from lfi.runtime.files import (
    Contents,
    Saved,
    load_prefixed,
    prefixed,
    read,
    replace_file,
    restore_saved,
    write,
)
from lfi.runtime.progress import (
    Advance,
    bar,
    held_out_note,
    silent,
)
from lfi.runtime.seeds import (
    child,
    fresh,
    isolated,
    numpy_rng,
    reseed,
    torch_rng,
)

__all__ = [
    "Advance",
    "Contents",
    "Described",
    "Saved",
    "bar",
    "child",
    "fresh",
    "held_out_note",
    "isolated",
    "load_prefixed",
    "numpy_rng",
    "prefixed",
    "read",
    "replace_file",
    "reseed",
    "restore_saved",
    "silent",
    "torch_rng",
    "write",
]
