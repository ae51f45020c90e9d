"""Figures of posteriors, checks, predictions, samples, training and losses."""

from lfi.report.plots.calibration import coverage_plot as coverage_plot, rank_plot as rank_plot
from lfi.report.plots.codes import (
    interpolation_plot as interpolation_plot,
    modes_plot as modes_plot,
)
from lfi.report.plots.losses import losses_plot as losses_plot
from lfi.report.plots.observation import (
    local_plot as local_plot,
    observation_plot as observation_plot,
)
from lfi.report.plots.posterior import pair_plot as pair_plot
from lfi.report.plots.predictive import (
    predictive_plot as predictive_plot,
    surrogate_plot as surrogate_plot,
)
from lfi.report.plots.samples import (
    critic_plot as critic_plot,
    image_grid as image_grid,
    samples_plot as samples_plot,
)
from lfi.report.plots.training import training_plot as training_plot
