"""MS-SSIM: closed forms of flat images, brute force of one window, diversity at its ends."""

import pytest
import torch

from lfi.comparison.scores.ms_ssim import WEIGHTS, diversity, ms_ssim


def test_an_image_is_like_itself_and_unlike_its_negative():
    x = torch.rand(4, 3, 24, 24)
    torch.testing.assert_close(ms_ssim(x, x, span=1.0), torch.ones(4))
    assert (ms_ssim(x, 1 - x, span=1.0) == 0).all()


def test_flat_images_differ_by_luminance_alone():
    a, b, c = 0.3, 0.6, 0.01**2
    x, y = torch.full((1, 1, 11, 11), a), torch.full((1, 1, 11, 11), b)
    expected = (2 * a * b + c) / (a * a + b * b + c)
    assert ms_ssim(x, y, span=1.0).item() == pytest.approx(expected, rel=1e-9)
    # of five scales, luminance counts at the last one
    x, y = torch.full((1, 1, 176, 176), a), torch.full((1, 1, 176, 176), b)
    power = WEIGHTS[4] / sum(WEIGHTS)
    assert ms_ssim(x, y, span=1.0).item() == pytest.approx(expected**power, rel=1e-9)


def test_one_window_is_that_of_brute_force():
    x, y = torch.rand(1, 1, 5, 5), torch.rand(1, 1, 5, 5)
    i = torch.arange(5.0) - 2
    w = torch.exp(-(i[:, None] ** 2 + i**2) / (2 * 1.5**2))
    w = w / w.sum()
    mean = lambda z: (w * z[0, 0]).sum()
    m, k = mean(x), mean(y)
    v, s, cov = mean(x * x) - m**2, mean(y * y) - k**2, mean(x * y) - m * k
    c, d = 0.02**2, 0.06**2  # of a span of 2
    expected = (2 * m * k + c) / (m**2 + k**2 + c) * (2 * cov + d) / (v + s + d)
    found = ms_ssim(x, y, span=2.0, scales=1, window=5)
    torch.testing.assert_close(found, expected.clamp(min=0.0)[None])


def test_scale_of_the_values_does_not_matter_beside_their_span():
    x, y = torch.rand(3, 1, 32, 32), torch.rand(3, 1, 32, 32)
    y = (x + y) / 2
    one, many = ms_ssim(x, y, span=1.0), ms_ssim(255 * x, 255 * y, span=255.0)
    torch.testing.assert_close(one, many)


def test_small_images_are_compared_in_one_scale():
    x, y = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    one = ms_ssim(x, y, span=1.0, scales=1, window=7)
    torch.testing.assert_close(ms_ssim(x, y, span=1.0), one)


def test_diversity_is_the_mean_over_all_pairs_of_few_images():
    x = torch.rand(4, 1, 8, 8)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    values = torch.cat([ms_ssim(x[i : i + 1], x[j : j + 1], span=1.0) for i, j in pairs])
    found = diversity(x, span=1.0)
    assert found.pairs == 6
    assert found.statistic == pytest.approx(values.mean().item())


def test_an_image_is_never_paired_with_itself():
    x = torch.rand(1, 1, 8, 8)
    assert diversity(torch.cat([x, 1 - x]), span=1.0).statistic == 0
    many = torch.rand(60, 1, 8, 8)
    assert diversity(many, span=1.0, pairs=500).statistic < 0.5
    assert diversity(many, span=1.0, pairs=500, seed=1) == diversity(
        many, span=1.0, pairs=500, seed=1
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"span": 0.0}, "span must be positive"),
        ({"span": 1.0, "scales": 3}, "scales must be 1 to 5 and window odd"),
        ({"span": 1.0, "window": 4}, "scales must be 1 to 5 and window odd"),
    ],
)
def test_mistakes_are_named(options, message):
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match=message):
        ms_ssim(x, x, **options)
    with pytest.raises(ValueError, match="1 rows are too few, need at least 2"):
        diversity(x[:1], span=1.0)
