"""Figures of calibration: ranks and coverage over held-out simulations.

The ranks of n true parameters, uniform for a right posterior, have a distribution function F_n with
|F_n(u) - u| <= k(alpha, n) for all u with probability 1 - alpha, k being Kolmogorov's quantile: the
curve leaves that band exactly where the Kolmogorov-Smirnov test has a p-value below alpha.
"""

import math

import numpy as np
import scipy.stats
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from lfi.diagnostics import Checks
from lfi.numerics.arguments import checked
from lfi.report.plots.style import (
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    WIDE,
    check_width,
    columns_of,
    fitted,
    new_figure,
    plain,
)

LETTER = 0.09  # inches of an average letter of a title
BAND_ALPHA = 0.01  # the bands hold 99% of the curves of right posteriors


def uniform_band(n: int, alpha: float = BAND_ALPHA) -> float:
    """Return k(alpha, n), the half-width of the simultaneous band of n uniform numbers."""
    return float(scipy.stats.kstwo.ppf(1 - alpha, n))


@checked
def rank_plot(checks: Checks, *, width: float = PAGE) -> Figure:
    """Draw, per parameter, how far the ranks' distribution function is from the uniform one.

    A curve above zero on the left and below on the right means a posterior too narrow, the
    reverse one too wide; a curve above zero everywhere, one that lies too high. Narrow figures, of
    `width` inches, have fewer columns.

    Example:
        >>> prior = lfi.simulation.as_prior({"mean": torch.distributions.Normal(0.0, 1.0)})
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
        >>> class Exact:
        ...     prior = prior
        ...     def sample(self, n, x_obs, *, seed=None):
        ...         return x_obs / 2 + torch.randn(n, 1) / 2**0.5
        >>> checks = lfi.check(Exact(), lfi.simulate(simulator, 30, seed=1), draws=50, seed=2)
        >>> [axes.get_title().partition(":")[0] for axes in rank_plot(checks).axes]
        ['mean']
    """
    check_width(width)
    ranks = checks.ranks.double().numpy()
    n, dim = ranks.shape
    columns = min(dim, 3, columns_of(width, 1.7))
    rows = math.ceil(dim / columns)
    alone, strict = uniform_band(n), uniform_band(n, checks.alpha / max(len(checks.p_values), 1))
    joint = ": " if width > WIDE else "\n"
    letters = (width / columns - 0.3) / LETTER - 10 * (width > WIDE)  # beside the p-value
    with new_figure(width if columns > 1 else min(4.6, width), 0.4 + 2.1 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, name, column in zip(panels.flat, checks.names, ranks.T, strict=False):
            axes.axhspan(-strict, strict, color=RULE, alpha=0.45, linewidth=0)
            axes.axhspan(-alone, alone, color=RULE, linewidth=0)
            axes.axhline(0, color=PRIOR, linewidth=0.8)
            axes.plot(*_excess(column), color=POSTERIOR, linewidth=1.2)
            p_value = checks.p_values.get(name)
            name = fitted(name, None, letters)
            axes.set_title(plain(name if p_value is None else f"{name}{joint}p = {p_value:.2g}"))
            axes.set_xlim(0, 1)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            axes.label_outer()
        for axes in list(panels.flat)[dim:]:
            axes.set_visible(False)
        for axes in list(panels.flat)[max(0, dim - columns) : dim]:
            axes.tick_params(labelbottom=True)
        largest = max(abs(axes.get_ylim()[i]) for axes in panels.flat for i in (0, 1))
        panels[0, 0].set_ylim(-largest, largest)
        figure.supxlabel("rank of the true parameter in the posterior", fontsize=9)
        figure.supylabel("share below, less expected", fontsize=9)
    return figure


def _excess(values: ndarray) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
    """Return the corners of F_n(u) - u, its jumps included."""
    ordered, n = np.sort(values), len(values)
    u = np.concatenate([[0.0], np.repeat(ordered, 2), [1.0]])
    jumps = np.stack([np.arange(n), np.arange(1, n + 1)], axis=1).ravel() / n
    return u, np.concatenate([[0.0], jumps, [1.0]]) - u


@checked
def coverage_plot(checks: Checks, *, width: float = PAGE) -> Figure:
    """Draw the coverage found against the level promised, for densest regions and both TARPs.

    Narrow figures, of `width` inches, have fewer columns.
    """
    check_width(width)
    levels = checks.levels.double().numpy()
    curves = (
        ("densest regions", "coverage", checks.coverage),
        ("balls around prior draws", "TARP", checks.tarp_coverage),
        ("balls around predictions", "TARP given x", checks.tarp_given_x_coverage),
    )
    columns = min(len(curves), columns_of(width, 1.7))
    title = {} if width > WIDE else {"fontsize": 7.5, "fontweight": "normal"}
    rows = math.ceil(len(curves) / columns)
    with new_figure(width, (3.0 if columns > 2 else 2.4) * rows) as figure:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        for axes, (name, test, coverage) in zip(panels, curves, strict=False):
            _coverage(axes, levels, coverage.double().numpy(), checks.n)
            p_value = checks.p_values.get(test)
            words = name if p_value is None else f"{name}\n{test}: p = {p_value:.2g}"
            axes.set_title(words, **title)
        for axes in panels[len(curves) - columns : len(curves)]:
            axes.set_xlabel("level of the region")
            axes.tick_params(labelbottom=True)
        for axes in panels[::columns]:
            axes.set_ylabel("share that holds the truth")
        panels[0].text(0.05, 0.95, "too wide", va="top", color=PRIOR, fontsize=8.5)
        panels[0].text(0.95, 0.05, "too narrow", ha="right", color=PRIOR, fontsize=8.5)
    return figure


def _coverage(axes: Axes, levels: ndarray, coverage: ndarray, n: int) -> None:
    """Draw one curve over its band: at each level, 99% of the binomial counts."""
    fine = np.linspace(0, 1, 201)
    low, high = (
        scipy.stats.binom.ppf(q, n, fine) / n for q in (BAND_ALPHA / 2, 1 - BAND_ALPHA / 2)
    )
    axes.fill_between(fine, np.maximum(low, 0), high, color=RULE, linewidth=0)
    axes.plot([0, 1], [0, 1], color=PRIOR, linewidth=0.8)
    axes.plot(
        levels, coverage, color=POSTERIOR, marker="o", markersize=3 if len(levels) < 40 else 0
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
