"""Fits of a pool that do not depend on each other, side by side in processes.

Wherever a fit was made it is kept in a file, and read from there: workers send no networks, and
what is finished stays. Methods with networks of a user's own, which no file brings back, are not
fitted here.

Where time is limited, a fit has its share of what is left when it begins. Its steps are recorded by
name: given in place of the clock they repeat it, whatever was fitted beside it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lfi.inference.posteriors.kept import KeptFits
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.types import Method, folded_fit, limited_fit, resumed_fit
from lfi.runtime.modes import single_thread
from lfi.runtime.workers.beside import Beside, SeparateCall, usable_cores
from lfi.simulation import Simulations
from lfi.training import Checkpoints, Fold, StageSteps, StepLimit

NEEDED = ("lfi.inference", "torch._dynamo")  # that a worker imports before it forks
# bytes of simulations that are sent to workers that nobody has asked for: each fit takes several
# hundred MB more, and all together are to take no more than a gigabyte
MAX_SENT = 2**26


@dataclass(frozen=True)
class SeparateFit:
    """A fit that any process may do, which returns how long it took and the steps of its stages.

    Attributes:
        method: What to fit.
        name: Under which the steps are recorded.
        file: Under which the posterior is kept.
        simulations: What to fit it to.
        seed: Of the fit.
        device: Where to train.
        limit: That of the whole pool, by its clock.
        share: Of the time left, for this fit.
        needed: Whether it is begun in any case.
        kept: Where the posterior is kept.
        checkpoints: From which its training goes on.
        fold: Of the valid simulations.
    """

    method: Method
    name: str
    file: str
    simulations: Simulations = field(repr=False)
    seed: int
    device: str
    limit: StepLimit
    share: float
    needed: bool
    kept: KeptFits
    checkpoints: Checkpoints
    fold: Fold = field(repr=False)

    def __call__(self, progress: bool) -> tuple[float, dict[str, StageSteps]]:
        """Fit, keep the posterior, and return seconds and steps."""
        begin, limit = time.monotonic(), replace(self.limit, record={})
        part = limit.part(self.name, share=self.share, needed=self.needed)
        if part is not None:
            fit = resumed_fit(
                self.method, limited_fit("methods", self.method, part), self.checkpoints
            )
            fit = folded_fit(self.method, fit, self.simulations, self.fold)
            posterior = fit(seed=self.seed, device=self.device, progress=progress)
            self.kept.save(self.file, poolable(self.method, posterior))
        return time.monotonic() - begin, limit.record


def poolable(method: Method, posterior: object) -> SavedPosterior:
    """Return a posterior; TypeError if it cannot be pooled."""
    if not isinstance(posterior, SavedPosterior):
        kind = type(posterior).__name__
        raise TypeError(f"methods: {method} fits a {kind}, which cannot be pooled")
    return posterior


def separable(method: Method) -> bool:
    """Return whether a file alone brings back what a method fits: any process may fit it."""
    return bool(getattr(method, "restorable", False))


def threads_for(method: Method) -> AbstractContextManager[None]:
    """Return a context of one thread for lfi's small networks, of torch's for those of a user."""
    return single_thread() if separable(method) else nullcontext()


def processes(workers: int | None, simulations: Simulations, device: str) -> int:
    """Return how many processes may fit: as many as are asked for, or one for each core.

    Nobody has asked for several on one accelerator, or to copy many simulations.
    """
    if workers is not None:
        return workers
    size = sum(part.numel() * part.element_size() for part in (simulations.theta, simulations.x))
    return usable_cores() if device == "cpu" and size <= MAX_SENT else 1


def fit_side_by_side(
    fits: Sequence[SeparateFit], workers: int | None, progress: bool
) -> list[tuple[SavedPosterior | None, float, dict[str, StageSteps]]]:
    """Return the posteriors of fits, None where no time was left, with their seconds and steps."""
    with _folder(fits[0].kept) as kept:
        fits = [replace(fit, kept=kept) for fit in fits]
        calls = [SeparateCall(fit.name, fit) for fit in fits]
        with Beside(calls, workers, needed=NEEDED, progress=progress) as beside:
            done = beside.results()
        found = [kept.load(fit.file, fit.simulations.prior, fit.device) for fit in fits]
        kinds = [each and poolable(fit.method, each) for fit, each in zip(fits, found, strict=True)]
        return [(each, *took) for each, took in zip(kinds, done, strict=True)]


@contextmanager
def _folder(kept: KeptFits) -> Iterator[KeptFits]:
    """Yield where fits are kept, a temporary folder if nowhere."""
    if kept.folder is not None:
        yield kept
        return
    with TemporaryDirectory(prefix="lfi-") as folder:
        yield KeptFits(Path(folder))
