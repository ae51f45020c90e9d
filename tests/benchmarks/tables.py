"""Generators of tables, by held-out rows: lfi, a normal copula, flows, CTGAN of the same time.

    python tests/benchmarks/tables.py wine --methods lfi rows copula
    python tests/benchmarks/tables.py diabetes --methods lfi ctgan --ctgan ENV/bin/python

Three folds of each seed, of equal shares of classes: a generator is fitted to two, and the third,
which it has not seen, judges as many rows of it.

    p          of `lfi.mmd_test`, standardised, classes one-hot; its share above .05 is near .95
               where rows are of the same law
    coverage   of `lfi.scores.support_scores`, standardised; also precision, density and what is
               expected of coverage where laws are equal
    copying    z of `lfi.scores.memorisation` of four times as many rows: above 3, rows are copied
    transfer   accuracy on held-out rows of a classifier fitted to generated rows, over that of one
               fitted to training rows (wine and two_classes)
    negative   generated numbers below zero in columns without any

`rows` draws training rows with replacement. CTGAN runs in an environment of its own, whose Python
`--ctgan` names, with as many epochs as take the seconds of processor that lfi took, beside those
for its transforms, and at least its default of 300; categories are named to it as discrete.

The default was chosen on wine and on a law akin to `two_classes`; nothing was chosen on diabetes.
"""

import argparse
import csv
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import chisquare
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

import lfi

RESULTS = Path(__file__).parent / "results.csv"
COLUMNS = ["p", "coverage", "expected", "precision", "density", "copying", "transfer", "negative"]
Fit = Callable[[pd.DataFrame, int, int], pd.DataFrame]

CTGAN = """
import json, sys, time, warnings
from inspect import signature
warnings.filterwarnings("ignore")
import pandas as pd, torch
from ctgan import CTGAN
torch.set_num_threads(1)
train, discrete, rows, seconds, seed, out = json.loads(sys.argv[1])
frame = pd.read_csv(train)
def fitted(epochs):
    torch.manual_seed(seed)
    start = time.process_time()
    model = CTGAN(epochs=epochs, verbose=False, **GPU)
    model.fit(frame, discrete)
    return model, time.process_time() - start
GPU = {next(n for n in ("enable_gpu", "cuda") if n in signature(CTGAN).parameters): False}
fitted(1)  # what is done once
_, short = fitted(10)
_, longer = fitted(110)
epochs = min(max(300, int(100 * seconds / max(longer - short, 1.0))), 3_000)
model, took = fitted(epochs)
model.sample(rows).to_csv(out, index=False)
print(json.dumps([epochs, took]))
"""


def wine() -> pd.DataFrame:
    """Return 178 wines: 13 measurements, two of them whole, and the cultivar."""
    frame = load_wine(as_frame=True).frame
    return frame.assign(target=pd.Categorical(np.array(["A", "B", "C"])[frame["target"]]))


def diabetes() -> pd.DataFrame:
    """Return 442 patients: ten measurements in their units, and the progression in a year."""
    frame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.assign(sex=pd.Categorical(np.array(["1", "2"])[frame["sex"].astype(int) - 1]))


def two_classes() -> pd.DataFrame:
    """Return 500 rows of a known law: a class of share .7, text, counts, zeros and amounts."""
    rng, n = np.random.default_rng(5), 500
    ill = rng.random(n) < 0.3
    ward = np.where(rng.random(n) < np.where(ill, 0.7, 0.2), "surgery", "clinic")
    ward = np.where(rng.random(n) < 0.1, "home", ward)
    cost = np.exp(rng.normal(5 + ill, 0.8)).round(2)
    return pd.DataFrame(
        {
            "ill": ill,
            "ward": ward,
            "visits": rng.poisson(np.where(ill, 15, 6)),
            "cost": cost,
            "paid": np.where(rng.random(n) < 0.4, 0.0, cost * rng.random(n)).round(2),
            "change": rng.normal(np.where(ill, -1.0, 0.5), 1.0),
        }
    )


TASKS = {
    "wine": (wine, "target"),
    "diabetes": (diabetes, "sex"),
    "two_classes": (two_classes, "ill"),
}


