"""The report's tables: numbers, and beside each its verdict in plain words.

A verdict follows the published rules of thumb: importance weights are reliable while Pareto's k-hat
is below 0.7, chains agree while R-hat is below 1.01, and 400 effectively independent draws fix a
mean to a twentieth of a standard deviation.

References:
    Vehtari et al., Pareto Smoothed Importance Sampling, JMLR 2024. arXiv:1507.02646
    Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat, Bayesian
        Analysis 2021. arXiv:1903.08008
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws
from lfi.report.plots.densities import highest_density_interval
from lfi.report.plots.style import number

interval_mass = 0.94
good_khat, bad_khat = 0.7, 1.0
good_r_hat = 1.01
good_ess = 400
near_c2st, far_c2st = 0.6, 0.75


@dataclass(frozen=True)
class Verdict:
    """What a number means: good, to be looked at (False), or a fact without a judgement (None)."""

    good: bool | None
    text: str


@dataclass(frozen=True)
class Table:
    """A table of text: a header, rows of as many cells, a caption.

    A cell that is a `Verdict` is shown in its colour; the other cells after a row's first are
    numbers, set flush right, if `numeric`.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | Verdict, ...], ...]
    caption: str
    numeric: bool = True


def marginal_table(
    theta: Float[Tensor, "n D"],
    names: Sequence[str],
    *,
    prior_theta: Float[Tensor, "m D"] | None = None,
    units: Mapping[str, str] | None = None,
    r_hat: Float[Tensor, " D"] | None = None,
) -> Table:
    """Return mean, standard deviation and 94% highest-density interval of each parameter.

    Args:
        theta: Draws of the posterior.
        names: The parameters' names, in the order of the columns.
        prior_theta: Draws of the prior, for its mean and standard deviation.
        units: The parameters' units by name.
        r_hat: R-hat of each parameter, where the draws come from chains.

    Example:
        >>> table = marginal_table(torch.tensor([[1.0], [2.0], [3.0]]), ["rate"])
        >>> table.header[:3], table.rows[0][:3]
        (('parameter', 'mean', 'sd'), ('rate', '2.00', '0.82'))
    """
    draws = theta.double().numpy()
    intervals = highest_density_interval(draws, interval_mass)
    header = ["parameter", "mean", "sd", f"{interval_mass:.0%} interval"]
    header += ["prior mean", "prior sd", "sd / prior sd"] if prior_theta is not None else []
    header += ["R-hat"] if r_hat is not None else []
    header += ["unit"] if units else []
    rows = []
    for i, name in enumerate(names):
        sd = float(draws[:, i].std())
        low, high = (number(float(end), sd) for end in intervals[i])
        row = [name, number(float(draws[:, i].mean()), sd), number(sd, sd), f"{low} to {high}"]
        if prior_theta is not None:
            before = prior_theta[:, i].double().numpy()
            wide = float(before.std())
            row += [number(float(before.mean()), wide), number(wide, wide)]
            row += [f"{sd / wide:.2g}" if wide > 0 else "–"]
        row += [f"{float(r_hat[i]):.3f}"] if r_hat is not None else []
        row += [units.get(name, "")] if units else []
        rows.append(tuple(row))
    caption = (
        f"Marginals of {len(draws):,} posterior draws. The interval is the {interval_mass:.0%} "
        "highest-density interval: the shortest that holds this share of the draws."
    )
    return Table(tuple(header), tuple(rows), caption)


