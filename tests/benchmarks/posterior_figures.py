"""Tables of posteriors against exact ones, for README.md and docs/benchmarks.md."""

from functools import partial

from figures import Figure, at, measured, number, published, results, table
from posterior_tasks import LIMITED, TASKS as ALL_TASKS

TASKS = ALL_TASKS[:8]
FRONTIER = ("bernoulli_glm",)


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


def ordinary() -> str:
    """Return problems of every day, three observations each, beside sbi's NPE."""
    names = {row["task"].split()[1] for row in results() if row["task"].startswith("ordinary ")}
    kinds = ("C2ST of 2000", "mean error", "smallest spread", "largest spread", "fit cpu seconds")
    rows = []
    for name in sorted(names):
        cells: list[str] = []
        for method in ("default", "sbi NPE_C"):
            get = partial(measured, method=method, simulations=10_000, seed=1)
            found = [
                [get(f"ordinary {name} {i}", metric=kind) for kind in kinds] for i in (1, 2, 3)
            ]
            scores, errors, least, most, seconds = zip(*found, strict=True)
            cells.append(" ".join(number(score.mean) for score in scores))
            cells.append(number(max(error.mean for error in errors), 2))
            spreads = min(each.mean for each in least), max(each.mean for each in most)
            cells.append(" to ".join(number(spread, 2) for spread in spreads))
            cells.append(f"{seconds[0].mean:.0f} s `{scores[0].commit}`")
        rows.append((name, *cells))
    heads = "C2ST", "means", "spreads", "fit"
    return table(("", *heads, *(f"NPE: {head}" for head in heads)), rows)


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
