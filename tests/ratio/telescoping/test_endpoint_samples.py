"""The endpoints of a telescope: whitened pools, batches of both, and pairs that are shuffled."""

import torch

from lfi.networks import moments
from lfi.ratio.telescoping.endpoint_samples import (
    ShuffledPairs,
    endpoints_of_pairs,
    endpoints_of_samples,
)
from lfi.training import CompleteSettings, Shuffled


def settings(batch_size=32):
    return {"settings": CompleteSettings(batch_size=batch_size, held_out=0.1), "seed": 1}


F32 = {"atol": 1e-4, "rtol": 1e-4}  # float32, a thousand roundings


def floats(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def test_two_samples_are_whitened_with_the_same_weight_for_either():
    p, q = 3 + floats(400, 3), floats(4_000, 3) @ floats(3, 3)
    endpoints = endpoints_of_samples(p, q, **settings())
    (mean_p, cov_p), (mean_q, cov_q) = endpoints.moments_p, endpoints.moments_q
    half = (mean_p - mean_q) / 2
    torch.testing.assert_close(mean_p, -mean_q, **F32)
    pooled = (cov_p + cov_q) / 2 + half[:, None] * half
    torch.testing.assert_close(pooled, torch.eye(3), **F32)


def test_samples_of_unequal_sizes_give_batches_of_one_size():
    endpoints = endpoints_of_samples(floats(100, 2), floats(5_000, 2), **settings())
    x_0, x_1 = endpoints.batches.draw(torch.Generator().manual_seed(0))
    assert x_0.shape == x_1.shape == (32, 2)
    held_p, held_q = endpoints.batches.held_out
    assert held_p.shape == held_q.shape == (10, 2)
    small = endpoints_of_samples(floats(20, 2), floats(500, 2), **settings(64))
    assert [len(x) for x in small.batches.draw(torch.Generator())] == [18, 18]


def test_what_is_held_out_is_never_drawn():
    endpoints = endpoints_of_samples(floats(50, 1), floats(50, 1), **settings(45))
    rng = torch.Generator().manual_seed(0)
    batches = [endpoints.batches.draw(rng) for _ in range(4)]
    drawn = [torch.cat(column).unique() for column in zip(*batches, strict=True)]
    for seen, held in zip(drawn, endpoints.batches.held_out, strict=True):
        assert len(seen) == 45
        assert not torch.isin(held, seen).any()


def test_moments_of_the_ends_are_those_of_what_is_drawn():
    endpoints = endpoints_of_samples(floats(100, 2) + 1, 2 * floats(100, 2), **settings(90))
    for x, (mean, covariance) in zip(
        endpoints.batches.draw(torch.Generator().manual_seed(0)),
        (endpoints.moments_p, endpoints.moments_q),
        strict=True,
    ):
        torch.testing.assert_close(moments(x), (mean, covariance))


def test_pairs_are_whitened_on_each_side_apart():
    x = floats(2_000, 2) @ floats(2, 2)
    pairs = torch.cat([x, x + floats(2_000, 2)], dim=1)
    endpoints = endpoints_of_pairs(pairs, 2, **settings())
    covariance = endpoints.moments_p[1]
    torch.testing.assert_close(covariance[:2, :2], torch.eye(2).double(), **F32)
    torch.testing.assert_close(covariance[2:, 2:], torch.eye(2).double(), **F32)
    assert covariance[:2, 2:].abs().max() > 0.3  # what joins them is kept
    torch.testing.assert_close(endpoints.moments_q[1], torch.eye(4).double(), **F32)
    assert endpoints.mixed.tolist() == [False, False, True, True]
    assert torch.equal(endpoints.moments_p[0], endpoints.moments_q[0])


def test_repaired_rows_keep_x_and_take_the_y_of_another():
    x, y = torch.arange(8.0)[:, None], 10 + torch.arange(8.0)[:, None]
    source = ShuffledPairs(Shuffled((torch.cat([x, y], 1),), size=8), 1)
    assert source.held_out is None
    joint, product = source.draw(torch.Generator().manual_seed(0))
    assert torch.equal(joint[:, 1], joint[:, 0] + 10)
    assert torch.equal(product[:, 0], joint[:, 0])
    assert torch.equal(product[:, 1].sort().values, joint[:, 1].sort().values)
    assert (product[:, 1] != joint[:, 1]).all()
