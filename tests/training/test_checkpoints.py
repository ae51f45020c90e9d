"""Checkpoints: an interrupted training ends bit for bit where an uninterrupted one does."""

import pytest
import torch
from torch import nn

from lfi.runtime import read, write
from lfi.training import (
    Checkpoint,
    JoinedBatches,
    Monitor,
    Player,
    Shuffled,
    StackedBatches,
    adamw,
    fit,
    linear_decay,
)

X = torch.linspace(-1, 1, 40, dtype=torch.float32)[:, None]
STEPS = 30


class Interrupted(Exception):
    """What stops training in these tests."""


def stop_at(step):
    def callback(done, latest):
        if done == step:
            raise Interrupted

    return callback


def line():
    module = nn.Linear(1, 1, dtype=torch.float32)
    nn.init.zeros_(module.weight), nn.init.zeros_(module.bias)
    return module


def train(batches, *, checkpoint=None, stop=None, optimiser=None, steps=STEPS, seed=3):
    """Two players with noise, one with an average, judged every fourth step."""
    first, second = line(), line()

    def objective(of, other):
        def value(batch, step):
            noise = torch.randn(batch[0].shape, generator=step.rng, dtype=torch.float32)
            step.log("noise", noise.mean())
            return (of(batch[0]) - other(batch[0]) - batch[0] - noise).square().mean()

        return value

    move = optimiser or adamw(0.05)
    players = [
        Player("first", first, objective(first, second), move, ema=0.9),
        Player("second", second, objective(second, first), move, steps=2),
    ]
    history = fit(
        players,
        batches,
        steps=steps,
        monitor=Monitor(lambda held: float(first(held[0]).square().mean()), every=4),
        schedule=linear_decay(),
        seed=seed,
        callbacks=[] if stop is None else [stop_at(stop)],
        checkpoint=checkpoint,
    )
    weights = [p.detach().clone() for m in (first, second) for p in m.parameters()]
    return torch.cat([w.flatten() for w in weights]), history


def shuffled():
    return Shuffled((X,), (X,), size=16)


def momentum(parameters):
    return torch.optim.SGD(list(parameters), lr=0.01, momentum=0.9)


@pytest.mark.parametrize(
    "batches",
    [shuffled, lambda: JoinedBatches(shuffled()), lambda: StackedBatches(shuffled(), shuffled())],
    ids=["shuffled", "together", "each its own"],
)
@pytest.mark.parametrize("optimiser", [None, momentum], ids=["adam", "momentum"])
@pytest.mark.parametrize("stop", [9, 23])  # after the checkpoints of steps 7 and 21
def test_a_resumed_training_ends_as_an_uninterrupted_one(tmp_path, batches, optimiser, stop):
    whole, history = train(batches(), optimiser=optimiser)
    checkpoint = Checkpoint(tmp_path / "training.lfi", every=7)
    with pytest.raises(Interrupted):
        train(batches(), checkpoint=checkpoint, stop=stop, optimiser=optimiser)
    again, resumed = train(batches(), checkpoint=checkpoint, optimiser=optimiser)
    assert torch.equal(whole, again)
    assert resumed.columns == history.columns
    assert (resumed.steps, resumed.best_step) == (history.steps, history.best_step)


def test_a_finished_training_is_not_repeated(tmp_path):
    checkpoint = Checkpoint(tmp_path / "training.lfi")
    once, history = train(shuffled(), checkpoint=checkpoint)
    again, repeated = train(shuffled(), checkpoint=checkpoint, stop=1)
    assert torch.equal(once, again)
    assert repeated.columns == history.columns


def test_a_checkpoint_keeps_its_seed_and_refuses_another(tmp_path):
    checkpoint = Checkpoint(str(tmp_path / "training.lfi"), every=5)
    with pytest.raises(Interrupted):
        train(shuffled(), checkpoint=checkpoint, stop=6)
    with pytest.raises(ValueError, match="seed is 4, but .* was written with seed 3"):
        train(shuffled(), checkpoint=checkpoint, seed=4)
    _, history = train(shuffled(), checkpoint=checkpoint, seed=None)
    assert history.seed == 3


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    checkpoint = Checkpoint(tmp_path / "training.lfi", every=5)
    with pytest.raises(Interrupted):
        train(shuffled(), checkpoint=checkpoint, stop=6)
    with pytest.raises(ValueError, match="of another training"):
        train(shuffled(), checkpoint=checkpoint, steps=STEPS + 1)


@pytest.mark.parametrize("name", ["seed", "columns", "moves", "optimisers", "best"])
def test_a_checkpoint_that_was_changed_is_refused(name, tmp_path):
    checkpoint = Checkpoint(tmp_path / "training.lfi", every=5)
    with pytest.raises(Interrupted):
        train(shuffled(), checkpoint=checkpoint, stop=6)
    kept = read(checkpoint.path)
    spec = {key: value for key, value in kept.spec.items() if key != name}
    write(checkpoint.path, kept.kind, spec, kept.tensors)
    with pytest.raises(ValueError, match=f"training.lfi is damaged, or was changed .*'{name}'"):
        train(shuffled(), checkpoint=checkpoint)


def test_batches_that_cannot_say_where_they_stand_are_refused(tmp_path):
    class Endless:
        held_out = (X,)

        def draw(self, rng):
            return (X,)

    with pytest.raises(TypeError, match="Endless has no `position_of`"):
        train(Endless(), checkpoint=Checkpoint(tmp_path / "training.lfi", every=1))


def test_every_counts_steps():
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        Checkpoint("training.lfi", every=0)
