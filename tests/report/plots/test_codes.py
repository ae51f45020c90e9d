"""Modes and ways between codes in pictures: bars are as high as shares, lines lead through data."""

import numpy as np
import pytest
import torch

from lfi.report.blocks import embed
from lfi.report.plots import interpolation_plot, modes_plot
from simulators import ring


def test_bars_are_the_shares_of_high_quality_samples():
    x = ring.centres.float()[[0, 0, 0, 2]] + torch.tensor([[0.0, 0.0]] * 3 + [[0.02, 0.0]])
    far = torch.cat([x, torch.zeros(4, 2)])
    figure = modes_plot({"near": x, "half": far}, ring.centres, ring.scale)
    embed(figure, "", "")
    for axes, factor in zip(figure.axes, (1.0, 0.5), strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == [factor * share for share in (0.75, 0, 0.25, 0, 0, 0, 0, 0)]
    assert figure.axes[1].get_title() == "half: 50%"


def test_ways_are_lines_on_the_data_or_rows_of_images():
    ways = torch.rand(3, 5, 2)
    figure = interpolation_plot(ways, torch.rand(20, 2))
    embed(figure, "", "")
    first, *others = figure.axes[0].lines
    assert first.get_label() == "data"
    for line, way in zip(others, ways, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), way.numpy())
    images = interpolation_plot(torch.rand(2, 5, 1, 4, 4))
    assert images.axes[0].images[0].get_array().shape == (9, 24, 3)


@pytest.mark.parametrize("shape", [(3, 5, 3), (5, 2)])
def test_ways_of_other_data_are_refused(shape):
    with pytest.raises(ValueError, match="ways must be"):
        interpolation_plot(torch.rand(*shape))
