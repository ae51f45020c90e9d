"""Posteriors of weighted parameters, of ABC and LFIRE: checks and the report take them."""

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.diagnostics import predictive_check

SIMULATOR = lfi.Simulator(
    lambda theta: theta + torch.randn(len(theta), 2), prior={"mean": Normal(0.0, 1.0)}
)
X_OBS = torch.tensor([0.4, 0.6])


def by_rejection():
    simulations = lfi.simulate(SIMULATOR, 500, seed=1)
    return lfi.abc_rejection(simulations, X_OBS, quantile=0.2)


def by_lfire():
    return lfi.fit_lfire(SIMULATOR, 20, simulations=40, seed=1, progress=False)


@pytest.mark.parametrize("fit", [by_rejection, by_lfire])
def test_the_posterior_is_checked_and_reported(fit, tmp_path):
    posterior = fit()
    check = predictive_check(posterior, SIMULATOR, X_OBS, n=100, seed=1)
    assert check.ok, check
    path = lfi.write_report(
        tmp_path / "report.html", posterior=posterior, x_obs=X_OBS, predictive=check, seed=1
    )
    assert "mean = " in path.read_text()
