"""The tables of figures in README.md and docs/benchmarks.md, from results.csv.

    python tests/benchmarks/readme_figures.py            # writes them
    python tests/benchmarks/readme_figures.py --check    # exits with 1 where a page differs

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`. A measured figure is
the latest in results.csv that is complete, such as for all of five observations, with the commit
that it was measured at. Published ones are those of published.csv.
"""

import argparse
import csv
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from posterior_tasks import LIMITED, TASKS as ALL_TASKS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
TASKS = ALL_TASKS[:8]
FRONTIER = ("bernoulli_glm",)
Row = dict[str, str]


@dataclass(frozen=True)
class Figure:
    """What one commit has measured.

    Attributes:
        values: One for each seed or observation.
        commit: Where.
        metric: Of which name the first of them is.
    """

    values: tuple[float, ...]
    commit: str
    metric: str

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def median(self) -> float:
        """Their median."""
        return statistics.median(self.values)


@cache
def results(name: str = "results.csv") -> tuple[Row, ...]:
    """Return all rows of a file."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def measured(
    task: str,
    method: str,
    metric: str,
    *,
    simulations: int | None = None,
    seed: int | None = None,
    complete: int = 1,
) -> Figure:
    """Return the latest figures of which there are enough, of one commit.

    Args:
        task: As in results.csv.
        method: As in results.csv.
        metric: A regular expression of the whole name; of equal names and seeds the last counts.
        simulations: How many; None for any.
        seed: Of which seed; None for all.
        complete: How many values make a figure.
    """
    groups: dict[str, dict[tuple[str, str], Row]] = {}
    for row in sorted(results(), key=lambda row: row["date"]):  # stable: rows of a day in order
        if (
            (row["task"], row["method"]) == (task, method)
            and (simulations is None or row["simulations"] == str(simulations))
            and (seed is None or row["seed"] == str(seed))
            and re.fullmatch(metric, row["metric"])
        ):
            rows = groups.setdefault(row["commit"], {})
            rows[row["metric"], row["seed"]] = row
    for commit, rows in reversed(groups.items()):
        if len(rows) == complete:
            values = tuple(float(row["value"]) for row in rows.values())
            return Figure(values, commit, next(iter(rows))[0])
    raise ValueError(f"results.csv has no {complete} values of {task}, {method}, {metric}")


def published(task: str, simulations: int, setting: str) -> str:
    """Return a published figure with the method's name."""
    (row,) = (
        row
        for row in results("published.csv")
        if (row["task"], row["simulations"], row["setting"]) == (task, str(simulations), setting)
    )
    return f"{row['value']} {row['source']}"


def number(value: float, digits: int = 3) -> str:
    """Return a figure without the zero before the point."""
    text = f"{value:.{digits}f}"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def at(figure: Figure, digits: int = 3) -> str:
    """Return the mean with its commit, and a star where C2ST compared 2,000 draws."""
    star = "\\*" if figure.metric.endswith("of 2000") else ""
    return f"{number(figure.mean, digits)}{star} `{figure.commit}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def c2st(task: str, method: str, simulations: int, judge: str = "") -> Figure:
    """Return the C2ST of observations 1 to 5 of a task of sbibm."""
    metric = rf"C2ST{judge} [1-5] of \d+"
    return measured(f"sbibm {task}", method, metric, simulations=simulations, seed=1, complete=5)


def posteriors() -> str:
    """Return the default and rounds beside what is published, 10,000 simulations."""
    head = ("C2ST", "`fit_posterior`", "best published", "`fit_rounds`", "best published in rounds")
    return table(
        head,
        (
            (
                task,
                at(c2st(task, "default", 10_000)),
                published(task, 10_000, "one round"),
                at(c2st(task, "rounds", 10_000)),
                published(task, 10_000, "rounds"),
            )
            for task in TASKS
        ),
    )


def ratios() -> str:
    """Return one density ratio beside sbi's NRE-C on the same simulations."""
    head = ("C2ST", "`NeuralRatio()`", "sbi 0.27, NRE-C, run beside")
    return table(
        head,
        (
            (task, at(c2st(task, "ratio", 10_000)), at(c2st(task, "sbi NRE_C", 10_000)))
            for task in TASKS
        ),
    )


def fit_seconds(task: str, method: str) -> str:
    """Return the processor seconds of a fit of 10,000 simulations."""
    found = measured(f"sbibm {task}", method, "fit cpu seconds", simulations=10_000, seed=1)
    return f"{found.mean:.0f} s"


def paired() -> str:
    """Return the default beside sbi's NPE on the same simulations, with the seconds of both."""
    rows = []
    for task in ALL_TASKS:
        cells = []
        for method in ("default", "sbi NPE_C"):
            found = (c2st(task, method, 10_000, judge) for judge in ("", " by a forest"))
            cells += [*map(at, found), fit_seconds(task, method)]
        rows.append((task, *cells))
    head = ("C2ST", "by the network", "by a forest", "fit", "sbi's NPE", "by a forest", "fit")
    return table(head, rows)


