"""The tables of figures in README.md and docs/benchmarks.md, from results.csv.

    python tests/benchmarks/readme_figures.py            # writes them
    python tests/benchmarks/readme_figures.py --check    # exits with 1 where a page differs

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`. A measured figure is
the latest in results.csv that is complete, such as for all of five observations, with the commit
that it was measured at. Published ones are those of published.csv.
"""

import argparse
import re
import sys
from collections.abc import Callable

from figures import HERE, at, measured, number, results, table
from posterior_figures import (
    adversarial,
    frontier,
    hundred_parameters,
    influenza,
    lynx_hare,
    ordinary,
    paired,
    posteriors,
    ratios,
    recovered,
    small_budgets,
)

ROOT = HERE.parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def generators() -> str:
    """Return modes covered by generators at their own defaults."""
    runs = [("ring", "default", "`fit_generator`"), ("grid", "default", "`fit_generator`")]
    named = ("WGANGP", "SinkhornGAN", "DRAGANNS", "WGAN", "UnrolledGAN")
    runs += [("ring", name, f"`lfi.gans.{name}`") for name in named]
    sliced = "SlicedWasserstein"
    runs.append(("ring", sliced, f"`lfi.discrepancies.{sliced}`"))
    rows = []
    for task, method, name in runs:
        kinds = ("modes", "high quality", "reverse KL")
        found = [measured(f"modes {task}", method, kind, complete=5) for kind in kinds]
        modes, near, kl = found
        total = 25 if task == "grid" else 8
        covered = sum(value == total for value in modes.values)
        shares = f"{min(near.values):.0%} to {max(near.values):.0%}"
        largest = number(max(kl.values))
        rows.append((name, task, f"{covered} of 5", shares, largest, f"`{modes.commit}`"))
    head = ("", "data", "seeds with every mode", "samples near a mode", "reverse KL at most")
    return table((*head, "commit"), rows)


def surrogates() -> str:
    """Return how well a classifier tells surrogates from simulators."""
    rows = []
    for task in ("two_moons", "influenza", "sir_gillespie", "lotka_volterra"):
        methods = ("adversarial 1000 steps", "adversarial 3000 steps", "flow")
        if task == "two_moons":  # not measured since steps are told in its method's name
            methods = ("adversarial", *methods[1:])
        found = []
        for method in methods:
            seeds = 3 if (task, method) == ("influenza", "adversarial 1000 steps") else 1
            kind = "c2st at 20 theta"
            found.append(at(measured(f"surrogate {task}", method, kind, complete=seeds)))
        rows.append((task, *found))
    head = ("C2ST", "`fit_surrogate`", "3,000 steps", "a conditional spline flow of zuko")
    return table(head, rows)


def autoencoders() -> str:
    """Return medians over five seeds of algorithms with an encoder."""
    rows = []
    for method in ("AlphaGAN", "AGE", "AVB", "VAE"):
        kinds = ("modes", "high quality", "reconstruction", "mismatch")
        found = [measured("autoencoders ring", method, kind, complete=5) for kind in kinds]
        modes, near, error, mismatch = found
        covered = f"{sum(value == 8 for value in modes.values)} of 5"
        medians = (f"{near.median:.0%}", number(error.median), number(mismatch.median))
        rows.append((f"`{method}`", covered, *medians, f"`{modes.commit}`"))
    head = ("", "seeds with 8 modes", "near a mode", "reconstruction", "mismatch", "commit")
    return table(head, rows)


def imitation() -> str:
    """Return the share of the way from chance to the expert, of three seeds."""
    names = ("CartPole", "Pendulum", "Pendulum, from states", "Pendulum, two episodes")
    rows = []
    for name in names:
        kinds = ("share", "cloning share")
        share, cloning = (
            measured(f"black boxes {name}", "lfi imitation", kind, complete=3) for kind in kinds
        )
        shares = [", ".join(number(v, 2) for v in figure.values) for figure in (share, cloning)]
        rows.append((name, *shares, f"`{share.commit}`"))
    return table(("", "imitation", "cloning", "commit"), rows)


def black_boxes() -> str:
    """Return the largest errors of adversarial variational optimisation over five seeds."""
    cases = (
        ("poisson", "log_rate", "", True),
        ("weinberg", "asymmetry", ", all that collisions tell", True),
        ("weinberg", "beam_energy", ", not told alone", False),
        ("weinberg", "fermi_constant", ", not told alone", False),
        ("five dimensions", "alpha", "", True),
        ("five dimensions", "beta", "", True),
    )
    rows = []
    for task, parameter, note, told in cases:
        name = f"black boxes {task}"
        found = measured(name, "lfi avo", f"error {parameter}", complete=5)
        (budget,) = {
            row["simulations"]
            for row in results()
            if row["task"] == name and row["commit"] == found.commit
        }
        worst = f"{max(abs(value) for value in found.values):.1%}"
        exact = "-"
        if told:
            exact = measured(name, "lfi avo", f"exact error {parameter}", complete=5)
            exact = f"{max(exact.values):.1%}"
        rows.append((task, parameter + note, f"{int(budget):,}", worst, exact, f"`{found.commit}`"))
    heads = "problem", "parameter", "simulations", "largest error"
    return table((*heads, "of the exact estimate", "commit"), rows)


def contaminated() -> str:
    """Return coverage and bias of minimum distance where a tenth of the data are odd."""
    name, method = "black boxes contaminated", "lfi minimum_distance"
    kinds = ("region coverage", "bias of mean", "bias of mean, likelihood")
    coverage, bias, likelihood = (measured(name, method, re.escape(kind)) for kind in kinds)
    row = (f"{coverage.mean:.1%}", number(bias.mean, 2), number(likelihood.mean, 2))
    head = ("coverage of the 95% region", "bias of the mean, in sd", "the likelihood's", "commit")
    return table(head, [(*row, f"`{coverage.commit}`")])


def command() -> str:
    """Return the processor time of `import lfi` and of `lfi --help`."""
    rows = []
    for name, label in (("import", "`import lfi`"), ("help", "`lfi --help`")):
        found = measured(f"standing {name}", "lfi", "cpu milliseconds")
        rows.append((label, f"{found.mean:.0f} ms", f"`{found.commit}`"))
    return table(("", "processor time beyond Python's", "commit"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "posteriors": posteriors,
    "paired": paired,
    "frontier": frontier,
    "ratios": ratios,
    "small-budgets": small_budgets,
    "influenza": influenza,
    "ordinary": ordinary,
    "adversarial": adversarial,
    "lynx-hare": lynx_hare,
    "generators": generators,
    "surrogates": surrogates,
    "autoencoders": autoencoders,
    "imitation": imitation,
    "black-boxes": black_boxes,
    "contaminated": contaminated,
    "hundred-parameters": hundred_parameters,
    "recovered": recovered,
    "command": command,
}


def renewed(text: str) -> str:
    """Return a page with its tables as results.csv has them now."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{TABLES[block[2]]()}\n{block[3]}", text)


def main() -> None:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    differ = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if renewed(text) != text:
            differ.append(page.name)
            if not check:
                page.write_text(renewed(text), encoding="utf-8")
    print(
        f"{'differ from' if check else 'renewed from'} results.csv: {', '.join(differ) or 'none'}"
    )
    sys.exit(check and bool(differ))


if __name__ == "__main__":
    main()
