"""Implicit posteriors against known answers, and what is refused."""

import math

import pyro
import pytest
import torch
from support.implicit_models import (
    EVIDENCE,
    NOISE,
    PLACES,
    PRIOR,
    SHRINK,
    X,
    banana,
    banana_draws,
    log_likelihood,
    rate,
    shares,
    two_modes,
)
from torch.distributions import Dirichlet, Gamma, MultivariateNormal

import lfi
from lfi.inference import Posterior, UnreliableDraws
from lfi.inference.implicit.posterior import FitVerdict
from lfi.inference.implicit.pyro_density import pyro_density
from lfi.networks import MixtureGenerator

BRIEF = lfi.AdversarialSettings(steps=3, batch_size=16)
SHORT = lfi.AdversarialSettings(steps=60, batch_size=128)


@pytest.fixture(scope="module")
def posterior():
    return lfi.fit_implicit(log_likelihood, prior=PRIOR, settings=SHORT, seed=1)


def exact(x=X):
    x = x.double()
    return MultivariateNormal(SHRINK * x, SHRINK * NOISE * torch.eye(2).to(x))


def test_a_conjugate_posterior_is_found_with_its_density_and_evidence(posterior):
    drawn = posterior.draw(4_000, corrected=True, seed=2)
    mean, covariance = drawn.theta.mean(0), drawn.theta.T.cov()
    sd = math.sqrt(SHRINK * NOISE)
    # 4,000 draws of 16,000 weighted ones: a standard error of sd / 63, and of sqrt(2) / 63
    assert ((mean - SHRINK * X).abs() < 5 * sd / 60).all()
    assert ((covariance / sd**2 - torch.eye(2)).abs() < 5 * 2**0.5 / 60).all()
    assert drawn.sampler == "implicit, corrected" and drawn.khat < 0.7
    # weights of relative deviation below 1/2, 8,192 of them, and the critic's error of few percent
    assert abs(posterior.verdict.log_evidence - EVIDENCE) < 0.1
    assert posterior.verdict.reliable and "reliable" in posterior.describe()
    theta = exact().sample((50,))
    error = posterior.log_prob(theta, normalise=True) - exact().log_prob(theta)
    assert error.abs().median() < 0.3  # after 60 steps


def test_it_is_a_posterior_of_the_library(posterior):
    assert isinstance(posterior, Posterior) and posterior.prior.names == ("a", "b")
    assert torch.equal(posterior.sample(5, seed=3), posterior.draw(5, seed=3).theta)
    mean, covariance = posterior.moments(n=100, seed=1)
    assert mean.shape == (2,) and covariance.shape == (2, 2)
    data = posterior.to_arviz(draws=20, seed=1)
    assert set(data.groups()) == {"posterior", "prior"} and data.posterior["a"].shape == (4, 5)
    assert set(posterior.by_site(torch.zeros(3, 2))) == {"a", "b"}


