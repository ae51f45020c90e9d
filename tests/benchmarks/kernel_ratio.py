"""Kernel density ratios beside densratio: divergences, ratios and time, in one run on one thread.

    python tests/benchmarks/kernel_ratio.py score                # leave-one-out against refitting
    python tests/benchmarks/kernel_ratio.py speed --repeats 3
    python tests/benchmarks/kernel_ratio.py accuracy --seeds 20
    python tests/benchmarks/kernel_ratio.py divergence --seeds 200   # twenty minutes

divergence: the case of densratio's README, N(0, 1/8) against N(0, 1/2) (standard deviations), 500
points each; estimates of the relative Pearson divergence beside the truth. `value` is lfi's default
and `alpha_PE` densratio's; `efficient` is the smallest standard deviation that an unbiased estimate
can have, from the influence function.

accuracy: normalised error on the points of q, mean of (m r_hat/sum r_hat - m r/sum r)^2, default
settings of both.

speed: 2,000 points each, 200 centres, nine widths times nine ridges each.

Each figure is appended to results.csv; `seed` says which were used.
"""

import argparse
import contextlib
import csv
import io
import math
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.distributions import Normal  # noqa: E402

import lfi  # noqa: E402
from lfi.ratio.kernel.lsif import LeastSquaresObjective  # noqa: E402

HERE = Path(__file__).parent
ALPHAS = (0.0, 0.1, 0.5, 0.7)
PEER = "densratio 0.4.0"
GRID = 10 ** np.linspace(-3, 1, 9)  # densratio's widths and ridges, and as many for lfi
Samples = tuple[torch.Tensor, torch.Tensor]
LogRatio = Callable[[torch.Tensor], torch.Tensor]


def readme(n: int, rng: torch.Generator) -> Samples:
    """Return the samples of densratio's README."""
    return torch.randn(n, 1, generator=rng) / 8, torch.randn(n, 1, generator=rng) / 2


def narrow(dim: int, scale: float) -> Callable[[int, torch.Generator], tuple[Samples, LogRatio]]:
    """Return a case whose p is narrower in its first coordinate."""

    def draw(n: int, rng: torch.Generator) -> tuple[Samples, LogRatio]:
        p, q = (torch.randn(n, dim, generator=rng) for _ in range(2))
        p[:, 0] *= scale
        laws = Normal(0.0, scale), Normal(0.0, 1.0)
        return (p, q), lambda x: laws[0].log_prob(x[:, 0]) - laws[1].log_prob(x[:, 0])

    return draw


def shift(dim: int, by: float, units: float = 1.0) -> Callable:
    """Return a case whose p is shifted in its first coordinate; the others are in other units."""

    def draw(n: int, rng: torch.Generator) -> tuple[Samples, LogRatio]:
        p, q = (torch.randn(n, dim, generator=rng) for _ in range(2))
        p[:, 0] += by
        scale = torch.tensor([1.0, *[units] * (dim - 1)])
        return (p * scale, q * scale), lambda x: by * x[:, 0] - by**2 / 2

    return draw


CASES = {
    "1-D narrow, N(0, 1/4) / N(0, 1)": narrow(1, 0.25),
    "1-D shift by 1": shift(1, 1.0),
    "2-D shift by 1": shift(2, 1.0),
    "5-D shift by 1": shift(5, 1.0),
    "5-D narrow by 1/2": narrow(5, 0.5),
    "2-D shift, units 1 and 1000": shift(2, 1.0, 1000.0),
}


def generator(seed: int) -> torch.Generator:
    """Return the generator of a seed."""
    return torch.Generator().manual_seed(seed)


def peer_fit(
    p: torch.Tensor, q: torch.Tensor, alpha: float, seed: int, **options: object
) -> object:
    """Fit densratio, which draws its centres from NumPy's global state."""
    import densratio

    np.random.seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logarithms of zero
        return densratio.RuLSIF(p.numpy(), q.numpy(), alpha=alpha, verbose=False, **options)


def timed(fit: Callable[[], object]) -> tuple[object, float]:
    """Return a result and the seconds that it took."""
    begin = time.perf_counter()
    result = fit()
    return result, time.perf_counter() - begin


class Table:
    """Rows that are printed and appended to results.csv."""

    def __init__(self) -> None:
        command = ["git", "rev-parse", "--short", "HEAD"]
        run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
        self.commit = run.stdout.strip()

    def add(
        self, task: str, method: str, n: int, seed: object, seconds: float, **figures: float
    ) -> None:
        """Print a row and append its figures."""
        said = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"{task:<36}{method:<26}{said}  ({seconds:.2f} s)", flush=True)
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                [
                    self.commit,
                    date.today(),
                    f"kernel ratio, {task}",
                    method,
                    n,
                    seed,
                    name.replace("_", " "),
                    f"{value:.5g}",
                    f"{seconds:.3f}",
                ]
                for name, value in figures.items()
            )


