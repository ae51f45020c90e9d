"""Seeds, progress bars, files and the display of results, for the whole library."""

from lfi.runtime.display import Described as Described, Rows as Rows
from lfi.runtime.files import (
    MAX_HEADER as MAX_HEADER,
    Contents as Contents,
    Refusal as Refusal,
    Saved as Saved,
    check_regular as check_regular,
    check_writable as check_writable,
    faults_of as faults_of,
    load_prefixed as load_prefixed,
    prefixed as prefixed,
    read as read,
    replace_file as replace_file,
    restore_part as restore_part,
    restore_saved as restore_saved,
    stripped as stripped,
    write as write,
)
from lfi.runtime.progress import (
    Advance as Advance,
    bar as bar,
    held_out_note as held_out_note,
    silent as silent,
)
from lfi.runtime.screens import BriefSettings as BriefSettings, whole_repr as whole_repr
from lfi.runtime.seeds import (
    child as child,
    fresh as fresh,
    isolated as isolated,
    numpy_rng as numpy_rng,
    reseed as reseed,
    torch_rng as torch_rng,
)
from lfi.runtime.stages import logger as logger, stage_path as stage_path, within as within
