"""The workflow: one verdict, in the same words on terminal and page and in the summary."""

import html
import json
from dataclasses import dataclass, fields, replace

import arviz
import pytest
import torch
from support import report_parts as parts
from support.conjugate import ExactCritic, model, prior
from torch import Tensor

from lfi.cli import workflow
from lfi.cli.planning import as_simulated
from lfi.cli.results import keep, kept
from lfi.cli.runfolder import RunState
from lfi.cli.workflow import STEPS, Results, Run, conclusions, perform
from lfi.comparison import Recovers
from lfi.generation import Fidelity
from lfi.inference import Draws, RatioPosterior
from lfi.runtime.workers.beside import Beside
from lfi.simulation import as_prior, simulate
from lfi.training import History, StageSteps

SD = 0.4  # of the noise
TRUNCATED = as_prior(prior).truncate([-1.0, -1.0], [1.5, 1.5])
X_OBS = torch.tensor([0.3, 0.2])


class Narrow(ExactCritic):
    """The exact ratio in `b`, and in `a` that of half the noise: too narrow there alone."""

    def pair(self, theta: Tensor, x: Tensor) -> Tensor:
        z = (x - theta) / (self.sd * torch.tensor([0.5, 1.0]))
        return -z.square().sum(-1) / 2


@dataclass(frozen=True, eq=False, repr=False)
class Kept(RatioPosterior):
    """A posterior whose file is of no interest."""

    def save(self, path):
        path.write_text("")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the workflow with a given critic, without training; return all that it has said."""

    def call(critic, history=(), **patches):
        fitted = Kept(critic, TRUNCATED, Recovers.UP_TO_X, (2,), history)
        agreement = replace(parts.fidelity(2), names=("a", "b"), theta=torch.zeros(2, 2))
        monkeypatch.setattr(workflow, "fit_rounds", lambda *_, **__: fitted)
        monkeypatch.setattr(workflow.Run, "posterior", lambda run: fitted)
        monkeypatch.setattr(workflow.SurrogateJob, "calls", [])
        monkeypatch.setattr(workflow.SurrogateJob, "trained", lambda *_: None)
        monkeypatch.setattr(workflow, "fidelity", lambda *_, **__: agreement)
        for name, value in patches.items():
            monkeypatch.setattr(workflow, name, value)
        lines = []
        run = Run(
            out=tmp_path,
            state=RunState("mine", None, dict(SETTINGS), 1e-6),
            simulator=model(SD),
            x_obs=X_OBS,
            device="cpu",
            workers=None,
            simulators=1,
            timeout=None,
            command="lfi run",
            echo=lines.append,
            progress=False,
        )
        perform(run, list(STEPS))
        lines += conclusions(run, Results.of(run))
        page = html.unescape((tmp_path / "report.html").read_text())
        return "\n".join(lines), json.loads((tmp_path / "summary.json").read_text()), page

    return call


SETTINGS = {
    "simulator": "",
    "x_obs": "",
    "budget": 2_400,
    "rounds": 3,
    "method": "pool",
    "minutes": 5,
    "seed": 1,
    "draws": 1_000,
    "surrogate": True,
    "name": None,
}


def few_samples(*arguments, **options):
    return replace(CHECK(*arguments, **options), ess=3.0)


CHECK = workflow.check


@pytest.mark.parametrize(
    ("critic", "patches", "state", "kind", "words"),
    [
        (ExactCritic(SD), {}, "good", "good", "posterior consistent with calibration"),
        (Narrow(SD), {}, "problem", "doubt", "posterior not calibrated: a too narrow (true "),
        (ExactCritic(SD), {"check": few_samples}, "not assessed", "unknown", "not assessed: too"),
    ],
    ids=["right", "too narrow", "too few samples"],
)
def test_the_verdict_is_one_in_all_places(critic, patches, state, kind, words, run, tmp_path):
    terminal, summary, page = run(critic, **patches)
    verdict = summary["verdict"]
    assert words in verdict and summary["state"] == state
    assert verdict in terminal.splitlines()
    assert f'<p class="verdict {kind}">{verdict}</p>' in page
    assert summary["ok"] is {"good": True, "problem": False, "not assessed": None}[state]
    own = summary["calibration"]
    assert own["state"] == state and own["verdict"] in verdict
    assert f"calibration  {state:<12}  {own['verdict']}" in terminal.splitlines()
    if state != "good":
        assert f"What to do: {summary['advice']}." in terminal.splitlines()
        assert f"What to do: {summary['advice']}." in page
    if state == "problem":
        assert "; b " not in verdict and ", b " not in own["verdict"].partition(" (fails")[0]


@pytest.mark.parametrize(("minutes", "expected"), [(None, "training"), (5, "fitted")])
def test_the_surrogate_is_trained_beside_a_fit_without_a_clock(minutes, expected, run, monkeypatch):
    begun = []
    fitted = Kept(ExactCritic(SD), TRUNCATED, Recovers.UP_TO_X, (2,), ())
    monkeypatch.setitem(SETTINGS, "minutes", minutes)

    class Begun(Beside):
        def __enter__(self):
            begun.append("training")
            return super().__enter__()

    def fit(*_, simulated, **__):
        if simulated is not None:
            simulated(simulate(model(SD), 10, prior=TRUNCATED, seed=1))
        begun.append("fitted")
        return fitted

    run(ExactCritic(SD), Beside=Begun, fit_rounds=fit)
    assert begun[0] == expected and sorted(begun) == ["fitted", "training"]


def test_what_there_was_no_time_for_is_said_in_all_places(run):
    stages = (StageSteps("round 1, Gaussian", 9, 9), StageSteps("round 3, NeuralRatio", 0, 0, 0))
    history = (History({}, 0, None, 0.0, "time was up", 1, stages),)
    terminal, summary, page = run(ExactCritic(SD), history)
    assert "short of time: round 3, NeuralRatio: not trained" in terminal.splitlines()
    assert summary["short_of_time"] == ["round 3, NeuralRatio: not trained"]
    assert "minutes for the fits" in page and "round 3, NeuralRatio: not trained" in page


def test_the_own_prior_is_exported_and_the_truncated_one_by_its_name(run, tmp_path):
    _, _, page = run(ExactCritic(SD))
    data = arviz.from_netcdf(str(tmp_path / "posterior.nc"), engine="h5netcdf")
    # the standard normal's sd by 1,000 draws errs by a standard error of 2.2%
    assert abs(data.prior["a"].values.std() - 1) < 5 * 0.022
    assert data.truncated_prior["a"].values.max() < 1.5
    assert "prior truncated to" in page and "-1 to 1.5" in page


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [
        ((5, 1), (5,), (5, 1)),
        ((), (1,), ()),
        ((5,), (5,), (5,)),
        ((5, 1), (4,), (4,)),
        ((2, 3), (6,), (2, 3)),
        ((6,), (2, 3), (6,)),
        ((2, 3), (3, 2), (3, 2)),  # in another order, and not for lfi to say in which
    ],
    ids=str,
)
def test_an_observation_takes_the_shape_of_a_simulation(shape, given, expected):
    assert as_simulated(torch.zeros(given), shape).shape == expected
    assert as_simulated(torch.zeros(given), None).shape == given


RESULTS = [parts.draws(), parts.fidelity(2), parts.checks(), parts.predictive()]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_results_are_kept_to_the_last_bit(result, tmp_path):
    keep(tmp_path / "results" / "it.lfi", result)
    again = kept(tmp_path / "results" / "it.lfi", type(result))
    for field in fields(result):
        ours, theirs = (getattr(each, field.name) for each in (result, again))
        if isinstance(ours, torch.Tensor):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours.nan_to_num(), theirs.nan_to_num())
        else:
            assert ours == theirs and type(ours) is type(theirs)
    other = Draws if not isinstance(result, Draws) else Fidelity
    with pytest.raises(ValueError, match=f"holds a .*, expected {other.__name__}"):
        kept(tmp_path / "results" / "it.lfi", other)
