"""How often the checks flag posteriors that are wrong by known mistakes, and the right one.

    python tests/benchmarks/wrong_posteriors.py                      # the table, 15 minutes
    python tests/benchmarks/wrong_posteriors.py --n 200 --cases right "too narrow, 0.6"

theta ~ N(0, I), x = theta + N(0, 0.25 I) in two dimensions, where the posterior is known exactly;
each wrong one makes one mistake, the same at all x. `lfi.check` (ranks of both parameters,
coverage, TARP, TARP given x, together at alpha = 0.05) and `lfi.local_check` (at three
observations, each at alpha = 0.05) see the posterior by 64 draws and its density, or by its ratio
at 2,048 candidates, and n held-out simulations, drawn afresh each time: 100 times for the right
posterior, 25 times for each wrong one. A share p of r repetitions has a standard error of
sqrt(p (1 - p) / r): 0.022 where 0.05 of the right one are flagged, at most 0.1 of a wrong one. Each
share is appended to results.csv.
"""

import argparse
import csv
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.exact_posterior import GaussianDraws, GaussianFlow, GaussianPosterior, held_out  # noqa: E402

import lfi  # noqa: E402

PLACES = torch.tensor([[0.0, 0.0], [1.0, 1.0], [-1.5, 0.5]])  # 0, 1.3 and 1.4 sd of x from 0
CASES = {
    "right": {},
    "too narrow, 0.8": {"scale": 0.8},
    "too narrow, 0.6": {"scale": 0.6},
    "too wide, 1.25": {"scale": 1.25},
    "too wide, 1.6": {"scale": 1.6},
    "shifted, 0.3 sd": {"shift": 0.3},
    "shifted, 0.6 sd": {"shift": 0.6},
    "correlation, 0.5": {"correlation": 0.5},
    "correlation, 0.8": {"correlation": 0.8},
    "the prior": {"informed": False},
    "x_2 ignored": {"blind": True},
}
ALPHA = 0.05


class Blind(GaussianPosterior):
    """The posterior given x_1 alone: what a network that ignores x_2 returns at best."""

    def log_ratio(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return log p(theta_1 | x_1) / p(theta_1)."""
        return (x[..., 0] * theta[..., 0] - theta[..., 0].square() / 2) / 0.25


class BlindDraws(GaussianFlow):
    """The same by draws."""

    def log_prob(self, theta: torch.Tensor, x_obs: torch.Tensor) -> torch.Tensor:
        """Return the log density."""
        return Blind().log_ratio(theta, x_obs) - theta.square().sum(dim=-1) / 2

    def sample(self, n: int, x_obs: torch.Tensor, *, seed: int | None = None) -> torch.Tensor:
        """Draw theta_2 from its prior."""
        right = super().sample(n, x_obs, seed=seed)
        right[..., 1] = GaussianDraws(informed=False).sample(n, x_obs, seed=seed)[..., 1]
        return right


def wrong(mistake: dict, known_by: str) -> object:
    """Return the posterior with one mistake."""
    ratio = known_by == "ratio"
    if "blind" in mistake:
        return Blind() if ratio else BlindDraws()
    return GaussianPosterior(**mistake) if ratio else GaussianFlow(**mistake)


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--known-by", choices=["ratio", "draws"], default="draws")
    parser.add_argument("--repetitions", type=int, default=100, help="of the right posterior")
    parser.add_argument("--of-wrong", type=int, default=25, help="repetitions of each wrong one")
    parser.add_argument("--refits", type=int, default=99)
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(
        f"{'posterior':<18}{'n':>5}{'check':>8}{'local at':>10}"
        + "".join(f"{str(place.tolist()):>14}" for place in PLACES)
        + f"{'s each':>8}"
    )
    for name in arguments.cases:
        r = arguments.of_wrong if CASES[name] else arguments.repetitions
        for n in arguments.n:
            posterior = wrong(CASES[name], arguments.known_by)
            draws = 64 if arguments.known_by == "draws" else None
            flagged, local, begin = 0, torch.zeros(len(PLACES)), time.monotonic()
            for seed in range(r):
                data = held_out(n, 1000 + seed)
                how = {"importance_samples": 2048, "draws": draws, "seed": seed, "alpha": ALPHA}
                flagged += bool(lfi.check(posterior, data, **how).failed)
                local += (
                    lfi.local_check(posterior, data, PLACES, refits=arguments.refits, **how).p_value
                    < ALPHA
                )
            seconds = time.monotonic() - begin
            shares = [flagged / r, *(local / r).tolist()]
            print(
                f"{name:<18}{n:>5}{shares[0]:>8.2f}{'':>10}"
                + "".join(f"{share:>14.2f}" for share in shares[1:])
                + f"{seconds / r:>8.2f}",
                flush=True,
            )
            methods = ["lfi check", *(f"lfi local_check at {place.tolist()}" for place in PLACES)]
            with (HERE / "results.csv").open("a", newline="") as file:
                for method, share in zip(methods, shares, strict=True):
                    csv.writer(file).writerow(
                        [commit, date.today(), f"wrong posterior by {arguments.known_by}: {name}"]
                        + [method, n, f"{r} repetitions", "share flagged at alpha 0.05"]
                        + [f"{share:.3f}", f"{seconds:.1f}"]
                    )


if __name__ == "__main__":
    main()
