"""Reaction times: SciPy's inverse Gaussian law, and numbers of trials that vary."""

import scipy.stats
import torch

from simulators import reaction_times

THETA = (2.0, 1.5)


def law(drift, threshold):
    """The first passage time: mean threshold / drift, shape threshold^2."""
    shape = threshold**2
    return scipy.stats.invgauss(mu=threshold / drift / shape, scale=shape)


def test_times_are_scipys_inverse_gaussian():
    for theta in (THETA, (0.3, 3.0), (8.0, 0.4)):
        rows = torch.tensor([theta]).expand(500, 2)
        times, made = reaction_times.simulate(rows, torch.Generator().manual_seed(1)).unbind(2)
        assert scipy.stats.kstest(times[made > 0], law(*theta).cdf).pvalue > 1e-5


def test_trials_are_3_to_20_first_in_their_rows_and_zeros_follow():
    n = 18_000
    rows = torch.tensor([THETA]).expand(n, 2)
    times, made = reaction_times.simulate(rows, torch.Generator().manual_seed(1)).unbind(2)
    numbers, counts = made.sum(dim=1).unique(return_counts=True)
    assert numbers.tolist() == list(range(3, 21))
    assert scipy.stats.chisquare(counts).pvalue > 1e-5
    assert (made.diff(dim=1) <= 0).all()
    assert ((times > 0) == (made > 0)).all()
    # their number tells nothing of the times
    late = times[:, :3].mean(dim=1)
    halves = late[made.sum(dim=1) > 11], late[made.sum(dim=1) <= 11]
    assert scipy.stats.ks_2samp(*halves).pvalue > 1e-5


def test_log_likelihood_is_scipys_of_the_trials_that_were_made():
    theta = torch.tensor([THETA, (0.3, 3.0), (8.0, 0.4)])
    x = reaction_times.simulate(theta, torch.Generator().manual_seed(1))
    own = reaction_times.log_likelihood(theta, x)
    for row, data, found in zip(theta.tolist(), x, own, strict=True):
        times = data[data[:, 1] > 0, 0]
        exact = law(*row).logpdf(times).sum() - torch.log(torch.tensor(18.0))
        torch.testing.assert_close(found, exact)
