"""Data for generators: their modes, their densities, their moments, and the images."""

import math

import numpy as np
import pytest
import torch

from simulators import digits, grid, parallel_lines, photographs, ring, spirals

PLANE = [ring, grid, parallel_lines, spirals]
MIXTURES = [ring, grid]

each_of_the_plane = pytest.mark.parametrize("data", PLANE, ids=lambda m: m.__name__)
each_mixture = pytest.mark.parametrize("data", MIXTURES, ids=lambda m: m.__name__)


def draw(data, n, seed=1):
    return data.sample(n, torch.Generator().manual_seed(seed))


def mass_below(f, n):
    """The share of rows where f holds, with its standard error."""
    share = f.double().mean().item()
    return share, math.sqrt(share * (1 - share) / n)


# All of them.


@pytest.mark.parametrize("data", [*PLANE, digits, photographs], ids=lambda m: m.__name__)
def test_samples_follow_the_default_dtype_and_leave_its_generator_alone(data):
    state = torch.get_rng_state()
    assert draw(data, 10).dtype == torch.float64
    torch.set_default_dtype(torch.float32)
    assert draw(data, 10).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("data", [*PLANE, digits, photographs], ids=lambda m: m.__name__)
def test_data_sets_are_no_simulators(data):
    assert not hasattr(data, "prior")
    assert not hasattr(data, "simulate")


@each_of_the_plane
def test_the_density_is_that_of_the_samples(data):
    # E[r(x)] over samples of p is the integral of the box where r = [x in the box] / p(x): of a
    # box around a sample, a quarter of the noise wide, where p varies by a factor of about two
    scale = getattr(data, "scale", getattr(data, "thickness", None))
    n = 400_000
    x, centres = draw(data, n), draw(data, 5, seed=2)
    for centre in centres:
        inside = ((x - centre).abs() < scale / 4).all(dim=1)
        weight = torch.zeros(n)
        weight[inside] = torch.exp(-data.log_prob(x[inside]))
        assert (weight.mean() - (scale / 2) ** 2).abs() < 5 * weight.std() / n**0.5


@each_of_the_plane
def test_the_density_integrates_to_one(data):
    # by trapezoids, a third of the noise wide, which are exact for smooth functions
    scale = getattr(data, "scale", getattr(data, "thickness", None))
    x = draw(data, 2000)
    low, high = x.amin(dim=0) - 7 * scale, x.amax(dim=0) + 7 * scale
    if data is parallel_lines:
        low[1], high[1] = -7.0, 7.0
    steps = [scale / 2, 0.05 if data is parallel_lines else scale / 2]
    first, second = (
        torch.arange(a.item(), b.item(), h) for a, b, h in zip(low, high, steps, strict=True)
    )
    mass = 0.0
    for columns in first.split(max(1, 20_000 // len(second))):
        mass += data.log_prob(torch.cartesian_prod(columns, second)).exp().sum().item()
    assert mass * steps[0] * steps[1] == pytest.approx(1, abs=1e-6)


@each_of_the_plane
def test_the_density_is_differentiable(data):
    x = draw(data, 3).requires_grad_()
    assert torch.autograd.gradcheck(data.log_prob, x)


# Ring and grid.


@each_mixture
def test_all_centres_are_apart(data):
    assert data.centres.shape == (data.modes, 2)
    distances = torch.cdist(data.centres, data.centres) + 1e9 * torch.eye(data.modes)
    assert distances.min() > 50 * data.scale / 2  # no centre twice, and none in another's reach


def test_the_ring_has_eight_modes_at_equal_angles():
    angles = torch.atan2(ring.centres[:, 1], ring.centres[:, 0]) % (2 * math.pi)
    torch.testing.assert_close(angles.sort().values, torch.arange(8) * math.pi / 4)
    torch.testing.assert_close(ring.centres.norm(dim=1), torch.ones(8))


def test_the_grid_is_five_by_five():
    assert {tuple(c) for c in grid.centres.tolist()} == {
        (float(i), float(j)) for i in range(-4, 5, 2) for j in range(-4, 5, 2)
    }


@each_mixture
def test_modes_have_equal_shares_and_their_spread(data):
    n = 50_000
    x = draw(data, n)
    distance, mode = torch.cdist(x, data.centres).min(dim=1)
    counts = torch.bincount(mode, minlength=data.modes)
    p = 1 / data.modes
    assert ((counts / n - p).abs() < 5 * math.sqrt(p * (1 - p) / n)).all()
    for radius in (1.0, 2.0, 3.0):  # of a plane normal: 1 - e^(-r^2 / 2) within r deviations
        share, error = mass_below(distance < radius * data.scale, n)
        assert abs(share - (1 - math.exp(-(radius**2) / 2))) < 5 * error


@each_mixture
def test_the_density_is_torchs_mixture(data):
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(data.modes)),
        torch.distributions.Independent(
            torch.distributions.Normal(data.centres, data.scale * torch.ones(data.modes, 2)), 1
        ),
    )
    x = torch.cat([draw(data, 50), torch.randn(50, 2)])
    torch.testing.assert_close(data.log_prob(x), law.log_prob(x))


# Lines.


