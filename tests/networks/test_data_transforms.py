"""Data transforms: kinds of columns, their inverses, slopes and supports."""

import math

import numpy as np
import pytest
import torch

from lfi.networks.data_transforms import BoundedTransform, ColumnBijection

INF = math.inf


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def rng():
    return torch.Generator().manual_seed(0)


def mixed(n=1_000):
    """Real, positive, counts, real with zeros, between bounds, whole of any sign."""
    z = single(n, 6)
    return torch.stack(
        [
            100 * z[:, 0],
            z[:, 1].exp(),
            torch.poisson(torch.full((n,), 3.0, dtype=torch.float32)),
            z[:, 3].clamp_min(0.0),
            torch.sigmoid(z[:, 4]),
            (5 * z[:, 5]).round(),
        ],
        dim=1,
    )


LOWER = torch.tensor([-INF, 0.0, 0.0, 0.0, 0.0, -INF])
UPPER = torch.tensor([INF, INF, INF, INF, 1.0, INF])


def fitted_transform(x, lower=LOWER, upper=UPPER):
    columns = BoundedTransform(x.shape[1])
    columns.fit_from_data(x, lower=lower, upper=upper)
    return columns


def test_each_entry_has_a_kind_of_its_own():
    columns = fitted_transform(mixed())
    assert columns.whole.tolist() == [False, False, True, False, False, True]
    assert columns.inside.tolist() == [False, True, False, False, True, False]


def test_bounds_that_nobody_states_are_found():
    x = mixed()
    columns = fitted_transform(x, lower=None, upper=None)
    assert columns.lower.tolist() == [-INF, 0.0, 0.0, 0.0, 0.0, -INF]
    assert columns.upper.tolist() == [INF] * 6


def test_how_far_whole_numbers_lie_apart_is_told_of_the_coarsest_column():
    draw = np.random.default_rng(1)
    fine, coarse = draw.poisson(400, 2_000), draw.poisson(1, 2_000)
    real = draw.normal(0, 1e-3, 2_000)

    def widest(*columns):
        bijection = ColumnBijection(len(columns))
        bijection.fit_from_data(torch.from_numpy(np.stack(columns, 1).astype(float)))
        return bijection.widest

    assert widest(real) == 0
    assert widest(fine, real) == pytest.approx(1 / 20, rel=0.1)  # of log x, whose sd is 1 / 20
    assert widest(fine, coarse) > 0.5


def test_decoding_undoes_encoding_entry_by_entry():
    x = mixed()
    columns = fitted_transform(x)
    back = columns.decode(columns.encode(x, rng()))
    # a relative error of 1e-7 of the argument of sinh or exp, times that argument
    real = ~columns.whole
    torch.testing.assert_close(back[:, real], x[:, real], rtol=1e-4, atol=1e-4)
    # rounding of sinh may cross a whole number where the noise was within 1e-5 of one
    assert (back != x)[:, columns.whole].double().mean() < 0.005


def test_what_networks_see_is_of_order_one():
    y = fitted_transform(mixed()).encode(mixed(), rng())
    assert y.isfinite().all()
    assert y.mean(0).abs().max() < 0.3
    assert ((y.std(0) > 0.7) & (y.std(0) < 1.5)).all()


def test_whole_numbers_are_spread_anew_each_time():
    x = mixed()
    columns, generator = fitted_transform(x), rng()
    a, b = columns.encode(x, generator), columns.encode(x, generator)
    assert torch.equal(a[:, 0], b[:, 0])
    assert (a[:, 2] != b[:, 2]).double().mean() > 0.99


def test_whatever_a_network_says_stays_in_the_support():
    x = mixed()
    columns = fitted_transform(x)
    wild = columns.decode(30 * single(5_000, 6))
    assert wild.isfinite().all()
    assert (wild[:, 1] > 0).all()
    assert (wild[:, 2] >= 0).all() and (wild[:, 3] >= 0).all()
    assert (wild[:, 3] == 0).any()  # an atom that the data have
    assert ((wild[:, 4] > 0) & (wild[:, 4] < 1)).all()
    assert torch.equal(wild[:, columns.whole], wild[:, columns.whole].floor())
    assert wild[:, 0].abs().max() < 100 * x[:, 0].abs().max()


