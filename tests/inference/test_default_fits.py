"""The default of `fit_posterior`, trained for few steps, against three posteriors in closed form.

The statistic is the mean Kullback-Leibler divergence of the fitted from the exact posterior over
fixed observations, summed on a grid: it has no sampling error of its own, only the scatter of
simulations, splits and weights over seeds. Each bound is the mean over seeds 1 to 5 plus four
standard deviations, both measured with these settings (.026 and .028 for the normal mean, .019 and
.007 for counts, .037 and .029 for two modes); the prior in place of the posterior has .50 to 2.
"""

import torch
from support.conjugate import model, posterior
from torch.distributions import Gamma, Normal

import lfi

SIMULATIONS = 1_000
FEW = lfi.TrainSettings(steps=50)
DEFAULT = lfi.Pool(  # the methods of lfi.Pool(), with fewer steps
    (
        lfi.PosteriorFlow(gaussian_steps=150, settings=FEW),
        lfi.SurrogateLikelihood(proposal=None, gaussian_steps=200, settings=FEW),
        lfi.NeuralRatio(settings=lfi.TrainSettings(steps=100)),
    )
)


def divergence(simulator, grid, x, exact):
    """The mean KL divergence of a default fit from exact log densities, (m, cells)."""
    simulations = lfi.simulate(simulator, SIMULATIONS, seed=1)
    fitted = lfi.fit_posterior(simulations, method=DEFAULT, seed=1)
    exact, ours = exact.log_softmax(1), fitted.log_prob(grid, x).to(exact).log_softmax(1)
    return (exact.exp() * (exact - ours.clamp_min(-1e4))).sum(1).mean()


def test_the_quick_default_is_made_of_the_default_methods():
    methods = zip(DEFAULT.methods, lfi.Pool().methods, strict=True)
    assert all(type(quick) is type(default) for quick, default in methods)


def test_a_normal_mean_is_that_of_the_conjugate_posterior():
    """theta ~ N(0, I), x ~ N(theta, 1/4 I): theta given x is N(4/5 x, 1/5 I)."""
    side = torch.linspace(-3.5, 3.5, 71)
    grid = torch.cartesian_prod(side, side)
    x = torch.cartesian_prod(*[torch.tensor([-1.5, 0.0, 1.5])] * 2)
    exact = torch.stack([posterior(x_obs, 0.5).log_prob(grid) for x_obs in x])
    assert divergence(model(0.5), grid, x, exact) < 0.14


def test_a_rate_of_counts_has_the_gamma_posterior():
    """theta ~ Gamma(2, 1/2), x ~ Poisson(theta): theta given x is Gamma(2 + x, 3/2)."""
    simulator = lfi.Simulator(
        lambda theta, rng: torch.from_numpy(rng.poisson(theta.numpy())).to(theta),
        prior={"rate": Gamma(torch.tensor(2.0), torch.tensor(0.5))},
    )
    grid, x = torch.linspace(0.01, 25, 1_000), torch.arange(10.0)
    exact = torch.stack([Gamma(2 + count, 1.5).log_prob(grid) for count in x])
    assert divergence(simulator, grid[:, None], x[:, None], exact) < 0.05


def test_a_square_root_has_both_signs():
    """theta ~ N(0, 1), x ~ N(theta^2, 0.04): two modes of equal mass."""

    def square(theta, rng: torch.Generator):
        return theta.square() + 0.2 * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    simulator = lfi.Simulator(square, prior={"root": Normal(0.0, 1.0)})
    grid, x = torch.linspace(-4, 4, 1_601), torch.tensor([0.0, 0.25, 1.0, 2.0, 3.0])
    exact = -grid.square() / 2 - (x[:, None] - grid.square()).square() / 0.08
    assert divergence(simulator, grid[:, None], x[:, None], exact) < 0.16
