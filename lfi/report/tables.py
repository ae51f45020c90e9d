"""The report's tables: numbers, and beside each its verdict in words."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.diagnostics.calibration import RAISE_SAMPLES
from lfi.diagnostics.verdict import Grade, Verdict
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws
from lfi.numerics.intervals import highest_density_interval
from lfi.report.blocks import ReportTable, Row
from lfi.report.plots.layout import names_of
from lfi.report.plots.style import number, shown_unit
from lfi.report.verdicts import NEUTRAL, c2st_verdict, checked_draws
from lfi.simulation import DataLabels, Prior

INTERVAL = 0.94  # mass
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
MAX_ROWS = 20  # observations listed
MAX_COLUMNS = 12  # parameters in a table of correlations; of more, the strongest pairs
STRONGEST = 15
MAX_THETA = 8  # parameters in a table of parameter vectors


def marginal_table(
    theta: Float[Tensor, "n D"],
    names: Sequence[str],
    *,
    prior_theta: Float[Tensor, "m D"] | None = None,
    truncated: Prior | None = None,
    units: Mapping[str, str] | None = None,
    r_hat: Float[Tensor, " D"] | None = None,
) -> ReportTable:
    """Return each parameter's mean, sd, 94% interval, and the prior's sd, R-hat and units."""
    draws = theta.double().numpy()
    intervals = highest_density_interval(draws, INTERVAL)
    header = ["parameter", "mean", "sd", f"{INTERVAL:.0%} interval"]
    header += ["prior sd", "sd / prior sd"] if prior_theta is not None else []
    header += ["prior truncated to"] if truncated is not None else []
    header += ["R-hat"] if r_hat is not None else []
    header += ["unit"] if units else []
    rows = []
    for i, name in enumerate(names):
        sd = float(draws[:, i].std())
        low, high = (number(float(end), sd) for end in intervals[i])
        row = [name, number(float(draws[:, i].mean()), sd), number(sd, sd), f"{low} to {high}"]
        if prior_theta is not None:
            wide = float(prior_theta[:, i].double().numpy().std())
            row += [number(wide, wide), f"{sd / wide:.2g}" if wide > 0 else "–"]
        if truncated is not None:
            row += [_truncation(truncated, i)]
        row += [f"{float(r_hat[i]):.3f}"] if r_hat is not None else []
        row += [shown_unit(units.get(name))] if units else []
        rows.append(tuple(row))
    caption = (
        f"Marginals of {len(draws):,} posterior draws. The interval is the {INTERVAL:.0%} "
        "highest-density interval: the shortest that holds this share of the draws."
    )
    return ReportTable(tuple(header), rows, caption, words=("unit",))


def _truncation(prior: Prior, i: int) -> str:
    """Return the interval that a prior's parameter is truncated to, or a dash."""
    (low, high), whole = (float(prior.lower[i]), float(prior.upper[i])), prior.untruncated
    if (low, high) == (float(whole.lower[i]), float(whole.upper[i])):
        return "–"
    return f"{low:.3g} to {high:.3g}"


def quantile_table(
    theta: Float[Tensor, "n D"], names: Sequence[str], units: Mapping[str, str]
) -> ReportTable:
    """Return each parameter's quantiles, those of the central 95 and 50% and the median."""
    draws = theta.double().numpy()
    header = ["parameter", *(f"{100 * level:g}%" for level in QUANTILES)]
    header += ["unit"] if units else []
    rows = []
    for name, column in zip(names, draws.T, strict=True):
        sd = float(column.std())
        row = [name, *(number(float(q), sd) for q in np.quantile(column, QUANTILES))]
        rows.append((*row, shown_unit(units.get(name))) if units else tuple(row))
    caption = "Quantiles of the posterior draws."
    return ReportTable(tuple(header), rows, caption, words=("unit",))


def correlation_table(theta: Float[Tensor, "n D"], names: Sequence[str]) -> ReportTable:
    """Return the correlations of all pairs, of many parameters the strongest ones.

    A parameter whose draws are all equal has no correlation, a dash.
    """
    draws = theta.double().numpy()
    spread = draws.std(axis=0) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.corrcoef(draws, rowvar=False).reshape(len(names), len(names))
    text = lambda i, j: f"{found[i, j]:.2f}" if spread[i] and spread[j] else "–"
    if len(names) <= MAX_COLUMNS:
        header = ("parameter", *(f"({j + 1})" for j in range(len(names))))
        rows: list[Row] = []
        for i, name in enumerate(names):
            lower = [text(i, j) if j < i else "1" if j == i else "" for j in range(len(names))]
            rows.append((f"({i + 1}) {name}", *lower))
        return ReportTable(header, rows, "Correlations of the parameters in the posterior.")
    pairs = [(i, j) for i in range(len(names)) for j in range(i) if spread[i] and spread[j]]
    pairs.sort(key=lambda pair: -abs(found[pair]))
    rows = [(names[j], names[i], text(i, j)) for i, j in pairs[:STRONGEST]]
    rows = rows or [("–", "–", "–")]
    caption = f"The strongest of {len(pairs)} correlations of two parameters in the posterior."
    return ReportTable(("parameter", "with", "correlation"), rows, caption, words=("with",))


def sampler_table(draws: Draws) -> ReportTable:
    """Return how the draws were made, and whether there are enough good ones."""
    rows: list[Row] = [
        ("method", draws.sampler, NEUTRAL),
        ("draws", f"{len(draws.theta):,}", NEUTRAL),
        *checked_draws(draws),
    ]
    if draws.acceptance is not None:
        rows.append(("acceptance", f"{draws.acceptance:.1%}", NEUTRAL))
    rows += [
        ("proposals", f"{draws.proposals:,}", NEUTRAL),
        ("seconds", f"{draws.seconds:.1f}", NEUTRAL),
    ]
    return ReportTable(("sampling", "value", "verdict"), rows, "How the draws were made.")


