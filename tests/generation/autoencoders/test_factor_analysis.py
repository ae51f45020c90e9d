"""The terms of the variational bound against factor analysis, where all of them are known."""

import math

import pytest
import torch
from support.factor_analysis import model
from torch import nn

import lfi
from lfi import autoencoders as terms
from lfi.comparison import Recovers
from lfi.generation.autoencoders.autoencoder import Autoencoder
from lfi.generation.autoencoders.encoders import Encoder
from lfi.generation.autoencoders.networks import AutoencoderNetworks, Decoder
from lfi.generation.autoencoders.scores import PriorEstimate
from lfi.networks import Standardise

OBSERVER = terms.GaussianObserver(model().scale, relative=False)


def exact_encoder(known, standardise):
    """The posterior as an encoder of standardised data."""
    k = known.codes
    root = torch.linalg.cholesky(known.covariance)
    scale = root.diagonal()
    below = (root / scale[:, None])[*torch.tril_indices(k, k, -1)]
    layer = nn.Linear(len(known.mean), 2 * k + len(below), dtype=torch.float32)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:k] = known.slope * standardise.divisor
        layer.bias[:k] = known.slope @ (standardise.location - known.mean)
        layer.bias[k : 2 * k] = scale.log()
        layer.bias[2 * k :] = below
    return Encoder(terms.GaussianEncoder(full=True), layer, k)


def exact(x):
    """An autoencoder that is the model and its posterior."""
    known, standardise = model(), Standardise((4,))
    standardise.fit_from_data(x)
    decoder = Decoder(known.decoder(), standardise, OBSERVER, scaled=True)
    nets = AutoencoderNetworks(known.codes, False, decoder, exact_encoder(known, standardise))
    estimate = PriorEstimate(terms.AnalyticKL, Recovers.RATIO)
    return known, Autoencoder(nets, estimate, noisy=True, dtype=torch.float64)


def test_the_divergence_of_a_gaussian_encoder_is_exact():
    x = model().sample(200, torch.Generator().manual_seed(1))
    known, autoencoder = exact(x)
    _, divergence = autoencoder.elbo_terms(x, draws=1, seed=1)
    torch.testing.assert_close(divergence, known.kl(x), atol=1e-5, rtol=0)


def test_an_encoders_density_is_that_of_its_gaussian():
    x = model().sample(50, torch.Generator().manual_seed(1))
    known, autoencoder = exact(x)
    z = torch.randn(50, known.codes)
    y = autoencoder.decoder.standardise(x)
    expected = known.posterior(x).log_prob(z)
    torch.testing.assert_close(
        autoencoder.encoder.log_prob(z.float(), y).double(), expected, atol=1e-4, rtol=0
    )


def test_the_bound_is_the_evidence_where_the_encoder_is_the_posterior():
    x = model().sample(20, torch.Generator().manual_seed(1))
    known, autoencoder = exact(x)
    draws = 400
    elbo = autoencoder.elbo(x, draws=draws, seed=2)
    z = known.posterior(x).sample((1_000,))
    spread = known.log_likelihood(x, z).std(0)  # of one draw: the rest of the bound is exact
    off = (elbo - known.log_evidence(x)).abs()
    assert (off < 5 * spread / draws**0.5 + 1e-4).all()  # of sums in float32


def test_a_model_whose_decoder_is_known_draws_data_like_its_own():
    x = model().sample(2_000, torch.Generator().manual_seed(1))
    known, autoencoder = exact(x)
    made = autoencoder.sample(20_000, seed=1)
    covariance = known.loadings @ known.loadings.T + known.scale**2 * torch.eye(4)
    error = (made.T.cov() - covariance).abs()
    # of a Gaussian's covariance: var(s_ij) = (s_ii s_jj + s_ij^2) / n
    diagonal = covariance.diagonal()
    standard = ((diagonal[:, None] * diagonal + covariance.square()) / 20_000).sqrt()
    assert (error < 5 * standard).all()


def learnt(algorithm, steps, **settings):
    """Train an encoder against the model's own decoder."""
    known = model()
    x = known.sample(20_000, torch.Generator().manual_seed(1))
    autoencoder = lfi.fit_autoencoder(
        x,
        algorithm,
        codes=known.codes,
        decoder=known.decoder(),
        scaled=True,
        settings=lfi.AdversarialSettings(steps=steps, **settings),
        seed=1,
    )
    return known, autoencoder, known.sample(1_000, torch.Generator().manual_seed(2))


def check_posterior(known, autoencoder, x, share=0.05):
    """Hold the encoder's means and covariance against the posterior's."""
    n = 1_000
    z = torch.stack([autoencoder.encode(x[:200], seed=seed) for seed in range(n)])
    expected = known.posterior(x[:200])
    off = z.mean(0) - expected.mean
    spread = expected.mean.std(0)
    # relative to how means vary with x; the mean of n draws has an error of its own
    own = (known.covariance.diagonal() / n).sqrt()
    assert (off.square().mean(0).sqrt() < share * spread + own).all()
    around = z - z.mean(0)
    found = torch.einsum("sni,snj->nij", around, around).mean(0) / (n - 1)
    size = torch.linalg.matrix_norm(known.covariance)
    assert torch.linalg.matrix_norm(found - known.covariance) < share * size


@pytest.mark.slow
def test_a_gaussian_encoder_learns_the_posterior():
    algorithm = terms.Autoencoding(
        (OBSERVER,), (terms.AnalyticKL(),), terms.GaussianEncoder(full=True)
    )
    known, autoencoder, x = learnt(algorithm, 1_500)
    check_posterior(known, autoencoder, x)
    gap = known.log_evidence(x) - autoencoder.elbo(x, seed=3)
    assert -0.05 < gap.mean() < 0.05  # the spread of the mean of 64 draws of 1,000 rows is 0.005


@pytest.mark.slow
@pytest.mark.parametrize("loss", [lfi.losses.Bernoulli(), lfi.losses.KL()], ids=["log", "KL"])
def test_an_implicit_encoder_learns_the_posterior_and_its_ratio_the_divergence(loss):
    ratio = lfi.Adversarial(loss, lfi.losses.ReverseKL())
    algorithm = terms.Autoencoding((OBSERVER,), (terms.JointRatio(ratio),), terms.ImplicitEncoder())
    known, autoencoder, x = learnt(algorithm, 4_000)
    check_posterior(known, autoencoder, x)
    _, divergence = autoencoder.elbo_terms(x, draws=64, seed=3)
    assert math.isclose(divergence.mean(), known.kl(x).mean(), abs_tol=0.1)
