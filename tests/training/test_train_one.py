"""Training one network: settings, and that it is the one loop with one player."""

import math

import pytest
import torch
from support.step_clock import StepClock

from lfi.training import (
    Checkpoint,
    Monitor,
    Player,
    Shuffled,
    StepLimit,
    TrainSettings,
    adamw,
    fit,
    one_cycle,
    train_one,
)


def line():
    torch.manual_seed(1)
    return torch.nn.Linear(2, 1)


def data(n=64):
    x = torch.randn(n, 2)
    return x, x @ torch.tensor([[1.0], [-2.0]]) + 0.1 * torch.randn(n, 1)


def risk_of(network):
    return lambda batch, step: (network(batch[0]) - batch[1]).square().mean()


def test_it_is_the_loop_with_one_player_to_the_last_bit():
    rows, held = data(), data(20)
    settings = TrainSettings(
        steps=50, learning_rate=0.05, weight_decay=0.1, average=0.9, clip=1.0, patience=4
    )
    ours, loop = line(), line()
    validate = lambda network: lambda batch: float(risk_of(network)(batch, None))
    found = train_one(
        ours,
        risk_of(ours),
        Shuffled(rows, held, size=16),
        settings,
        validate=validate(ours),
        seed=3,
    )
    expected = fit(
        [Player("loss", loop, risk_of(loop), adamw(0.05, weight_decay=0.1), ema=0.9, clip=1.0)],
        Shuffled(rows, held, size=16),
        steps=50,
        monitor=Monitor(validate(loop), every=3, patience=4),
        schedule=one_cycle(),
        seed=3,
    )
    assert torch.equal(ours.weight, loop.weight)
    assert found.columns == expected.columns


def test_every_step_is_told_also_those_that_early_stopping_saves():
    told, network, rows = [], line(), data()
    history = train_one(
        network,
        risk_of(network),
        Shuffled(rows, rows, size=16),
        TrainSettings(steps=100, patience=1),
        validate=lambda batch: 1.0,  # never better than the first
        seed=1,
        advance=lambda n, note="": told.append(n),
    )
    assert history.steps == 10
    assert sum(told) == 100


def test_what_fits_into_the_time_is_trained_with_a_schedule_of_its_own(monkeypatch):
    clock, asked, rows = StepClock(monkeypatch), [], data()

    def train(limit):
        network = line()

        def schedule(done):
            asked.append(done)
            return 1 - done

        settings = TrainSettings(steps=100, average=0.0)
        batches = Shuffled(rows, rows, size=16)
        validate = lambda batch: float(risk_of(network)(batch, None))
        history = train_one(
            network,
            risk_of(network),
            batches,
            settings,
            validate=validate,
            schedule=schedule,
            limit=limit,
            seed=1,
        )
        return network.weight, history

    limit = StepLimit(seconds=60).part("line", share=1)
    weight, history = train(limit)
    assert (history.steps, history.stopped) == (54, "all steps done")  # in nine tenths of the time
    assert clock.seconds == 54 and asked[-1] == 53 / 54
    late = StepLimit(seconds=2).part("line", share=1)
    assert (train(late)[1].steps, train(late)[1].stopped) == (5, "time was up")
    again, repeated = train(StepLimit.of(None, limit.stages).part("line"))
    assert torch.equal(again, weight) and repeated.columns == history.columns


def test_a_limit_and_a_checkpoint_together_are_refused(tmp_path):
    network, rows = line(), data()
    player = Player("loss", network, risk_of(network), adamw(0.05))
    monitor = Monitor(lambda batch: 1.0, every=1, limit=StepLimit(seconds=1))
    with pytest.raises(ValueError, match="checkpoint: training with a limit"):
        fit(
            [player],
            Shuffled(rows, rows, size=16),
            steps=2,
            monitor=monitor,
            checkpoint=Checkpoint(tmp_path / "training.lfi"),
        )


def test_without_validation_the_weights_are_the_last_ones():
    network, rows = line(), data()
    plain = TrainSettings(steps=5, average=0.0, clip=math.inf)
    history = train_one(network, risk_of(network), Shuffled(rows, size=16), plain, seed=1)
    assert history.best_step is None
    assert history.stopped == "all steps done"


def test_settings_fill_what_is_none_and_keep_what_is_zero():
    found = TrainSettings(average=0.9, steps=7).updated(TrainSettings(average=0.0))
    assert (found.average, found.steps) == (0.0, 7)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("steps", 0, ValueError),
        ("steps", 1.5, TypeError),
        ("steps", True, TypeError),
        ("batch_size", -1, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("learning_rate", math.nan, ValueError),
        ("learning_rate", "fast", TypeError),
        ("weight_decay", -0.1, ValueError),
        ("average", 1.0, ValueError),
        ("clip", 0.0, ValueError),
        ("patience", 0, ValueError),
        ("held_out", 1.0, ValueError),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value, error):
    with pytest.raises(error, match=name):
        TrainSettings(**{name: value})


def test_defaults_are_updated_by_settings_and_by_nothing_else():
    defaults = TrainSettings(steps=10, clip=2.0)
    assert defaults.updated(None) is defaults
    assert defaults.updated(TrainSettings(steps=3)) == TrainSettings(steps=3, clip=2.0)
    with pytest.raises(TypeError, match="settings must be a TrainSettings, got"):
        defaults.updated({"steps": 3})
