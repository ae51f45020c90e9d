"""Embeddings in every method: trained along, kept in files, refused where x itself is modelled."""

import copy

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import lfi
from lfi.inference.methods.embedded import MAX_LIKELIHOOD

FEW = lfi.TrainSettings(steps=5)
METHODS = {
    "flow": lfi.PosteriorFlow(gaussian_steps=5, settings=FEW, width=8),
    "ratio": lfi.NeuralRatio(settings=FEW, width=8, rank=4),
    "adversarial": lfi.AdversarialPosterior(
        settings=lfi.AdversarialSettings(steps=5),
        start_steps=5,
        width=8,
        members=1,
        correction_settings=FEW,
    ),
    "pool": lfi.Pool(
        (
            lfi.PosteriorFlow(gaussian_steps=5, settings=FEW, width=8),
            lfi.NeuralRatio(settings=FEW, width=8, rank=4),
        )
    ),
}
LIKELIHOOD = lfi.SurrogateLikelihood(proposal=None, gaussian_steps=5, settings=FEW, width=8)
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def series(length=12, *, scale=1.0):
    """Return a simulator of a mean and a deviation, from a series of independent numbers."""

    def simulate(theta, rng: torch.Generator):
        noise = torch.randn(len(theta), length, generator=rng, dtype=theta.dtype)
        return scale * (theta[:, :1] + theta[:, 1:].exp() * noise)

    return lfi.Simulator(simulate, prior={"mean": Normal(0.0, 1.0), "log_sd": Normal(0.0, 0.3)})


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(series(), 400, seed=1)


def embedding(length=12):
    return lfi.embeddings.SeriesEmbedding((length,), size=3, width=4)


def own():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(12, 3, dtype=torch.float32), nn.Tanh())


def networks(posterior):
    return [module for network in posterior._networks() for module in network.modules()]


@each_method
def test_every_method_trains_a_copy_of_the_embedding(method, simulations):
    given = embedding()
    before = copy.deepcopy(given.state_dict())
    fitted = lfi.fit_posterior(simulations, method=method, embedding=given, seed=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in given.state_dict().items())
    trained = [m for m in networks(fitted) if isinstance(m, lfi.embeddings.SeriesEmbedding)]
    assert trained
    for network in trained:
        last = network.net.last[-1].weight
        assert not torch.equal(last, given.net.last[-1].weight)
        assert network.net.features.linear.location.abs() > 0  # its scales are those of x
    assert fitted.sample(10, simulations.x[0], seed=1).isfinite().all()


@each_method
@pytest.mark.parametrize("make", [embedding, own], ids=["named", "own"])
def test_files_bring_the_embedding_back(method, make, simulations, tmp_path):
    fitted = lfi.fit_posterior(simulations, method=method, embedding=make(), seed=1)
    fitted.save(tmp_path / "p.lfi")
    modules = {"embedding": own()} if make is own else None
    again = lfi.load(tmp_path / "p.lfi", modules=modules)
    x = simulations.x[:3]
    assert torch.equal(again.sample(10, x, seed=1), fitted.sample(10, x, seed=1))
    if make is own:
        with pytest.raises(ValueError, match=r'modules=\{"embedding": network\}'):
            lfi.load(tmp_path / "p.lfi")


@each_method
def test_only_networks_that_a_file_names_are_restorable(method):
    for given, expected in ((embedding(), True), (own(), False)):
        assert lfi.inference.methods.embedded.with_embedding(
            "method", method, given
        ).restorable is (expected)


@each_method
def test_a_seed_repeats_a_fit_with_an_embedding_that_is_made_anew(method, simulations):
    first, again = (
        lfi.fit_posterior(simulations, method=method, embedding=embedding(), seed=1)
        for _ in range(2)
    )
    x = simulations.x[0]
    assert torch.equal(first.sample(10, x, seed=1), again.sample(10, x, seed=1))


@each_method
def test_a_network_of_ones_own_gets_standardised_entries(method):
    """x in units of 1e8 reaches it with entries of order one, in float32."""
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x.detach())
            return super().forward(x)

    simulations = lfi.simulate(series(scale=1e8), 400, seed=1)
    lfi.fit_posterior(
        simulations, method=method, embedding=Watching(12, 3, dtype=torch.float32), seed=1
    )
    rows = max(seen, key=len)
    assert rows.dtype == torch.float32
    # of 360 rows of the training split or fewer: five standard errors are 5 / sqrt(128)
    assert (rows.std(0) - 1).abs().max() < 0.45
    assert rows.mean(0).abs().max() < 0.45


