"""Figures: posteriors, predictions, calibration, samples, training, losses."""

from lfi.report.plots import (
    coverage_plot as coverage_plot,
    critic_plot as critic_plot,
    image_grid as image_grid,
    interpolation_plot as interpolation_plot,
    local_plot as local_plot,
    losses_plot as losses_plot,
    modes_plot as modes_plot,
    observation_plot as observation_plot,
    pair_plot as pair_plot,
    predictive_plot as predictive_plot,
    rank_plot as rank_plot,
    samples_plot as samples_plot,
    surrogate_plot as surrogate_plot,
    training_plot as training_plot,
)
