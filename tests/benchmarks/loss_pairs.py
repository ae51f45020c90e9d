"""Any critic's loss with any generator's: 11 x 6 games on the ring of eight Gaussians.

    python tests/benchmarks/loss_pairs.py                        # 66 runs, 10 minutes; resumable
    python tests/benchmarks/loss_pairs.py --critics Neyman --critic-rate 3e-4

Every game has the same networks, penalty, rates and 1,500 steps. The figure is the factor by which
the energy distance to held-out data falls from that of the untrained generator. It is unbiased, of
5,000 held-out data and 5,000 samples: how far it strays from zero between twenty pairs of samples
of the data is printed first. That is far below a tenth of any start, so that a factor of ten is no
chance; ends below it count as equal to it.

Beside the factor, of critic and samples at the end: the mean pull |dG/dh| of the generator's loss,
and the share of samples that it comes from, (sum of pulls)^2 / n (sum of squared pulls).

A circle through all modes, on which the critic does not tell them apart, has a factor of 25.

Of the losses that are one game only one is here: as critics' losses, Jensen-Shannon is Bernoulli
and squared Hellinger Exponential up to constants; Hinge and Wasserstein generators minimise -E h,
as ReverseKL does. Runs on record at this commit are skipped. Each figure is appended to
results.csv.
"""

import argparse
import csv
import math
import subprocess
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

import lfi
from lfi.comparison import GeneratorLoss
from lfi.networks import VectorCritic, VectorGenerator
from lfi.training import Diverged
from simulators import ring

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
DATA, JUDGED, WIDTH, RATE = 10_000, 5_000, 64, 3e-3
PENALTY = lfi.penalties.R1(1.0)
CRITICS = {
    "Bernoulli": lfi.losses.Bernoulli(),
    "Brier": lfi.losses.Brier(),
    "Exponential": lfi.losses.Exponential(),
    "Spherical": lfi.losses.Spherical(),
    "KL": lfi.losses.KL(),
    "ReverseKL": lfi.losses.ReverseKL(),
    "Pearson": lfi.losses.PearsonChiSquared(),
    "Neyman": lfi.losses.NeymanChiSquared(),
    "Jeffreys": lfi.losses.Jeffreys(),
    "Hinge": lfi.losses.Hinge(),
    "Wasserstein": lfi.losses.Wasserstein(),
}
GENERATORS = {
    "Bernoulli": lfi.losses.Bernoulli(),
    "NonSaturating": lfi.losses.NonSaturating(),
    "KL": lfi.losses.KL(),
    "ReverseKL": lfi.losses.ReverseKL(),
    "SquaredHellinger": lfi.losses.SquaredHellinger(),
    "Relativistic": lfi.losses.Relativistic(),
}


def distance(x: Tensor, y: Tensor) -> float:
    """Return the energy distance."""
    return float(lfi.discrepancies.Energy()(x.double(), y.double()))


def pulls(loss: GeneratorLoss, h_p: Tensor, h_q: Tensor) -> tuple[float, float]:
    """Return the mean pull of a generator's loss on samples, and the share that it comes from."""
    h_q = h_q.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.generator(h_p, h_q), h_q)
    pull = slope.abs() * len(h_q)
    return float(pull.mean()), float(pull.mean().square() / pull.square().mean())


def noise() -> float:
    """Return the largest energy distance of twenty pairs of samples of the data."""
    rng = torch.Generator().manual_seed(0)
    pairs = [(ring.sample(JUDGED, rng), ring.sample(JUDGED, rng)) for _ in range(20)]
    return max(abs(distance(*pair)) for pair in pairs)


def circle() -> float:
    """Return the energy distance of the circle through all modes, evenly filled, to the data."""
    rng = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.rand(JUDGED, generator=rng)
    return distance(ring.sample(JUDGED, rng), torch.stack([angle.cos(), angle.sin()], dim=1))


