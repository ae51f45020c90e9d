"""Telescoping ratios where a single ratio fails: mutual information, and a mixture far from q.

    python tests/benchmarks/telescoping.py                       # 10, 20 nats and the mixture
    python tests/benchmarks/telescoping.py --nats 40             # 160 dimensions, 10 minutes
    python tests/benchmarks/telescoping.py --nats 40 80 --device cuda

**Nats.** x and y of d/2 entries each are standard normal, x_i and y_i correlated by rho, the rest
independent; rho is such that their mutual information, -d/4 log(1 - rho^2), is what is asked for:
10 nats in d = 40, 20 in 80, 40 in 160, 80 in 320 (Rhodes, Xu & Gutmann 2020, section 4.2). A fixed
sample of pairs is drawn; every estimate is the mean log ratio of 20,000 of them that no fit has
seen.

**Mixture.** p is half N(-1, 0.1^2) and half N(1, 0.1^2) in each of three dimensions together, q is
N(0, 5^2): 9.6 nats. The log ratio is known everywhere; its root mean square error is over fresh
samples of p.

Beside the telescope stand the same network with one bridge, and `lfi.fit_ratio`. One core of a CPU,
unless a device is given. Each figure is appended to results.csv.
"""

import argparse
import csv
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import lfi
from lfi.ratio import Estimate

HERE = Path(__file__).parent
SIZES = {  # dimensions, pairs and steps
    10: (40, 140_000, 3_000),
    20: (80, 140_000, 4_000),
    40: (160, 420_000, 5_000),
    80: (320, 520_000, 8_000),
}
BRIEF = (4, 600, 5)
JUDGED = 20_000
MIXTURE = 50_000  # samples of either side

Row = tuple[str, int, dict[str, float], float]


def correlated(nats: int, dimensions: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return pairs of that mutual information."""
    rng, half = torch.Generator().manual_seed(seed), dimensions // 2
    rho = math.sqrt(-math.expm1(-2 * nats / half))
    x, noise = (torch.randn(n, half, generator=rng, dtype=torch.float32) for _ in range(2))
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def telescope(steps: int, bridges: int | None, seed: int, device: str) -> Callable:
    """Return the fit of a telescope to samples of p and of q."""
    method = lfi.TelescopingRatio(bridges, settings=lfi.TrainSettings(steps=steps))
    return lambda p, q: method.fit(p, q, seed=seed, device=device)


def classifier(seed: int, device: str) -> Callable:
    """Return the fit of an ensemble of classifiers."""
    return lambda p, q: lfi.fit_ratio(p, q, seed=seed, device=device)


def information(nats: int, seed: int, device: str, brief: bool) -> Iterator[Row]:
    """Yield method, samples, figures and seconds of each method on correlated Gaussians."""
    dimensions, n, steps = BRIEF if brief else SIZES[nats]
    judged = n // 3 if brief else JUDGED
    x, y = correlated(nats, dimensions, n, seed)

    def row(method: str, estimate: Estimate, begin: float) -> Row:
        seconds = time.monotonic() - begin
        figures = {
            "truth": float(nats),
            "estimate": estimate.value,
            "standard error": estimate.standard_error,
            "relative error": estimate.value / nats - 1,
        }
        return method, n, figures, seconds

    for name, bridges in (("telescope of pairs", None), ("one bridge", 1)):
        begin = time.monotonic()
        method = lfi.TelescopingRatio(bridges, settings=lfi.TrainSettings(steps=steps))
        estimate = lfi.mutual_information(
            x, y, method=method, held_out=judged / n, seed=seed, device=device
        )
        yield row(name, estimate, begin)
    p = torch.cat([x, y], dim=1)
    q = torch.cat([x, y.roll(1, 0)], dim=1)
    for name, fit in (
        ("telescope of p, q", telescope(steps, None, seed, device)),
        ("fit_ratio", classifier(seed, device)),
    )[: 1 if brief else None]:
        begin = time.monotonic()
        estimate = fit(p[judged:], q[judged:]).kl(p[:judged])
        yield row(name, estimate, begin)


def far_mixture(seed: int, device: str) -> Iterator[Row]:
    """Yield the same of a mixture of two narrow Gaussians against a broad one."""
    means = torch.tensor([[-1.0] * 3, [1.0] * 3])
    modes = Independent(Normal(means, torch.full((2, 3), 0.1)), 1)
    p = MixtureSameFamily(Categorical(torch.ones(2)), modes)
    q = Independent(Normal(torch.zeros(3), 5 * torch.ones(3)), 1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        x_p, x_q, fresh = p.sample((MIXTURE,)), q.sample((MIXTURE,)), p.sample((JUDGED,))
    exact = p.log_prob(fresh) - q.log_prob(fresh)
    for name, fit in (
        ("telescope of p, q", telescope(3_000, None, seed, device)),
        ("one bridge", telescope(3_000, 1, seed, device)),
        ("fit_ratio", classifier(seed, device)),
    ):
        begin = time.monotonic()
        ratio = fit(x_p, x_q)
        seconds = time.monotonic() - begin
        with torch.no_grad():
            error = ratio.log_ratio(fresh) - exact
        figures = {
            "truth": float(exact.mean()),
            "estimate": float((exact + error).mean()),
            "rmse": float(error.square().mean().sqrt()),
        }
        yield name, MIXTURE, figures, seconds


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nats", type=int, nargs="*", choices=list(SIZES), default=[10, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--no-mixture", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--brief", action="store_true", help="few pairs and steps: does it run?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    tasks = [
        (
            f"telescoping {nats} nats",
            lambda seed, nats=nats: information(nats, seed, arguments.device, arguments.brief),
        )
        for nats in arguments.nats
    ]
    if not arguments.no_mixture:
        tasks.append(("telescoping mixture", lambda seed: far_mixture(seed, arguments.device)))
    print(f"{'task':<20}{'method':<20}{'seed':>5}{'truth':>8}{'estimate':>10}{'error':>8}{'s':>7}")
    for task, run in tasks:
        for seed in arguments.seeds:
            for method, n, figures, seconds in run(seed):
                error = (
                    f"{figures['relative error']:+.1%}"
                    if "relative error" in figures
                    else f"{figures['rmse']:.2f}"
                )
                print(
                    f"{task.removeprefix('telescoping '):<20}{method:<20}{seed:>5}"
                    f"{figures['truth']:>8.2f}{figures['estimate']:>10.3f}{error:>8}{seconds:>7.0f}",
                    flush=True,
                )
                with (HERE / "results.csv").open("a", newline="") as file:
                    csv.writer(file).writerows(
                        [commit, date.today(), task, method, n, seed, metric, f"{value:.4f}"]
                        + [f"{seconds:.1f}"]
                        for metric, value in figures.items()
                    )


if __name__ == "__main__":
    main()
