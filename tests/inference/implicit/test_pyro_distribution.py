"""A prior known by samples alone, in Pyro's own inference."""

import pyro
import pytest
import torch
from pyro.distributions import Normal
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoDiagonalNormal
from pyro.optim import ClippedAdam

import lfi
from lfi.inference import ratio_distribution
from lfi.inference.implicit.pyro_density import pyro_density

BRIEF = lfi.TrainSettings(steps=5)
QUICK = lfi.TrainSettings(steps=100)
X = torch.tensor([2.0])


def test_its_density_and_draws_are_those_of_the_samples():
    samples = 1 + 2 * torch.randn(2_000, 1)
    own = ratio_distribution(samples, members=1, settings=QUICK, seed=1)
    z = torch.tensor([[-1.0], [1.0], [3.0]])
    error = own.log_prob(z) - Normal(1.0, 2.0).log_prob(z)[:, 0]
    assert error.abs().max() < 0.15  # of a ratio of 2,000 samples
    drawn = own.sample((3, 4))
    assert drawn.shape == (3, 4, 1) and torch.isin(drawn, samples).all()
    z.requires_grad_()
    (slope,) = torch.autograd.grad(own.log_prob(z).sum(), z)
    assert (slope + (z - 1).detach() / 4).abs().max() < 0.25


def test_a_model_with_it_is_mapped_over_rows_and_takes_it_in_plates():
    own = ratio_distribution(torch.randn(500, 1), members=1, settings=BRIEF, seed=1)

    def model():
        with pyro.plate("places", 2):
            z = pyro.sample("z", own)
        pyro.sample("x", Normal(z.sum(), 1.0), obs=X)

    density = pyro_density(model, (), seed=1)
    assert density.quick and density.dim == 2
    u = torch.tensor([[0.0, 1.0], [2.0, -3.0]])
    expected = own.log_prob(u[..., None]).sum(1) + Normal(u.sum(1), 1.0).log_prob(X)
    torch.testing.assert_close(density.log_density(u), expected)


def test_a_file_keeps_its_samples_and_its_density(tmp_path):
    own = ratio_distribution(torch.randn(60, 2), members=1, settings=BRIEF, seed=1)
    own.save(tmp_path / "prior.lfi")
    again = lfi.load(tmp_path / "prior.lfi")
    z = torch.randn(5, 2)
    assert torch.equal(again.samples, own.samples)
    assert torch.equal(again.log_prob(z), own.log_prob(z))
    assert pyro.sample("z", again).shape == (2,)


def test_few_or_flat_samples_are_refused():
    with pytest.raises(ValueError, match=r"samples has shape \(3, 2\), expected"):
        ratio_distribution(torch.zeros(3, 2), seed=1)
    with pytest.raises(ValueError, match=r"samples has shape \(60,\), expected"):
        ratio_distribution(torch.zeros(60), seed=1)


@pytest.mark.slow
def test_a_prior_by_ratio_gives_the_posterior_of_one_with_a_density():
    """Prior N(1, 4), x = z + N(0, 1) at 2: the posterior is N(1.8, 0.8)."""
    own = ratio_distribution(1 + 2 * torch.randn(10_000, 1), seed=1)

    def model():
        z = pyro.sample("z", own)
        pyro.sample("x", Normal(z, 1.0).to_event(1), obs=X)

    pyro.clear_param_store()
    pyro.set_rng_seed(1)
    guide = AutoDiagonalNormal(model)
    optimiser = ClippedAdam({"lr": 0.02, "lrd": 0.998})
    svi = SVI(model, guide, optimiser, Trace_ELBO(num_particles=4))
    for _ in range(1_000):
        svi.step()
    spread = guide.get_posterior()
    # the ratio of 10,000 samples errs by a few hundredths of a nat, the last steps by some percent
    assert abs(spread.mean.item() - 1.8) < 0.12
    assert abs(spread.stddev.item() / 0.8**0.5 - 1) < 0.12
