"""Entries of x that are missing: exact posteriors of every pattern, files, and honest refusals."""

import pytest
import torch
from support.partly_observed import exact_posterior, partly_observed
from torch import nn

import lfi
from lfi.networks import takes_missing

FEW = lfi.TrainSettings(steps=5)
NAN = torch.nan
METHODS = {
    "flow": lfi.PosteriorFlow(gaussian_steps=5, settings=FEW, width=8),
    "ratio": lfi.NeuralRatio(settings=FEW, width=8, rank=4),
    "adversarial": lfi.AdversarialPosterior(
        settings=lfi.AdversarialSettings(steps=5), start_steps=5, width=8, correction=False
    ),
    "pool": lfi.Pool(
        (
            lfi.PosteriorFlow(gaussian_steps=5, settings=FEW, width=8),
            lfi.NeuralRatio(settings=FEW, width=8, rank=4),
        )
    ),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
PATTERNS = ([], [0], [0, 1], [2, 3, 4], [0, 1, 2, 3], [0, 1, 2, 3, 4])


@pytest.fixture(scope="module")
def simulations():
    return lfi.with_missing(lfi.simulate(partly_observed(), 400, seed=1), seed=2)


def observed(*missing):
    x = torch.tensor([0.6, -0.5, 0.4, 1.3, -0.8])
    x[list(missing)] = NAN
    return x


def own():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(10, 3, dtype=torch.float32))


@each_method
@pytest.mark.parametrize("embedding", [None, "series", "own"])
def test_every_method_takes_observations_with_missing_entries(
    method, embedding, simulations, tmp_path
):
    given = {
        None: None,
        "series": lfi.embeddings.SeriesEmbedding((5,), size=3, width=4, missing=True),
        "own": own(),
    }[embedding]
    fitted = lfi.fit_posterior(simulations, method=method, embedding=given, seed=1)
    assert fitted.takes_missing
    x = torch.stack([observed(*missing) for missing in PATTERNS])
    theta = fitted.sample(10, x, seed=1)
    assert theta.isfinite().all()
    fitted.save(tmp_path / "p.lfi")
    modules = {"embedding": own()} if embedding == "own" else None
    again = lfi.load(tmp_path / "p.lfi", modules=modules)
    assert again.takes_missing
    assert torch.equal(again.sample(10, x, seed=1), theta)


@each_method
def test_a_posterior_of_complete_data_refuses_missing_entries(method):
    fitted = lfi.fit_posterior(lfi.simulate(partly_observed(), 400, seed=1), method=method, seed=1)
    with pytest.raises(ValueError, match=r"x_obs holds 2 values that are .* missing \(NaN\)"):
        fitted.sample(10, observed(0, 2))
    assert not fitted.takes_missing


def test_infinite_entries_are_refused_as_ever(simulations):
    fitted = lfi.fit_posterior(simulations, method=METHODS["flow"], seed=1)
    x = observed(1)
    x[0] = torch.inf
    with pytest.raises(ValueError, match="x_obs holds 1 values that are not finite"):
        fitted.sample(10, x)


def test_what_is_missing_does_not_matter(simulations):
    """A network sees no more of a hidden entry than that it is hidden."""
    for network in (
        lfi.networks.prepared(None, (5,), missing=True),
        lfi.networks.prepared(own(), (5,), missing=True),
        lfi.embeddings.SetEmbedding((5,), missing=True),
    ):
        assert takes_missing(network)
        network.fit_from_data(simulations.x)
        out = network(observed(1)[None])
        assert out.isfinite().all()
        assert not torch.equal(out, network(observed(2)[None]))
        assert not torch.equal(out, network(observed()[None]))


def test_scales_are_those_of_what_is_observed(simulations):
    complete = lfi.simulate(partly_observed(), 400, seed=1).x
    network = lfi.networks.prepared(None, (5,), missing=True)
    network.fit_from_data(simulations.x)
    # half of 400 rows are observed: five standard errors of a mean and of a deviation
    sd = complete.double().std(0)
    assert ((network.features.linear.location - complete.mean(0)) / sd).abs().max() < 5 * 200**-0.5
    assert (network.features.linear.scale / sd - 1).abs().max() < 5 * 400**-0.5


