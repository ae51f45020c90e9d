"""OutlierTest: p-values of points from the sample are uniform, points unlike it are seen."""

import pytest
import torch

from lfi.comparison.two_sample.outlier_test import OutlierTest, robust_coordinates


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def heavy(n, d=3):
    """Points with dependent, heavy-tailed, discrete and constant entries."""
    z = torch.randn(n, d)
    tails = torch.randn(n, 1) / torch.rand(n, 1)
    counts = torch.poisson(torch.rand(n, 1) * 3)
    return torch.cat([z, z[:, :1] + 0.1 * torch.randn(n, 1), tails, counts, torch.ones(n, 1)], 1)


@pytest.mark.parametrize("embed", [None, lambda x: x[:, :2] ** 3], ids=["x", "embedding"])
def test_p_values_of_points_from_the_sample_are_at_most_alpha_at_the_rate_alpha(embed):
    repetitions, points = 40, 50
    p_values = torch.stack(
        [
            OutlierTest.fit_from_data(heavy(198), embed=embed, rng=rng(s)).p_values(heavy(points))
            for s in range(repetitions)
        ]
    )
    assert p_values.min() >= 1 / 100
    for level in (0.05, 0.2, 0.5):
        # points of a repetition share held-out ones: the error is that of the repetitions' means
        shares = (p_values <= level).double().mean(dim=1)
        error = 5 * shares.std() / repetitions**0.5
        assert shares.mean() < level + error
        assert shares.mean() > level - 0.01 - error  # p-values are multiples of 1/100


@pytest.mark.parametrize(
    "point, kind",
    [
        (torch.tensor([9.0, 0.0]), "farthest"),
        (torch.tensor([1.5, -1.5]), "mahalanobis"),
        (torch.tensor([1e9, 0.0]), "farthest"),
    ],
    ids=["one entry", "together", "very far"],
)
def test_a_point_unlike_the_sample_is_seen_and_by_which_distance(point, kind):
    a = torch.randn(4000, 1)
    sample = torch.cat([a, a + 0.3 * torch.randn(4000, 1)], dim=1)
    novelty = OutlierTest.fit_from_data(sample, rng=rng())
    assert novelty.p_values(point[None]) <= 4 / 2001  # by each distance one point is the farthest
    assert novelty.ranks(point[None])[novelty.kinds.index(kind), 0] == 1


def test_a_hole_in_the_middle_of_the_sample_is_seen_by_its_neighbours():
    angle = 6.2832 * torch.rand(4000)
    ring = torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(4000, 2)
    novelty = OutlierTest.fit_from_data(ring, rng=rng())
    ranks = novelty.ranks(torch.zeros(1, 2))[:, 0]
    assert ranks[novelty.kinds.index("nearest")] == 1
    assert ranks[novelty.kinds.index("mahalanobis")] == 0
    assert novelty.p_values(torch.zeros(1, 2)) <= 4 / 2001


def test_an_embedding_adds_its_own_distances():
    product = lambda x: x.prod(dim=1, keepdim=True)
    x = torch.randn(2000, 6)
    x[:, 5] = x[:, 5].abs() * x[:, :5].prod(dim=1).sign()  # the product is positive
    odd = torch.tensor([[0.8, 0.8, 0.8, 0.8, 0.8, -0.8]])
    plain = OutlierTest.fit_from_data(x, rng=rng())
    informed = OutlierTest.fit_from_data(x, embed=product, rng=rng())
    assert len(plain.kinds) == 3 and informed.kinds[3:] == (
        "nearest in the embedding",
        "mahalanobis in the embedding",
        "farthest in the embedding",
    )
    assert plain.p_values(odd) > 0.05
    assert informed.p_values(odd) < 0.02


def test_an_entry_that_never_changes_is_seen_when_it_does():
    sample = torch.cat([torch.randn(500, 2), torch.full((500, 1), 7.0)], dim=1)
    novelty = OutlierTest.fit_from_data(sample, rng=rng())
    assert novelty.p_values(torch.tensor([[0.0, 0.0, 7.0]])) > 0.1
    assert novelty.p_values(torch.tensor([[0.0, 0.0, 7.1]])) <= 4 / 251


def test_ranks_are_exact_by_brute_force():
    sample, points = heavy(100), heavy(7)
    novelty = OutlierTest.fit_from_data(sample, rng=rng())
    held_out, distances = novelty.held_out, novelty.distances(points)
    expected = []
    for own in distances.T:
        rows = torch.cat([own[:, None], held_out], dim=1)
        ranks = (rows[:, :, None] > rows[:, None]).sum(dim=2).amax(dim=0)
        expected.append((ranks[0] <= ranks).double().mean())
    torch.testing.assert_close(novelty.p_values(points), torch.stack(expected))


def test_no_outlier_sets_the_scale():
    x = torch.randn(1000, 1)
    z, far = robust_coordinates(torch.cat([x, torch.tensor([[1e15]])]), torch.tensor([[5.0]]))
    torch.testing.assert_close(far, torch.tensor([[5.0]]).asinh(), atol=0.1, rtol=0)
    assert z[-1] > 30  # logarithmic beyond: far, and finite


def test_images_are_taken_and_too_few_points_refused():
    novelty = OutlierTest.fit_from_data(torch.randn(60, 4, 4), rng=rng())
    assert novelty.p_values(torch.randn(3, 4, 4)).shape == (3,)
    with pytest.raises(ValueError, match="19 points are too few"):
        OutlierTest.fit_from_data(torch.randn(19, 2), rng=rng())
