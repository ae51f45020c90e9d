import pytest
import torch
from scipy.optimize import minimize

import lfi
from lfi.comparison.discrepancies.mmd_estimators import Biased
from lfi.comparison.kernels.stationary import Gaussian, Laplace, Linear, RationalQuadratic, fixed
from lfi.numerics.simplex import duality_gap
from lfi.ratio.kernel.kmm import fit_kmm

KERNELS = [Gaussian(), Gaussian(0.5), Laplace(), RationalQuadratic()]
kernels = pytest.mark.parametrize("kernel", KERNELS, ids=repr)
bounds = pytest.mark.parametrize("bound", [1.5, 1000.0])


@pytest.fixture
def samples():
    return torch.randn(200, 2) + torch.tensor([1.0, 0.0]), torch.randn(150, 2)


def matched(samples, kernel=KERNELS[0], ridge=1.0, bound=1000.0):
    return fit_kmm(*samples, kernel, ridge=ridge, bound=bound)


@kernels
@bounds
def test_weights_are_in_the_box_and_have_mean_one(samples, kernel, bound):
    weights = matched(samples, kernel, bound=bound).weights
    assert weights.min() >= 0
    assert weights.max() <= bound
    assert weights.mean() == pytest.approx(1, abs=1e-12)
    assert bound > 2 or (weights == bound).any()  # the bound is at work


@kernels
def test_weighted_moments_are_far_closer_than_unweighted(samples, kernel):
    p, q = samples
    discrepancy = lfi.discrepancies.MMD(fixed(kernel, p, q), Biased())
    weights = matched(samples, kernel).weights
    # Narrow kernels also see how either sample scatters, which no weights remove.
    margin = 5 if kernel in (Gaussian(0.5), Laplace()) else 30
    assert discrepancy(p, q, weight_q=weights) < discrepancy(p, q) / margin


def test_the_smaller_the_ridge_the_closer_the_moments_and_the_fewer_the_points(samples):
    p, q = samples
    discrepancy = lfi.discrepancies.MMD(fixed(Gaussian(), p, q), Biased())
    weights = [matched(samples, ridge=ridge).weights for ridge in (1.0, 0.1, 0.01, 0.001)]
    distance = torch.stack([discrepancy(p, q, weight_q=w) for w in weights])
    sizes = torch.stack([1 / w.square().mean() for w in weights])
    assert (distance.diff() < 0).all()
    assert (sizes.diff() < 0).all()


@kernels
@bounds
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_the_optimum_is_certified_by_its_gradient(samples, kernel, ridge, bound):
    p, q = samples
    w = matched(samples, kernel, ridge, bound).weights.requires_grad_()
    kernel = fixed(kernel, p, q)
    distance = w @ kernel(q, q) @ w / 150**2 - 2 * (kernel(q, p).mean(1) * w).mean()
    (gradient,) = torch.autograd.grad(distance + ridge * w.square().mean() / 150, w)
    gap = duality_gap(w.detach() / 150, 150 * gradient, bound / 150)
    assert gap <= 1e-12  # a sum of 150 products, in float64


def test_weights_are_those_of_a_general_solver():
    p, q = torch.randn(30, 1) + 1, torch.randn(12, 1)
    kernel = Gaussian(1.0)
    gram, target = kernel(q, q).numpy(), kernel(q, p).mean(1).numpy()

    def objective(w):
        return w @ gram @ w / 144 - 2 * target @ w / 12 + 0.1 * w @ w / 144

    peer = minimize(
        objective,
        [1.0] * 12,
        bounds=[(0, 3)] * 12,
        constraints={"type": "eq", "fun": lambda w: w.mean() - 1},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    weights = matched((p, q), kernel, ridge=0.1, bound=3.0).weights
    # The peer's gradients are by finite differences: its weights are right to about 1e-4.
    torch.testing.assert_close(weights, torch.from_numpy(peer.x), rtol=0, atol=1e-3)
    assert objective(weights.numpy()) <= peer.fun + 1e-12


@kernels
@bounds
def test_the_ratio_at_the_sample_is_its_weights_and_elsewhere_continuous(samples, kernel, bound):
    model = matched(samples, kernel, bound=bound)
    torch.testing.assert_close(model.ratio(samples[1]), model.weights)
    nearby = model.ratio(samples[1] + 1e-7)
    assert (nearby - model.weights).abs().max() < 1e-3
    far = model.ratio(10 * samples[1])
    assert far.min() >= 0
    assert far.max() <= bound


def test_a_bound_that_leaves_no_weight_free_is_met():
    # A linear kernel in one dimension: the largest third goes to zero, the others to 3/2, exactly.
    p, q = torch.randn(100, 1) - 3, torch.randn(150, 1)
    weights = matched((p, q), Linear(), ridge=1e-4, bound=1.5).weights
    assert sorted(weights.tolist()) == [0.0] * 50 + [1.5] * 100


def test_many_points_are_taken_in_chunks(samples):
    model = matched(samples)
    x = torch.randn(50, 2)
    whole = model.ratio(x)
    torch.testing.assert_close(model.ratio(x, entries=1_000), whole)


def test_a_linear_kernel_matches_means(samples):
    p, q = samples
    weights = matched(samples, Linear(), ridge=1e-4).weights
    before, after = p.mean(0) - q.mean(0), p.mean(0) - (weights[:, None] * q).mean(0)
    assert after.norm() < before.norm() / 100


def test_a_factor_of_the_kernel_changes_nothing(samples):
    double = matched(samples, lambda x, y: 2 * Gaussian(1.0)(x, y))
    torch.testing.assert_close(double.weights, matched(samples, Gaussian(1.0)).weights)


def test_what_is_no_kernel_is_refused(samples):
    with pytest.raises(RuntimeError):
        matched(samples, lambda x, y: -Gaussian(1.0)(x, y) + 2 * torch.eye(150)[: len(x), :1])
