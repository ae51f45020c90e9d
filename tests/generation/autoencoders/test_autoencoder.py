"""What a fitted autoencoder does with data and codes, against its own parts."""

import pytest
import torch

import lfi
from lfi import autoencoders as terms

DATA = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) * 5 + 2


@pytest.fixture(scope="module")
def fitted():
    algorithm = terms.Autoencoding(
        (terms.GaussianObserver(),), (terms.MomentsKL(),), terms.DeterministicEncoder()
    )
    settings = lfi.AdversarialSettings(steps=3, batch_size=16)
    return lfi.fit_autoencoder(DATA.float(), algorithm, settings=settings, seed=1)


def test_ways_lead_from_one_reconstruction_to_the_other_on_a_circle(fitted):
    a, b = DATA[:4], DATA[4:8]
    ways = fitted.interpolate(a, b, 5, seed=1)
    torch.testing.assert_close(ways[:, 0], fitted.reconstruct(a), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ways[:, -1], fitted.reconstruct(b), rtol=1e-4, atol=1e-4)
    z_a, z_b = fitted.encode(a), fitted.encode(b)
    lengths = (z_a.norm(dim=1) + z_b.norm(dim=1)) / 2
    half = z_a / z_a.norm(dim=1, keepdim=True) + z_b / z_b.norm(dim=1, keepdim=True)
    middle = half * (lengths / half.norm(dim=1))[:, None]
    torch.testing.assert_close(ways[:, 2], fitted.decode(middle), rtol=1e-4, atol=1e-4)


def test_ways_do_not_depend_on_the_default_dtype(fitted):
    ways = {}
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        ways[dtype] = fitted.interpolate(DATA[:4], DATA[4:8], 7, seed=1)
    assert torch.equal(ways[torch.float32], ways[torch.float64])


def test_scores_are_those_of_the_parts(fitted):
    found = fitted.scores(DATA, seed=1)
    error = (fitted.reconstruct(DATA) - DATA) / fitted.decoder.standardise.divisor
    assert found.reconstruction == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)
    z = fitted.encode(DATA).double()
    variance, mean = z.var(0, correction=0), z.mean(0)
    apart = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(0.0, 1.0)
    )
    assert found.moments == pytest.approx(float(apart.sum()), rel=1e-4)
