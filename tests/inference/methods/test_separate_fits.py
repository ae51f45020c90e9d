"""Pools whose methods are fitted by several processes: the same bits, and nothing is lost."""

from dataclasses import dataclass

import pytest
import torch
from support.conjugate import model
from support.step_clock import StepClock

import lfi
from lfi.inference.methods import separate_fits
from lfi.inference.methods.separate_fits import processes, separable
from lfi.inference.posteriors.kept import KeptFits
from lfi.runtime.workers.beside import Beside

X_OBS = torch.tensor([0.8, -0.5])
SMALL = {"width": 8, "layers": 1, "couplings": 1}
FEW = lfi.TrainSettings(steps=10)
FLOW = lfi.PosteriorFlow(gaussian_steps=20, settings=FEW, **SMALL)
LIKELIHOOD = lfi.SurrogateLikelihood(proposal=None, gaussian_steps=20, settings=FEW, **SMALL)
POOL = lfi.Pool((FLOW, LIKELIHOOD))


@pytest.fixture
def all_in_a_worker(monkeypatch):
    """Let this process begin nothing before a worker has come."""
    compute = Beside._compute

    def later(self, indices):
        for future in self.serving:
            future.result()
        compute(self, indices)

    monkeypatch.setattr(Beside, "_compute", later)


def same(one, other):
    theta = torch.linspace(-1, 1, 14).reshape(7, 2)
    columns = [[entry.columns for entry in each.history] for each in (one, other)]
    return (
        torch.equal(one.log_prob(theta, X_OBS), other.log_prob(theta, X_OBS))
        and columns[0] == columns[1]
        and one.choice.scores == other.choice.scores
        and one.weights == other.weights
    )


def test_any_number_of_workers_fits_the_same_bits(all_in_a_worker):
    simulations = lfi.simulate(model(), 300, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        StepClock(patch, tick=1e-6)
        alone = lfi.fit_posterior(simulations, method=POOL, seed=1, minutes=0.5, workers=1)
    assert any(stage.short for stage in alone.stages)
    beside = lfi.fit_posterior(simulations, method=POOL, seed=1, stages=alone.stages, workers=3)
    assert same(alone, beside)
    assert alone.stages == beside.stages and beside.choice.left_out == alone.choice.left_out
    assert beside.choice.names == alone.choice.names == ("PosteriorFlow", "SurrogateLikelihood")


def test_without_time_the_first_method_is_fitted_and_no_other(all_in_a_worker):
    simulations = lfi.simulate(model(), 300, seed=1)
    posterior = lfi.fit_posterior(simulations, method=POOL, seed=1, workers=2, minutes=1e-9)
    assert posterior.choice.names == ("PosteriorFlow",)
    assert posterior.stages[-1].describe() == "SurrogateLikelihood: not trained"


@dataclass(frozen=True)
class Broken:
    """A method that fails when it is fitted."""

    restorable = True

    def fit(self, simulations, *, x_obs=None, seed=None, device="cpu", progress=True):
        raise ArithmeticError("no convergence")


def test_an_error_is_that_of_the_method_and_finished_ones_are_kept(tmp_path):
    simulations = lfi.simulate(model(), 300, seed=1)
    kept = KeptFits(tmp_path / "methods")
    with pytest.raises(ArithmeticError, match="no convergence"):
        lfi.Pool((FLOW, Broken())).fit(simulations, seed=1, kept=kept, workers=2)
    assert isinstance(kept.load("1_PosteriorFlow", simulations.prior, "cpu"), lfi.Posterior)


def test_methods_with_networks_of_a_user_stay_in_this_process():
    embedding = torch.nn.Linear(2, 2)
    assert separable(LIKELIHOOD)
    assert not separable(lfi.NeuralRatio(embedding=embedding))


def test_a_number_of_workers_is_checked():
    simulations = lfi.simulate(model(), 200, seed=1)
    with pytest.raises(ValueError, match="workers"):
        lfi.fit_posterior(simulations, workers=0)


def test_large_simulations_and_accelerators_have_one_process_unless_more_are_asked_for(monkeypatch):
    monkeypatch.setattr(separate_fits, "usable_cores", lambda: 4)
    simulations = lfi.simulate(model(), 100, seed=1)
    assert processes(None, simulations, "cpu") == 4
    assert processes(None, simulations, "cuda") == 1
    assert processes(3, simulations, "cuda") == 3
    size = sum(part.numel() * part.element_size() for part in (simulations.theta, simulations.x))
    for most, count in ((size, 4), (size - 1, 1)):
        monkeypatch.setattr(separate_fits, "MAX_SENT", most)
        assert processes(None, simulations, "cpu") == count
    assert processes(2, simulations, "cpu") == 2
