"""How far fitted log ratios are from exact ones, for every loss, beside a plain network.

    python tests/benchmarks/neural_ratio.py                                    # all, 20 minutes
    python tests/benchmarks/neural_ratio.py --cases shift scale --losses KL --seeds 1 2 3

5,000 points of p and 5,000 of q; the root mean square error of log p/q over both samples, and the
seconds of one fit on one thread: medians over seeds. `fit_ratio` runs with its defaults, the same
for every loss. The plain network has two hidden layers of 64 ReLU units, standardised inputs, and
2,000 steps of Adam at 1e-3 with 256 + 256 points by the same loss. Where p is narrower than q, the
points counted lie in the central 99% of q: beyond, there is no sample of p. Each figure is appended
to results.csv.
"""

import argparse
import csv
import math
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Gamma,
    Independent,
    LogNormal,
    MixtureSameFamily,
    Normal,
    StudentT,
)

import lfi
from lfi.comparison import CriticLoss

HERE = Path(__file__).parent
N = 5_000
Fitted = Callable[[Tensor], Tensor]


def normal(mean: float, sd: float, dim: int = 0) -> Distribution:
    """Return a Gaussian of scalars, or of vectors with independent entries."""
    if not dim:
        return Normal(torch.tensor(mean), torch.tensor(sd))
    return Independent(Normal(torch.full((dim,), mean), torch.full((dim,), sd)), 1)


def mixture(means: list[float], sds: list[float], shares: list[float]) -> Distribution:
    """Return a mixture of Gaussians on the line."""
    parts = Normal(torch.tensor(means), torch.tensor(sds))
    return MixtureSameFamily(Categorical(torch.tensor(shares)), parts)


