"""Figures of observations: local tests of the posterior, and x among simulations."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from lfi.diagnostics import LocalChecks, ObservationChecks
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole
from lfi.report.plots.layout import side_by_side
from lfi.report.plots.style import (
    DATA,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    check_width,
    legend_above,
    new_figure,
    plain,
    whole_ticks,
)
from lfi.simulation import DataLabels

MAX_OBSERVATIONS = 40
MAX_ENTRIES = 200
LINEAR = 10  # half-widths from which the axis is logarithmic


@checked
def local_plot(checks: LocalChecks, *, width: float = PAGE) -> Figure:
    """Draw each observation's statistic over the central part of its refits'.

    The bar reaches to where a right posterior's statistic stays with probability 1 - alpha. Of more
    than forty observations the first are shown. The figure has a `width` in inches.

    Example:
        >>> prior = lfi.simulation.as_prior({"mean": torch.distributions.Normal(0.0, 1.0)})
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
        >>> class Exact:
        ...     prior = prior
        ...     def sample(self, n, x_obs, *, seed=None):
        ...         return x_obs / 2 + torch.randn(n, 1) / 2**0.5
        >>> held_out = lfi.simulate(simulator, 30, seed=1)
        >>> checks = lfi.local_check(Exact(), held_out, [0.5], refits=9, seed=2)
        >>> local_plot(checks).axes[0].get_xlabel()
        'observation'
    """
    check_width(width)
    shown = min(len(checks.statistic), MAX_OBSERVATIONS)
    statistic, null = checks.statistic[:shown].numpy(), checks.null[:, :shown].numpy()
    limit, middle = np.quantile(null, [1 - checks.alpha, 0.5], axis=0)
    failed = np.isin(np.arange(shown), checks.failed)
    index = np.arange(shown)
    with new_figure(width, 2.8) as figure:
        axes = figure.subplots()
        axes.bar(index, limit, 0.6, color=RULE, label=f"{1 - checks.alpha:.0%} of refits")
        axes.hlines(middle, index - 0.3, index + 0.3, color=PRIOR, label="median of refits")
        look = {"linestyle": "none", "marker": "o", "markersize": 5.0, "zorder": 3}
        if not failed.all():
            axes.plot(index[~failed], statistic[~failed], color=POSTERIOR, label="found", **look)
        if failed.any():
            axes.plot(index[failed], statistic[failed], color=DATA, label="found, fails", **look)
        axes.set(xlabel="observation", ylabel="divergence from the truth", xlim=(-0.7, shown - 0.3))
        axes.set_ylim(bottom=0)
        whole_ticks(axes.xaxis)
        legend_above(figure)
    return figure


@checked
def observation_plot(
    checks: ObservationChecks,
    observation: int = 0,
    *,
    labels: DataLabels | None = None,
    width: float = PAGE,
) -> Figure:
    """Draw an observation's entries over the simulations' ranges and central 90%.

    Entries are in half-widths of that central part, from its middle, since each may have its own
    unit; beyond ten of them the axis is logarithmic. Of more than two hundred entries
    the first are shown.

    Args:
        checks: The observations among simulations.
        observation: Which of them.
        labels: Names and axis of x, as a simulator carries them.
        width: Of the figure, in inches.

    Raises:
        ValueError: If there is no such observation, or the labels do not fit x.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> simulations = lfi.simulate(simulator, 200, seed=1)
        >>> checks = lfi.check_observation([0.5, 0.1, 40.0], simulations, seed=1)
        >>> observation_plot(checks).axes[0].get_xlabel()
        'index of x'
    """
    check_width(width)
    check_whole("observation", observation, minimum=0)
    if observation >= len(checks.x_obs):
        raise ValueError(
            f"observation must be below {len(checks.x_obs)}, how many there are, got {observation}"
        )
    layout = side_by_side(labels, tuple(checks.x_obs.shape[1:]))
    shown = layout.entries[:MAX_ENTRIES]
    low, high, lowest, highest, x = (
        t.double().flatten().numpy()[shown]
        for t in (*checks.central, checks.lower, checks.upper, checks.x_obs[observation])
    )
    middle, half = (low + high) / 2, (high - low) / 2
    half = np.where(half > 0, half, np.maximum(np.abs(middle), 1.0))
    bottom, top, x = ((values - middle) / half for values in (lowest, highest, x))
    outside = np.isin(shown, checks.outside(observation))
    at = layout.positions[:MAX_ENTRIES]
    ends = np.nanmin(at) - 0.5 * layout.step, np.nanmax(at) + 0.5 * layout.step
    with new_figure(width, 2.8) as figure:
        axes = figure.subplots()
        wide = 0.7 * layout.step
        axes.bar(at, top - bottom, wide, bottom, color=RULE, label="all simulations")
        axes.hlines([-1, 1], *ends, color=PRIOR, linewidth=0.8, label="their 90%")
        look = {"linestyle": "none", "marker": "o", "color": DATA, "zorder": 3}
        size = 5.0 if len(x) <= 60 else 2.5
        inside = at[~outside], x[~outside]
        axes.plot(*inside, markerfacecolor="white", markersize=size, label="data", **look)
        if outside.any():
            axes.plot(at[outside], x[outside], markersize=size, label="data outside", **look)
        if max(np.abs([bottom, top, x]).max(axis=1)) > LINEAR:
            axes.set_yscale("symlog", linthresh=LINEAR)
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        lowest, highest = min(-1.0, *bottom, *x), max(1.0, *top, *x)
        axes.set_ylim(lowest - 0.1 * abs(lowest) - 0.3, 1.1 * highest + 0.3)
        layout.dress(axes)
        room = 0.2 * layout.step
        axes.set_xlim(ends[0] - room, ends[1] + room)
        axes.set(xlabel=plain(layout.label), ylabel="half-widths of the 90%")
        legend_above(figure)
    return figure
