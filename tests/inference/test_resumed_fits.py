"""Fits that were interrupted: they go on where they stood, and end with the same numbers."""

from importlib import import_module

import pytest
import torch
from support.conjugate import model

import lfi

X_OBS = torch.tensor([0.8, -0.5])
SMALL = {"width": 8, "layers": 1}
FEW = lfi.TrainSettings(steps=10)
FLOW = lfi.PosteriorFlow(gaussian_steps=20, settings=FEW, couplings=1, **SMALL)
LIKELIHOOD = lfi.SurrogateLikelihood(
    proposal=FLOW, gaussian_steps=20, settings=FEW, couplings=1, **SMALL
)
RATIO = lfi.NeuralRatio(
    settings=lfi.TrainSettings(steps=20), rank=None, head_layers=None, members=2, **SMALL
)
LSIF = lfi.NeuralRatio(
    loss=lfi.losses.LSIF(),
    settings=lfi.TrainSettings(steps=20),
    rank=None,
    head_layers=None,
    **SMALL,
)
DROPOUT = lfi.NeuralRatio(
    settings=lfi.TrainSettings(steps=20), rank=2, head_layers=None, noise_model=False, **SMALL
)
POOL = lfi.Pool((FLOW, LIKELIHOOD, RATIO))
PAIR = lfi.Pool(
    (FLOW, lfi.SurrogateLikelihood(proposal=None, gaussian_steps=2, settings=FEW, **SMALL))
)
METHODS = {"flow": FLOW, "likelihood": LIKELIHOOD, "ratio": RATIO, "LSIF": LSIF, "pool": POOL}
SLOW = pytest.mark.slow
EVERY = 4  # steps, and the largest number that is taken twice


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(), 300, seed=1)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Checkpoints every few steps, and no method that is left out since others agree."""
    monkeypatch.setattr("lfi.training.checkpoints.EVERY", EVERY)
    monkeypatch.setattr("lfi.inference.methods.pool.agree", lambda *_: False)


@pytest.fixture
def steps(monkeypatch):
    """The steps taken, of which the one that `steps[0]` counts is interrupted."""
    loop, taken = import_module("lfi.training.loop"), [0]
    original = loop.track

    def track(done, news):
        taken.append(done)
        if len(taken) - 1 == taken[0]:
            raise KeyboardInterrupt
        original(done, news)

    monkeypatch.setattr(loop, "track", track)
    return taken


def fitted(simulations, method, **options):
    return lfi.fit_posterior(simulations, method=method, seed=1, workers=1, **options)


def interrupt(steps, at, run):
    """Let a run be interrupted at a step."""
    steps[:] = [at]
    with pytest.raises(KeyboardInterrupt):
        run()
    steps[:] = [0]


def log_probs(posterior):
    theta = torch.linspace(-1, 1, 14).reshape(7, 2)
    return posterior.log_prob(theta, X_OBS, normalise=False)


@pytest.mark.parametrize(
    ("name", "share"),
    [("flow", 0.7), ("LSIF", 0.8), ("likelihood", 0.3)]
    + [pytest.param(name, at, marks=SLOW) for name in ("ratio", "pool") for at in (0.3, 0.7, 0.95)],
)
def test_an_interrupted_fit_goes_on_and_ends_with_the_same_numbers(
    name, share, simulations, steps, tmp_path
):
    method = METHODS[name]
    whole = fitted(simulations, method)
    total = len(steps) - 1
    at = round(share * total)
    interrupt(steps, at, lambda: fitted(simulations, method, store=tmp_path))
    resumed = fitted(simulations, method, store=tmp_path)
    # what was finished is not done again, of the training that was interrupted a checkpoint's steps
    assert total - at <= len(steps) - 1 <= total - at + EVERY
    assert torch.equal(log_probs(resumed), log_probs(whole))
    assert [h.columns for h in resumed.history] == [h.columns for h in whole.history]
    assert [h.stopped for h in resumed.history] == [h.stopped for h in whole.history]


def test_a_finished_fit_is_read_from_its_store(simulations, steps, tmp_path):
    first = fitted(simulations, PAIR, store=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "1_PosteriorFlow.lfi",
        "2_SurrogateLikelihood.lfi",
        "fit.json",
        "posterior.lfi",
    ]
    steps[:] = [0]
    again = lfi.fit_posterior(simulations, method=PAIR, store=tmp_path)
    assert len(steps) == 1
    assert torch.equal(log_probs(again), log_probs(first))
    assert again.training_reference is not None
    assert again.history[-1].stopped == first.history[-1].stopped


def test_a_single_method_goes_on_in_rounds_too(steps, tmp_path):
    def run(store=None):
        return lfi.fit_rounds(
            model(), X_OBS, budget=300, rounds=1, method=FLOW, store=store, seed=1
        )

    whole = run()
    total = len(steps) - 1
    interrupt(steps, total // 2, lambda: run(tmp_path))
    resumed = run(tmp_path)
    assert len(steps) - 1 <= total - total // 2 + EVERY
    assert torch.equal(log_probs(resumed), log_probs(whole))
    assert not (tmp_path / "round_1_methods").exists()


def test_a_network_with_dropout_begins_again(simulations, steps, tmp_path):
    """Its random numbers are torch's own, which no checkpoint brings back."""
    whole = fitted(simulations, DROPOUT)
    total = len(steps) - 1
    interrupt(steps, total - 1, lambda: fitted(simulations, DROPOUT, store=tmp_path))
    resumed = fitted(simulations, DROPOUT, store=tmp_path)
    assert torch.equal(log_probs(resumed), log_probs(whole))


@pytest.mark.parametrize("changed", ["simulations", "method", "seed"])
def test_a_store_of_another_fit_is_refused(changed, simulations, steps, tmp_path):
    fitted(simulations, FLOW, store=tmp_path)
    given = {
        "simulations": simulations if changed != "simulations" else simulations[:-1],
        "method": FLOW if changed != "method" else LIKELIHOOD,
        "seed": 1 if changed != "seed" else 2,
    }
    with pytest.raises(ValueError, match=f"holds a fit of a call with another {changed}: use"):
        lfi.fit_posterior(given.pop("simulations"), store=tmp_path, **given)


def test_a_store_is_refused_where_a_fit_cannot_go_on(simulations, tmp_path):
    with pytest.raises(ValueError, match="store: a fit of limited time cannot go on"):
        fitted(simulations, FLOW, minutes=1.0, store=tmp_path)
    own = lfi.PosteriorFlow(embedding=torch.nn.Linear(2, 2), settings=FEW)
    with pytest.raises(ValueError, match="a file alone does not bring back what this Posterior"):
        fitted(simulations, own, store=tmp_path)


def test_a_damaged_checkpoint_is_named(simulations, steps, tmp_path):
    interrupt(steps, 15, lambda: fitted(simulations, FLOW, store=tmp_path))
    path = next(tmp_path.rglob("Gaussian.checkpoint"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"Gaussian.checkpoint"):
        fitted(simulations, FLOW, store=tmp_path)
