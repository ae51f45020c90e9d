"""Transport on lines: against linear programmes, closed forms, and identities."""

import math

import pytest
import torch
from hypothesis import given, strategies as st
from scipy.optimize import linprog
from torch.autograd import gradcheck
from torch.distributions import Normal

from lfi.comparison import SlicedWasserstein, Wasserstein1D

orders = st.sampled_from([1.0, 1.5, 2.0, 3.0])
sizes = st.integers(1, 30)
seeds = st.integers(0, 2**31)


def draw(n, d=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng), torch.rand(n, generator=rng)


def cheapest(x, y, a, b, order):
    """The linear programme that transport is, over all couplings of a few points."""
    cost = torch.cdist(x, y).pow(order).flatten().numpy()
    n, m = len(x), len(y)
    rows = torch.kron(torch.eye(n), torch.ones(1, m))
    columns = torch.kron(torch.ones(1, n), torch.eye(m))
    margins = torch.cat([a / a.sum(), b / b.sum()])
    result = linprog(cost, A_eq=torch.cat([rows, columns]).numpy(), b_eq=margins.numpy())
    assert result.success
    return result.fun


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("n, m", [(1, 1), (1, 6), (5, 5), (4, 7), (9, 3)])
def test_no_coupling_of_points_on_a_line_is_cheaper(order, n, m):
    (x, a), (y, b) = draw(n, seed=1), draw(m, seed=2)
    w = Wasserstein1D(order)
    # the solver's own tolerance is 1e-7
    assert w(x, y, weight_p=a, weight_q=b).item() == pytest.approx(
        cheapest(x, y, a, b, order), rel=1e-6
    )
    equal = cheapest(x, y, torch.ones(n), torch.ones(m), order)
    assert w(x, y).item() == pytest.approx(equal, rel=1e-6)


def test_the_first_order_is_the_area_between_distribution_functions():
    (x, a), (y, b) = draw(40, seed=1), draw(25, seed=2)
    a, b = a / a.sum(), b / b.sum()
    points = torch.cat([x, y]).sort(dim=0).values[:, 0]
    f = ((x <= points) * a[:, None]).sum(0), ((y <= points) * b[:, None]).sum(0)
    area = ((f[0] - f[1]).abs()[:-1] * points.diff()).sum()
    assert torch.isclose(Wasserstein1D()(x, y, weight_p=a, weight_q=b), area, rtol=1e-12)


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_gaussians_reach_their_closed_form(order):
    """N(0, 1) and N(m, s^2) on quantiles: W_2^2 = m^2 + (s - 1)^2, and W_1 = m if s = 1."""
    u = (torch.arange(20_000) + 0.5) / 20_000
    x = Normal(0.0, 1.0).icdf(u)[:, None]
    m, s = 0.7, 1.0 if order == 1 else 1.6
    exact = m if order == 1 else m**2 + (s - 1) ** 2
    # quantiles miss E z^2 = 1 by 2e-4: at most 1e-3 of the cost
    assert Wasserstein1D(order)(x, m + s * x).item() == pytest.approx(exact, rel=1e-3)


@given(orders, sizes, st.floats(-10, 10), seeds)
def test_a_shift_costs_its_length(order, n, shift, seed):
    x, a = draw(n, seed=seed)
    cost = Wasserstein1D(order)(x, x + shift, weight_p=a, weight_q=a)
    assert cost.item() == pytest.approx(abs(shift) ** order, rel=1e-9, abs=1e-12)


@given(orders, sizes, sizes, st.floats(-5, 5), seeds)
def test_stretched_samples_are_apart_by_the_stretch(order, n, m, factor, seed):
    (x, _), (y, _) = draw(n, seed=seed), draw(m, seed=seed + 1)
    w = Wasserstein1D(order)
    expected = abs(factor) ** order * w(x, y)
    assert torch.isclose(w(factor * x, factor * y), expected, rtol=1e-9, atol=1e-12)


@given(orders, sizes, sizes, sizes, seeds)
def test_its_root_is_a_metric(order, n, m, k, seed):
    x, y, z = (draw(size, seed=seed + i)[0] for i, size in enumerate((n, m, k)))
    w = lambda *pair: Wasserstein1D(order)(*pair) ** (1 / order)
    assert w(x, z) <= w(x, y) + w(y, z) + 1e-12
    assert torch.isclose(w(x, y), w(y, x), rtol=1e-12)
    assert w(x, x) == 0


@given(sizes, sizes, seeds)
def test_whole_weights_are_repeated_points(n, m, seed):
    (x, _), (y, _) = draw(n, 3, seed=seed), draw(m, 3, seed=seed + 1)
    times = torch.randint(1, 5, (n,), generator=torch.Generator().manual_seed(seed))
    sliced = SlicedWasserstein(projections=4)
    repeated = sliced(x.repeat_interleave(times, 0), y)
    weighted = sliced(x, y, weight_p=times.double())
    # cumulative weights that are equal but for rounding: 1e-15 of the mass goes elsewhere
    assert torch.isclose(weighted, repeated, rtol=1e-10, atol=1e-12)


