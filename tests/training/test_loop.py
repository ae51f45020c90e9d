"""The one loop: players on problems whose answers are known."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lfi.training import (
    Diverged,
    History,
    Monitor,
    Player,
    Shuffled,
    adamw,
    constant,
    fit,
    linear_decay,
    one_cycle,
)

DATA = torch.linspace(-1, 1, 64, dtype=torch.float32)[:, None]


class Point(nn.Module):
    """A single number."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def sgd(rate):
    return lambda parameters: torch.optim.SGD(list(parameters), lr=rate)


def towards(point, goal):
    """A player whose objective is the squared distance from a goal."""
    return Player("point", point, lambda batch, step: (point.value - goal) ** 2, sgd(0.1))


def batches(held_out=None):
    return Shuffled((DATA,), held_out, size=16)


def test_one_player_reaches_the_minimum():
    point = Point()
    fit([towards(point, 3.0)], batches(), steps=100, seed=1)
    assert point.value.item() == pytest.approx(3.0, abs=1e-6)  # 3 (1 - 0.8^100)


def test_equal_seeds_train_equal_weights_and_other_seeds_others():
    def train(seed):
        line = nn.Linear(1, 1, dtype=torch.float32)
        nn.init.zeros_(line.weight), nn.init.zeros_(line.bias)

        def objective(batch, step):
            noise = torch.randn(batch[0].shape, generator=step.rng, dtype=torch.float32)
            return (line(batch[0]) - 2 * batch[0] - noise).square().mean()

        history = fit(
            [Player("line", line, objective, adamw(0.01))], batches(), steps=20, seed=seed
        )
        return line.weight.item(), history.columns

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_a_player_moves_as_often_in_a_turn_as_it_says():
    moves = []
    point = Point()

    def objective(batch, step):
        moves.append(step.index)
        return point.value**2

    fit([Player("point", point, objective, sgd(0.1), steps=3)], batches(), steps=2, seed=1)
    assert moves == [0, 0, 0, 1, 1, 1]


def test_nobody_but_the_player_moves_and_gradients_are_allowed_again_afterwards():
    mine, other = Point(), Point(5.0)

    def objective(batch, step):
        assert not other.value.requires_grad
        return (mine.value - other.value) ** 2

    players = [
        Player("mine", mine, objective, sgd(0.1)),
        Player("other", other, lambda batch, step: 0 * other.value, sgd(0.1)),
    ]
    fit(players, batches(), steps=5, seed=1)
    assert other.value.item() == 5.0
    assert mine.value.requires_grad
    assert other.value.requires_grad


def test_the_average_replaces_the_weights_at_the_end():
    point, path = Point(), []

    def objective(batch, step):
        path.append(point.value.item())
        return point.value

    fit([Player("point", point, objective, sgd(1.0), ema=0.5)], batches(), steps=3, seed=1)
    mean = 0.0  # weights -1, -2, -3 with decays 1/11, 2/12, 3/13
    for k, weight in enumerate([-1.0, -2.0, -3.0], start=1):
        decay = k / (k + 10)
        mean = decay * mean + (1 - decay) * weight
    assert path == [0.0, -1.0, -2.0]
    assert point.value.item() == pytest.approx(mean, rel=1e-12)


def test_the_best_judged_weights_are_kept():
    point = Point()
    drift = Player("point", point, lambda batch, step: -point.value, sgd(1.0))  # 1, 2, 3, ...
    judge = Monitor(lambda held_out: (point.value.item() - 4) ** 2, every=1)
    history = fit([drift], batches((DATA,)), steps=10, monitor=judge, seed=1)
    assert point.value.item() == 4.0
    assert history.best_step == 4
    assert history.columns["held-out"][3] == (4, 0.0)


def test_patience_stops_training_and_says_so():
    point = Point()
    drift = Player("point", point, lambda batch, step: -point.value, sgd(1.0))
    judge = Monitor(lambda held_out: (point.value.item() - 4) ** 2, every=1, patience=3)
    history = fit([drift], batches((DATA,)), steps=100, monitor=judge, seed=1)
    assert history.steps == 7
    assert "no improvement" in history.stopped