def run(
    critic: str, generator: str, seed: int, steps: int, rate: float, floor: float
) -> tuple[dict[str, float], str]:
    """Return the figures of one game, and what was wrong with it."""
    data = ring.sample(DATA, torch.Generator().manual_seed(seed))
    held_out = ring.sample(JUDGED, torch.Generator().manual_seed(seed + 1))
    torch.manual_seed(seed)
    networks = VectorGenerator(2, width=WIDTH), VectorCritic([(2,)], width=WIDTH)
    with torch.no_grad():
        z = networks[0].noise(JUDGED, torch.Generator().manual_seed(seed + 2))
        start = distance(held_out, networks[0](z) * data.std(0) + data.mean(0))
    loss = GENERATORS[generator]
    try:
        fitted = lfi.fit_generator(
            data,
            comparison=lfi.Adversarial(CRITICS[critic], loss, PENALTY),
            generator=networks[0],
            critic=networks[1],
            settings=lfi.AdversarialSettings(
                steps=steps,
                batch_size=128,
                critic_steps=1,
                learning_rate=1e-3,
                critic_learning_rate=rate,
            ),
            seed=seed,
            progress=False,
        )
    except Diverged as reason:
        step = float(str(reason).partition("at step ")[2].partition(":")[0])
        return {"start": start, "diverged at": step}, str(reason).partition(":")[0]
    samples = fitted.sample(JUDGED, seed=seed)
    end = distance(held_out, samples)
    h_p, h_q = fitted.criticise(held_out), fitted.criticise(samples)
    pull, share = pulls(loss, h_p[:1_000], h_q[:1_000])
    figures = {
        "start": start,
        "end": end,
        "factor": start / max(end, floor),
        "pull": pull,
        "share": share,
        "h of data": float(h_p.mean()),
        "h of samples": float(h_q.mean()),
    }
    return figures, "" if math.isfinite(end) else "samples are not finite"


def recorded(commit: str, task: str, seed: int) -> dict[tuple[str, str], dict[str, float]]:
    """Return the figures on record at a commit, of each pair."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    with RESULTS.open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["commit"], row["task"], row["seed"]) == (commit, task, str(seed)):
                critic, generator = row["method"].split(" with ")
                found.setdefault((critic, generator), {})[row["metric"]] = float(row["value"])
    return found


def cell(figures: dict[str, float] | None) -> str:
    """Return what the table says of a pair."""
    if figures is None:
        return "-"
    if "diverged at" in figures:
        return f"diverged at {figures['diverged at']:.0f}"
    return f"{figures['factor']:.0f}" if figures["factor"] >= 10 else f"{figures['factor']:.1f}"


def main() -> None:
    """Play what is not on record, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--critics", nargs="+", choices=list(CRITICS), default=list(CRITICS))
    parser.add_argument(
        "--generators", nargs="+", choices=list(GENERATORS), default=list(GENERATORS)
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--critic-rate", type=float, default=RATE)
    parser.add_argument("--commit", help="whose record to go on with; by default the current one")
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = (
        arguments.commit
        or subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    slower = "" if arguments.critic_rate == RATE else f", critic's rate {arguments.critic_rate:g}"
    task = f"loss pairs ring{slower}"
    floor = noise()
    print(f"between two samples of the data: at most {floor:.1e}; an even circle: {circle():.4f}")
    found = recorded(commit, task, arguments.seed)
    for critic in arguments.critics:
        for generator in arguments.generators:
            if (critic, generator) in found:
                continue
            begin = time.process_time()
            figures, wrong = run(
                critic, generator, arguments.seed, arguments.steps, arguments.critic_rate, floor
            )
            seconds = time.process_time() - begin
            found[critic, generator] = figures
            said = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
            print(f"{critic} with {generator}: {said} ({seconds:.0f} s) {wrong}", flush=True)
            if arguments.quiet:
                continue
            with RESULTS.open("a", newline="") as file:
                csv.writer(file).writerows(
                    [commit, date.today(), task, f"{critic} with {generator}", DATA]
                    + [arguments.seed, metric, f"{value:.4g}", f"{seconds:.1f}"]
                    for metric, value in figures.items()
                )
    print("| critic's loss | " + " | ".join(arguments.generators) + " |")
    print("|---" * (len(arguments.generators) + 1) + "|")
    for critic in arguments.critics:
        row = [cell(found.get((critic, generator))) for generator in arguments.generators]
        print(f"| {critic} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