def test_points_of_no_weight_do_not_count():
    (x, a), (y, b) = draw(6, seed=1), draw(5, seed=2)
    a[2] = b[0] = 0
    left = [0, 1, 3, 4, 5]
    w = Wasserstein1D(2.0)
    without = w(x[left], y[1:], weight_p=a[left], weight_q=b[1:])
    assert torch.isclose(w(x, y, weight_p=a, weight_q=b), without, rtol=1e-12)


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("n, m", [(6, 6), (6, 4)])
def test_gradients_in_points_and_weights(order, n, m):
    (x, a), (y, b) = draw(n, 2, seed=1), draw(m, 2, seed=2)
    inputs = [t.requires_grad_() for t in (x, y, a, b)]
    sliced = SlicedWasserstein(projections=5, order=order)
    assert gradcheck(lambda x, y, a, b: sliced(x, y, weight_p=a, weight_q=b), inputs)
    assert gradcheck(sliced, inputs[:2])


def test_gradients_are_finite_where_samples_coincide():
    x = torch.zeros(4, 2, requires_grad=True)
    for order in (1.0, 1.5, 2.0):
        (gradient,) = torch.autograd.grad(SlicedWasserstein(order=order)(x, x.detach()), x)
        assert (gradient == 0).all()


def test_sliced_transport_is_the_mean_over_its_directions():
    (x, a), (y, b) = draw(8, 4, seed=1), draw(5, 4, seed=2)
    sliced = SlicedWasserstein(projections=7, order=1.5, seed=3)
    lines = [
        Wasserstein1D(1.5)(x @ t[:, None], y @ t[:, None], weight_p=a, weight_q=b)
        for t in sliced.directions(4).T
    ]
    together = sliced(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(together, torch.stack(lines).mean(), rtol=1e-12)


def test_in_one_dimension_slices_are_the_whole():
    (x, _), (y, _) = draw(8, seed=1), draw(5, seed=2)
    assert torch.equal(SlicedWasserstein(order=3.0)(x, y), Wasserstein1D(3.0)(x, y))


@given(st.integers(1, 8), seeds)
def test_a_shift_in_many_dimensions_costs_its_projections(d, seed):
    x, _ = draw(20, d, seed=seed)
    shift, sliced = torch.arange(1.0, d + 1), SlicedWasserstein(projections=50)
    expected = (shift @ sliced.directions(d)).square().mean()
    assert torch.isclose(sliced(x, x + shift), expected, rtol=1e-9)


def test_gaussians_sliced_reach_their_closed_form():
    """N(0, I) and N(a, I): SW_2^2 = |a|^2 / d on average over directions."""
    d, k = 5, 4000
    x, a = draw(50, d)[0], torch.linspace(0.0, 2.0, d)
    value = SlicedWasserstein(projections=k)(x, x + a)
    cosine = (a / a.norm() @ SlicedWasserstein(projections=k).directions(d)).square()
    # cos^2 is Beta(1/2, (d - 1)/2), with this deviation; five standard errors
    deviation = math.sqrt(2 * (d - 1) / (d**2 * (d + 2)))
    assert abs(value / a.square().sum() - 1 / d) < 5 * deviation / k**0.5
    assert cosine.std() == pytest.approx(deviation, rel=0.1)


def test_directions_are_fixed_by_the_seed_alone():
    state = torch.get_rng_state()
    first = SlicedWasserstein(seed=1).directions(3)
    assert torch.equal(first, SlicedWasserstein(seed=1).directions(3))
    assert not torch.equal(first, SlicedWasserstein(seed=2).directions(3))
    assert torch.allclose(first.norm(dim=0), torch.ones(100))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("n", [9, 5])
def test_many_samples_against_one(n):
    x = torch.randn(4, 3, n, 2)
    y, b = draw(5, 2)
    sliced = SlicedWasserstein(projections=6)
    rows = torch.stack([torch.stack([sliced(r, y) for r in row]) for row in x])
    assert torch.allclose(sliced(x, y), rows, rtol=1e-12)
    assert torch.allclose(sliced(y, x), rows, rtol=1e-12)
    weighted = torch.stack([torch.stack([sliced(r, y, weight_q=b) for r in row]) for row in x])
    assert torch.allclose(sliced(x, y, weight_q=b), weighted, rtol=1e-12)


def test_what_has_no_transport_is_refused():
    for order in (0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="order must be at least 1"):
            Wasserstein1D(order)
    with pytest.raises(ValueError, match="projections must be at least 1, got 0"):
        SlicedWasserstein(projections=0)


@pytest.mark.peer
@pytest.mark.parametrize("n, m", [(50, 50), (50, 30)])
def test_a_peer_agrees(n, m):
    ot = pytest.importorskip("ot")
    (x, a), (y, b) = draw(n, 3, seed=1), draw(m, 3, seed=2)
    a, b = a / a.sum(), b / b.sum()
    sliced = SlicedWasserstein(projections=20)
    arrays = [t.numpy() for t in (x, y, a, b)]  # theirs warns of torch
    theirs = ot.sliced_wasserstein_distance(*arrays, projections=sliced.directions(3).numpy())
    assert sliced(x, y, weight_p=a, weight_q=b).item() == pytest.approx(theirs**2, rel=1e-9)
    line = ot.wasserstein_1d(arrays[0][:, 0], arrays[1][:, 0], *arrays[2:], p=3)
    ours = Wasserstein1D(3.0)(x[:, :1], y[:, :1], weight_p=a, weight_q=b)
    assert ours.item() == pytest.approx(line, rel=1e-9)
