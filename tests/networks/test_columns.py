"""Columns: what kind they are, that decoding undoes encoding, and their slopes."""

import torch

from lfi.networks import Columns


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def mixed(n=400):
    """Real, positive, counted, and far-tailed columns."""
    far = single(n)
    far[0] = 1e4
    counts = torch.poisson(torch.full((n,), 3.0, dtype=torch.float32))
    return torch.stack([single(n), single(n).exp(), counts, far], 1)


def learnt(x):
    columns = Columns(x.shape[1])
    columns.learn(x)
    return columns


def test_kinds_are_seen_in_the_data():
    columns = learnt(mixed())
    assert columns.whole.tolist() == [False, False, True, False]
    assert columns.positive.tolist() == [False, True, True, False]
    assert columns.tailed.tolist() == [False, False, False, True]
    assert columns.discrete


def test_whole_numbers_of_both_signs_are_no_logarithms():
    x = torch.tensor([[-2.0], [0.0], [3.0], [5.0]], dtype=torch.float32)
    columns = learnt(x)
    y, _ = columns(x, torch.full_like(x, 0.5))
    assert not columns.positive
    assert torch.equal(columns.decode(y), x)


def test_decoding_undoes_encoding():
    x = mixed()
    u = torch.rand(x.shape, dtype=torch.float32) * 0.98 + 0.01
    columns = learnt(x)
    y, _ = columns(x, u)
    # float32: 1e-7 times the slopes of exp and sinh times their arguments, of the order of ten
    torch.testing.assert_close(columns.decode(y), x, rtol=1e-4, atol=1e-4)


def test_columns_are_of_order_one():
    x = mixed()
    columns = learnt(x)
    y, _ = columns(x, torch.full_like(x, 0.5))
    assert y.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(4, dtype=torch.float32))


def test_the_log_slope_is_that_of_the_encoding():
    columns = learnt(mixed()).double()
    x = mixed(20).double()
    u = torch.rand_like(x).requires_grad_()
    real = x.clone().requires_grad_()
    y, log_slope = columns(real, u)
    (slope,) = torch.autograd.grad(y.sum(), real)
    torch.testing.assert_close(slope.log().sum(1), log_slope)


def test_stray_values_decode_to_finite_ones_of_the_right_kind():
    x = mixed()
    columns = learnt(x)
    wild = columns.decode(torch.tensor([[-1e6] * 4, [1e6] * 4], dtype=torch.float32))
    assert wild.isfinite().all()
    assert (wild[:, 1] > 0).all()
    assert torch.equal(wild[:, 2], wild[:, 2].floor())
    assert (wild[:, 2] >= 0).all()


def test_a_column_that_does_not_vary_stays_finite():
    x = torch.full((10, 2), 3.0, dtype=torch.float32)
    y, log_slope = learnt(x)(x, torch.full_like(x, 0.5))
    assert y.isfinite().all()
    assert log_slope.isfinite().all()