def exact(alpha: float) -> tuple[float, float]:
    """Return the relative Pearson divergence and one point's efficient standard deviation."""
    x = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    p, q = Normal(0.0, 1 / 8).log_prob(x).exp(), Normal(0.0, 1 / 2).log_prob(x).exp()
    mixture = alpha * p + (1 - alpha) * q
    r = torch.where(mixture > 0, p / mixture, 0.0)

    def mean(of: torch.Tensor, f: torch.Tensor) -> float:
        return float(torch.trapezoid(of * f, x))

    at_p, at_q = r - alpha / 2 * r.square(), (1 - alpha) / 2 * r.square()
    variance = sum(mean(of, f.square()) - mean(of, f) ** 2 for of, f in ((p, at_p), (q, at_q)))
    return mean(p, r) / 2 - 0.5, math.sqrt(variance)


def divergence(table: Table, seeds: int, alphas: Sequence[float]) -> None:
    """Estimate the relative Pearson divergence of the README's case."""
    n = 500
    for alpha in alphas:
        truth, efficient = exact(alpha)
        values: dict[str, list[float]] = {}
        seconds = {"lfi": 0.0, PEER: 0.0}
        for seed in range(seeds):
            p, q = readme(n, generator(seed))
            ratio, spent = timed(lambda: lfi.KernelRatio(alpha=alpha).fit(p, q, seed=seed))  # noqa: B023
            seconds["lfi"] += spent / seeds
            peer, spent = timed(lambda: peer_fit(p, q, alpha, seed))  # noqa: B023
            seconds[PEER] += spent / seeds
            for name in ("value", "dual", "plug_in", "held_out"):
                values.setdefault(f"lfi {name}", []).append(getattr(ratio.pearson_, name))
            at_p = float(peer.compute_density_ratio(p.numpy()).mean())
            values.setdefault(f"{PEER} alpha_PE", []).append(float(peer.alpha_PE))
            values.setdefault(f"{PEER} plug_in", []).append(at_p / 2 - 0.5)
        task = f"divergence, alpha {alpha}"
        table.add(task, "truth", n, "", 0.0, value=truth, efficient=efficient / math.sqrt(n))
        errors = {name: np.abs(np.array(v) - truth) / truth for name, v in values.items()}
        for name, estimates in values.items():
            figures = {
                "median": float(np.median(estimates)),
                "median_off": float(np.median(estimates) / truth - 1),
                "median_relative_error": float(np.median(errors[name])),
                "mean_relative_error": float(np.mean(errors[name])),
            }
            table.add(task, name, n, f"0-{seeds - 1}", seconds[name.rpartition(" ")[0]], **figures)
        gain = errors[f"{PEER} alpha_PE"] - errors["lfi value"]
        se = float(gain.std(ddof=1) / math.sqrt(seeds))
        figures = {"mean_gain": float(gain.mean()), "standard_error": se}
        table.add(task, "lfi before densratio", n, f"0-{seeds - 1}", 0.0, **figures)


def normalised_error(r: torch.Tensor, exact: torch.Tensor) -> float:
    """Return the error of a ratio on the points of q, both scaled to mean 1."""
    return float((r / r.mean() - exact / exact.mean()).square().mean())


def accuracy(table: Table, seeds: int, n: int) -> None:
    """Measure the normalised error of ratios."""
    methods: dict[str, Callable[[torch.Tensor, torch.Tensor, int], object]] = {
        "lfi uLSIF": lambda p, q, seed: lfi.KernelRatio().fit(p, q, seed=seed),
        "lfi RuLSIF 0.1": lambda p, q, seed: lfi.KernelRatio(alpha=0.1).fit(p, q, seed=seed),
        "lfi KLIEP": lambda p, q, seed: lfi.KernelRatio(lfi.losses.KLIEP()).fit(p, q, seed=seed),
        "lfi KMM": lambda p, q, seed: lfi.KernelRatio(lfi.discrepancies.MMD()).fit(p, q, seed=seed),
        f"{PEER} uLSIF": lambda p, q, seed: peer_fit(p, q, 0.0, seed),
        f"{PEER} KLIEP": peer_kliep,
    }
    for task, case in CASES.items():
        errors, seconds = {name: [] for name in methods}, dict.fromkeys(methods, 0.0)
        for seed in range(seeds):
            (p, q), log_ratio = case(n, generator(seed))
            for name, method in methods.items():
                ratio, spent = timed(lambda: method(p, q, seed))  # noqa: B023
                seconds[name] += spent / seeds
                if name.startswith("lfi"):
                    r = ratio.relative_ratio(q) if "KMM" in name else ratio.log_ratio(q).exp()
                else:
                    r = torch.from_numpy(ratio.compute_density_ratio(q.numpy()))
                errors[name].append(normalised_error(r, log_ratio(q).exp()))
        for name, values in errors.items():
            wins = float(np.mean(np.array(values) < np.array(errors[f"{PEER} uLSIF"])))
            figures = {"mean_nmse": float(np.mean(values)), "median_nmse": float(np.median(values))}
            figures["share_below_densratio_uLSIF"] = wins
            table.add(task, name, n, f"0-{seeds - 1}", seconds[name], **figures)


