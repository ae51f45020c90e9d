"""Importance samples of a defensive mixture: their density, and that the truth is one of them."""

import scipy.stats
import torch
from torch.distributions import Normal

import lfi
from lfi.inference import Target
from lfi.inference.samplers.defensive import defensive_samples
from lfi.inference.samplers.target import Proposal

SD = 0.3
PRIOR = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})


def target(x):
    def pair(theta, x):
        return Normal(theta, SD).log_prob(x).sum(-1)

    def law(x):  # a proposal that is off, and narrower than the posterior
        return Normal(0.8 * x, 0.2)

    def draw(n, x, rng):
        noise = torch.randn(len(x), n, 1, generator=rng)
        return law(x[:, None]).mean + law(x[:, None]).scale * noise

    proposal = Proposal(x, draw, lambda theta, x: law(x).log_prob(theta).sum(-1))
    return Target(PRIOR, (x,), pair, proposal)


def test_the_evidence_is_that_of_the_conjugate_model():
    """E_q[p(theta) p(x | theta) / q] = N(x; 0, 1 + SD^2); within four standard errors."""
    x = torch.tensor([[-1.0], [0.2], [1.5]])
    posteriors = target(x)
    drawn = defensive_samples(PRIOR, posteriors.proposal, 3, 40_000, seed=1)
    weights = drawn.log_weights(posteriors).exp()
    exact = Normal(0.0, (1 + SD**2) ** 0.5).log_prob(x[:, 0]).exp()
    error = weights.std(1) / 40_000**0.5
    assert ((weights.mean(1) - exact).abs() < 4 * error).all()
    assert (drawn.base <= torch.tensor(2.0).log() + 1e-12).all()  # of the prior over the mixture


def test_the_truth_is_exchangeable_with_them_however_few():
    """Given a set, each is the true one in proportion to its weight: ranks are uniform."""
    theta = PRIOR.sample(4_000, seed=lfi.runtime.numpy_rng(1))
    rng = torch.Generator().manual_seed(2)
    x = theta + SD * torch.randn(theta.shape, generator=rng)
    posteriors = target(x)
    drawn = [
        defensive_samples(PRIOR, part.proposal, 40, 8, truth=theta[rows], seed=100 + i)
        for i, rows in enumerate(torch.arange(4_000).split(40))
        for part in [posteriors.select(rows)]
    ]
    weights = torch.cat(
        [
            each.log_weights(posteriors.select(rows)).softmax(1)
            for each, rows in zip(drawn, torch.arange(4_000).split(40), strict=True)
        ]
    )
    samples = torch.cat([each.theta for each in drawn])[..., 0]
    below = (weights * (samples < samples[:, :1])).sum(1)
    ranks = below + torch.rand(4_000, generator=rng) * weights[:, 0]
    assert scipy.stats.kstest(ranks.numpy(), "uniform").pvalue > 0.001


def test_some_are_from_each_and_no_more_than_asked_for():
    """Of three, one or two are from the proposal, whatever the coin says."""
    prior = lfi.simulation.as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})
    counts = []

    def draw(n, x, rng):
        counts.append(n)
        return torch.full((len(x), n, 2), 9.0)

    proposal = Proposal(torch.zeros(4, 1), draw, lambda theta, x: theta[..., 0] * 0)
    for seed in range(12):
        drawn = defensive_samples(prior, proposal, 4, 3, seed=seed)
        assert drawn.theta.shape == (4, 3, 2)
        assert ((drawn.theta == 9).all(-1).sum(1) == counts[-1]).all()
        assert (drawn.theta[:, -counts[-1] :] == 9).all()
    assert set(counts) == {1, 2}
    few = drawn.first(2)
    for name in ("theta", "base", "log_prior"):
        assert torch.equal(getattr(few, name), getattr(drawn, name)[:2])
