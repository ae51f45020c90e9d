"""The bridge to sbi: the same posterior on both sides of it."""

import math

import pytest
import torch
from scipy.stats import kstest
from support.conjugate import ExactCritic, model, posterior, prior
from torch.distributions import Exponential, Normal, Uniform

import lfi
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.inference.posteriors.sbi import PriorDistribution, from_sbi, to_sbi
from lfi.simulation import as_prior

X_OBS = torch.tensor([0.8, -0.5])


def exact():
    return RatioPosterior(ExactCritic(), as_prior(prior), Recovers.RATIO, (2,))


def assert_exact_moments(theta, n, x_obs=X_OBS):
    """Mean and variance of the conjugate posterior, within five standard errors of n draws."""
    truth = posterior(x_obs)
    assert ((theta.mean(0) - truth.mean).abs() / truth.stddev).max() < 5 / math.sqrt(n)
    assert (theta.var(0) / truth.stddev**2 - 1).abs().max() < 5 * math.sqrt(2 / n)


@pytest.mark.parametrize(
    "marginals",
    [
        {"a": Normal(0.0, 1.0), "b": Normal(1.0, 2.0)},
        {"a": Uniform(0.0, 1.0), "b": Uniform(-1.0, 2.0)},
        {"a": Uniform(0.0, 1.0), "b": Exponential(2.0), "c": Normal(0.0, 1.0)},
    ],
)
def test_a_prior_is_a_torch_distribution_with_its_support(marginals):
    own = as_prior(marginals)
    law = PriorDistribution(own)
    theta = law.sample((500,))
    assert theta.shape == (500, own.dim)
    assert theta.dtype == torch.float32
    assert law.support.check(theta).all()
    outside = torch.full((1, own.dim), -50.0)
    bounded = own.lower.isfinite().any()
    assert bool(law.support.check(outside)) != bool(bounded)
    torch.testing.assert_close(law.log_prob(theta), own.log_prob(theta).float())


def test_draws_of_a_prior_follow_the_global_seed_as_sbis_do():
    law = PriorDistribution(as_prior(prior))
    torch.manual_seed(3)
    first = law.sample((4,))
    torch.manual_seed(3)
    assert torch.equal(first, law.sample((4,)))
    assert not torch.equal(first, law.sample((4,)))


@pytest.mark.peer
def test_sbi_samples_and_differentiates_our_ratio():
    dressed = to_sbi(exact(), X_OBS)
    n = 4_000
    theta = dressed.sample((n,))
    assert theta.shape == (n, 2)
    assert_exact_moments(theta, n)
    batched = dressed.sample_batched((500,), x=torch.stack([X_OBS, -X_OBS]))
    assert batched.shape == (500, 2, 2)
    assert_exact_moments(batched[:, 1], 500, -X_OBS)
    some = theta[:20]
    constant = dressed.log_prob(some) - posterior(X_OBS).log_prob(some)
    torch.testing.assert_close(constant, constant.mean().expand(20), atol=1e-5, rtol=0)
    mode = dressed.map(num_iter=200, num_to_optimize=10)
    assert (mode - posterior(X_OBS).mean).abs().max() < 0.05


@pytest.mark.peer
def test_sbis_chains_walk_on_our_ratio():
    from sbi.inference import MCMCPosterior

    dressed = to_sbi(exact())
    chains = MCMCPosterior(
        dressed.potential_fn,
        proposal=dressed.prior,
        theta_transform=dressed.theta_transform,
        method="slice_np_vectorized",
        num_chains=100,
        warmup_steps=50,
        thin=2,
    )
    theta = chains.sample((2_000,), x=X_OBS[None], show_progress_bars=False)
    # slice sampling of a round Gaussian, every second sweep kept: worth half of its draws or more
    assert_exact_moments(theta, 1_000)


@pytest.mark.peer
def test_trials_add_on_sbis_side_as_on_ours():
    x = torch.stack([X_OBS, -X_OBS, 2 * X_OBS])
    dressed = to_sbi(exact())
    theta = torch.randn(7, 2)
    ours = exact().trials().log_prob(theta, x)
    torch.testing.assert_close(dressed.potential(theta, x), ours.float(), atol=1e-4, rtol=1e-5)


@pytest.mark.peer
def test_sbis_calibration_takes_our_posterior():
    from sbi.diagnostics import run_sbc

    simulations = lfi.simulate(model(), 100, seed=1)
    theta, x = simulations.theta.float(), simulations.x.float()
    ranks, dap = run_sbc(
        theta, x, to_sbi(exact()), num_posterior_samples=200, show_progress_bar=False
    )
    assert dap.shape == (100, 2)
    for column in ranks.T / 200:  # uniform where the posterior is right
        assert kstest(column.numpy(), "uniform").pvalue > 1e-4


def trained(kind, simulations):
    """Train sbi's estimator, until its posterior is no wider than the grid below."""
    from sbi import inference

    torch.set_default_dtype(torch.float32)  # which sbi's networks are built in, and reckon with
    theta, x = simulations.theta.float(), simulations.x.float()
    trainer = getattr(inference, kind)(PriorDistribution(as_prior(prior)))
    trainer.append_simulations(theta, x).train(max_num_epochs=60)
    return trainer.build_posterior()


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["NPE", "NLE", "NRE_A"])
def test_sbis_trained_posteriors_are_sampled_as_they_stand(kind):
    """Our draws of sbi's posterior agree with sums over a grid of sbi's own potential."""
    theirs = trained(kind, lfi.simulate(model(), 1_000, seed=1))
    ours = from_sbi(theirs, prior=prior)
    assert ours.x_shape == (2,)
    assert ours.names == ("a", "b")
    axis = torch.linspace(-5, 5, 201)
    grid = torch.cartesian_prod(axis, axis)
    theirs.potential_fn.set_x(X_OBS[None])
    weights = theirs.potential_fn(grid, track_gradients=False).double().softmax(0)
    assert weights[grid.abs().amax(1) > 4.9].sum() < 1e-4
    mean = weights @ grid.double()
    variance = weights @ (grid - mean).square()
    draws = ours.draw(4_000, X_OBS, seed=1)
    n = draws.ess
    assert ((draws.theta.mean(0) - mean).abs() / variance.sqrt()).max() < 5 / math.sqrt(n)
    # a variance errs by sqrt((kurtosis - 1) / n): 3 for a Gaussian, 5 leaves room for tails
    assert (draws.theta.var(0) / variance - 1).abs().max() < 5 * math.sqrt(4 / n)


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_our_checks_judge_sbis_posterior():
    theirs = trained("NPE", lfi.simulate(model(), 2_000, seed=1))
    ours = from_sbi(theirs, prior=prior)
    checks = lfi.check(ours, lfi.simulate(model(), 200, seed=2), importance_samples=1024, seed=3)
    assert checks.n == 200
    assert checks.enough


@pytest.mark.peer
def test_what_has_no_potential_is_refused():
    with pytest.raises(ValueError, match="posterior: a dict has no potential"):
        from_sbi({})
