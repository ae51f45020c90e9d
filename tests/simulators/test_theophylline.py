"""Theophylline: the equations of one compartment, noise, likelihood and data."""

import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import theophylline

THETA = [1.5, 0.08, 0.49, 1.5]  # about the posterior means


def test_concentrations_solve_the_equations_of_one_compartment():
    ka, ke, volume, _ = THETA
    own = theophylline.concentration(torch.tensor([THETA]))[0]
    for dose, times, found in zip(theophylline.doses, theophylline.times, own, strict=True):
        slope = lambda _, s: [-ka * s[0], ka * s[0] - ke * s[1]]  # in the gut, in the blood
        options = dict(method="DOP853", rtol=1e-11, atol=1e-11, t_eval=times.numpy())
        solved = scipy.integrate.solve_ivp(slope, (0, 25), [dose[0], 0.0], **options)
        torch.testing.assert_close(found, torch.from_numpy(solved.y[1] / volume), atol=1e-8, rtol=0)


def test_equal_rates_are_the_limit_of_nearly_equal_ones():
    near, equal = torch.tensor([[0.3, 0.3 - 1e-9, 0.5, 1.0], [0.3, 0.3, 0.5, 1.0]])[:, None]
    own = [theophylline.concentration(theta) for theta in (near, equal)]
    torch.testing.assert_close(*own, rtol=1e-7, atol=1e-7)


def test_swapped_rates_with_another_volume_give_the_same():
    ka, ke, volume, sigma = THETA
    swapped = torch.tensor([[ke, ka, volume * ke / ka, sigma]])
    own = theophylline.concentration(torch.tensor([THETA]))
    torch.testing.assert_close(theophylline.concentration(swapped), own)


def test_measurements_are_normal_around_the_solution():
    n = 2_000
    theta = torch.tensor([THETA]).expand(n, 4)
    x = theophylline.simulate(theta, torch.Generator().manual_seed(1))
    z = (x - theophylline.concentration(theta[:1])).flatten(1) / THETA[3]
    # 132 tests: below 1e-6 once in 7,500
    assert min(scipy.stats.kstest(column, "norm").pvalue for column in z.T) > 1e-6


def test_log_likelihood_is_that_of_scipys_normal():
    theta = torch.tensor([THETA, [0.5, 0.2, 1.0, 0.7]])
    x = theophylline.x_obs.double()
    mean, sigma = theophylline.concentration(theta).numpy(), theta[:, 3, None, None].numpy()
    exact = torch.from_numpy(scipy.stats.norm.logpdf(x, mean, sigma).sum(axis=(1, 2)))
    torch.testing.assert_close(theophylline.log_likelihood(theta, x), exact)
    torch.testing.assert_close(theophylline.log_likelihood(theta, torch.stack([x, x])), exact)


def test_observation_is_that_of_twelve_subjects():
    assert theophylline.x_obs.shape == theophylline.doses.shape == (12, 11)
    assert (theophylline.doses == theophylline.doses[:, :1]).all()
    assert (theophylline.times.diff(dim=1) > 0).all()
    assert theophylline.x_obs[0, :3].tolist() == pytest.approx([0.74, 2.84, 6.57])