def sampler_table(draws: Draws) -> Table:
    """Return how the draws were made, and whether there are enough good ones."""
    n = len(draws.theta)
    rows: list[tuple[str | Verdict, ...]] = [
        ("method", draws.sampler, Verdict(None, "")),
        ("draws", f"{n:,}", Verdict(None, "")),
        ("effective sample size", f"{draws.ess:,.0f}", judge_ess(draws.ess)),
        ("unique draws", f"{draws.unique:,}", judge_unique(draws.unique, n)),
    ]
    if draws.khat is not None:
        rows.append(("Pareto k-hat", f"{draws.khat:.2f}", judge_khat(draws)))
    if draws.r_hat is not None:
        worst = float(draws.r_hat.max())
        rows.append(("largest R-hat", f"{worst:.3f}", judge_r_hat(worst)))
    if draws.acceptance is not None:
        rows.append(("acceptance", f"{draws.acceptance:.1%}", Verdict(None, "")))
    rows += [
        ("proposals", f"{draws.proposals:,}", Verdict(None, "")),
        ("seconds", f"{draws.seconds:.1f}", Verdict(None, "")),
        ("seed", str(draws.seed), Verdict(None, "")),
    ]
    return Table(("sampling", "value", "meaning"), tuple(rows), "How the draws were made.")


def judge_ess(ess: float) -> Verdict:
    """Say whether so many effectively independent draws are enough."""
    error = f"means are known to {1 / math.sqrt(max(ess, 1.0)):.1%} of an sd"
    if ess >= good_ess:
        return Verdict(True, f"enough: {error}")
    return Verdict(False, f"few ({good_ess} are wanted), {error}")


def judge_unique(unique: int, n: int) -> Verdict:
    """Say whether the draws repeat each other."""
    if unique >= 0.9 * n:
        return Verdict(True, "hardly a draw is repeated")
    if unique >= 0.5 * n:
        return Verdict(None, f"{1 - unique / n:.0%} of the draws repeat another")
    return Verdict(False, f"{1 - unique / n:.0%} of the draws repeat another: take fewer draws")


def judge_khat(draws: Draws) -> Verdict:
    """Say whether the importance weights are reliable, or were replaced by chains."""
    if draws.khat < good_khat:
        return Verdict(True, f"good: below {good_khat}, the importance weights are reliable")
    if draws.r_hat is not None:
        return Verdict(None, f"above {good_khat}, so chains replaced the importance weights")
    if draws.khat < bad_khat:
        return Verdict(False, f"above {good_khat}: a few draws dominate, more rounds would help")
    return Verdict(False, "above 1: the importance weights are not to be trusted")


def judge_r_hat(worst: float) -> Verdict:
    """Say whether the chains agree with each other."""
    if worst < good_r_hat:
        return Verdict(True, f"good: below {good_r_hat}, the chains agree")
    return Verdict(False, f"above {good_r_hat}: the chains do not agree yet")


def checks_table(checks: Checks) -> Table:
    """Return each calibration test's p-value, judged at alpha shared among the tests."""
    share = checks.alpha / len(checks.p_values)
    rows: list[tuple[str | Verdict, ...]] = []
    for test, p_value in checks.p_values.items():
        failed = test in checks.failed
        name = f"rank of {test}" if test in checks.names else test
        meaning = Verdict(not failed, "fails" if failed else "as of a right posterior")
        rows.append((name, f"{p_value:.3g}", meaning))
    enough = "enough to see with" if checks.enough else "too few to judge by: raise candidates"
    ess = f"{checks.ess:,.0f}"
    rows.append(("effective candidates, median", ess, Verdict(checks.enough, enough)))
    caption = (
        f"Kolmogorov-Smirnov tests on {checks.n:,} held-out simulations. A test fails below "
        f"p = {share:.2g} ({checks.alpha:g} shared by {len(checks.p_values)} tests), so that a "
        f"right posterior fails any of them with probability {checks.alpha:g} at most. They see "
        f"departures of {checks.resolution:.2f} of a distribution function."
    )
    return Table(("test", "p-value", "meaning"), tuple(rows), caption)