class Ring(Distribution):
    """Points around a circle: the radius has density proportional to r exp(-(r - a)^2/(2 s^2))."""

    radius, sd = 2.0, 0.5

    def __init__(self) -> None:
        self.grid = torch.linspace(0, 6, 6001)
        self.mass = self.grid * torch.exp(-((self.grid - self.radius) ** 2) / (2 * self.sd**2))
        super().__init__(event_shape=torch.Size([2]), validate_args=False)

    def sample(self, shape: tuple[int]) -> Tensor:
        """Draw points."""
        rows = torch.multinomial(self.mass, shape[0], replacement=True)
        r = self.grid[rows] + 1e-3 * (torch.rand(shape) - 0.5)
        angle = 2 * math.pi * torch.rand(shape)
        return torch.stack([r * angle.cos(), r * angle.sin()], dim=1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density."""
        integral = 2 * math.pi * torch.trapezoid(self.mass, self.grid)
        return -((x.norm(dim=1) - self.radius) ** 2) / (2 * self.sd**2) - integral.log()


def student(location: float, scale: float) -> Distribution:
    """Return a t of 3 degrees of freedom."""
    return StudentT(torch.tensor(3.0), torch.tensor(location), torch.tensor(scale))


@dataclass(frozen=True)
class Case:
    """Two densities.

    Attributes:
        p: The numerator.
        q: The denominator.
        within: The distance from 0 up to which points count.
    """

    p: Distribution
    q: Distribution
    within: float = math.inf

    def draw(self, seed: int) -> tuple[Tensor, Tensor]:
        """Draw both samples."""
        torch.manual_seed(1000 + seed)
        return self.p.sample((N,)), self.q.sample((N,))

    def error(self, fitted: Fitted, p: Tensor, q: Tensor) -> float:
        """Return the root mean square error over both samples."""
        x = torch.cat([p, q])
        x = x[x.reshape(len(x), -1).norm(dim=1) < self.within]
        exact = self.p.log_prob(x) - self.q.log_prob(x)
        return float((fitted(x) - exact).square().mean().sqrt())


def cases() -> dict[str, Case]:
    """Return the cases by name."""
    gamma = lambda shape: Gamma(torch.tensor(shape), torch.tensor(1.0))
    return {
        "shift": Case(normal(1.0, 1.0), normal(0.0, 1.0)),
        "gamma": Case(gamma(3.0), gamma(2.0)),
        "shift 2-D": Case(normal(1.0, 1.0, 2), normal(0.0, 1.0, 2)),
        "shift 5-D": Case(normal(0.5, 1.0, 5), normal(0.0, 1.0, 5)),
        "far shift 5-D": Case(normal(1.0, 1.0, 5), normal(0.0, 1.0, 5)),
        "scale": Case(normal(0.0, 0.5), normal(0.0, 1.0), 2.576),
        "two modes": Case(
            mixture([-1.0, 1.0], [0.5, 0.5], [0.5, 0.5]), normal(0.0, 1.2), 2.576 * 1.2
        ),
        "three modes": Case(
            mixture([-2.0, 0.0, 1.5], [0.5, 0.7, 0.5], [0.3, 0.4, 0.3]),
            normal(0.0, 1.5),
            2.576 * 1.5,
        ),
        "ring": Case(Ring(), normal(0.0, 1.5, 2), 3.035 * 1.5),
        "t shift": Case(student(0.7, 1.0), student(0.0, 1.0)),
        "t scale": Case(student(0.0, 2.0), student(0.0, 1.0)),
        "lognormal": Case(
            LogNormal(torch.tensor(0.5), torch.tensor(1.0)),
            LogNormal(torch.tensor(0.0), torch.tensor(1.2)),
        ),
    }


LOSSES = {
    type(loss).__name__: loss
    for loss in (
        lfi.losses.Bernoulli(),
        lfi.losses.Brier(),
        lfi.losses.Spherical(),
        lfi.losses.Exponential(),
        lfi.losses.KL(),
        lfi.losses.ReverseKL(),
        lfi.losses.LSIF(),
        lfi.losses.NeymanChiSquared(),
    )
}


def by_lfi(p: Tensor, q: Tensor, loss: CriticLoss, seed: int, steps: int | None) -> Fitted:
    """Fit with the library's defaults, but for the number of steps if it is given."""
    settings = None if steps is None else lfi.TrainSettings(steps=steps)
    return lfi.fit_ratio(p, q, loss=loss, settings=settings, seed=seed).log_ratio


def by_plain_network(
    p: Tensor, q: Tensor, loss: CriticLoss, seed: int, steps: int | None
) -> Fitted:
    """Fit as one would by hand."""
    torch.manual_seed(seed)
    p, q = (x.reshape(len(x), -1).float() for x in (p, q))
    both = torch.cat([p, q])
    location, scale = both.mean(0), both.std(0)
    linear = lambda a, b: nn.Linear(a, b, dtype=torch.float32)
    net = nn.Sequential(linear(p.shape[1], 64), nn.ReLU(), linear(64, 64), nn.ReLU(), linear(64, 1))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    h = lambda x: net((x - location) / scale).squeeze(1)
    for _ in range(steps or 2_000):
        rows = torch.randint(N, (2, 256))
        adam.zero_grad()
        loss(h(p[rows[0]]), h(q[rows[1]])).backward()
        adam.step()
    return lambda x: h(x.reshape(len(x), -1).float()).detach().to(x)


METHODS = {"lfi": by_lfi, "plain": by_plain_network}


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    everything = cases()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=everything, default=list(everything))
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--steps", type=int, help="of training, to see that it runs")
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{'case':<14}{'loss':<18}" + "".join(f"{m:>8}{'s':>6}" for m in arguments.methods))
    for name in arguments.cases:
        for loss in arguments.losses:
            print(f"{name:<14}{loss:<18}", end="", flush=True)
            for method in arguments.methods:
                errors, seconds = [], []
                for seed in arguments.seeds:
                    p, q = everything[name].draw(seed)
                    begin = time.monotonic()
                    fitted = METHODS[method](p, q, LOSSES[loss], seed, arguments.steps)
                    seconds.append(time.monotonic() - begin)
                    errors.append(everything[name].error(fitted, p, q))
                error, second = statistics.median(errors), statistics.median(seconds)
                print(f"{error:>8.3f}{second:>6.1f}", end="", flush=True)
                row = [commit, date.today(), f"ratio {name}", f"{method} {loss}", 2 * N]
                row += [
                    f"median of {len(errors)}",
                    "rmse of log ratio",
                    f"{error:.4f}",
                    f"{second:.1f}",
                ]
                with (HERE / "results.csv").open("a", newline="") as file:
                    csv.writer(file).writerow(row)
            print()


if __name__ == "__main__":
    main()
