"""Two teachers of one generator: a Real NVP of digits by maximum likelihood, and by WGAN-GP.

    python tests/benchmarks/two_teachers.py                   # both, deep and shallow, one seed
    python tests/benchmarks/two_teachers.py --seeds 3         # three

The 1,797 digits of 8 by 8 pixels of 17 levels are split by the seed: 500 are held out. The same
flow, of 8 couplings or of 2, learns the others by its likelihood or against a critic (an MLP whose
slope is held to one), or by a sum of both. Of each:

bits        per dimension, held out and of as many training images, at the end: an upper bound by
            16 draws of noise; log2 17 = 4.09 are those of uniform pixels
W           estimates of the Wasserstein distance (pixels between 0 and 1) by critics trained apart,
            of samples against held-out images (`held-out`) and against as many training images
            (`training`), at five times of training; means over three critics at the end, and of
            real images beside them
gaussian    of the codes of held-out images with noise: the energy distance to the standard normal
            and its p-value (at least 1/200), the p-values of coordinates and of radii, and the mean
            square of a coordinate, 1 if codes are normal

Estimates `at step` are of the weights of that step; what is measured at the end of maximum
likelihood is of the weights of its best validation. Each figure is appended
to results.csv.

Reference: Danihelka, Lakshminarayanan, Uria, Wierstra & Dayan, Comparison of maximum likelihood and
    GAN-based training of Real NVPs, 2017. arXiv:1705.05263
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

import lfi
from lfi.networks import VectorCritic
from lfi.ratio import wasserstein_distance
from simulators import digits

HERE = Path(__file__).parent
HELD_OUT, CRITICS = 500, 3
STEPS = 800, 1_600  # by likelihood, of which the best validation is early, and against a critic
TEACHERS = ("likelihood", "wgan-gp", "both")
WEIGHT = 0.05  # of the likelihood in the sum, in nats a row
COLUMNS = ("Wasserstein, held-out", "Wasserstein, training")


def fitted(
    teacher: str, couplings: int, train: Tensor, test: Tensor, steps: int | None, seed: int
) -> lfi.FlowGenerator:
    """Return the flow that a teacher has trained, followed by independent critics."""
    shared = {
        "bin_width": 1 / digits.ink,
        "couplings": couplings,
        "independent_critic": lfi.IndependentCritic(test),
        "seed": seed,
    }
    if teacher == "likelihood":
        settings = lfi.TrainSettings(steps=steps or STEPS[0], batch_size=128)
        return lfi.fit_flow(train, settings=settings, **shared)
    torch.manual_seed(seed)  # of the critic's first weights
    return lfi.fit_flow(
        train,
        lfi.gans.WGANGP(1.0),
        likelihood_weight=WEIGHT if teacher == "both" else 0.0,
        critic=VectorCritic([(train[0].numel(),)], width=128),
        settings=lfi.AdversarialSettings(steps=steps or STEPS[1], batch_size=128),
        **shared,
    )


def distance(p: Tensor, q: Tensor, seed: int) -> float:
    """Return the mean estimate of several critics."""
    found = [
        wasserstein_distance(p, q, seed=10 * seed + i, progress=False).value for i in range(CRITICS)
    ]
    return sum(found) / CRITICS


def measured(flow: lfi.FlowGenerator, train: Tensor, test: Tensor, seed: int) -> dict[str, float]:
    """Return all figures of a flow."""
    some, x = train[: len(test)], flow.sample(len(test), seed=seed)
    codes = lfi.scores.gaussianity(flow.codes(flow.dequantise(test, seed=seed)), seed=seed)
    during = {
        f"{name} at step {step}": value
        for name in COLUMNS
        for step, value in flow.history.columns[name]
    }
    return {
        "bits held-out": flow.bits_per_dim(test, seed=seed).value,
        "bits training": flow.bits_per_dim(some, seed=seed).value,
        "W held-out": distance(test, x, seed),
        "W training": distance(some, x, seed),
        **during,
        "gaussian energy": codes.energy,
        "gaussian energy p": codes.energy_p,
        "gaussian coordinates p": codes.marginal_p,
        "gaussian radii p": codes.radial_p,
        "gaussian mean square": codes.radius,
    }


def main() -> None:
    """Run what is asked for, print its figures and append their rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, default=TEACHERS)
    parser.add_argument("--couplings", nargs="+", type=int, default=[8, 2])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--steps", type=int, help="of training, by default 800 by likelihood alone, else 1,600"
    )
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    images = digits.images().unflatten(1, (1, digits.side, digits.side))
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        test, train = images[order[:HELD_OUT]], images[order[HELD_OUT:]]
        found = {"real images": ({"W held-out": distance(test, train[:HELD_OUT], seed)}, 0.0)}
        for couplings in arguments.couplings:
            for teacher in arguments.teachers:
                begin = time.process_time()
                flow = fitted(teacher, couplings, train, test, arguments.steps, seed)
                figures = measured(flow, train, test, seed)
                method = f"{teacher}, {couplings} couplings"
                found[method] = (figures, time.process_time() - begin)
        for method, (figures, seconds) in found.items():
            print(f"{method}, seed {seed}: {seconds:.0f} s of the processor")
            for metric, value in figures.items():
                print(f"  {metric:<36}{value:>12.4f}", flush=True)
            if arguments.quiet:
                continue
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(
                    [commit, date.today(), "two teachers", method, len(train), seed]
                    + [metric, f"{value:.4f}", f"{seconds:.1f}"]
                    for metric, value in figures.items()
                )


if __name__ == "__main__":
    main()