def predictive_table(predictive: PredictiveCheck) -> Table:
    """Return the overall p-value and the least of the single entries' p-values."""
    entries = predictive.p_values.double().numpy().reshape(-1)
    ends = [float(np.min(entries)), float(np.median(entries))]
    fine = "overall" not in predictive.misfits
    overall = "as the posterior predicts" if fine else "the model misses the data"
    chance = 1 - (1 - min(max(ends[0], 0.0), 1.0)) ** entries.size
    rows = (
        ("overall", f"{predictive.p_value:.3g}", Verdict(fine, overall)),
        (
            f"least of {entries.size} entries",
            f"{ends[0]:.3g}",
            Verdict(None, f"of independent entries, one as small has probability {chance:.2g}"),
        ),
        ("median of the entries", f"{ends[1]:.3g}", Verdict(None, "")),
        *(
            (name, f"{p_value:.3g}", Verdict(name not in predictive.misfits, "test quantity"))
            for name, p_value in predictive.tests.items()
            if name in predictive.quantities
        ),
    )
    caption = f"Posterior predictive p-values over {predictive.n:,} replicated data sets."
    if predictive.failed:
        caption += f" {predictive.failed:,} simulations failed and were left out."
    return Table(("test", "p-value", "meaning"), rows, caption)


def local_table(checks: LocalChecks, most: int = 20) -> Table:
    """Return p-values at the first observations, and how the truth differs from the posterior."""
    rows: list[tuple[str | Verdict, ...]] = []
    for i in range(min(len(checks.statistic), most)):
        failed = i in checks.failed
        differs = ", ".join(
            f"{name} {shift:+.2f} sd, {width:.2f} times as wide"
            for name, shift, width in zip(
                checks.names, checks.shift[i].tolist(), checks.width[i].tolist(), strict=True
            )
        )
        meaning = Verdict(not failed, differs if failed else "as of a right posterior")
        rows.append((str(i), f"{checks.statistic[i]:.3g}", f"{checks.p_values[i]:.3g}", meaning))
    caption = (
        f"Local two-sample tests, each at level {checks.alpha:g}. Where one fails: how the true "
        "parameters lie in the posterior, in its standard deviations (shrunk estimates)."
    )
    return Table(
        ("observation", "divergence", "p-value", "truth less posterior"), tuple(rows), caption
    )


def observation_table(checks: ObservationChecks, most: int = 20) -> Table:
    """Return overall p-values, and the entries that lie outside all simulations."""
    rows: list[tuple[str | Verdict, ...]] = []
    for i in range(min(len(checks.p_value), most)):
        outside = checks.outside(i)
        where = ", ".join(map(str, outside[:10])) + ", ..." * (len(outside) > 10)
        meaning = "unlike the simulations" if i in checks.failed else "like simulations"
        verdict = Verdict(i not in checks.failed, meaning)
        rows.append((str(i), f"{float(checks.p_value[i]):.3g}", where or "–", verdict))
    caption = (
        f"Rank of the observation's distance from {checks.n:,} simulations among those of others "
        f"held out: an observation of the simulator's is called unlike with probability "
        f"{checks.alpha:g} at most."
    )
    return Table(("observation", "p-value", "entries outside", "meaning"), tuple(rows), caption)


def fidelity_table(fidelity: Fidelity) -> Table:
    """Return the two-sample accuracy at each held-out parameter vector, and its mean."""
    empty = [""] * (fidelity.theta.shape[1] - 1)
    rows: list[tuple[str | Verdict, ...]] = []
    for theta, statistic in zip(fidelity.theta.tolist(), fidelity.statistic.tolist(), strict=True):
        rows.append((*map("{:.3g}".format, theta), f"{statistic:.3f}", judge_c2st(statistic)))
    rows.append(("mean", *empty, f"{fidelity.mean:.3f}", judge_c2st(fidelity.mean)))
    caption = (
        "Accuracy of a classifier that tells the surrogate's x from the simulator's at the same "
        "held-out parameters (C2ST): 0.5 means that it cannot, 1 that it always can."
    )
    return Table((*fidelity.names, "C2ST", "meaning"), tuple(rows), caption)


def judge_c2st(statistic: float) -> Verdict:
    """Say how well a classifier tells two samples apart."""
    if statistic <= near_c2st:
        return Verdict(True, "hardly to be told apart")
    if statistic <= far_c2st:
        return Verdict(None, "close, with visible differences")
    return Verdict(False, "easily told apart")