def test_a_monitor_that_does_not_choose_is_only_noted():
    point = Point()
    drift = Player("point", point, lambda batch, step: -point.value, sgd(1.0))
    judge = Monitor(lambda held_out: point.value.item(), every=5, patience=1, chooses=False)
    history = fit([drift], batches((DATA,)), steps=10, monitor=judge, seed=1)
    assert point.value.item() == 10.0
    assert history.columns["held-out"] == ((5, 5.0), (10, 10.0))
    assert history.best_step is None


def test_objectives_know_the_share_of_training_that_is_done():
    point, shares = Point(), []

    def objective(batch, step):
        shares.append(step.done)
        return point.value**2

    fit([Player("point", point, objective, sgd(0.1))], batches(), steps=4, seed=1)
    assert shares == [0.0, 0.25, 0.5, 0.75]


def test_the_judge_sees_the_average_and_training_goes_on_from_the_players_own_weights():
    point, judged = Point(), []
    drift = Player("point", point, lambda batch, step: -point.value, sgd(1.0), ema=0.9)

    def measure(held_out):
        judged.append(point.value.item())
        return -len(judged)

    fit([drift], batches((DATA,)), steps=3, monitor=Monitor(measure, every=1), seed=1)
    assert judged[0] == pytest.approx(10 / 11)  # the average of 0 and 1 after one move
    assert judged[2] < 3.0
    assert judged[2] == point.value.item()


def test_an_objective_that_is_no_longer_finite_stops_training_with_the_reason():
    point = Point(1.0)
    player = Player("critic", point, lambda batch, step: -point.value.exp(), sgd(1e3))
    with pytest.raises(Diverged, match=r"critic became -inf at step 1"):
        fit([player], batches(), steps=10, seed=1)
    assert point.value.requires_grad


def test_projections_and_clipping_apply_to_every_move():
    point = Point()
    player = Player(
        "point",
        point,
        lambda batch, step: -100 * point.value,
        sgd(1.0),
        clip=0.25,
        project=lambda module: module.value.data.clamp_(max=0.4),
    )
    fit([player], batches(), steps=1, seed=1)
    assert point.value.item() == pytest.approx(0.25)
    fit([player], batches(), steps=5, seed=1)
    assert point.value.item() == pytest.approx(0.4)


def test_the_schedule_scales_the_rate():
    point = Point()
    player = Player("point", point, lambda batch, step: -point.value, sgd(1.0))
    fit([player], batches(), steps=4, schedule=linear_decay(hold=0.0), seed=1)
    assert point.value.item() == pytest.approx(1 + 0.75 + 0.5 + 0.25)


def test_callbacks_see_every_step_and_the_latest_values():
    calls = []
    fit(
        [towards(Point(), 1.0)],
        batches(),
        steps=3,
        seed=1,
        callbacks=[lambda done, latest: calls.append((done, round(latest["point"], 2)))],
    )
    assert calls == [(1, 1.0), (2, 0.64), (3, 0.41)]


def test_logged_values_are_averaged_over_stretches():
    point = Point()

    def objective(batch, step):
        step.log("index", float(step.index))
        return point.value**2

    history = fit([Player("p", point, objective, sgd(0.1))], batches(), steps=400, seed=1)
    assert history.columns["index"][:2] == ((2, 0.5), (4, 2.5))
    assert len(history.columns["index"]) == 200


def test_a_history_survives_its_description():
    history = fit([towards(Point(), 1.0)], batches(), steps=3, seed=1)
    assert History._restore(history._spec()) == history
    assert replace(history, seed=2) != history


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps": 0}, "steps"),
        ({"steps": 1, "monitor": Monitor(lambda held_out: 0.0, every=1)}, "monitor"),
    ],
)
def test_calls_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit([towards(Point(), 1.0)], batches(), seed=1, **arguments)


def test_somebody_must_play():
    with pytest.raises(ValueError, match="nobody"):
        fit([], batches(), steps=1, seed=1)


def test_one_cycle_is_continuous_and_ends_at_zero():
    done = torch.linspace(0, 1, 1001).tolist()
    factors = torch.tensor([one_cycle(0.3)(d) for d in done])
    assert factors.diff().abs().max() < 0.01  # the steepest slope is pi / 2 / 0.3 per unit
    assert factors.max() == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)
    assert constant(0.3) == 1.0


@pytest.mark.parametrize("make", [lambda: one_cycle(0.0), lambda: linear_decay(1.0)])
def test_schedules_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must lie"):
        make()