def test_an_embedding_that_standardises_gets_x_as_it_is(simulations):
    seen = []

    class Raw(nn.Linear):
        standardises = True

        def forward(self, x):
            seen.append(x.detach())
            return super().forward(x.to(torch.float32))

    method = METHODS["flow"]
    lfi.fit_posterior(simulations, method=method, embedding=Raw(12, 3, dtype=torch.float32), seed=1)
    rows = max(seen, key=len)
    assert all((simulations.x == row).all(1).any() for row in rows[:5])


def test_a_likelihood_says_what_to_take_in_place_of_an_embedding(simulations):
    with pytest.raises(
        ValueError, match="embedding: method is a SurrogateLikelihood, which models"
    ):
        lfi.fit_posterior(simulations, method=LIKELIHOOD, embedding=embedding())


def test_an_embedding_is_given_once_and_to_methods_that_take_one(simulations):
    class Own:
        def fit(self, simulations, *, x_obs=None, seed=None, device="cpu", progress=True):
            raise AssertionError

    with pytest.raises(ValueError, match="embedding: method is a Own, which takes none here"):
        lfi.fit_posterior(simulations, method=Own(), embedding=embedding())
    with pytest.raises(ValueError, match="give one, not both"):
        lfi.fit_posterior(
            simulations, method=lfi.PosteriorFlow(embedding=embedding()), embedding=embedding()
        )
    with pytest.raises(ValueError, match="start_steps must be positive with an embedding"):
        lfi.AdversarialPosterior(embedding=embedding(), start_steps=0)


@pytest.mark.parametrize(("length", "kept"), [(MAX_LIKELIHOOD, True), (MAX_LIKELIHOOD + 1, False)])
def test_a_pool_leaves_a_likelihood_of_many_numbers_out(length, kept):
    simulations = lfi.simulate(series(length), 250, seed=1)
    pool = lfi.Pool((METHODS["flow"], LIKELIHOOD))
    fitted = lfi.fit_posterior(simulations, method=pool, embedding=embedding(length), seed=1)
    assert ("SurrogateLikelihood" in fitted.choice.names) is kept


@pytest.mark.filterwarnings("ignore::lfi.inference.TruncatedMass")  # of so few steps
def test_rounds_take_an_embedding(simulations):
    quick = lfi.NeuralRatio(settings=FEW, width=8, rank=4, head_layers=None)
    fitted = lfi.fit_rounds(
        series(),
        simulations.x[0],
        budget=(250, 250),
        method=quick,
        preliminary=METHODS["flow"],
        embedding=embedding(),
        stop_at=1.0,
        seed=1,
    )
    assert any(isinstance(m, lfi.embeddings.SeriesEmbedding) for m in networks(fitted))


def test_summaries_are_what_the_flow_sees_and_serve_abc(simulations):
    fitted = lfi.fit_posterior(simulations, method=METHODS["flow"], embedding=embedding(), seed=1)
    summaries = fitted.summaries(simulations.x)
    assert summaries.shape == (400, 3)
    few = series().with_summary(fitted.summaries)
    assert few(simulations.theta[:5], seed=1).shape == (5, 3)
    accepted = lfi.abc_rejection(
        simulations,
        simulations.x[0],
        discrepancy=lfi.abc.Summaries(fitted.summaries),
        number=20,
    )
    assert len(accepted.theta) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "ratio"])
def test_the_posterior_of_a_set_is_the_exact_one(name):
    """theta ~ Normal(0, 1), 50 members ~ Normal(theta, 1): Normal(50 mean / 51, 1 / 51)."""

    def simulate(theta, rng: torch.Generator):
        return theta + torch.randn(len(theta), 50, generator=rng, dtype=theta.dtype)

    prior = {"theta": Normal(0.0, 1.0)}
    simulations = lfi.simulate(lfi.Simulator(simulate, prior=prior), 5_000, seed=1)
    method = {
        "flow": lfi.PosteriorFlow(gaussian_steps=500, settings=lfi.TrainSettings(steps=200)),
        "ratio": lfi.NeuralRatio(
            settings=lfi.TrainSettings(steps=1_000), rank=None, head_layers=None
        ),
    }[name]
    fitted = lfi.fit_posterior(
        simulations, method=method, embedding=lfi.embeddings.SetEmbedding((50,), size=4), seed=1
    )
    x = simulate(torch.linspace(-1.5, 1.5, 8)[:, None], torch.Generator().manual_seed(3))
    theta = fitted.sample(4_000, x, seed=2)[..., 0]
    mean, sd = 50 / 51 * x.mean(1), 51**-0.5
    # a regression with some 50 effective weights on 4,500 rows errs by .1 sd, and its scale by as
    # much: three of each, of eight observations
    assert ((theta.mean(1) - mean) / sd).abs().max() < 0.3
    assert (theta.std(1) / sd - 1).abs().max() < 0.3
