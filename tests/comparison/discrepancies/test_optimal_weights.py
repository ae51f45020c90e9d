"""Weights of simulations by their noise: against quadrature, and closed forms of Gaussians."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from torch.distributions import Exponential, Normal, Uniform

from lfi.comparison import MMD, Biased, Energy, Gaussian, OptimalWeights, Unbiased

LAWS = {
    "normal": (Normal(1.0, 2.0), scipy.stats.norm(1.0, 2.0)),
    "uniform": (Uniform(-1.0, 3.0), scipy.stats.uniform(-1.0, 4.0)),
}
laws = pytest.mark.parametrize("law", LAWS)
TIGHT = 1e-12  # a ridge that matters little


def kernel(length, deviation):
    """The kernel as its formula is written."""

    def of(u, v):
        apart = np.abs(u - v) / deviation
        r = math.sqrt(3) / length * apart
        return (1 + r) * np.exp(-r)

    return of


def mean_of(function, law, kinks=()):
    """The mean of a function under a law, by adaptive quadrature."""
    low, high = law.ppf(1e-16), law.ppf(1 - 1e-16)
    inside = [k for k in kinks if low < k < high]
    value, _ = scipy.integrate.quad(
        lambda u: function(u) * law.pdf(u), low, high, points=inside or None, limit=500
    )
    return value


@laws
@pytest.mark.parametrize("length", [0.4, 2.0])
def test_weights_solve_for_the_kernel_s_means_as_quadrature_has_them(law, length):
    noise, exact = LAWS[law]
    u = torch.tensor([-3.9, -0.95, 0.1, 1.3, 2.9, 6.0] if law == "normal" else [-1, 0.1, 1.7, 3.0])
    weights = OptimalWeights(length, ridge=0.1)
    c = kernel(length, exact.std())
    means = [mean_of(lambda s, t=t: c(s, t), exact, [t]) for t in u.tolist()]
    matrix = torch.from_numpy(c(u.numpy()[:, None], u.numpy()[None])) + 0.1 * torch.eye(len(u))
    found = matrix @ weights(u[:, None], noise)
    torch.testing.assert_close(found, torch.tensor(means), atol=1e-8, rtol=1e-8)


@laws
def test_functions_in_the_kernel_s_span_are_integrated_exactly(law):
    noise, exact = LAWS[law]
    # spread, so that the matrix is well conditioned
    u = noise.icdf(torch.linspace(0.05, 0.95, 7))
    c, factors = kernel(1.0, exact.std()), np.array([1.0, -2.0, 0.5, 3.0, 0.0, -1.0, 2.0])
    function = lambda s: factors @ c(np.asarray(s), u.numpy())
    w = OptimalWeights(1.0, ridge=TIGHT)(u[:, None], noise)
    at = torch.tensor([function(s) for s in u.tolist()])
    assert float(w @ at) == pytest.approx(mean_of(function, exact, u.tolist()), abs=1e-7)


def test_coordinates_have_laws_of_their_own():
    rng, repeats, m = torch.Generator().manual_seed(1), 50, 150
    normal = torch.randn(repeats, m, generator=rng)
    u = torch.stack([normal, torch.rand(repeats, m, generator=rng)], dim=2)
    w = OptimalWeights()(u, [Normal(0.0, 1.0), Uniform(0.0, 1.0)])
    values = u[..., 0].cos() * u[..., 1].exp()
    exact = math.exp(-0.5) * (math.e - 1)
    weighted, equal = (w * values).sum(1) - exact, values.mean(1) - exact
    # each known within a tenth, the deviation of a root mean square of 50
    assert weighted.square().mean() < equal.square().mean() / 3**2
    assert (w.sum(1) - 1).abs().max() < 0.02


def test_vectors_of_noise_are_that_many_numbers():
    u = torch.rand(2, 30, 2)
    vector = OptimalWeights()(u, Uniform(torch.zeros(2), torch.ones(2)))
    assert torch.equal(vector, OptimalWeights()(u, [Uniform(0.0, 1.0)] * 2))
    torch.testing.assert_close(vector[1], OptimalWeights()(u[1], [Uniform(0.0, 1.0)] * 2))


def test_missing_points_weigh_nothing_and_the_others_as_if_alone():
    u, missing = torch.randn(2, 20, 1), torch.zeros(2, 20, dtype=torch.bool)
    missing[0, :5], missing[1, 3] = True, True
    u[missing] = 7.0
    w = OptimalWeights()(u, Normal(0.0, 1.0), missing=missing)
    assert (w[missing] == 0).all()
    for k in range(2):
        alone = OptimalWeights()(u[k][~missing[k]], Normal(0.0, 1.0))
        torch.testing.assert_close(w[k][~missing[k]], alone, atol=1e-6, rtol=1e-6)


def exact_mmd(mean, sd, b):
    """The squared MMD of Normal(0, 1) and Normal(mean, sd), of a Gaussian kernel."""
    k = lambda apart, variance: (
        b / math.sqrt(b * b + variance) * math.exp(-(apart**2) / (2 * (b * b + variance)))
    )
    return k(0, 2) - 2 * k(mean, 1 + sd**2) + k(0, 2 * sd**2)


def test_the_error_of_an_mmd_is_a_tenth_and_falls_faster_than_the_root_of_points():
    noise, rng, repeats, b = Normal(0.0, 1.0), torch.Generator().manual_seed(3), 100, 1.5
    exact, errors = exact_mmd(0.5, 1.5, b), {}
    for m in (50, 200):
        u, v = torch.randn(2, repeats, m, 1, generator=rng)
        x, y = u, 0.5 + 1.5 * v
        of = lambda t: OptimalWeights()(t, noise)
        weighted = MMD(Gaussian(b), Biased())(x, y, weight_p=of(u), weight_q=of(v))
        equal = MMD(Gaussian(b), Unbiased())(x, y)
        errors[m] = [float((e - exact).square().mean().sqrt()) for e in (weighted, equal)]
    # each is known within 7%, the deviation of a root mean square of 100
    assert errors[50][0] < errors[50][1] / 4 and errors[200][0] < errors[200][1] / 10
    assert errors[200][0] < errors[50][0] / 4  # equal weights: a half
    assert 0.35 < errors[200][1] / errors[50][1] < 0.7


@pytest.mark.parametrize("estimated", [MMD(Gaussian(1.0), Biased()), Energy(Biased())])
@pytest.mark.parametrize("d", [1, 2])
def test_weights_of_either_sign_are_those_of_the_double_sums(estimated, d):
    x, y, w, v = torch.randn(6, d), torch.randn(5, d) + 1, torch.rand(6), torch.rand(5)
    w[0], v[2] = -0.2, -0.3
    value = estimated(x, y, weight_p=w, weight_q=v)
    k = Gaussian(1.0) if isinstance(estimated, MMD) else lambda a, b: -torch.cdist(a, b)
    signs = torch.cat([w / w.sum(), -v / v.sum()])
    both = torch.cat([x, y])
    torch.testing.assert_close(value, signs @ k(both, both) @ signs)
    for own in (MMD(Gaussian(1.0)), Energy()):
        with pytest.raises(ValueError, match="weight_p must be finite and not negative"):
            own(x, y, weight_p=w)
    for bad in (-w, torch.full((6,), math.nan)):
        with pytest.raises(ValueError, match="weight_p must be finite, with a positive sum"):
            estimated(x, y, weight_p=bad)


def test_a_bandwidth_is_chosen_by_the_sizes_of_weights():
    x, y, w = torch.randn(40, 1), torch.randn(30, 1), torch.rand(40)
    w[:5] *= -0.5
    kernel = Gaussian().fixed(x, y, w.abs() / w.sum(), None)
    chosen = MMD(estimator=Biased())(x, y, weight_p=w)
    torch.testing.assert_close(chosen, MMD(kernel, Biased())(x, y, weight_p=w))


def test_noise_of_other_laws_is_refused():
    u = torch.rand(5, 1)
    with pytest.raises(TypeError, match="noise must be Normal or Uniform"):
        OptimalWeights()(u, Exponential(1.0))
    with pytest.raises(ValueError, match="u must hold a point at least, all finite"):
        OptimalWeights()(u / 0, Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="noise must have a distribution at least"):
        OptimalWeights()(u, [])
    with pytest.raises(ValueError, match="a batch of shape"):
        OptimalWeights()(u, Normal(torch.zeros(1, 1), 1.0))
    with pytest.raises(ValueError, match=r"u has shape \(5, 1\), expected \(\*batch, m, 2\)"):
        OptimalWeights()(u, [Normal(0.0, 1.0)] * 2)
