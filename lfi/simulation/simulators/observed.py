"""Observations of which entries are missing: simulators of the entries that were observed.

The posterior of one observation with gaps is that of the entries that were observed,

    p(theta | x observed in part)  ∝  p(theta) p(what is observed of x | theta),

so entries that are missing in the observation are left out of what the simulator returns, and any
method fits what is left, without masks. For many patterns of missing entries by one fit there is
`lfi.with_missing`. As there, that an entry is missing must not tell of theta or of its value.

References:
    Rubin, Inference and missing data, Biometrika 1976. doi:10.1093/biomet/63.3.581
"""

import copy
import hashlib
from dataclasses import dataclass

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.simulation.records.results import InvalidOutput
from lfi.simulation.simulators.simulator import Simulator
from lfi.simulation.simulators.wrap import as_simulator


@dataclass(frozen=True, eq=False)
class ObservedEntries:
    """Takes the observed entries of x, (n, *event), as vectors, (n, k); `observed` is the mask."""

    observed: Bool[Tensor, "*event"]

    @property
    def fingerprint(self) -> str:
        """The text that identifies the mask."""
        values = hashlib.sha256(self.observed.numpy().tobytes()).hexdigest()
        return f"{tuple(self.observed.shape)} {values}"

    def __call__(self, x: Shaped[Tensor, " n *event"]) -> Shaped[Tensor, " n k"]:
        """Return what was observed; InvalidOutput where x has another shape than the data."""
        if x.shape[1:] != self.observed.shape:
            raise InvalidOutput(
                f"x_obs has shape {tuple(self.observed.shape)}, but one simulation's x has "
                f"{tuple(x.shape[1:])}"
            )
        return x[:, self.observed.to(x.device)]


@checked
def observed_entries(simulator: object, x_obs: Samples | None = None) -> Simulator:
    """Return a simulator of those entries of x that an observation has, where others are NaN.

    Its x, and its `x_obs`, are vectors of the observed entries in the order of x flattened, of
    trials too; names and axis of the data are those of the entries that are left. Random numbers,
    prior and gradients are those of the simulator. Where no entry is missing, x stays as it is.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        x_obs: The observation, (*event), NaN where an entry is missing; by default the simulator's.

    Raises:
        TypeError: If it is no simulator.
        ValueError: If there is no x_obs, none of its entries is observed, or one is infinite.

    References:
        Rubin, Inference and missing data, Biometrika 1976. doi:10.1093/biomet/63.3.581

    Example:
        >>> from simulators import influenza
        >>> x_obs = influenza.x_obs.clone()
        >>> x_obs[3] = float("nan")
        >>> simulator = lfi.simulation.observed_entries(influenza, x_obs)
        >>> simulator(torch.tensor([[1.7, 0.4, 0.4]]), seed=1).shape, simulator.x_obs.shape
        (torch.Size([1, 13]), torch.Size([13]))
        >>> posterior = lfi.fit_rounds(simulator, simulator.x_obs, budget=(400,), seed=1,
        ...     method=lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2)))
    """
    simulator = as_simulator(simulator)
    given = simulator.x_obs if x_obs is None else x_obs
    if given is None:
        raise ValueError(f"x_obs: {simulator.name} has none of its own, give one")
    x = as_observation(given, missing=True)
    observed = ~x.isnan()
    if not observed.any():
        raise ValueError(f"x_obs: all {x.numel()} entries are missing (NaN)")
    whole = copy.copy(simulator)
    whole.x_obs = x
    if observed.all():
        return whole
    found = whole.with_summary(ObservedEntries(observed))
    found.labels = simulator.labels.of_observed(observed.numpy())
    return found


def complete_observation(
    x_obs: object, shape: tuple[int, ...] | None = None
) -> Float[Tensor, "..."]:
    """Return `as_observation(x_obs, shape)`; where entries are missing, say what to call."""
    x = as_observation(x_obs, shape, missing=True)
    if gaps := int(x.isnan().sum()):
        raise ValueError(
            f"x_obs: {gaps} of {x.numel()} entries are missing (NaN): give simulator = "
            "lfi.simulation.observed_entries(simulator, x_obs), which leaves them out, and its "
            "simulator.x_obs"
        )
    return x
