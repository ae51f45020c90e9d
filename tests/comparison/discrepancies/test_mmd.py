"""MMD: against double sums and closed forms of Gaussians."""

import pytest
import torch

from lfi.comparison import (
    MMD,
    Biased,
    Gaussian,
    InverseMultiquadric,
    Laplace,
    Learned,
    Linear,
    Quantile,
    RationalQuadratic,
    Sum,
    Unbiased,
)

NETWORK = torch.nn.Sequential(torch.nn.Linear(2, 4, dtype=torch.float64), torch.nn.Tanh())
KERNELS = [
    Gaussian(0.8),
    Laplace(1.1),
    InverseMultiquadric(0.7),
    RationalQuadratic(1.2, alpha=0.4),
    Linear(),
    Sum((Gaussian(0.3), Gaussian(3.0), Linear())),
    Learned(NETWORK, Gaussian(0.5)),
]
each = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)


def double_sums(kernel, x, y, w, v, unbiased):
    """Every pair by itself, as the formula is written."""
    w, v = w / w.sum(), v / v.sum()
    k = lambda a, b: kernel(a[None], b[None])[0, 0]

    def within(z, u):
        total = mass = 0.0
        for i in range(len(z)):
            for j in range(len(z)):
                if i != j or not unbiased:
                    total = total + u[i] * u[j] * k(z[i], z[j])
                    mass = mass + u[i] * u[j]
        return total / mass

    across = sum(w[i] * v[j] * k(x[i], y[j]) for i in range(len(x)) for j in range(len(y)))
    return within(x, w) + within(y, v) - 2 * across


@each
@pytest.mark.parametrize("estimator", [Unbiased(), Biased()], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@torch.no_grad()
def test_values_are_the_double_sums(kernel, estimator, weighted):
    x, y = torch.randn(8, 2), torch.randn(6, 2) + 0.5
    w, v = (torch.rand(8), torch.rand(6)) if weighted else (torch.ones(8), torch.ones(6))
    weights = {"weight_p": w, "weight_q": v} if weighted else {}
    expected = double_sums(kernel, x, y, w, v, isinstance(estimator, Unbiased))
    value = MMD(kernel, estimator)(x, y, **weights)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("d", [1, 4])
def test_gaussians_under_a_gaussian_kernel_have_a_closed_form(d):
    """With x ~ N(a, S) and y ~ N(b, T), u = a - b and V = b^2 I + S + T for a bandwidth b,

    E k(x, y) = |V / b^2|^(-1/2) exp(-u' V^-1 u / 2).
    """
    bandwidth, mean, scale = 0.9, torch.linspace(0.2, 0.6, d), torch.linspace(0.7, 1.4, d)

    def expected(u, variance):
        v = bandwidth**2 + variance
        return (v / bandwidth**2).prod() ** -0.5 * torch.exp(-(u.square() / v).sum() / 2)

    zero, one = torch.zeros(d), torch.ones(d)
    exact = (
        expected(zero, 2 * one)
        - 2 * expected(mean, 1 + scale.square())
        + expected(zero, 2 * scale.square())
    )
    repetitions = 400
    x, y = torch.randn(repetitions, 60, d), mean + scale * torch.randn(repetitions, 50, d)
    value = MMD(Gaussian(bandwidth))(x, y)
    assert abs(value.mean() - exact) < 5 * value.std() / repetitions**0.5


def test_a_linear_kernel_compares_means():
    x, y = torch.randn(30, 3), torch.randn(20, 3) + 1
    expected = (x.mean(0) - y.mean(0)).square().sum()
    torch.testing.assert_close(MMD(Linear(), Biased())(x, y), expected)


def test_the_default_is_the_unbiased_one_of_a_gaussian_with_the_median_distance():
    x, y = torch.randn(30, 3), torch.randn(20, 3) + 1
    explicit = MMD(Gaussian(Quantile(0.5)), Unbiased())
    assert MMD()(x, y) == explicit(x, y)


def test_a_network_sees_each_point_once_and_learns():
    seen = []

    class Counting(torch.nn.Linear):
        def forward(self, x):
            seen.append(x.shape)
            return super().forward(x)

    network = Counting(3, 2, dtype=torch.float64)
    x, y = torch.randn(3000, 3), torch.randn(2000, 3) + 1  # several tiles
    MMD(Learned(network, Gaussian(1.0)))(x, y).backward()
    assert seen == [x.shape, y.shape]
    assert network.weight.grad.abs().sum() > 0


def test_descending_the_mmd_finds_the_location_and_scale_of_a_sample():
    """A generator m + s z of normal quantiles z, against those of N(0, 1): m = 0 and s = 1."""
    z = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(100) + 0.5) / 100)[:, None]
    m, s = torch.tensor(3.0, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    optimiser = torch.optim.LBFGS([m, s], max_iter=40, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = MMD(RationalQuadratic(alpha=0.5), Biased())(m + s * z, z)
        value.backward()
        return value

    optimiser.step(loss)
    # where the squared gradient falls below the optimiser's 1e-7
    torch.testing.assert_close(
        torch.stack([m, s]).detach(), torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0
    )