def test_the_lines_divergence_is_flat_and_its_distance_is_not():
    jensen_shannon = parallel_lines.jensen_shannon
    for offset in (0.1, 1.0, -3.0):
        assert jensen_shannon(offset) == pytest.approx(math.log(2), abs=1e-6)
    assert jensen_shannon(0.0) == pytest.approx(0, abs=1e-12)
    assert 0.1 < jensen_shannon(0.02) < jensen_shannon(0.03) < 0.65
    assert parallel_lines.wasserstein(-3.0) == 3.0


@pytest.mark.parametrize("offset", [0.005, 0.02, 0.05])
def test_the_lines_divergence_is_that_of_samples(offset):
    n, rng = 200_000, torch.Generator().manual_seed(1)
    terms = torch.zeros(())
    for mine, other in ((0.0, offset), (offset, 0.0)):
        x = parallel_lines.sample(n, rng, mine)
        own, alien = parallel_lines.log_prob(x, mine), parallel_lines.log_prob(x, other)
        terms = terms + (own - torch.logaddexp(own, alien) + math.log(2)) / 2
    error = terms.std() / n**0.5
    assert (terms.mean() - parallel_lines.jensen_shannon(offset)).abs() < 5 * error


def test_the_lines_wasserstein_distance_is_that_of_samples():
    # of the same noise, sorted: the distance of the first coordinates, and the second ones agree
    x, y = (
        parallel_lines.sample(1000, torch.Generator().manual_seed(1), s)
        for s in (0.0, parallel_lines.start)
    )
    moved = (y[:, 0].sort().values - x[:, 0].sort().values).abs().mean()
    assert moved == pytest.approx(parallel_lines.wasserstein(parallel_lines.start))
    assert torch.equal(x[:, 1], y[:, 1])


# Spirals.


def test_spirals_have_two_arms_of_equal_share_around_the_origin():
    n = 50_000
    x = draw(spirals, n)
    # x and -x are equally probable, so that odd moments vanish
    for odd in (x, x**3, x[:, :1] ** 2 * x[:, 1:]):
        assert (odd.mean(dim=0).abs() < 5 * odd.std(dim=0) / n**0.5).all()
    torch.testing.assert_close(spirals.log_prob(x[:50]), spirals.log_prob(-x[:50]))
    # the squared radius has the mean of u, a half, and of the noise
    square = x.square().sum(dim=1)
    assert (square.mean() - 0.5 - 2 * spirals.scale**2).abs() < 5 * square.std() / n**0.5


def test_spirals_end_at_radius_one_after_one_and_a_half_turns():
    ends = spirals.arm(torch.tensor([0.0, math.pi, 3 * math.pi]))
    torch.testing.assert_close(ends, torch.tensor([[0.0, 0.0], [-1 / 3, 0.0], [-1.0, 0.0]]))


# Digits.


def test_digits_are_scikit_learns_images():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = digits.images(), digits.labels()
    assert images.shape == (1797, 64)
    np.testing.assert_array_equal(images.numpy() * 16, bunch.data)
    np.testing.assert_array_equal(labels.numpy(), bunch.target)
    assert images.min() == 0
    assert images.max() == 1


def test_sampled_digits_are_among_the_images_and_all_alike_probable():
    n, images = 50_000, digits.images()
    x = draw(digits, n)
    keys = {row.tobytes(): k for k, row in enumerate(images.numpy())}
    assert len(keys) == 1797  # no image twice
    which = torch.tensor([keys[row.tobytes()] for row in x.numpy()])
    counts = torch.bincount(which, minlength=1797)
    expected = n / 1797
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert (chi_squared - 1796).abs() < 5 * math.sqrt(2 * 1796)


# Photographs.


def test_images_are_cut_from_the_photographs_and_held_out_ones_apart(monkeypatch):
    places = torch.arange(2 * 3 * 213 * 320).view(2, 3, 213, 320)  # which pixel each one is
    monkeypatch.setattr(photographs, "_photographs", lambda: places)
    rng, seen = torch.Generator().manual_seed(1), []
    for held_out in (False, True):
        x, of = photographs.labelled(2_000, rng, held_out=held_out)
        steps = torch.arange(32)
        expected = x[:, :1, :1, :1] + steps[:, None] * 320 + steps
        expected = expected + torch.arange(3)[:, None, None] * 213 * 320
        assert torch.equal(x, expected)  # all of it, of one photograph, in its order
        assert torch.equal(x.flatten(1).amin(1) // (3 * 213 * 320), of)
        top, left = x[:, 0, 0, 0] % (213 * 320) // 320, x[:, 0, 0, 0] % 320
        assert set(top.tolist()) == set(range(182))  # one is left out with probability 0.003
        assert set((left % 64).tolist()) == set(range(33))
        assert set((left // 64).tolist()) == ({1, 3} if held_out else {0, 2, 4})
        seen.append(x.unique())
    assert not torch.isin(*seen).any()


def test_photographs_are_scikit_learns_at_half_their_size():
    from sklearn.datasets import load_sample_images

    temple, _ = load_sample_images().images
    x, of = photographs.labelled(500, torch.Generator().manual_seed(1))
    blocks = temple[:426].reshape(213, 2, 320, 2, 3).mean((1, 3)).transpose(2, 0, 1) / 255
    image = x[of == 0][0].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(blocks, (32, 32), axis=(1, 2))
    corner = np.abs(windows[..., 0, 0] - image[:, None, None, 0, 0]).max(0) < 1e-12
    off = np.abs(windows[:, corner] - image[:, None]).max((0, 2, 3))
    assert off.min() < 1e-12
    assert x.min() >= 0 and x.max() <= 1