def test_equal_seeds_are_equal_and_leave_the_global_state_alone():
    state = torch.get_rng_state()
    fits = [
        lfi.fit_implicit(two_modes, names=["a", "b"], settings=BRIEF, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(state, torch.get_rng_state())
    one, again, other = (fit.distribution.generator.first.weight for fit in fits)
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert fits[0].history[0].seed == 1


def test_sites_of_a_pyro_model_keep_their_support_and_shape():
    counts = torch.tensor([10.0, 20.0, 30.0])
    fit = lfi.fit_implicit(shares, arguments=(counts,), settings=BRIEF, seed=1)
    assert fit.names == ("shares[0]", "shares[1]", "shares[2]") and fit.density.dim == 2
    theta = fit.draw(50, corrected=True, seed=1).theta
    torch.testing.assert_close(theta.sum(1), torch.ones(50))
    assert (theta > 0).all() and fit.by_site(theta)["shares"].shape == (50, 3)
    assert not hasattr(fit, "prior")  # a simplex is no product of intervals
    assert "prior" not in fit.to_arviz(draws=5, seed=1).groups()
    # the joint density of u is the posterior's, its Jacobian and a constant
    u = fit.density.unconstrain(theta[:9])
    known = Dirichlet(1 + counts).log_prob(theta[:9]) + fit.density.log_jacobian(u)
    gap = fit.density.log_density(u) - known
    torch.testing.assert_close(gap, gap[:1].expand(9), rtol=0, atol=1e-3)


def test_a_density_of_pyro_is_the_same_mapped_and_run_row_by_row():
    def branching():
        own = pyro.sample("own", pyro.distributions.Gamma(2.0, 1.0))
        scale = 1.0 if own > 1e9 else 2.0  # which vmap cannot follow
        pyro.sample("x", pyro.distributions.Normal(own, scale), obs=torch.tensor(1.0))

    density = pyro_density(branching, (), seed=1)
    assert not density.quick and pyro_density(rate, (), seed=1).quick
    u = torch.tensor([[0.0], [1.0]])
    theta = u.exp()
    expected = Gamma(2.0, 1.0).log_prob(theta) + u
    expected = expected + torch.distributions.Normal(theta, 2.0).log_prob(torch.tensor(1.0))
    torch.testing.assert_close(density.log_density(u), expected[:, 0])


def test_an_observation_is_refused_unless_it_is_the_models_own():
    fit = lfi.fit_implicit(rate, settings=BRIEF, seed=1)
    assert fit.draw(3, torch.tensor([4.0, 7.0, 5.0]), seed=1).theta.shape == (3, 1)
    with pytest.raises(ValueError, match="x_obs: this posterior is of the observation"):
        fit.sample(3, torch.zeros(3))


def test_a_posterior_of_any_observation_takes_one_or_many():
    x = torch.randn(100, 2)
    fit = lfi.fit_implicit(log_likelihood, prior=PRIOR, x=x, settings=BRIEF, seed=1)
    assert fit.sample(4, X, seed=1).shape == (4, 2)
    assert fit.sample(4, x[:3], corrected=True, seed=1).shape == (3, 4, 2)
    assert fit.log_prob(torch.zeros(5, 2), x[:3]).shape == (3, 5)
    assert "observation" in fit.to_arviz(x[:3], draws=4, seed=1).posterior.sizes
    with pytest.raises(ValueError, match="x_obs is None"):
        fit.sample(4)


def test_a_mode_without_draws_is_told():
    """A network that stays at one mode: importance samples find the other."""
    near = MixtureGenerator(2, codes=1)
    with torch.no_grad():
        near.centre.fill_(-1.1)
        near.log_scale.fill_(-1.5)
    still = lfi.AdversarialSettings(steps=60, learning_rate=1e-9)
    fit = lfi.fit_implicit(two_modes, names=["a", "b"], generator=near, settings=still, seed=1)
    assert not fit.verdict.reliable and "not reliable" in fit.describe()
    with pytest.warns(UnreliableDraws, match="are not reliable"):
        fit.sample(5, seed=1)


def test_a_tail_of_nearly_even_weights_speaks_against_nothing():
    """k-hat tells the shape of a tail: of weights that differ by 3% it may be 3."""
    even = FitVerdict(khat=3.2, ess=0.999, elbo=0.0, log_evidence=0.0)
    assert even.reliable and "uninformative" in even.reason
    uneven = FitVerdict(khat=3.2, ess=0.9, elbo=0.0, log_evidence=0.0)
    assert not uneven.reliable and "3.20, above 0.7" in uneven.reason
    assert even.better_than(uneven) and not uneven.better_than(even)
    missed = FitVerdict(khat=0.1, ess=1.0, elbo=0.0, log_evidence=0.0, missed=1.0)
    assert not missed.reliable and not missed.better_than(uneven)


@pytest.mark.parametrize("given", [{}, {"x": torch.linspace(-2, 2, 60).reshape(30, 2)}])
def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(given, tmp_path):
    calls, stop = [], [math.inf]

    def likelihood(theta, x=X):
        calls.append(len(theta))
        if len(calls) > stop[0]:
            raise KeyboardInterrupt
        return log_likelihood(theta, x)

    known = {"prior": PRIOR, "settings": BRIEF, "seed": 1} | given
    whole = lfi.fit_implicit(likelihood, **known)
    # the last calls are those of the three steps, and of the weights where there is a verdict
    last = len(calls) - (whole.verdict is not None)
    checkpoint = lfi.training.Checkpoint(tmp_path / "implicit.lfi", every=1)
    calls.clear()
    stop[0] = last - 1
    with pytest.raises(KeyboardInterrupt):
        lfi.fit_implicit(likelihood, checkpoint=checkpoint, **known)
    assert checkpoint.exists
    stop[0] = math.inf
    again = lfi.fit_implicit(likelihood, checkpoint=checkpoint, **known)
    states = [each.distribution.state_dict() for each in (whole, again)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    with pytest.raises(ValueError, match="a checkpoint needs the seed"):
        lfi.fit_implicit(likelihood, checkpoint=checkpoint, **known | {"seed": None})


def nothing(z):
    return torch.full_like(z[:, 0], -math.inf)


def discrete():
    pyro.sample("k", pyro.distributions.Bernoulli(0.5))


def moving():
    edge = pyro.sample("edge", pyro.distributions.Gamma(2.0, 1.0))
    pyro.sample("place", pyro.distributions.Uniform(0.0, edge))


@pytest.mark.parametrize(
    "model, given, error, message",
    [
        (nothing, {"names": ["a"]}, ValueError, "not finite at 256 of 256 points"),
        (lambda z: z, {"names": ["a"]}, ValueError, r"returned shape \(256, 1\)"),
        (lambda z: z.detach()[:, 0], {"names": ["a"]}, ValueError, "no gradients"),
        (lambda z: 3.0, {"names": ["a"]}, TypeError, "must return a tensor.*got 3.0"),
        (lambda z: z[:, 0], {}, TypeError, "called with 0 arguments, as a Pyro model"),
        (lambda: 3, {}, ValueError, "no latent site"),
        (discrete, {}, ValueError, "site k is discrete"),
        (moving, {}, ValueError, "support of its site place depends on other sites"),
        (rate, {"x": torch.zeros(30, 3)}, ValueError, "x: a Pyro model holds its observation"),
        (banana, {"names": ["a", "b"], "arguments": (1,)}, ValueError, "arguments are for a Pyro"),
        (log_likelihood, {"prior": PRIOR, "start": [[0.0]]}, ValueError, "start: it is for"),
        (banana, {"names": ["a", "b"], "start": torch.zeros(5, 3)}, ValueError, "start has shape"),
        (
            banana,
            {"names": ["a", "b"], "generator": MixtureGenerator(3)},
            ValueError,
            "generator returns 3 numbers a draw, expected 2",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(model, given, error, message):
    with pytest.raises(error, match=message):
        lfi.fit_implicit(model, settings=BRIEF, seed=1, **given)


@pytest.mark.slow
def test_a_banana_is_drawn_like_exact_draws():
    fit = lfi.fit_implicit(banana, names=["a", "b"], seed=1)
    p, q = fit.sample(2_000, seed=2), banana_draws(2_000, torch.Generator().manual_seed(3))
    assert lfi.c2st(p, q, permutations=19, seed=1).statistic <= 0.6
    # the integral is 2 pi; KL(q | p) of a good fit is below .1 nats, as the critic has it
    assert abs(fit.verdict.log_evidence - math.log(2 * math.pi)) < 0.1
    assert abs(fit.verdict.elbo - math.log(2 * math.pi)) < 0.2


def funnel(z):
    """z_0 ~ N(0, 1), and z_1, z_2 ~ N(0, exp(3 z_0)): deviations from .01 to 100."""
    own = torch.distributions.Normal(0.0, (1.5 * z[:, :1]).exp()).log_prob(z[:, 1:])
    return own.sum(1) + torch.distributions.Normal(0.0, 1.0).log_prob(z[:, 0])


@pytest.mark.slow
def test_a_funnel_is_drawn_like_exact_draws():
    fit = lfi.fit_implicit(funnel, names=["a", "b", "c"], seed=1)
    exact = torch.randn(2_000, 3)
    exact[:, 1:] *= (1.5 * exact[:, :1]).exp()
    theta = fit.sample(2_000, seed=2).double()
    p, q = (torch.cat([each[:, :1], each[:, 1:].asinh()], 1) for each in (theta, exact.double()))
    assert lfi.c2st(p, q, permutations=19, seed=1).statistic <= 0.6
    assert fit.verdict.reliable and abs(fit.verdict.log_evidence) < 0.05


@pytest.mark.slow
def test_two_modes_have_their_shares():
    generator = MixtureGenerator(2, codes=8)
    fit = lfi.fit_implicit(two_modes, names=["a", "b"], generator=generator, seed=1)
    theta = fit.draw(4_000, corrected=True, seed=2).theta
    # of at least 1,000 effective draws, a standard error of .0145
    assert abs((theta[:, 0] > 0).double().mean() - PLACES[0][1]) < 5 * 0.0145


@pytest.mark.slow
def test_a_posterior_of_any_observation_is_right_at_several():
    x = (1 + NOISE) ** 0.5 * torch.randn(1_000, 2)
    fit = lfi.fit_implicit(log_likelihood, prior=PRIOR, x=x, seed=1)
    for x_obs in (X, -2 * X):
        mean, covariance = fit.moments(x_obs, seed=2)
        sd = math.sqrt(SHRINK * NOISE)
        assert ((mean - SHRINK * x_obs).abs() < 0.2 * sd).all()  # of training; 10,000 draws have 1%
        assert ((covariance / sd**2 - torch.eye(2)).abs() < 0.2).all()


@pytest.mark.slow
def test_a_positive_site_has_its_gamma_posterior():
    fit = lfi.fit_implicit(rate, settings=lfi.AdversarialSettings(steps=600), seed=1)
    theta = fit.draw(4_000, corrected=True, seed=2).theta[:, 0]
    # Gamma(18, 4): mean 4.5, variance 1.125; standard errors of 4,000 draws
    assert abs(theta.mean() - 4.5) < 5 * (1.125 / 4_000) ** 0.5 + 0.02
    assert abs(theta.var() / 1.125 - 1) < 5 * (2.4 / 4_000) ** 0.5 + 0.02
