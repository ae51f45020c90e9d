"""Samples in pictures: every point and pixel stands where it belongs."""

import numpy as np
import pytest
import torch

from lfi.report.blocks import embed
from lfi.report.plots import critic_plot, image_grid, samples_plot


def test_each_sample_has_a_panel_with_the_data_in_it():
    data = torch.randn(50, 2)
    samples = {f"step {i}": data + i for i in range(5)}
    figure = samples_plot(data, samples)
    embed(figure, "", "")
    assert [axes.get_title() for axes in figure.axes] == list(samples)
    for axes, points in zip(figure.axes, samples.values(), strict=True):
        drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
        np.testing.assert_array_equal(drawn["data"], data.numpy())
        np.testing.assert_array_equal(drawn["generated"], points.numpy())


def test_the_landscape_is_what_the_critic_says():
    data = torch.rand(50, 2)
    figure = critic_plot(lambda x: x[:, 0] - 2 * x[:, 1], data, data + 0.1)
    embed(figure, "", "")
    height = figure.axes[0].collections[0].get_array()
    (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert height[0, 0] == pytest.approx(left - 2 * low, abs=1e-6)
    assert height[-1, -1] == pytest.approx(right - 2 * high, abs=1e-6)


def test_images_stand_in_rows_one_pixel_apart():
    images = torch.rand(7, 1, 3, 4)
    figure = image_grid(images, columns=5, span=1.0)
    embed(figure, "", "")
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    assert sheet.shape == (7, 24, 3)
    np.testing.assert_allclose(sheet[4:7, 5:9, 0], images[6, 0].numpy())
    assert (sheet[3] == 1).all() and (sheet[4:, 10:] == 1).all()


def test_coloured_images_keep_their_colours():
    images = torch.rand(2, 3, 2, 2)
    sheet = image_grid(images, span=1.0).axes[0].images[0].get_array()
    np.testing.assert_allclose(sheet[:, :2], images[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: samples_plot(torch.zeros(3, 2), {}), "samples must hold at least one"),
        (lambda: image_grid(torch.zeros(3, 1, 2, 2), columns=0), "columns must be at least 1"),
        (lambda: critic_plot(lambda x: x, torch.zeros(3, 2)), "one number for each point"),
    ],
)
def test_mistakes_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
