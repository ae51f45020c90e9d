"""A capacitor that is charged: its equation in SI units, also in single precision."""

import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import rc_circuit

THETA = (2e6, 0.5e-9)


def test_the_current_is_that_of_the_charging_equation():
    resistance, capacitance = THETA
    # of the voltage v of the capacitor, with time in seconds times 1,000
    slope = lambda _, v: (1 - v) / (resistance * capacitance) / 1_000
    options = dict(method="DOP853", rtol=1e-11, atol=1e-12, t_eval=1_000 * rc_circuit.times.numpy())
    v = scipy.integrate.solve_ivp(slope, (0, 4), [0.0], **options).y
    exact = torch.from_numpy((1 - v) / resistance)
    torch.testing.assert_close(rc_circuit.current(torch.tensor([THETA])), exact, rtol=1e-7, atol=0)


def test_times_are_from_a_fifth_of_a_millisecond_to_four():
    assert rc_circuit.times[[0, -1]].tolist() == pytest.approx([2e-4, 4e-3])


def test_measurements_are_normal_around_the_current():
    theta = torch.tensor([THETA]).expand(2_000, 2)
    x = rc_circuit.simulate(theta, torch.Generator().manual_seed(1))
    z = (x - rc_circuit.current(theta[:1])) / 2e-8
    # 20 tests: below 1e-5 once in 5,000
    assert min(scipy.stats.kstest(column, "norm").pvalue for column in z.T) > 1e-5


def test_log_likelihood_is_that_of_scipys_normal_in_either_precision():
    theta = torch.tensor([THETA, (1e6, 1e-9)])
    x = rc_circuit.simulate(theta, torch.Generator().manual_seed(1))
    exact = scipy.stats.norm.logpdf(x, rc_circuit.current(theta), 2e-8).sum(axis=1)
    exact = torch.from_numpy(exact)
    torch.testing.assert_close(rc_circuit.log_likelihood(theta, x), exact)
    single = rc_circuit.log_likelihood(theta.float(), x.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=0)