def peer_kliep(p: torch.Tensor, q: torch.Tensor, seed: int) -> object:
    """Fit densratio's KLIEP."""
    import densratio

    np.random.seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return densratio.KLIEP(p.numpy(), q.numpy(), verbose=False)


def speed(table: Table, repeats: int, n: int, centres: int) -> None:
    """Time both on the same data with as many centres and candidates."""
    first = readme(50, generator(0))  # imports and compilation are not timed
    peer_fit(*first, 0.0, 0)
    lfi.KernelRatio().fit(*first, seed=0)
    for alpha in (0.0, 0.1):
        times = {"lfi": [], PEER: []}
        for seed in range(repeats):
            p, q = readme(n, generator(seed))
            ratio = lfi.KernelRatio(alpha=alpha, centres=centres, widths=GRID, ridges=GRID)
            times["lfi"].append(timed(lambda: ratio.fit(p, q, seed=seed))[1])  # noqa: B023
            times[PEER].append(
                timed(lambda: peer_fit(p, q, alpha, seed, kernel_num=centres))[1]  # noqa: B023
            )
        medians = {name: float(np.median(values)) for name, values in times.items()}
        for name, seconds in medians.items():
            factor = medians[PEER] / seconds
            task = f"speed, alpha {alpha}, {centres} centres"
            table.add(task, name, n, f"0-{repeats - 1}", seconds, times_densratio=factor)


def score(table: Table) -> None:
    """Compare both leave-one-out scores with refitting without each pair."""
    n, width, ridge = 100, 0.2, 0.01
    p, q = readme(n, generator(1))
    centres = p[:20]
    phi_p, phi_q = (torch.exp(-(x - centres.T).square() / (2 * width**2)) for x in (p, q))
    for alpha in ALPHAS:
        brute = 0.0
        for i in range(n):
            others = torch.arange(n) != i
            a, b = phi_p[others], phi_q[others]
            moments = alpha * a.T @ a / (n - 1) + (1 - alpha) * b.T @ b / (n - 1)
            c = torch.linalg.solve(moments + ridge * torch.eye(20), a.mean(0))
            r_x, r_y = phi_p[i] @ c, phi_q[i] @ c
            brute += float(alpha * r_x**2 / 2 + (1 - alpha) * r_y**2 / 2 - r_x) / n
        ours = float(
            LeastSquaresObjective(phi_p, phi_q, alpha).leave_one_out(torch.tensor([ridge]))[0]
        )
        said = io.StringIO()
        search = sys.modules["densratio.RuLSIF"].search_sigma_and_lambda
        with contextlib.redirect_stdout(said):
            search(p.numpy(), q.numpy(), alpha, centres.numpy(), [width], [ridge], True)
        theirs = float(re.search(r"score = (\S+)", said.getvalue())[1])
        for name, value in (("refitting", brute), ("lfi", ours), (PEER, theirs)):
            figures = {"score": value, "off": value - brute}
            table.add(f"leave-one-out, alpha {alpha}", name, n, 1, 0.0, **figures)


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=["score", "speed", "accuracy", "divergence"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--alphas", type=float, nargs="+", default=ALPHAS, help="for divergence")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--points", type=int, help="of each sample: 2,000 for speed, else 500")
    parser.add_argument("--centres", type=int, default=200, help="for speed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    table = Table()
    if arguments.part == "score":
        score(table)
    elif arguments.part == "speed":
        speed(table, arguments.repeats, arguments.points or 2_000, arguments.centres)
    elif arguments.part == "accuracy":
        accuracy(table, arguments.seeds, arguments.points or 500)
    else:
        divergence(table, arguments.seeds, arguments.alphas)


if __name__ == "__main__":
    main()
