"""Trackers: they are told what the history holds, by whatever trains, and cannot end it."""

import csv
import logging
from dataclasses import dataclass, field

import cloudpickle
import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.runtime import bar
from lfi.runtime.workers.beside import SeparateCall, _answer
from lfi.trackers import CsvTracker, TensorBoardTracker, tracking
from lfi.training import Monitor, Player, Shuffled, TrainSettings, adamw, fit, train_one

SETTINGS = TrainSettings(steps=40, learning_rate=0.1)


@dataclass
class Kept:
    columns: dict = field(default_factory=dict)

    def track(self, step, values):
        for name, value in values.items():
            self.columns.setdefault(name, []).append((step, value))


class Full:
    def track(self, step, values):
        raise OSError("no space left on device")


def line(progress=False, settings=SETTINGS):
    """Fit a line; its history."""
    torch.manual_seed(0)
    network, x = torch.nn.Linear(1, 1), torch.linspace(-1, 1, 64)[:, None]
    risk = lambda batch, step: (network(batch[0]) - 3 * batch[0]).square().mean()
    batches = Shuffled((x[::2],), (x[1::2],), size=16)
    measure = lambda batch: float((network(batch[0]) - 3 * batch[0]).square().mean())
    return train_one(network, risk, batches, settings, validate=measure, name="line", seed=1)


def test_a_csv_file_holds_the_history(tmp_path):
    with tracking(CsvTracker(tmp_path / "training.csv")):
        history = line()
    columns = {}
    with open(tmp_path / "training.csv", newline="") as file:
        for row in csv.DictReader(file):
            pairs = columns.setdefault(row["column"], [])
            pairs.append((int(row["step"]), float(row["value"])))
    assert {name: tuple(pairs) for name, pairs in columns.items()} == history.columns
    assert len(history.columns) == 2


def test_notes_of_a_monitor_are_told_too():
    network, x = torch.nn.Linear(1, 1), torch.randn(32, 1)
    objective = lambda batch, step: network(batch[0]).square().mean()
    monitor = Monitor(lambda batch: 1.0, every=5, notes=lambda done: {"distance": done / 2})
    kept = Kept()
    with tracking(kept):
        history = fit(
            [Player("line", network, objective, adamw(0.1))],
            Shuffled((x,), (x,), size=8),
            steps=10,
            monitor=monitor,
            seed=1,
        )
    assert {name: tuple(pairs) for name, pairs in kept.columns.items()} == history.columns
    assert kept.columns["distance"] == [(5, 2.5), (10, 5.0)]


def test_columns_are_told_apart_by_the_stages_that_they_are_of():
    prior = {"mean": Normal(0.0, 1.0)}
    simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
    few = TrainSettings(steps=4, batch_size=32)
    method = lfi.NeuralRatio(settings=few, width=8, rank=4, head_layers=1, members=2)
    kept = Kept()
    with tracking(kept):
        posterior = lfi.fit_rounds(
            simulator,
            torch.zeros(2),
            budget=(200, 200),
            method=method,
            preliminary=method,
            stop_at=1.0,
            seed=1,
            progress=False,
        )
    assert len(posterior.history) == 2
    for number, history in enumerate(posterior.history, 1):
        front = f"round {number} of 2/fitting the ratio/"
        mine = {k.removeprefix(front): v for k, v in kept.columns.items() if k.startswith(front)}
        # the joined history counts steps on from one critic to the next, and numbers them so
        values = sorted(value for pairs in mine.values() for _, value in pairs)
        held = sorted(value for pairs in history.columns.values() for _, value in pairs)
        assert values == held and len(mine) == len(history.columns)
    steps = [[step for step, _ in pairs] for pairs in kept.columns.values()]
    assert all(each == sorted(set(each)) for each in steps)  # no two trainings in one column


def test_a_tracker_that_raises_is_told_no_more_and_training_goes_on():
    alone, kept = line(), Kept()
    warns = pytest.warns(RuntimeWarning, match="Full is told no more .*no space left")
    with warns as warned, tracking(Full(), kept):
        history = line()
    assert len(warned) == 1
    assert history.columns == alone.columns
    assert {name: tuple(pairs) for name, pairs in kept.columns.items()} == history.columns


def test_trackers_are_told_nothing_once_the_context_has_ended():
    kept = Kept()
    with tracking(kept):
        pass
    line()
    assert kept.columns == {}


def test_what_a_worker_computes_is_told_by_the_process_that_waits(caplog):
    def call(progress):
        with bar("fitting the flow", 40, progress):
            return line()

    kept = Kept()
    answer = _answer(cloudpickle.dumps(SeparateCall("flow", call)), lambda row: None)
    caplog.clear()
    with caplog.at_level(logging.INFO, "lfi"), tracking(kept), bar("round 1 of 2", None, False):
        answer.seen.repeat()
    front = "round 1 of 2/fitting the flow/"
    told = {name.removeprefix(front): tuple(pairs) for name, pairs in kept.columns.items()}
    assert told == answer.result.columns
    lines = [record.getMessage() for record in caplog.records]
    assert lines[1] == "round 1 of 2: fitting the flow: begins, 40 in all"
    assert not any("step" in line for line in lines)  # which is a detail


def test_the_log_has_validations_as_details(caplog):
    with caplog.at_level(logging.DEBUG, "lfi"):
        history = line()
    lines = [record.getMessage() for record in caplog.records]
    told = [f"training: step {s} of 40, held-out {v:g}" for s, v in history.columns["held-out"]]
    assert lines == told and len(told) == 20


def test_a_csv_file_is_continued_and_another_is_left_alone(tmp_path):
    for step in (1, 2):
        CsvTracker(tmp_path / "a.csv").track(step, {"loss, of two": 0.5})
    text = 'column,step,value\n"loss, of two",1,0.5\n"loss, of two",2,0.5\n'
    assert (tmp_path / "a.csv").read_text() == text
    (tmp_path / "b.csv").write_text("theta,x\n")
    with pytest.raises(ValueError, match="b.csv is there, and does not begin with column,step,val"):
        CsvTracker(tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "theta,x\n"


@pytest.mark.parametrize("wrong", [CsvTracker, print, None])
def test_what_cannot_track_is_refused(wrong):
    with pytest.raises(TypeError, match="trackers"), tracking(wrong):
        pass


@pytest.mark.peer
def test_tensorboard_holds_the_history(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tracking(TensorBoardTracker(tmp_path)), bar("fitting the line", 40, False):
        history = line()
    found = EventAccumulator(str(tmp_path)).Reload()
    for name, pairs in history.columns.items():
        events = found.Scalars(f"fitting the line/{name}")
        assert [event.step for event in events] == [step for step, _ in pairs]
        # TensorBoard keeps single precision
        values = torch.tensor([value for _, value in pairs], dtype=torch.float32)
        torch.testing.assert_close(torch.tensor([e.value for e in events]).float(), values)
