"""No public call depends on torch's modes or on global random numbers, or changes them."""

import dataclasses
import random
import sys
from contextlib import ExitStack, contextmanager
from inspect import signature
from numbers import Number

import numpy as np
import pytest
import scipy.stats
import torch
from support.bad_calls import Call
from support.corridor import Corridor, to_the_exit
from support.good_calls import good_calls
from torch import Tensor, nn

import lfi
from lfi.training import History

SECONDS = ("seconds", "simulations_per_second")
BRIEF = lfi.AdversarialSettings(steps=2, batch_size=16)
# calls whose arguments pass the checks, and no more
NOT_COMPLETE = [
    "Simulations.open",
    "CsvTracker",
    "TensorBoardTracker",
    "write_report",
    "predictive_plot",
    "surrogate_plot",
    "training_plot",
    "losses_plot",
    "to_sbi",
]
DTYPES = {torch.float32: torch.float64, torch.float64: torch.float32}
MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default device": lambda: torch.device("meta"),
    "default dtype": lambda: default_dtype(DTYPES[torch.get_default_dtype()]),
}


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


def state():
    """All that is global."""
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()
    numbers = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    if "beartype" not in sys.modules:  # which checks shapes in tests, and draws from Python's own
        numbers += (random.getstate(),)
    return modes, torch.get_default_device(), numbers


def values(result):
    """Yield the numbers in a result, in order."""
    if isinstance(result, Tensor):
        yield result.detach()
    elif isinstance(result, np.ndarray):
        yield torch.from_numpy(result) if result.dtype.kind in "fiub" else torch.zeros(0)
    elif isinstance(result, Number):
        yield torch.tensor(complex(result).real, dtype=torch.float64)
    elif isinstance(result, dict):
        for value in result.values():
            yield from values(value)
    elif isinstance(result, list | tuple):
        for value in result:
            yield from values(value)
    elif isinstance(result, nn.Module):
        yield from result.state_dict().values()
    elif dataclasses.is_dataclass(result) and not isinstance(result, History | type):
        for field in dataclasses.fields(result):
            if field.name not in SECONDS:
                yield from values(getattr(result, field.name))


def run(call, contexts):
    """Return the numbers that a call gives inside some modes, and whether anything global moved."""
    arguments = dict(call.arguments)
    if "seed" in signature(call.function).parameters:
        arguments.setdefault("seed", 1)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context())
        before = state()
        result = call.function(**arguments)
        # networks of users draw their weights from the global state, as torch's own do
        moved = state() != before and not isinstance(result, nn.Module)
    return list(values(result)), moved


def complaint(call, contexts):
    """Return what is wrong with a call inside some modes, None for nothing."""
    try:
        expected, moved = run(call, ())
        if moved:
            return "changes the global state"
        found, moved = run(call, contexts)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    if moved:
        return "changes the global state"
    for a, b in zip(found, expected, strict=True):
        if a.dtype != b.dtype:
            return f"gives {a.dtype} for {b.dtype}"
        if not torch.equal(a.nan_to_num(), b.nan_to_num()):
            return "gives other numbers"
    return None


def complaints(calls, contexts):
    """Return what is wrong with calls, by their names."""
    torch.set_default_dtype(torch.float32)  # as users have it
    wrong = {call.name: complaint(call, contexts) for call in calls}
    return {name: text for name, text in wrong.items() if text}


def few_calls():
    """What fits, draws, tests and compares, each in an instant."""
    p, q = torch.randn(60, 1), torch.randn(60, 1) + 1
    few = {"settings": lfi.TrainSettings(steps=2, batch_size=16), "progress": False}
    theta = torch.rand(200, 1)
    prior = {"a": torch.distributions.Uniform(0.0, 1.0)}
    simulations = lfi.Simulations.from_arrays(theta, theta + torch.randn(200, 2), prior=prior)
    method = lfi.PosteriorFlow(gaussian_steps=2, settings=few["settings"], width=8)
    posterior = lfi.fit_posterior(simulations, method=method, seed=1, progress=False)
    observed = {"x_obs": simulations.x[0]}
    yield Call("fit_ratio", lfi.fit_ratio, {"p_samples": p, "q_samples": q, "members": 1, **few})
    yield Call("fit_generator", lfi.fit_generator, {"data": p, "settings": BRIEF})
    walks = lfi.imitation.record(Corridor(2), to_the_exit, 2, seed=1)
    turn = lfi.imitation.ImitationSettings(horizon=8, epochs=1, critic_steps=1, width=8)
    task = {"environment": Corridor(2), "expert": walks, "budget": 32, "settings": turn}
    yield Call("fit_imitation", lfi.fit_imitation, task)
    yield Call("method.fit", method.fit, {"simulations": simulations})
    yield Call("sample", posterior.sample, {"n": 5, **observed})
    yield Call("log_prob", posterior.log_prob, {"theta": theta[:5], **observed})
    yield Call("mmd_test", lfi.mmd_test, {"p": p, "q": q, "permutations": 9})
    for kind in (lfi.discrepancies.LSDD, lfi.discrepancies.RandomFeatureMMD):
        yield Call(kind.__name__, kind().__call__, {"p": p, "q": q})
    yield Call("as_prior", lfi.simulation.as_prior, {"prior": {"a": scipy.stats.norm(0, 1)}})


def test_what_fits_and_draws_does_not_depend_on_modes_or_change_them():
    torch.set_default_dtype(torch.float32)
    calls = list(few_calls())
    contexts = [MODES[name] for name in ("inference_mode", "default device", "default dtype")]
    assert not complaints(calls, contexts)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
def test_nothing_depends_on_a_mode_or_changes_it(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where calls that save write
    torch.set_default_dtype(torch.float32)
    calls = [call for call in good_calls() if call.name not in NOT_COMPLETE]
    assert not complaints(calls, [MODES[mode]])