def with_lfi(comparison: object = None, steps: int | None = None) -> Fit:
    """Return a fit of the front door."""

    def fit(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
        settings = None if steps is None else lfi.AdversarialSettings(steps=steps)
        generator = lfi.fit_generator(
            train, comparison=comparison, settings=settings, seed=seed, progress=False
        )
        return generator.sample(rows, seed=seed)

    return fit


def with_flow(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return rows of a flow of encoded rows, by likelihood; categories with a little noise."""
    encoding = lfi.tables.TableEncoding.of(train)
    x = encoding.encode(train, seed=seed)
    x = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    return encoding.decode(lfi.fit_flow(x, seed=seed, progress=False).sample(rows, seed=seed))


def with_copula(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return rows of a normal law of encoded rows."""
    encoding = lfi.tables.TableEncoding.of(train)
    x = encoding.encode(train, seed=seed).numpy()
    drawn = np.random.default_rng(seed).multivariate_normal(x.mean(0), np.cov(x.T), rows)
    return encoding.decode(torch.from_numpy(drawn))


def with_rows(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return training rows, drawn with replacement."""
    return train.sample(rows, replace=True, random_state=seed)


def with_ctgan(python: str, seconds: float) -> Fit:
    """Return a fit of CTGAN that takes about as many seconds."""

    def fit(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
        discrete = [name for name in train if not pd.api.types.is_float_dtype(train[name])]
        discrete = [name for name in discrete if train[name].nunique() <= 10]
        with tempfile.TemporaryDirectory() as folder:
            source, out = f"{folder}/train.csv", f"{folder}/rows.csv"
            train.to_csv(source, index=False)
            given = json.dumps([source, discrete, rows, seconds, seed, out])
            run = subprocess.run(
                [python, "-c", CTGAN, given], check=True, capture_output=True, text=True
            )
            epochs, took = json.loads(run.stdout.splitlines()[-1])
            print(f"  CTGAN: {epochs} epochs, {took:.1f} s", flush=True)
            found = pd.read_csv(out)
        for name in train.select_dtypes("category"):
            found[name] = pd.Categorical(found[name].astype(str), train[name].cat.categories)
        return found

    return fit


def judged(
    train: pd.DataFrame, held_out: pd.DataFrame, made: pd.DataFrame, target: str, seed: int
) -> dict[str, float]:
    """Return the figures of generated rows, four for each held-out one."""
    some = made.iloc[: len(held_out)]
    test = lfi.mmd_test(held_out, some, seed=seed)
    scores = lfi.scores.support_scores(held_out, some, standardise=True)
    copying = lfi.scores.memorisation(made, train, held_out, standardise=True)
    numbers = train.select_dtypes("number")
    positive = [name for name in numbers if numbers[name].min() >= 0]
    found = {
        "p": test.p_value,
        "coverage": float(scores.coverage),
        "expected": scores.expected_coverage,
        "precision": float(scores.precision),
        "density": float(scores.density),
        "copying": copying.z,
        "negative": float((made[positive] < 0).sum().sum()),
    }
    if target != "sex":
        own, other = (accuracy(rows, held_out, target) for rows in (made, train))
        found["transfer"] = own / other
    return found


def accuracy(rows: pd.DataFrame, held_out: pd.DataFrame, target: str) -> float:
    """Return the share of held-out rows whose class a forest that is fitted to rows tells."""
    both = pd.get_dummies(pd.concat([rows, held_out]).drop(columns=target)).astype(float)
    x, y = both.iloc[: len(rows)], rows[target].astype(str)
    forest = RandomForestClassifier(100, random_state=0).fit(x, y)
    return float(forest.score(both.iloc[len(rows) :], held_out[target].astype(str)))


def shares(made: pd.DataFrame, train: pd.DataFrame, target: str) -> float:
    """Return the p-value of a chi-squared test of the shares of classes."""
    share = train[target].astype(str).value_counts(normalize=True).sort_index()
    count = made[target].astype(str).value_counts().reindex(share.index, fill_value=0)
    return float(chisquare(count, share * count.sum()).pvalue)


def main() -> None:
    """Run, print, and append to results.csv."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--methods", nargs="+", default=["lfi", "rows", "copula"])
    parser.add_argument("--ctgan", help="Python of an environment that has ctgan")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--folds", type=int, default=3, help="how many of the three are taken")
    parser.add_argument("--steps", type=int, help="of lfi's generators")
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    make, target = TASKS[arguments.task]
    frame, seconds = make(), 0.0
    fits = {
        "lfi": lambda: with_lfi(steps=arguments.steps),
        "lfi WGANGP": lambda: with_lfi(lfi.gans.WGANGP(), arguments.steps),
        "lfi R3GAN": lambda: with_lfi(lfi.gans.R3GAN(), arguments.steps),
        "flow": lambda: with_flow,
        "copula": lambda: with_copula,
        "rows": lambda: with_rows,
        "ctgan": lambda: with_ctgan(arguments.ctgan or "python", seconds),
    }
    commit = subprocess.check_output(
        ["git", "describe", "--always", "--dirty"], cwd=RESULTS.parent, text=True
    ).strip()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(1, arguments.seeds + 1):
        folds = StratifiedKFold(3, shuffle=True, random_state=seed).split(frame, frame[target])
        for fold, (rows, others) in list(enumerate(folds))[: arguments.folds]:
            train = frame.iloc[rows].reset_index(drop=True)
            held_out = frame.iloc[others].reset_index(drop=True)
            for method in arguments.methods:
                start = time.process_time()
                made = fits[method]()(train, 4 * len(held_out), 10 * seed + fold)
                took = time.process_time() - start
                if method == "lfi":
                    seconds = took
                one = judged(train, held_out, made, target, seed)
                one["class shares p"] = shares(made, train, target)
                said = ", ".join(f"{name} {value:.3g}" for name, value in one.items())
                print(f"{arguments.task} {method} {seed}.{fold}: {said} ({took:.0f} s)", flush=True)
                found.setdefault(method, []).append(one | {"seconds": took})
                if not arguments.quiet:
                    with RESULTS.open("a", newline="") as file:
                        csv.writer(file).writerows(
                            [commit, date.today(), f"table {arguments.task}", method, len(train)]
                            + [10 * seed + fold, metric, f"{value:.4g}", f"{took:.1f}"]
                            for metric, value in one.items()
                        )
    for method, each in found.items():
        mean = pd.DataFrame(each)
        line = ", ".join(f"{name} {value:.3g}" for name, value in mean.mean().items())
        above = int((mean["p"] > 0.05).sum())
        print(f"{method}: p > .05 in {above} of {len(mean)}; means: {line}")


if __name__ == "__main__":
    main()
