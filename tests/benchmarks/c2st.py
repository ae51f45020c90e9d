"""The classifier two-sample test beside sbibm's own lines: the same accuracy, sooner?

    python tests/benchmarks/c2st.py                  # 2, 5 and 10 dimensions, 2,000 of each sample
    python tests/benchmarks/c2st.py --n 10000        # as benchmarks of posteriors are judged

Two Gaussians, one a little wider, are told apart by `lfi.c2st` and by sbibm's lines (scikit-learn's
`MLPClassifier`, `KFold` and `cross_val_score`), from the same random numbers, on one thread, in
single precision. Printed and appended to results.csv: both accuracies, and the seconds of the
processor of each; the last column is how many times as long sbibm's lines take.
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

import lfi

RESULTS = Path(__file__).parent / "results.csv"
SCALE = 1.15


def by_sbibm(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return the accuracy as sbibm computes it, on the folds that `lfi.c2st` takes."""
    data = (np.concatenate([a, b]) - a.mean(0)) / a.std(0, ddof=1)
    target = np.concatenate([np.zeros(len(a)), np.ones(len(b))])
    state, size = int(np.random.SeedSequence(seed).generate_state(1)[0]), 10 * a.shape[1]
    network = MLPClassifier(
        activation="relu",
        hidden_layer_sizes=(size, size),
        max_iter=10_000,
        solver="adam",
        random_state=state,
    )
    shuffle = KFold(n_splits=5, shuffle=True, random_state=state)
    return float(cross_val_score(network, data, target, cv=shuffle, scoring="accuracy").mean())


def main() -> None:
    """Run, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 5, 10])
    parser.add_argument("--n", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{'dimensions':<12}{'lfi':>8}{'sbibm':>8}{'lfi, s':>9}{'sbibm, s':>10}{'ratio':>8}")
    for dim in arguments.dims:
        rng = np.random.default_rng([arguments.seed, dim])
        a, b = rng.normal(0, [[[1.0]], [[SCALE]]], (2, arguments.n, dim)).astype(np.float32)
        found, seconds = [], []
        for test in (lambda a, b, seed: lfi.c2st(a, b, seed=seed).statistic, by_sbibm):
            begin = time.process_time()
            found.append(test(a, b, arguments.seed))
            seconds.append(time.process_time() - begin)
        print(
            f"{dim:<12}{found[0]:>8.4f}{found[1]:>8.4f}{seconds[0]:>9.1f}{seconds[1]:>10.1f}"
            f"{seconds[1] / seconds[0]:>8.2f}",
            flush=True,
        )
        with RESULTS.open("a", newline="") as file:
            csv.writer(file).writerows(
                [commit, date.today(), f"c2st {dim}-D", name, arguments.n, arguments.seed]
                + ["accuracy", f"{accuracy:.4f}", f"{taken:.1f}"]
                for name, accuracy, taken in zip(("lfi", "sbibm"), found, seconds, strict=True)
            )


if __name__ == "__main__":
    main()
