"""A critic of its own beside training: how far samples are from held-out data, and from training's.

A generator's own critic, or its likelihood, judges what it was trained on. A Wasserstein critic
trained anew, of samples against data that the generator has never seen, says how far they really
are; of samples against training data, how far they seem to be. Where the second is lower by more
than their errors, the generator has overfitted.

Both take as many rows, and the same noise at every time, so that estimates can be compared.

Reference: Danihelka, Lakshminarayanan, Uria, Wierstra & Dayan, Comparison of maximum likelihood and
    GAN-based training of Real NVPs, 2017. arXiv:1705.05263
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lfi.generation.generator import Generator
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_counts, check_instance
from lfi.ratio.wasserstein_distance import MIN_ROWS, wasserstein_distance
from lfi.runtime import child, torch_rng
from lfi.training import TrainSettings

HELD_OUT, TRAINING = "Wasserstein, held-out", "Wasserstein, training"  # columns of the history


@checked
@dataclass(frozen=True, eq=False)
class IndependentCritic:
    """Wasserstein estimates by a critic of its own, at some times of training.

    They are the history's columns "Wasserstein, held-out" and "Wasserstein, training".

    Attributes:
        data: Data that the generator is not trained on, (n, *event), at least 50; None for the
            rows that its settings hold out.
        times: How often, evenly spread, the last step included; at most twenty.
        settings: How the critic trains, as `lfi.ratio.wasserstein_distance` takes them.

    Raises:
        ValueError: If there are fewer than 50 data, or times are not from 1 to 20.

    Example:
        >>> follow = IndependentCritic(times=2, settings=lfi.TrainSettings(steps=10))
        >>> settings = lfi.TrainSettings(steps=10, held_out=0.5)
        >>> flow = lfi.fit_flow(torch.randn(200, 2), independent_critic=follow, settings=settings)
        >>> [step for step, _ in flow.history.columns["Wasserstein, held-out"]]
        [5, 10]
    """

    data: Samples | None = None
    times: int = 5
    settings: TrainSettings | None = None

    def __post_init__(self) -> None:
        check_counts(times=self.times)
        check_instance("settings", self.settings, TrainSettings, optional=True)
        if self.times > 20:
            raise ValueError(f"times must be at most 20, got {self.times}")
        if self.data is not None:
            as_sample("data", self.data, min_rows=MIN_ROWS)

    def follow(
        self,
        flow: Generator,
        training: Tensor,
        held_out: Tensor,
        *,
        steps: int,
        every: int,
        seed: int,
    ) -> Callable[[int], dict[str, float]]:
        """Return a function that takes the estimates of the generator as it is after some step.

        It is asked `every` so many steps, and at some returns none. ValueError if rows are too few.
        """
        data = held_out if self.data is None else as_sample("data", self.data, flow.shape)
        n = min(len(data), len(training))
        if n < MIN_ROWS:
            raise ValueError(
                f"independent_critic: a critic needs {MIN_ROWS} rows, got {n}: give data of its "
                "own, or settings that hold out more"
            )
        rng = torch_rng(seed, 4)
        sides = {
            name: rows[torch.randperm(len(rows), generator=rng)[:n]]
            for name, rows in ((HELD_OUT, data), (TRAINING, training))
        }

        def due(step: int) -> bool:
            return (
                step == steps or step * self.times // steps > (step - every) * self.times // steps
            )

        def estimates(step: int) -> dict[str, float]:
            if not due(step):
                return {}
            x = flow.sample(n, seed=child(seed, 5))
            return {name: self._estimate(rows, x, child(seed, 6)) for name, rows in sides.items()}

        return estimates

    def _estimate(self, data: Tensor, samples: Tensor, seed: int) -> float:
        found = wasserstein_distance(
            data, samples, settings=self.settings, seed=seed, progress=False
        )
        return found.value
