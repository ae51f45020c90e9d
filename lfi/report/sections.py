"""The report's sections: figures, tables, a verdict, and a sentence that the summary repeats."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.diagnostics.verdict import Judged, Verdict
from lfi.diagnostics.weighted_posterior import bounds_of
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws
from lfi.report.blocks import Image, ReportTable, Section, embed, sentence
from lfi.report.plots.calibration import coverage_plot, rank_plot
from lfi.report.plots.observation import local_plot, observation_plot
from lfi.report.plots.posterior import MAX_NARROW, MAX_PARAMETERS, pair_plot
from lfi.report.plots.predictive import MAX_SERIES, MAX_THETAS, predictive_plot, surrogate_plot
from lfi.report.plots.style import number
from lfi.report.plots.training import training_plot
from lfi.report.tables import (
    checks_table,
    correlation_table,
    fidelity_table,
    local_table,
    marginal_table,
    observation_table,
    predictive_table,
    quantile_table,
    sampler_table,
)
from lfi.report.verdicts import draws_verdict, surrogate_finding, surrogate_verdict
from lfi.simulation import DataLabels, Prior
from lfi.training import History


def posterior_section(
    draws: Draws,
    *,
    prior: Prior | None,
    prior_theta: Float[Tensor, "n D"] | None = None,
    truncated: Prior | None = None,
    units: Mapping[str, str],
    seed: int,
) -> Section:
    """Return the marginals, the pair plot, quantiles, correlations and how the draws were made."""
    theta, names = draws.theta, draws.names
    figure = lambda width: pair_plot(
        theta, names, prior=prior, truncated=truncated, units=units, seed=seed, width=width
    )
    caption = "Each parameter's marginal density, with mean and sd above"
    if len(names) > 1:
        caption += "; below the diagonal, the smallest regions of 50, 80 and 95% of the draws"
        caption += " (on wide screens and paper)" * (len(names) > MAX_NARROW)
    if prior is not None:
        caption += (
            ". The grey curve is the prior: where it differs from the blue one, the data are "
            "informative"
        )
    if len(names) > MAX_PARAMETERS:
        caption += f". The first {MAX_PARAMETERS} of {len(names)} parameters are shown"
    if truncated is not None:
        caption += (
            ". The dotted grey curve is the prior as rounds have truncated it, to "
            f"{bounds_of(truncated)}"
        )
    alt = f"Pair plot of the posterior of {', '.join(names)}"
    marginals = marginal_table(
        theta,
        names,
        prior_theta=prior_theta,
        truncated=truncated,
        units=units,
        r_hat=draws.r_hat,
    )
    verdict = draws_verdict(draws)
    means = f"{estimates(draws, units)} (posterior mean ± sd)"
    return Section(
        "posterior",
        "Posterior",
        finding=f"{means}. {sentence(verdict.text)}",
        verdict=verdict,
        blocks=(
            marginals,
            embed(figure, alt, caption + "."),
            quantile_table(theta, names, units),
            *([correlation_table(theta, names)] if len(names) > 1 else []),
            sampler_table(draws),
        ),
    )


def estimates(draws: Draws, units: Mapping[str, str], max_names: int = 5) -> str:
    """Return "beta = 1.73 ± 0.05 per day and gamma = ..." for the first few parameters."""
    parts = []
    for name, column in zip(draws.names[:max_names], draws.theta.double().T, strict=False):
        mean, sd = float(column.mean()), float(column.std(unbiased=False))
        unit = units.get(name, "1")
        value = f"{name} = {number(mean, sd)} ± {number(sd, sd)}"
        per = f"per {unit[2:]}" if unit.startswith("1/") else unit
        parts.append(value if unit == "1" else f"{value} {per}")
    if len(draws.names) > max_names:
        parts.append(f"{len(draws.names) - max_names} more parameters")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _checked(
    anchor: str,
    title: str,
    result: Judged,
    basis: str,
    *blocks: Image | ReportTable,
) -> Section:
    """Return the section of a result that has a verdict of its own."""
    verdict = result.judgement
    finding = sentence(f"{verdict.text}{basis}")
    return Section(anchor, title, finding=finding, verdict=verdict, blocks=blocks)


def calibration_section(checks: Checks) -> Section:
    """Return ranks, coverage and their tests, and which parameters they are about."""
    test = min(checks.p_values, key=checks.p_values.__getitem__)
    basis = (
        f", {checks.scope}: {len(checks.p_values)} tests on {checks.n:,} held-out simulations "
        f"(the smallest p-value is {checks.p_values[test]:.2g}, of {test})"
    )
    ranks = embed(
        lambda width: rank_plot(checks, width=width),
        f"Distribution of ranks, less the uniform one, for {', '.join(checks.names)}",
        "The distribution function of the true parameters' ranks in their posteriors, less the "
        "expected one. A right posterior's curve stays in the dark band with probability 99%, "
        "and fails the test outside the pale one. Above zero on the left and below it on the "
        "right: too narrow; the reverse: too wide; above zero throughout: the posterior lies too "
        "high, below: too low.",
    )
    coverage = embed(
        lambda width: coverage_plot(checks, width=width),
        "Share of posterior regions that hold the true parameters, against their level",
        "How often posterior regions of a given level hold the true parameters: for a right "
        "posterior, as often as the level says (the diagonal; at each level, 99% of right "
        "posteriors lie in the band). Below the diagonal the regions are too small: the "
        "posterior is overconfident.",
    )
    return _checked(
        "calibration", "Calibration", checks, basis, checks_table(checks), ranks, coverage
    )


def local_section(checks: LocalChecks) -> Section:
    """Return the local tests of the posterior at each observation."""
    caption = (
        "Estimated divergence of the true posterior from the given one at each observation, by a "
        "critic fitted to held-out simulations. The same critic, fitted to draws of the posterior "
        "that are taken for true ones at random, stays below the grey bar's end with probability "
        f"{1 - checks.alpha:.0%}: there, the divergence is noise."
    )
    basis = (
        f", by {checks.n:,} held-out simulations {checks.scope} (the smallest "
        f"p-value is {float(checks.p_value.min()):.2g}; of a correct posterior, "
        f"{checks.alpha * len(checks.statistic):.2g} of {len(checks.statistic)} fail)"
    )
    title = "The posterior at the observation"
    figure = lambda width: local_plot(checks, width=width)
    image = embed(figure, "Divergence at each observation and of refits", caption)
    return _checked("local", title, checks, basis, image, local_table(checks))


def observation_section(checks: ObservationChecks, labels: DataLabels | None = None) -> Section:
    """Return whether the data are like any simulation from the prior."""
    shown = checks.failed[0] if checks.failed else 0
    caption = (
        f"The entries of observation {shown} among {checks.n:,} simulations from the prior: each "
        "entry's distance from the middle of the simulations' central 90%, in half-widths of "
        "that. A posterior of data far outside is an extrapolation."
    )
    basis = f" (smallest p = {float(checks.p_value.min()):.2g})"
    figure = lambda width: observation_plot(checks, shown, labels=labels, width=width)
    image = embed(figure, "The data among simulations", caption)
    table = observation_table(checks, labels)
    return _checked("observation", "Data and simulations", checks, basis, image, table)


def predictive_section(predictive: PredictiveCheck, labels: DataLabels | None = None) -> Section:
    """Return the data among replicated data of the posterior."""
    alt = "Bands of data replicated from the posterior, with the observed data as points"
    caption = (
        "Data simulated at posterior draws, and the data observed. If the model is right, about "
        "nine points in ten lie in the pale band, and half of them in the dark one."
    )
    if predictive.x_obs.numel() > 1:
        caption += (
            " Below, the residuals: the data less the median of the replicated data, in units of "
            "the distance from there to the end of the pale band, so that the band ends at ±1."
        )
    series = len((labels or DataLabels()).series(tuple(predictive.x_obs.shape)))
    if series > MAX_SERIES:
        caption += f" The first {MAX_SERIES} of {series} are shown."
    basis = f" (p = {predictive.p_value:.2g})"
    figure = lambda width: predictive_plot(predictive, labels=labels, width=width)
    image = embed(figure, alt, caption)
    table = predictive_table(predictive)
    return _checked("prediction", "Posterior prediction", predictive, basis, image, table)


def surrogate_section(fidelity: Fidelity, labels: DataLabels | None = None) -> Section:
    """Return the surrogate beside the simulator at held-out parameters."""
    caption = (
        "The simulator's x (grey: mean and central 90%) and the surrogate's (blue: solid the mean, "
        "dashed the central 90%) at parameters that the surrogate was not trained on. C2ST is the "
        "accuracy of a classifier that tells them apart: 0.5 is perfect."
    )
    if len(fidelity.theta) > MAX_THETAS:
        caption += f" The first {MAX_THETAS} of {len(fidelity.theta)} are shown."
    figure = lambda width: surrogate_plot(fidelity, labels=labels, width=width)
    return Section(
        "surrogate",
        "Surrogate",
        finding=sentence(surrogate_finding(fidelity)),
        verdict=surrogate_verdict(fidelity),
        blocks=(
            embed(figure, "Simulator and surrogate compared", caption),
            fidelity_table(fidelity),
        ),
    )


def training_section(histories: Sequence[History], titles: Sequence[str]) -> Section:
    """Return the loss curves, and how each training ended."""
    caption = (
        "What each training recorded, step by step. The dotted line marks the step whose weights "
        "were kept. A held-out curve that rises again while the other falls means overfitting."
    )
    rows = []
    for title, history in zip(titles, histories, strict=True):
        kept = "–" if history.best_step is None else f"{history.best_step:,}"
        row = (title, f"{history.steps:,}", kept, f"{history.seconds:.1f}")
        rows.append((*row, Verdict(None, history.stopped)))
    header = ("training", "steps", "kept step", "seconds", "ended")
    table = ReportTable(header, rows, "How each training ended.")
    figure = lambda width: training_plot(histories, titles, width=width)
    image = embed(figure, "Training curves", caption)
    return Section("training", "Training", blocks=(image, table))
