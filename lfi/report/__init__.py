"""Report: figures, and one page that holds them all."""

from lfi.report.page import (
    write_report,
)
from lfi.report.plots.calibration import (
    coverage_plot,
    rank_plot,
)
from lfi.report.plots.losses import (
    plot_losses,
)
from lfi.report.plots.observation import (
    local_plot,
    observation_plot,
)
from lfi.report.plots.posterior import (
    pair_plot,
)
from lfi.report.plots.predictive import (
    predictive_plot,
    surrogate_plot,
)
from lfi.report.plots.samples import (
    critic_plot,
    image_grid,
    samples_plot,
)
from lfi.report.plots.training import (
    training_plot,
)

__all__ = [
    "coverage_plot",
    "critic_plot",
    "image_grid",
    "local_plot",
    "observation_plot",
    "pair_plot",
    "plot_losses",
    "predictive_plot",
    "rank_plot",
    "samples_plot",
    "surrogate_plot",
    "training_plot",
    "write_report",
]
