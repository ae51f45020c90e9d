"""Fidelity of a surrogate: a classifier two-sample test against the simulator.

For each of several parameter vectors, n data of both are drawn and a classifier is trained to tell
them apart, on one part of the data, validated on another. Its accuracy is 1/2 where the surrogate
is perfect; 1/2 + d/2 where it found a region to which one of the two gives a probability larger by
d, so that d is a lower bound on their total variation distance.

The classifier sees asinh((x - median) / scale) of each entry, with the median and interquartile
range of both samples together: counts with heavy tails are easier to learn from when compressed.

References:
    Lopez-Paz & Oquab, Revisiting classifier two-sample tests, ICLR 2017. arXiv:1610.06545
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.two_sample.c2st import C2ST, c2st
from lfi.comparison.two_sample.c2st_networks import FoldNetworks
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_tensor
from lfi.runtime import Described, Rows
from lfi.runtime.seeds import child, fresh, numpy_rng
from lfi.simulation import as_simulator, replicate

NETWORKS = FoldNetworks((128,), max_epochs=60)  # trained for longer, they overfit


@dataclass(frozen=True, eq=False, repr=False)
class Fidelity(Described):
    """Data of a surrogate and of its simulator at m parameter vectors, and their comparison.

    Attributes:
        names: The parameters.
        theta: Where the two were compared, (m, D).
        statistic: Accuracy of the classifier at each of them, (m,): 1/2 is perfect.
        p_value: Of the hypothesis that the two distributions are the same, (m,).
        x_simulator: The simulator's data, (m, n, *event); failed simulations are NaN.
        x_surrogate: The surrogate's data, (m, n, *event).
        seed: The seed in use.
    """

    names: tuple[str, ...]
    theta: Float[Tensor, "m d"]
    statistic: Float[Tensor, " m"]
    p_value: Float[Tensor, " m"]
    x_simulator: Float[Tensor, "m n *event"]
    x_surrogate: Float[Tensor, "m n *event"]
    seed: int

    @property
    def mean(self) -> float:
        """The classifier's accuracy, averaged over the parameters."""
        return float(self.statistic.mean())

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Means of the simulator's and of the surrogate's data, each (m, *event)."""
        return self.x_simulator.nanmean(dim=1), self.x_surrogate.nanmean(dim=1)

    @property
    def sds(self) -> tuple[Tensor, Tensor]:
        """Standard deviations of the simulator's and of the surrogate's data, each (m, *event)."""
        a, b = self.means
        off = self.x_simulator - a[:, None], self.x_surrogate - b[:, None]
        return off[0].square().nanmean(dim=1).sqrt(), off[1].square().nanmean(dim=1).sqrt()

    def describe(self) -> str:
        """Return the mean accuracy, and that at each parameter vector, in words."""
        m, n = self.x_simulator.shape[:2]
        lines = [
            f"a classifier tells surrogate from simulator with accuracy {self.mean:.3f} "
            f"(1/2 is perfect; {n} data of each at {m} parameter vectors)"
        ]
        for theta, accuracy in zip(self.theta.tolist(), self.statistic.tolist(), strict=True):
            values = zip(self.names, theta, strict=True)
            where = ", ".join(f"{name} = {value:.3g}" for name, value in values)
            lines.append(f"  {accuracy:.3f} at {where}")
        return "\n".join(lines)

    def _table(self) -> Rows:
        rows = zip(self.theta, self.statistic, self.p_value, strict=True)
        return [
            (*self.names, "accuracy", "p-value"),
            *((*(f"{v:.3g}" for v in theta), f"{c:.3f}", f"{p:.2g}") for theta, c, p in rows),
        ]


@checked
def fidelity(
    surrogate: object,
    simulator: object,
    *,
    theta: Samples | None = None,
    thetas: int = 8,
    n: int = 1000,
    seed: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
) -> Fidelity:
    """Compare a surrogate with its simulator at some parameter vectors, n data of each.

    Args:
        surrogate: A `Surrogate`, a `Simulator`, or anything with `prior` and `simulate`.
        simulator: The simulator, likewise.
        theta: Where to compare them; `thetas` draws from the surrogate's prior by default.
        thetas: How many draws.
        n: Number of data of each at every parameter vector.
        seed: Of the parameters, of both samples and of the classifier.
        workers: Processes that simulate.
        timeout: Seconds after which a call of the simulator is ended, and its data left out.

    Raises:
        ValueError: If the two have other parameters or other shapes of data, if n is too small for
            a classifier, or if too few data are finite.
        RuntimeError: If one of the two raises everywhere.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = {"mean": Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
        >>> wide = lfi.Simulator(lambda theta: theta + 9 * torch.randn(len(theta), 2), prior=prior)
        >>> fidelity(wide, simulator, thetas=2, n=100, seed=1).mean > 0.7
        True
    """
    surrogate, simulator, seed = (
        as_simulator(surrogate, name="surrogate"),
        as_simulator(simulator),
        fresh(seed),
    )
    if surrogate.names != simulator.names:
        raise ValueError(
            f"surrogate has the parameters {surrogate.names}, the simulator {simulator.names}"
        )
    if n < 10:
        raise ValueError(f"n must be at least 10 for a classifier to learn, got {n}")
    if theta is None:
        if thetas < 1:
            raise ValueError(f"thetas must be at least 1, got {thetas}")
        theta = surrogate.prior.sample(thetas, seed=numpy_rng(seed, 0))
    theta = as_tensor("theta", theta)
    if len(theta) == 0 or theta.shape[1] != simulator.prior.dim:
        raise ValueError(
            f"theta must hold values of {', '.join(simulator.names)}, "
            f"(m, {simulator.prior.dim}), got shape {tuple(theta.shape)}"
        )
    rows = theta.repeat_interleave(n, dim=0)
    made = replicate(simulator, rows, seed=child(seed, 1), workers=workers, timeout=timeout)
    x_simulator = made.unflatten(0, (len(theta), n))
    x_surrogate = replicate(surrogate, rows, seed=child(seed, 2)).unflatten(0, (len(theta), n))
    if x_simulator.shape != x_surrogate.shape:
        raise ValueError(
            f"surrogate makes data of shape {tuple(x_surrogate.shape[2:])}, the simulator "
            f"{tuple(x_simulator.shape[2:])}"
        )
    tests = [
        compare(a, b, child(seed, 3, i))
        for i, (a, b) in enumerate(zip(x_surrogate, x_simulator, strict=True))
    ]
    return Fidelity(
        names=simulator.names,
        theta=theta,
        statistic=torch.tensor([test.statistic for test in tests], dtype=torch.float64),
        p_value=torch.tensor([test.p_value for test in tests], dtype=torch.float64),
        x_simulator=x_simulator,
        x_surrogate=x_surrogate,
        seed=seed,
    )


def compare(a: Float[Tensor, " n *event"], b: Float[Tensor, " m *event"], seed: int) -> C2ST:
    """Return the test of two samples, on the rows that are finite, compressed together."""
    flat = [rows.reshape(len(rows), -1).double() for rows in (a, b)]
    a, b = (rows[rows.isfinite().all(dim=1)] for rows in flat)
    if min(len(a), len(b)) < 10:
        raise ValueError(
            f"only {len(b)} simulator and {len(a)} surrogate data of {len(flat[0])} "
            "are finite at one of the parameter vectors"
        )
    both = torch.cat([a, b])
    low, middle, high = both.quantile(both.new_tensor([0.25, 0.5, 0.75]), dim=0)
    scale = torch.where(high > low, high - low, 1.0)
    features = torch.asinh((both - middle) / scale)
    return c2st(features[: len(a)], features[len(a) :], classifier=NETWORKS, seed=seed)
