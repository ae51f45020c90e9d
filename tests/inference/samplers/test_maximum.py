"""Modes against closed forms: inside, at an edge, the higher of two."""

import pytest
import torch
from support.known_targets import conjugate, edge, two_modes

from lfi.inference.samplers.maximum import modes


def test_the_mode_of_a_gaussian_is_its_mean():
    known = conjugate(3)
    best = modes(known.target, starts=4, seed=1)
    assert best.shape == (3, 2)
    # the ascent ends within a thousandth of a standard deviation
    sd = known.covariance.diagonal(dim1=1, dim2=2).sqrt()
    assert ((best - known.mean) / sd).abs().max() < 1e-2


def test_the_higher_of_two_modes_is_found():
    best = modes(two_modes(share=0.3), starts=8, seed=1)
    torch.testing.assert_close(best, torch.full((1, 2), -0.5), atol=1e-3, rtol=0)


def test_a_density_that_peaks_at_the_edge_is_climbed_to_it():
    """exp(-20 (share + size)) is largest at the corner, where the support ends."""
    known = edge()
    best = modes(known.target, starts=4, seed=1)[0]
    assert known.target.prior.contains(best)
    assert (best < 2e-3).all()  # a 25th of a posterior standard deviation


def test_the_density_climbed_is_that_of_theta_and_not_of_u():
    """Of theta^2 exp(-theta), whose logarithm in log theta peaks at 3, the mode is 2."""
    from torch.distributions import Gamma

    from lfi.inference import Target
    from lfi.simulation import as_prior

    prior = as_prior({"rate": Gamma(torch.tensor(3.0), torch.tensor(1.0))})
    flat = Target(prior, (torch.zeros(1, 1),), lambda theta, x: 0 * theta.sum(-1))
    assert modes(flat, starts=4, seed=1).item() == pytest.approx(2, abs=1e-2)


def test_modes_repeat_themselves():
    target = conjugate().target
    assert torch.equal(modes(target, starts=1, seed=1), modes(target, starts=1, seed=1))


@pytest.mark.parametrize("starts", [0, 1_001])
def test_starts_that_cannot_be_are_refused(starts):
    with pytest.raises(ValueError, match=f"starts must be from 1 to 1000, got {starts}"):
        modes(conjugate().target, starts=starts, seed=1)


def test_priors_of_scipy_are_climbed_too():
    import scipy.stats

    from lfi.inference import Target
    from lfi.simulation import as_prior

    prior = as_prior({"rate": scipy.stats.gamma(3.0), "level": scipy.stats.norm(1.0, 2.0)})
    flat = Target(prior, (torch.zeros(1, 1),), lambda theta, x: 0 * theta.sum(-1))
    best = modes(flat, starts=4, seed=1)
    torch.testing.assert_close(best, torch.tensor([[2.0, 1.0]]), atol=2e-2, rtol=0)
