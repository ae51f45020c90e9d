"""By how much figures of the standing benchmark may differ before they say something.

METRICS states the noise of each; `report` prints figures beside those before and marks the worse.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posterior_tasks import RESULTS, rows_on_record


@dataclass(frozen=True)
class Metric:
    """What counts as worse.

    Attributes:
        noise: By how much a figure differs between runs of the same code, in its own unit.
        share: The same as a share of the figure before.
        best: The best value: infinite where more is better, minus infinity where less is.
    """

    noise: float = 0.0
    share: float = 0.0
    best: float = -math.inf

    def worse(self, value: float, before: float) -> bool:
        """Return whether a figure is worse than one before by more than the noise."""
        if math.isinf(self.best):
            loss = (before - value) * math.copysign(1, self.best)
        else:
            loss = abs(value - self.best) - abs(before - self.best)
        return not loss <= self.noise + self.share * abs(before)  # nan is worse


# Where the noise comes from. C2ST of 2,000 draws has a standard error of .01, and between seeds of
# a fit it differs by .02 to .03 (README). Influenza: the largest differences of three seeds of one
# commit, .003, .05 and .05. Generators: those of five seeds, .015 and .019 (modes.py). Steps of
# those by hand: .88 to 1.10 on record, of all commits. Kernel ratio and p-values: three seeds; with
# one seed the samples are the same, and these differ less. Times: a quarter, on a machine that
# others use too, and a little more where they are of milliseconds.
METRICS = {
    "C2ST": Metric(0.03),
    "mean error": Metric(0.05),
    "sd error": Metric(0.05),
    "modes": Metric(0.0, best=math.inf),
    "high quality": Metric(0.02, best=math.inf),
    "reverse KL": Metric(0.02),
    "fit cpu seconds": Metric(share=0.25),
    "draw cpu seconds": Metric(0.3, share=0.25),
    "cpu seconds": Metric(0.005, share=0.25),
    "seconds": Metric(share=0.25),
    "steps a second": Metric(share=0.25, best=math.inf),
    "of by hand": Metric(0.15, best=math.inf),
    "error": Metric(share=0.2),
    "p-value, equal": Metric(0.15, best=0.5),
    "p-value, shifted": Metric(0.12),
    "cpu microseconds a simulation": Metric(2.0, share=0.25),
    "cpu milliseconds": Metric(1.0, share=0.25),
}


def latest(task: str, method: str, simulations: int) -> dict[str, tuple[float, str]]:
    """Return the latest figures on record, of any seed and note, and the commit of each."""
    same, found = [task, method, str(simulations)], {}
    for commit, _, *place, _, metric, value, _ in rows_on_record()[1:]:
        if [place[0], place[1].partition(";")[0], place[2]] == same:
            found[metric] = float(value), commit
    return found


def report(row: Sequence, found: Mapping[str, float]) -> list[str]:
    """Print figures beside those before, and return the names of those that are worse.

    Args:
        row: Task, method, simulations and seed, as results.csv has them, without a note.
        found: The figures.
    """
    before, worse, name = latest(*row[:3]), [], row[0].removeprefix("standing ")
    for metric, value in found.items():
        text, limit = f"{name:<24}{metric:<31}{value:>10.4g}", METRICS[metric]
        if metric in before:
            known, commit = before[metric]
            text += f"{known:>10.4g} {commit:<9}{value - known:>+10.3g}"
            if limit.worse(value, known):
                worse.append(f"{name}: {metric}")
                text += "  WORSE"
        print(text, flush=True)
    return worse


def append(row: Sequence, found: Mapping[str, float], seconds: float) -> None:
    """Append figures to results.csv, each with the seconds of all of them."""
    with RESULTS.open("a", newline="") as file:
        csv.writer(file).writerows(
            [*row, metric, f"{value:.5g}", f"{seconds:.1f}"] for metric, value in found.items()
        )
