"""The ends of a telescope: whitened pools, batches of both, and pairs that are shuffled."""

import numpy as np
import pytest
import torch

from lfi.networks import moments
from lfi.ratio.telescoping.endpoint_samples import Repaired, pair_ends, side_by_side, two_ends
from lfi.training import Shuffled, TrainSettings


def settings(batch_size=32):
    return {"settings": TrainSettings(batch_size=batch_size, held_out=0.1), "seed": 1}


F32 = {"atol": 1e-4, "rtol": 1e-4}  # float32, a thousand roundings


def floats(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def test_two_samples_are_whitened_with_the_same_weight_for_either():
    p, q = 3 + floats(400, 3), floats(4_000, 3) @ floats(3, 3)
    ends = two_ends(p, q, **settings())
    (mean_p, cov_p), (mean_q, cov_q) = ends.of_p, ends.of_q
    half = (mean_p - mean_q) / 2
    torch.testing.assert_close(mean_p, -mean_q, **F32)
    pooled = (cov_p + cov_q) / 2 + half[:, None] * half
    torch.testing.assert_close(pooled, torch.eye(3), **F32)


def test_samples_of_unequal_sizes_give_batches_of_one_size():
    ends = two_ends(floats(100, 2), floats(5_000, 2), **settings())
    x_0, x_1 = ends.batches.draw(torch.Generator().manual_seed(0))
    assert x_0.shape == x_1.shape == (32, 2)
    held_p, held_q = ends.batches.held_out
    assert held_p.shape == held_q.shape == (10, 2)
    small = two_ends(floats(20, 2), floats(500, 2), **settings(64))
    assert [len(x) for x in small.batches.draw(torch.Generator())] == [18, 18]


def test_what_is_held_out_is_never_drawn():
    ends = two_ends(floats(50, 1), floats(50, 1), **settings(45))
    rng = torch.Generator().manual_seed(0)
    batches = [ends.batches.draw(rng) for _ in range(4)]
    drawn = [torch.cat(column).unique() for column in zip(*batches, strict=True)]
    for seen, held in zip(drawn, ends.batches.held_out, strict=True):
        assert len(seen) == 45
        assert not torch.isin(held, seen).any()


def test_moments_of_the_ends_are_those_of_what_is_drawn():
    ends = two_ends(floats(100, 2) + 1, 2 * floats(100, 2), **settings(90))
    for x, (mean, covariance) in zip(
        ends.batches.draw(torch.Generator().manual_seed(0)), (ends.of_p, ends.of_q), strict=True
    ):
        torch.testing.assert_close(moments(x), (mean, covariance))


def test_pairs_are_whitened_on_each_side_apart():
    x = floats(2_000, 2) @ floats(2, 2)
    pairs = torch.cat([x, x + floats(2_000, 2)], dim=1)
    ends = pair_ends(pairs, 2, **settings())
    covariance = ends.of_p[1]
    torch.testing.assert_close(covariance[:2, :2], torch.eye(2).double(), **F32)
    torch.testing.assert_close(covariance[2:, 2:], torch.eye(2).double(), **F32)
    assert covariance[:2, 2:].abs().max() > 0.3  # what joins them is kept
    torch.testing.assert_close(ends.of_q[1], torch.eye(4).double(), **F32)
    assert ends.mixed.tolist() == [False, False, True, True]
    assert torch.equal(ends.of_p[0], ends.of_q[0])


def test_repaired_rows_keep_x_and_take_the_y_of_another():
    x, y = torch.arange(8.0)[:, None], 10 + torch.arange(8.0)[:, None]
    source = Repaired(Shuffled((torch.cat([x, y], 1),), size=8), 1)
    assert source.held_out is None
    joint, product = source.draw(torch.Generator().manual_seed(0))
    assert torch.equal(joint[:, 1], joint[:, 0] + 10)
    assert torch.equal(product[:, 0], joint[:, 0])
    assert torch.equal(product[:, 1].sort().values, joint[:, 1].sort().values)
    assert (product[:, 1] != joint[:, 1]).all()


def test_pairs_lie_side_by_side_whatever_their_shapes_and_dtypes():
    pairs, of_x = side_by_side(np.zeros((3, 2, 2), dtype=np.float32), torch.arange(3))
    assert pairs.shape == (3, 5)
    assert of_x == 4
    assert pairs[:, 4].tolist() == [0.0, 1.0, 2.0]
    assert side_by_side(torch.arange(3), torch.arange(3))[0].dtype.is_floating_point


def test_pairs_must_match():
    with pytest.raises(ValueError, match="got 3 and 4"):
        side_by_side(torch.zeros(3), torch.zeros(4))