def test_embeddings_and_critics_for_complete_data_are_refused(simulations):
    complete = lfi.embeddings.SeriesEmbedding((5,), size=3, width=4)
    with pytest.raises(
        ValueError, match="SeriesEmbedding takes complete ones: make it with missing"
    ):
        lfi.fit_posterior(simulations, method=METHODS["flow"], embedding=complete)
    critic = lfi.networks.PairCritic([-9.0] * 2, [9.0] * 2, (5,), width=4)
    with pytest.raises(ValueError, match="critic: entries of x are missing"):
        lfi.fit_posterior(simulations, method=lfi.NeuralRatio(critic=critic))


def test_the_default_leaves_the_likelihood_out(simulations):
    pool = lfi.Pool()
    for again in (False, True):
        kinds = [type(method) for method in pool._meant(simulations, again=again).methods]
        assert lfi.SurrogateLikelihood not in kinds
        assert lfi.PosteriorFlow in kinds and lfi.NeuralRatio in kinds
    assert pool._meant(lfi.simulate(partly_observed(), 10, seed=1), again=False) is pool


def test_trials_and_conditions_take_missing_entries_too(simulations):
    fitted = lfi.fit_posterior(simulations, method=METHODS["flow"], seed=1)
    x = observed(0, 3)
    assert fitted.condition({"a": 0.3}).log_prob(torch.zeros(3, 1), x).isfinite().all()
    assert fitted.trials().log_prob(torch.zeros(3, 2), torch.stack([x, x])).isfinite().all()
    assert fitted.log_ratio(torch.zeros(3, 2), x).isfinite().all()
    assert fitted.weighted(x[None], 8, seed=1).log_weights.isfinite().all()


def test_observations_are_checked_against_what_was_simulated(simulations):
    fitted = lfi.fit_posterior(simulations, method=METHODS["flow"], seed=1)
    fitted.sample(10, observed(0, 1), seed=1)  # a warning would be an error
    far = observed(0, 1)
    far[2] = 1e3
    with pytest.warns(UserWarning, match="farther from the simulations than any"):
        fitted.sample(10, far, seed=1)


@pytest.mark.slow
def test_one_ratio_gives_the_exact_posterior_of_every_pattern():
    simulations = lfi.with_missing(lfi.simulate(partly_observed(), 10_000, seed=1), seed=2)
    fitted = lfi.fit_posterior(simulations, method=lfi.NeuralRatio(head_layers=None), seed=1)
    x = torch.stack([observed(*missing) for missing in PATTERNS])
    for theta, row in zip(fitted.sample(4_000, x, seed=2), x, strict=True):
        truth = exact_posterior(row)
        # 10,000 simulations over 32 patterns, some 300 of each: five errors of a mean with two
        # slopes shared by half of them are .2 sd, and of a deviation as much
        assert ((theta.double().mean(0) - truth.mean) / truth.stddev).abs().max() < 0.2
        assert (theta.double().std(0) / truth.stddev - 1).abs().max() < 0.2


@pytest.mark.slow
def test_one_flow_gives_the_exact_density_of_every_pattern():
    """On average over observations, that of the true parameters."""
    simulations = lfi.with_missing(lfi.simulate(partly_observed(), 40_000, seed=1), seed=2)
    fitted = lfi.fit_posterior(simulations, method=lfi.PosteriorFlow(), seed=1)
    new = lfi.simulate(partly_observed(), 300, seed=3)
    for missing in PATTERNS:
        x = new.x.clone()
        x[:, missing] = NAN
        exact = [exact_posterior(row) for row in x]
        truth = torch.stack([e.log_prob(t.double()) for e, t in zip(exact, new.theta, strict=True)])
        pairs = zip(new.theta, x, strict=True)
        short = truth - torch.stack([fitted.log_prob(t[None], row)[0] for t, row in pairs])
        # means that are off by a fifth of a deviation cost .04 nats of two parameters; five
        # standard errors of 300 observations
        assert short.mean() < 0.04 + 5 * short.std() / 300**0.5
        theta = fitted.sample(500, x, seed=4).double()
        means, deviations = (
            torch.stack([getattr(e, a) for e in exact]) for a in ("mean", "stddev")
        )
        # the same fifth, and the error of a mean of 500 draws
        assert ((theta.mean(1) - means) / deviations).square().mean().sqrt() < 0.2 + 500**-0.5
