"""Report: figures, and one page that holds them all."""

from lfi.report.check_plots import coverage_plot, rank_plot
from lfi.report.data_plots import predictive_plot, surrogate_plot
from lfi.report.loss_plots import plot_losses
from lfi.report.observation_plots import local_plot, observation_plot
from lfi.report.page import write_report
from lfi.report.posterior_plots import pair_plot
from lfi.report.sample_plots import critic_plot, image_grid, samples_plot
from lfi.report.training_plots import training_plot

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