def test_an_upper_bound_alone_is_kept():
    x = 3 - single(500, 1).exp()
    columns = fitted_transform(x, lower=-INF, upper=3.0)
    assert columns.inside.all()
    torch.testing.assert_close(columns.decode(columns.encode(x, rng())), x, rtol=1e-4, atol=1e-4)
    assert (columns.decode(100 * single(500, 1)) < 3).all()


def test_counts_with_an_upper_bound_never_pass_it():
    x = torch.randint(0, 11, (500, 1)).float()
    columns = fitted_transform(x, lower=0.0, upper=10.0)
    wild = columns.decode(10 * single(500, 1))
    assert (wild.amin(), wild.amax()) == (0, 10)


def test_entries_that_do_not_vary_stay():
    x = torch.tensor([[0.0, 5.5]]).float().expand(200, 2)
    columns = fitted_transform(x, lower=None, upper=None)
    back = columns.decode(columns.encode(x, rng()))
    torch.testing.assert_close(back, x)


def test_gradients_pass_through_rounding():
    columns = fitted_transform(mixed())
    y = torch.zeros(4, 6, dtype=torch.float32, requires_grad=True)
    columns.decode(y).sum().backward()
    assert (y.grad > 0).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="entry 0 of x reaches from -1 to 1, beyond its bounds"):
        fitted_transform(torch.tensor([[-1.0], [1.0]]).float(), lower=0.0, upper=None)
    with pytest.raises(ValueError, match="upper must be a number or one for each of 2 entries"):
        fitted_transform(torch.zeros(3, 2).float(), lower=None, upper=torch.ones(3))


def columns_of_all_kinds(n=400):
    """Real, positive, counted, and far-tailed columns."""
    far = single(n)
    far[0] = 1e4
    counts = torch.poisson(torch.full((n,), 3.0, dtype=torch.float32))
    return torch.stack([single(n), single(n).exp(), counts, far], 1)


def fitted_bijection(x):
    columns = ColumnBijection(x.shape[1])
    columns.fit_from_data(x)
    return columns


def test_kinds_of_columns_are_found_in_the_data():
    columns = fitted_bijection(columns_of_all_kinds())
    assert columns.whole.tolist() == [False, False, True, False]
    assert columns.positive.tolist() == [False, True, True, False]
    assert columns.tailed.tolist() == [False, False, False, True]
    assert columns.discrete


def test_whole_numbers_of_both_signs_are_no_logarithms():
    x = torch.tensor([[-2.0], [0.0], [3.0], [5.0]], dtype=torch.float32)
    columns = fitted_bijection(x)
    y, _ = columns(x, torch.full_like(x, 0.5))
    assert not columns.positive
    assert torch.equal(columns.decode(y), x)


def test_decoding_undoes_a_bijection():
    x = columns_of_all_kinds()
    u = torch.rand(x.shape, dtype=torch.float32) * 0.98 + 0.01
    columns = fitted_bijection(x)
    y, _ = columns(x, u)
    # float32: 1e-7 times the slopes of exp and sinh times their arguments, of the order of ten
    torch.testing.assert_close(columns.decode(y), x, rtol=1e-4, atol=1e-4)


def test_columns_are_of_order_one():
    x = columns_of_all_kinds()
    columns = fitted_bijection(x)
    y, _ = columns(x, torch.full_like(x, 0.5))
    assert y.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(4, dtype=torch.float32))


def test_the_log_slope_is_that_of_the_encoding():
    columns = fitted_bijection(columns_of_all_kinds()).double()
    x = columns_of_all_kinds(20).double()
    u = torch.rand_like(x).requires_grad_()
    real = x.clone().requires_grad_()
    y, log_slope = columns(real, u)
    (slope,) = torch.autograd.grad(y.sum(), real)
    torch.testing.assert_close(slope.log().sum(1), log_slope)


def test_stray_values_decode_to_finite_ones_of_the_right_kind():
    x = columns_of_all_kinds()
    columns = fitted_bijection(x)
    wild = columns.decode(torch.tensor([[-1e6] * 4, [1e6] * 4], dtype=torch.float32))
    assert wild.isfinite().all()
    assert (wild[:, 1] > 0).all()
    assert torch.equal(wild[:, 2], wild[:, 2].floor())
    assert (wild[:, 2] >= 0).all()


def test_a_column_that_does_not_vary_stays_finite():
    x = torch.full((10, 2), 3.0, dtype=torch.float32)
    y, log_slope = fitted_bijection(x)(x, torch.full_like(x, 0.5))
    assert y.isfinite().all()
    assert log_slope.isfinite().all()