def checks_table(checks: Checks) -> ReportTable:
    """Return each calibration test's p-value, and whether it fails alpha shared by the tests."""
    share = checks.alpha / len(checks.p_values)
    rows: list[Row] = []
    for test, p_value in checks.p_values.items():
        name = f"rank of {test}" if test in checks.names else test
        rows.append((name, f"{p_value:.3g}", checks.result(test)))
    enough = Verdict(Grade.GOOD, "enough")
    if not checks.enough:
        enough = Verdict(Grade.NOT_ASSESSED, f"{checks.min_ess:.0f} needed: {RAISE_SAMPLES}")
    rows.append(("effective sample size, median", f"{checks.ess:,.0f}", enough))
    caption = (
        f"Kolmogorov-Smirnov tests on {checks.n:,} held-out simulations. A test fails below "
        f"p = {share:.2g} ({checks.alpha:g} shared by {len(checks.p_values)} tests), so that a "
        f"right posterior fails any of them with probability {checks.alpha:g} at most. They detect "
        f"departures of {checks.resolution:.2f} of a distribution function."
    )
    return ReportTable(("test", "p-value", "verdict"), rows, caption)


def _passes(good: bool, consistent: str = "consistent") -> Verdict:
    return Verdict(Grade.GOOD, consistent) if good else Verdict(Grade.PROBLEM, "fails")


def predictive_table(predictive: PredictiveCheck) -> ReportTable:
    """Return the overall p-value and the smallest of the single entries' p-values."""
    entries = predictive.entry_p_values.double().numpy().reshape(-1)
    fine = "overall" not in predictive.misfits
    overall = _passes(fine, "consistent with posterior predictions")
    smallest = float(entries.min())
    chance = 1 - (1 - min(smallest, 1.0)) ** entries.size
    small = Verdict(None, f"of independent entries, one as small has probability {chance:.2g}")
    rows = (
        ("overall", f"{predictive.p_value:.3g}", overall),
        (f"smallest of {entries.size} entries", f"{smallest:.3g}", small),
        ("median of the entries", f"{np.median(entries):.3g}", NEUTRAL),
        *(
            (name, f"{p_value:.3g}", _passes(name not in predictive.misfits))
            for name, p_value in predictive.tests.items()
            if name in predictive.quantities
        ),
    )
    caption = f"Posterior predictive p-values over {predictive.n:,} replicated data sets."
    if predictive.failed:
        caption += f" {predictive.failed:,} simulations failed and were left out."
    return ReportTable(("test", "p-value", "verdict"), rows, caption)


def local_table(checks: LocalChecks) -> ReportTable:
    """Return p-values at the first observations, and how true parameters differ from draws."""
    rows: list[Row] = []
    for i in range(min(len(checks.statistic), MAX_ROWS)):
        numbers = f"{checks.statistic[i]:.3g}", f"{checks.p_value[i]:.3g}"
        rows.append((str(i), *numbers, checks.result(i)))
    caption = (
        f"Local two-sample tests, each at level {checks.alpha:g}. Where one fails: how the true "
        "parameters lie in the posterior, in its standard deviations (shrunk estimates)."
    )
    header = ("observation", "divergence", "p-value", "truth less posterior")
    return ReportTable(header, rows, caption)


def observation_table(checks: ObservationChecks, labels: DataLabels | None = None) -> ReportTable:
    """Return overall p-values, and the entries that lie outside all simulations."""
    rows: list[Row] = []
    series = (labels or DataLabels()).series(tuple(checks.x_obs.shape[1:]))
    for i in range(min(len(checks.p_value), MAX_ROWS)):
        outside = checks.outside(i)
        where = ", ".join(names_of(series, outside[:10])) + ", ..." * (len(outside) > 10)
        verdict = Verdict(Grade.GOOD, "consistent")
        if i in checks.failed:
            verdict = Verdict(Grade.PROBLEM, "unlike the simulations")
        rows.append((str(i), f"{float(checks.p_value[i]):.3g}", where or "–", verdict))
    caption = (
        f"Rank of the observation's distance from {checks.n:,} simulations among those of others "
        f"held out: one that the simulator made fails with probability {checks.alpha:g} at most."
    )
    header = ("observation", "p-value", "entries outside", "verdict")
    return ReportTable(header, rows, caption, words=("entries outside",))


def fidelity_table(fidelity: Fidelity) -> ReportTable:
    """Return the two-sample accuracy at each held-out parameter vector, and its mean."""
    names = fidelity.names[:MAX_THETA]
    empty = [""] * (len(names) - 1)
    rows: list[Row] = []
    shown = fidelity.theta[:, : len(names)].tolist()
    for theta, statistic in zip(shown, fidelity.statistic.tolist(), strict=True):
        rows.append((*map("{:.3g}".format, theta), f"{statistic:.3f}", c2st_verdict(statistic)))
    rows.append(("mean", *empty, f"{fidelity.mean:.3f}", c2st_verdict(fidelity.mean)))
    caption = (
        "Accuracy of a classifier that tells the surrogate's x from the simulator's at the same "
        "held-out parameters (C2ST): 0.5 means that it cannot, 1 that it always can."
    )
    if len(names) < len(fidelity.names):
        caption += f" The first {len(names)} of {len(fidelity.names)} parameters are shown."
    return ReportTable((*names, "C2ST", "verdict"), rows, caption)
