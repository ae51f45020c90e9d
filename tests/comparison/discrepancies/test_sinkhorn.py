"""Sinkhorn divergence: against assignments, closed forms of Gaussians, limits and identities."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment
from torch.autograd import gradcheck

from lfi.comparison import Sinkhorn
from lfi.comparison.discrepancies import sinkhorn, sinkhorn_solver as potentials

orders = st.sampled_from([1.0, 1.5, 2.0])
seeds = st.integers(0, 2**31)


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng), torch.rand(shape[:-1], generator=rng)


def grid(mean, cov, side=32, reach=5.0):
    """A Gaussian as weights on a grid turned along its axes: its moments, to 2e-5."""
    values, vectors = torch.linalg.eigh(cov)
    line = torch.linspace(-reach, reach, side)
    z = torch.cartesian_prod(*[line] * len(mean)).reshape(-1, len(mean))
    weight = torch.exp(-z.square().sum(1) / 2)
    return mean + (z * values.sqrt()) @ vectors.T, weight / weight.sum()


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def entropic_cost(m, a, n, b, epsilon):
    """Janati et al. 2020, theorem 1: the cost is |x - y|^2 and epsilon = 2 sigma^2."""
    d, s = len(m), epsilon / 2
    inner = root(4 * root(a) @ b @ root(a) + s**2 * torch.eye(d))
    trace = torch.trace(a) + torch.trace(b) - torch.trace(inner)
    constant = d * s * (1 - math.log(2 * s))
    return (m - n).square().sum() + trace + constant + s * torch.logdet(inner + s * torch.eye(d))


MEANS = torch.tensor([[0.0, 0.5], [1.0, -0.5]], dtype=torch.float64)
COVS = torch.tensor([[[1.0, 0.6], [0.6, 0.8]], [[0.5, -0.2], [-0.2, 1.5]]], dtype=torch.float64)


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 5.0])
def test_gaussians_reach_their_closed_form(epsilon):
    (x, w), (y, v) = (grid(m, c) for m, c in zip(MEANS, COVS, strict=True))
    cost = Sinkhorn(epsilon=epsilon, debiased=False)(x, y, weight_p=w, weight_q=v)
    exact = entropic_cost(MEANS[0], COVS[0], MEANS[1], COVS[1], epsilon)
    # the grid cuts Gaussians at 5 deviations: 1.5e-5 of their variance
    assert cost.item() == pytest.approx(exact.item(), rel=2e-5)
    divergence = Sinkhorn(epsilon=epsilon)(x, y, weight_p=w, weight_q=v)
    own = [entropic_cost(m, c, m, c, epsilon) for m, c in zip(MEANS, COVS, strict=True)]
    assert divergence.item() == pytest.approx((exact - sum(own) / 2).item(), rel=2e-5)


def test_samples_of_gaussians_reach_the_closed_form_within_sampling_error():
    """40 pairs of 300 points; the Wasserstein distance itself is epsilon^2 / 8 or so away."""
    epsilon, factors = 0.3, [torch.linalg.cholesky(c) for c in COVS]
    x, y = (
        m + draw(40, 300, 2, seed=i)[0] @ f.T
        for i, (m, f) in enumerate(zip(MEANS, factors, strict=True))
    )
    values = Sinkhorn(epsilon=epsilon)(x, y)
    cost = lambda i, j: entropic_cost(MEANS[i], COVS[i], MEANS[j], COVS[j], epsilon)
    exact = cost(0, 1) - (cost(0, 0) + cost(1, 1)) / 2
    assert abs(values.mean() - exact) < 5 * values.std() / 40**0.5
    middle = root(root(COVS[0]) @ COVS[1] @ root(COVS[0]))
    distance = (MEANS[0] - MEANS[1]).square().sum()
    distance += torch.trace(COVS[0] + COVS[1] - 2 * middle)
    assert abs(values.mean() - distance) < 5 * values.std() / 40**0.5


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_no_assignment_is_cheaper_and_the_best_is_near(order):
    """W <= OT <= W + epsilon log n, as a permutation's information is log n."""
    x, y = draw(12, 3, seed=1)[0], draw(12, 3, seed=2)[0]
    cost = torch.cdist(x, y).pow(order)
    least = cost[linear_sum_assignment(cost.numpy())].mean().item()
    for epsilon in (0.5, 0.05, 0.005):
        value = Sinkhorn(epsilon=epsilon, order=order, debiased=False)(x, y).item()
        assert least < value < least + epsilon * math.log(12)
        divergence = Sinkhorn(epsilon=epsilon, order=order)(x, y).item()
        assert abs(divergence - least) < epsilon * math.log(12)


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0])
def test_the_value_is_that_of_its_plan(order):
    """<P, C> + epsilon KL(P | a x b): the primal, where potentials give the dual."""
    (x, a), (y, b) = draw(30, 2, seed=1), draw(20, 2, seed=2)
    a, b = a / a.sum(), b / b.sum()
    s = Sinkhorn(epsilon=0.2, order=order, debiased=False, tolerance=1e-9)
    plan = s.plan(x, y, weight_p=a, weight_q=b)
    assert torch.allclose(plan.sum(1), a, rtol=1e-12)
    assert (plan.sum(0) - b).abs().sum() < 2e-9
    information = torch.special.xlogy(plan, plan / (a[:, None] * b)).sum()
    primal = (plan * torch.cdist(x, y).pow(order)).sum() + 0.2 * information
    value = s(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(value, primal, rtol=1e-8)


def test_without_a_price_on_dependence_there_is_none():
    """epsilon -> infinity: an MMD of the kernel -C, half the energy distance at order 1."""
    (x, _), (y, _) = draw(30, 2, seed=1), draw(20, 2, seed=2)
    mean = lambda x, y: torch.cdist(x, y).mean()
    energy = mean(x, y) - (mean(x, x) + mean(y, y)) / 2
    # the first correction is of the order of the cost's variance over epsilon
    assert torch.isclose(Sinkhorn(epsilon=1e6, order=1.0)(x, y), energy, atol=1e-5)


def test_transport_in_several_dimensions_exceeds_that_on_lines():
    from lfi.comparison import SlicedWasserstein

    (x, _), (y, _) = draw(50, 3, seed=1), draw(50, 3, seed=2)
    assert Sinkhorn(relative=0.01)(x, y + 1) > SlicedWasserstein()(x, y + 1)


@given(st.integers(1, 20), st.integers(1, 4), st.floats(-5, 5), seeds)
@settings(max_examples=20)
def test_a_shift_costs_its_square(n, d, shift, seed):
    x, a = draw(n, d, seed=seed)
    s = Sinkhorn(epsilon=1.0, tolerance=1e-10)
    value = s(x, x + shift, weight_p=a, weight_q=a)
    assert value.item() == pytest.approx(d * shift**2, rel=1e-8, abs=1e-8)


@given(orders, st.integers(1, 15), st.integers(1, 15), seeds)
@settings(max_examples=10)
def test_it_is_symmetric_and_never_negative(order, n, m, seed):
    (x, a), (y, b) = draw(n, 2, seed=seed), draw(m, 2, seed=seed + 1)
    s = Sinkhorn(relative=0.1, order=order)
    value = s(x, y, weight_p=a, weight_q=b)
    assert value > -1e-9
    assert torch.isclose(value, s(y, x, weight_p=b, weight_q=a), rtol=1e-9, atol=1e-9)
    assert s(x, x.clone(), weight_p=a, weight_q=a.clone()).abs() < 1e-12


@given(orders, st.floats(0.01, 100), seeds)
@settings(max_examples=10)
def test_epsilon_follows_the_scale(order, factor, seed):
    (x, _), (y, _) = draw(9, 2, seed=seed), draw(7, 2, seed=seed + 1)
    s = Sinkhorn(relative=0.2, order=order, tolerance=1e-9)
    assert torch.isclose(s(factor * x, factor * y), factor**order * s(x, y), rtol=1e-7)


@pytest.mark.parametrize("order, debiased", [(1.0, True), (1.5, False), (2.0, True)])
def test_gradients_are_derivatives(order, debiased):
    (x, a), (y, b) = draw(3, 2, seed=1), draw(2, 2, seed=2)
    s = Sinkhorn(epsilon=0.3, order=order, debiased=debiased, tolerance=1e-14)
    inputs = [t.requires_grad_() for t in (x, y, a, b)]
    assert gradcheck(lambda x, y, a, b: s(x, y, weight_p=a, weight_q=b), inputs)


def test_a_sample_may_meet_itself():
    x, _ = draw(6, 2)
    x.requires_grad_()
    cost = Sinkhorn(epsilon=0.5, debiased=False, tolerance=1e-14)
    assert gradcheck(lambda x: cost(x, x), x)
    (gradient,) = torch.autograd.grad(Sinkhorn(epsilon=0.5)(x, x.detach()), x)
    assert gradient.abs().max() < 1e-12


def test_gradients_are_constants_to_autograd():
    x, y = draw(6, 2)[0].requires_grad_(), draw(6, 2, seed=1)[0]
    (gradient,) = torch.autograd.grad(Sinkhorn()(x, y), x, create_graph=True)
    assert not gradient.requires_grad


def test_descent_carries_one_sample_to_another():
    x, y = draw(40, 2)[0].requires_grad_(), draw(40, 2, seed=1)[0] * 0.5 + 2
    s = Sinkhorn(epsilon=0.05)
    begin = s(x, y).item()
    for _ in range(10):
        (gradient,) = torch.autograd.grad(s(x, y), x)
        x = (x - 20 * gradient).detach().requires_grad_()  # half the mass's way, 1/40 each
    assert s(x, y) < 0.01 * begin


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_tiles_are_the_whole(order, monkeypatch):
    (x, a), (y, b) = draw(3, 25, 2, seed=1), draw(20, 2, seed=2)
    s = Sinkhorn(relative=0.1, order=order)
    x.requires_grad_()
    evaluate = lambda: s(x, y, weight_p=a, weight_q=b)
    whole, plan = evaluate(), s.plan(x, y, weight_p=a, weight_q=b)
    (gradient,) = torch.autograd.grad(whole.sum(), x)
    for module in (potentials, sinkhorn):
        monkeypatch.setattr(module, "KEPT", 150)
    monkeypatch.setattr(potentials, "TILE", 100)
    assert torch.allclose(evaluate(), whole, rtol=1e-10)
    assert torch.allclose(torch.autograd.grad(evaluate().sum(), x)[0], gradient, atol=1e-12)
    assert torch.allclose(s.plan(x, y, weight_p=a, weight_q=b), plan, atol=1e-12)


def test_single_precision_is_enough():
    (x, _), (y, _) = draw(100, 2, seed=1), draw(100, 2, seed=2)
    for relative in (0.05, 0.005):
        s = Sinkhorn(relative=relative)
        value = s(x.float(), y.float())
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(s(x, y).item(), abs=1e-5)


def test_one_broken_sample_does_not_spoil_the_others():
    (x, _), (y, _) = draw(3, 20, 2, seed=1), draw(20, 2, seed=2)
    sound = Sinkhorn()(x, y)
    x[1, 3] = torch.nan
    value = Sinkhorn()(x, y)
    assert value.isnan().tolist() == [False, True, False]
    assert torch.equal(value[[0, 2]], sound[[0, 2]])


def test_too_few_steps_are_told():
    (x, _), (y, _) = draw(20, 2, seed=1), draw(20, 2, seed=2)
    with pytest.warns(RuntimeWarning, match=r"of the mass is in the wrong place after 2 steps"):
        Sinkhorn(relative=0.01, steps=2)(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Sinkhorn(relative=0.01)(x, y)


def test_points_that_are_all_equal_cost_nothing():
    x = torch.ones(4, 2)
    assert Sinkhorn()(x, x.clone()) == 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0"),
        ({"relative": -1.0}, "relative must be positive"),
        ({"tolerance": math.inf}, "tolerance must be positive"),
        ({"order": 3.0}, "order must be at least 1 and at most 2"),
        ({"steps": 0}, "steps must be at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Sinkhorn(**settings)


@pytest.mark.peer
def test_the_exact_cost_of_a_peer_is_approached():
    ot = pytest.importorskip("ot")
    (x, a), (y, b) = draw(30, 2, seed=1), draw(25, 2, seed=2)
    a, b = a / a.sum(), b / b.sum()
    cost = torch.cdist(x, y).square()
    exact = float(ot.emd2(a.numpy(), b.numpy(), cost.numpy()))
    errors = []
    for epsilon in (1.0, 0.1, 0.02):
        s = Sinkhorn(epsilon=epsilon, debiased=False, steps=5000)
        excess = s(x, y, weight_p=a, weight_q=b).item() - exact
        assert 0 < excess < epsilon * math.log(30)
        errors.append(
            abs(Sinkhorn(epsilon=epsilon, steps=5000)(x, y, weight_p=a, weight_q=b) - exact)
        )
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_a_peers_divergence_at_the_same_epsilon(epsilon):
    """Theirs takes <P, C> of each plan, without the information."""
    ot = pytest.importorskip("ot")
    (x, _), (y, _) = draw(60, 2, seed=1), draw(50, 2, seed=2)
    s = Sinkhorn(epsilon=epsilon, tolerance=1e-11)
    cost = lambda x, y: (s.plan(x, y) * torch.cdist(x, y).square()).sum()
    ours = cost(x, y) - (cost(x, x) + cost(y, y)) / 2
    theirs = ot.bregman.empirical_sinkhorn_divergence(
        x.numpy(), y.numpy(), epsilon, numIterMax=100_000, stopThr=1e-11
    )
    assert ours.item() == pytest.approx(float(theirs), rel=1e-7)


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_points_without_mass_take_no_part(order):
    x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [1.0]])
    weight = torch.tensor([0.5, 0.5, 0.0])
    distance = Sinkhorn(order=order)
    assert distance(x, y, weight_p=weight).abs() < 1e-6  # the same two points on either side
    far = torch.tensor([[0.0], [1.0], [3e5]])
    torch.testing.assert_close(
        distance(far, y + 1, weight_p=weight), distance(x[:2], y + 1), atol=1e-6, rtol=1e-6
    )
    assert (distance.plan(x, y, weight_p=weight)[2] == 0).all()