def frontier() -> str:
    """Return the default in shares of the time of sbi's NPE, beside it, and what each took."""
    head = ("C2ST", *(f"{share:g} of its time" for share in LIMITED.values()), "sbi's NPE")
    rows = (
        (
            task,
            *(
                f"{at(c2st(task, method, 10_000))} {fit_seconds(task, method)}"
                for method in (*LIMITED, "sbi NPE_C")
            ),
        )
        for task in FRONTIER
    )
    return table(head, rows)


def small_budgets() -> str:
    """Return the default of 1,000 simulations by two judges."""
    head = ("C2ST", "by the network", "by a forest", "published, by a forest")
    return table(
        head,
        (
            (
                task,
                at(c2st(task, "default", 1_000)),
                at(c2st(task, "default", 1_000, " by a forest")),
                published(task, 1_000, "one round") if task in TASKS else "-",
            )
            for task in ALL_TASKS
        ),
    )


def influenza() -> str:
    """Return the main job's posterior against the exact one, and a peer's."""
    runs = (
        ("lfi, three rounds", "standing influenza", "rounds as they come", "360,000", "C2ST"),
        ("sbi 0.27, NRE-C, its defaults", "influenza", "sbi NRE_C", "30,000", "c2st"),
    )
    rows = []
    for name, task, method, simulations, metric in runs:
        judged = measured(task, method, metric)
        mean, sd = (measured(task, method, kind) for kind in ("mean error", "sd error"))
        assert judged.commit == mean.commit == sd.commit
        errors = (f"{number(mean.mean, 2)} sd", f"{sd.mean:.0%}")
        rows.append((name, simulations, number(judged.mean), *errors, f"`{judged.commit}`"))
    head = ("", "simulations", "C2ST", "error of means", "error of standard deviations", "commit")
    return table(head, rows)


def adversarial() -> str:
    """Return posteriors that are generators, before and after the correction."""
    rows = []
    for task in ("two_moons", "slcp"):
        get = partial(measured, f"black boxes {task}", "lfi adversarial_posterior", complete=5)
        found = [at(get(rf"{kind}C2ST \d of 2000")) for kind in ("", "corrected ")]
        rows.append((task, *found, published(task, 10_000, "adversarial")))
    return table(("C2ST", "draws", "corrected draws", "published"), rows)


def hundred_parameters() -> str:
    """Return posteriors of 100 parameters of a linear Gaussian model."""
    rows = []
    for task, name in (("", "AdversarialPosterior"), (", ratio", "NeuralRatio")):
        get = partial(measured, f"black boxes linear Gaussian{task}", "lfi adversarial_posterior")
        score = get(r"C2ST of projections, \d+ draws")
        kinds = "projections", "parameters"
        shares = [f"{get(f'coverage of 90%, {kind}').mean:.0%}" for kind in kinds]
        seconds = [f"{get(f'{kind} cpu seconds').mean:.3g} s" for kind in ("fit", "draw")]
        rows.append((f"`{name}`", number(score.mean), *shares, *seconds, f"`{score.commit}`"))
    heads = "", "C2ST of projections", "in 90%: projections", "parameters", "fit", "draws of one x"
    return table((*heads, "commit"), rows)


def recovered() -> str:
    """Return minimum-distance estimates through simulators of science."""
    rows = []
    for task, seeds in (("lotka_volterra", 1), ("lorenz96", 2)):
        get = partial(measured, f"black boxes {task}", "lfi minimum_distance", complete=seeds)
        error, relative = get("error in deviations"), get("largest relative deviation")
        ended = [("no", "yes")[int(value)] for value in get("converged").values]
        errors = ", ".join(number(value, 2) for value in error.values)
        share = ", ".join(f"{value:.1%}" for value in relative.values)
        rows.append((task, errors, share, ", ".join(ended), f"`{error.commit}`"))
    heads = "", "largest error, in deviations", "largest deviation, relative"
    return table((*heads, "says it converged", "commit"), rows)


def lynx_hare() -> str:
    """Return a surrogate likelihood in rounds on real data."""
    rows = []
    for simulations in (40_000, 90_000):
        found = [
            measured("lynx_hare", "lfi SurrogateLikelihood", metric, simulations=simulations)
            for metric in ("C2ST of 10000", "mean error", "sd error")
        ]
        judged, mean, sd = found
        errors = (f"{number(mean.mean, 2)} sd", f"{sd.mean:.0%}")
        rows.append((f"{simulations:,}", number(judged.mean), *errors, f"`{judged.commit}`"))
    head = ("simulations", "C2ST", "error of means", "error of standard deviations", "commit")
    return table(head, rows)


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
