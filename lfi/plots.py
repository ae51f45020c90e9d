"""Figures: posteriors, predictions, calibration, samples, training, losses."""

from lfi.report.plots import (
    coverage_plot,
    critic_plot,
    image_grid,
    local_plot,
    observation_plot,
    pair_plot,
    plot_losses,
    predictive_plot,
    rank_plot,
    samples_plot,
    surrogate_plot,
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
]
