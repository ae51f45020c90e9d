"""Factors of other programs' models: the exact posterior comes back from their samplers."""

import math
import warnings

import numpy as np
import pytest
import torch
from support.conjugate import ExactCritic, posterior, prior

from lfi.comparison import Recovers
from lfi.inference import RatioPosterior, to_pyro, to_pytensor, torch_in_pytensor
from lfi.simulation import as_prior

X_OBS = torch.tensor([0.8, -0.5])


def exact(**marginals):
    return RatioPosterior(ExactCritic(), as_prior(marginals or prior), Recovers.RATIO, (2,))


def assert_posterior(theta, ess):
    """Means and variances of chains, (n, 2), within five standard errors of the exact ones."""
    truth = posterior(X_OBS)
    assert ((theta.mean(0) - truth.mean).abs() / truth.stddev).max() < 5 / math.sqrt(ess)
    # the variance of a variance of n independent Gaussian draws is 2 / n; chains may be worth less
    assert (theta.var(0) / truth.stddev**2 - 1).abs().max() < 5 * math.sqrt(2 / ess)


def test_the_factor_is_the_log_ratio_of_each_row_with_its_gradient():
    log_factor = to_pyro(exact(), X_OBS)
    theta = torch.randn(3, 4, 2, requires_grad=True)
    value = log_factor(theta)
    expected = posterior(X_OBS).log_prob(theta) - as_prior(prior).log_prob(theta)
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)  # the critic is in float32
    (gradient,) = torch.autograd.grad(value.sum(), theta)
    torch.testing.assert_close(gradient, X_OBS - theta, atol=1e-5, rtol=1e-5)


def test_trials_are_a_factor_too():
    x = torch.stack([X_OBS, -X_OBS, 2 * X_OBS])
    theta = torch.randn(5, 2)
    single = sum(to_pyro(exact(), each)(theta) for each in x)
    torch.testing.assert_close(to_pyro(exact().trials(), x)(theta), single, atol=1e-5, rtol=1e-5)


def test_outside_the_prior_the_factor_is_zero_and_its_gradient_finite():
    box = {name: torch.distributions.Uniform(-1.0, 1.0) for name in ("a", "b")}
    theta = torch.tensor([[0.5, 0.5], [0.5, 1.5]], requires_grad=True)
    value = to_pyro(exact(**box), X_OBS)(theta)
    assert value.isfinite().tolist() == [True, False] and value[1] == -math.inf
    (gradient,) = torch.autograd.grad(value[0], theta)
    assert gradient.isfinite().all()


def test_what_does_not_fit_is_refused_in_words():
    with pytest.raises(ValueError, match="x_obs must be one observation, got 3"):
        to_pyro(exact(), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"theta has shape \(3,\), expected \(\*n, 2\): a, b"):
        to_pyro(exact(), X_OBS)(torch.zeros(3))


@pytest.mark.slow
def test_nuts_of_pyro_draws_the_exact_posterior():
    import pyro
    from pyro.distributions import Normal
    from pyro.infer import MCMC, NUTS

    log_factor = to_pyro(exact(), X_OBS)

    def model():
        a, b = (pyro.sample(name, Normal(torch.zeros(()), 1.0)) for name in ("a", "b"))
        pyro.factor("x", log_factor(torch.stack([a, b])))

    pyro.set_rng_seed(1)
    chain = MCMC(NUTS(model), num_samples=1_000, warmup_steps=200, disable_progbar=True)
    chain.run()
    theta = torch.stack([chain.get_samples()[name] for name in ("a", "b")], 1)
    least = min(float(entry["n_eff"]) for entry in chain.diagnostics().values() if "n_eff" in entry)
    assert_posterior(theta, min(least, 1_000) / 2)  # squares mix half as well


@pytest.mark.peer
def test_pytensor_has_value_and_gradient_of_torch():
    import pytensor
    import pytensor.tensor as pt

    theta = pt.matrix("theta")
    value = torch_in_pytensor(to_pyro(exact(), X_OBS))(theta)
    weight = pt.vector("weight")
    gradient = pytensor.grad((weight * value).sum(), theta)
    compiled = pytensor.function([theta, weight], [value, gradient])
    at, weights = np.random.default_rng(0).normal(size=(4, 2)), np.arange(4.0)
    found, slope = compiled(at, weights)
    expected = to_pyro(exact(), X_OBS)(torch.from_numpy(at))
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(slope, weights[:, None] * (X_OBS.numpy() - at), atol=1e-5)


@pytest.mark.peer
def test_nuts_of_pymc_draws_the_exact_posterior():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that PyMC imports
        import arviz
        import pymc
        import pytensor.tensor as pt

        log_factor = to_pytensor(exact(), X_OBS)
        with pymc.Model():
            a, b = pymc.Normal("a"), pymc.Normal("b")
            pymc.Potential("x", log_factor(pt.stack([a, b])))
            options = {"draws": 1_000, "tune": 500, "chains": 2, "cores": 1, "random_seed": 1}
            data = pymc.sample(**options, progressbar=False)
    theta = torch.tensor(np.stack([data.posterior[n].values.ravel() for n in ("a", "b")], 1))
    ess = float(arviz.ess(data.posterior).to_array().min())
    assert ess > 200  # gradients moved the chains
    assert_posterior(theta, min(ess, 2_000) / 2)  # squares mix half as well
