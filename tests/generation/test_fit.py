"""Fitting generators: what comes out, that equal seeds repeat it, and that it learns."""

import pytest
import torch
from torch import nn

import lfi
from lfi.generation.settings import DEFAULTS
from lfi.networks import FourierFeatureCritic, MixtureGenerator
from lfi.training import Checkpoint, consensus, extragradient, simultaneous
from simulators import grid

DATA = torch.randn(80, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 9.0])
QUICK = lfi.AdversarialSettings(steps=4, batch_size=16)


class Shift(nn.Module):
    """Science: a normal distribution in the data's units, whose mean is the only parameter."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(1, dtype=torch.float32))

    def noise(self, n, rng):
        return torch.randn(n, 1, generator=rng, dtype=torch.float32)

    def forward(self, z):
        return 10 * z + self.mean


def test_samples_have_the_shape_and_the_dtype_of_the_data():
    for data in (DATA, DATA.float().reshape(80, 2, 1)):
        generator = lfi.fit_generator(data, settings=QUICK, seed=1)
        x = generator.sample(7, seed=2)
        assert (x.shape[1:], x.dtype, len(x)) == (data.shape[1:], data.dtype, 7)
        assert generator.sample(0).shape == (0, *data.shape[1:])


def test_equal_seeds_are_equal_generators_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    first, again, other = (
        lfi.fit_generator(DATA, settings=QUICK, seed=seed).sample(5, seed=2) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "comparison", [lfi.gans.R3GAN(), lfi.discrepancies.Energy()], ids=["with a critic", "without"]
)
def test_an_interrupted_fit_ends_as_an_uninterrupted_one(tmp_path, comparison, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "fit.lfi", every=2)
    options = {"comparison": comparison, "settings": QUICK, "seed": 1}
    whole = lfi.fit_generators(DATA, 2, **options)
    schedule = lambda done: 1 / 0 if done >= 0.75 else DEFAULTS.schedule(done)
    broken = lfi.AdversarialSettings(steps=4, batch_size=16, schedule=schedule)
    with pytest.raises(ZeroDivisionError):
        lfi.fit_generators(
            DATA, 2, comparison=comparison, settings=broken, seed=1, checkpoint=checkpoint
        )
    assert checkpoint.exists
    again = lfi.fit_generators(DATA, 2, **options, checkpoint=checkpoint)
    for a, b in zip(whole, again, strict=True):
        assert torch.equal(a.sample(9, seed=2), b.sample(9, seed=2))
        assert a.history.columns == b.history.columns


def test_a_member_learns_what_it_would_alone():
    networks = [MixtureGenerator(2, codes=8, width=8, layers=1) for _ in range(2)]
    critics = [FourierFeatureCritic([(2,)], width=8, layers=1) for _ in range(2)]
    pair = lfi.fit_generators(DATA, 2, generators=networks, critics=critics, settings=QUICK, seed=1)
    assert [g.network for g in pair] == networks  # trained in place
    assert not torch.equal(pair[0].sample(5, seed=2), pair[1].sample(5, seed=2))


@pytest.mark.parametrize("turn", [simultaneous, extragradient, consensus(0.1)])
def test_other_turns_train_too(turn):
    settings = lfi.AdversarialSettings(steps=2, batch_size=16, turn=turn)
    generator = lfi.fit_generator(DATA, comparison=lfi.gans.GAN(), settings=settings, seed=1)
    assert generator.sample(5, seed=2).isfinite().all()


def test_patience_keeps_the_best_weights_by_the_energy_distance():
    # the rate is so high that later is worse
    wild = lfi.AdversarialSettings(steps=200, batch_size=16, learning_rate=1.0, patience=3)
    generator = lfi.fit_generator(
        DATA, comparison=lfi.discrepancies.Energy(), settings=wild, seed=1
    )
    validated = dict(generator.history.columns["held-out"])
    assert generator.history.best_step == min(validated, key=validated.get)
    assert generator.history.steps < 200
    assert "no improvement in 3" in generator.history.stopped


def test_a_simulator_is_a_generator_whose_network_is_science():
    x = 40 + 10 * torch.randn(400, 1)
    settings = lfi.AdversarialSettings(steps=400, batch_size=200, learning_rate=0.3, average=0)
    fitted = lfi.fit_generator(
        x,
        comparison=lfi.discrepancies.Energy(),
        generator=Shift(),
        scaled=True,
        settings=settings,
        seed=1,
    )
    # the mean of 360 rows to train on, within 4 standard errors of all rows' mean
    assert fitted.network.mean.item() == pytest.approx(x.mean().item(), abs=4 * 10 / 360**0.5)


def test_the_critic_says_more_of_data_than_of_what_is_far_away():
    settings = lfi.AdversarialSettings(steps=60, batch_size=64, learning_rate=1e-5)
    generator = lfi.fit_generator(DATA, comparison=lfi.gans.GAN(), settings=settings, seed=1)
    h = generator.criticise(torch.cat([DATA, DATA + 1000]))
    assert h.shape == (160,)
    without = lfi.fit_generator(DATA, comparison=lfi.discrepancies.Energy(), settings=QUICK, seed=1)
    with pytest.raises(ValueError, match="no critic"):
        without.criticise(DATA)


@pytest.mark.parametrize(
    "data, message",
    [
        (torch.zeros(80), r"data must be real numbers, \(n, \*event\).*shape \(80,\)"),
        (torch.zeros(5, 2), "at least 20 rows"),
        (torch.zeros(80, 2, dtype=torch.long), "real numbers.*int64"),
        (torch.full((80, 2), torch.nan), "data: 80 of 80 rows are not finite"),
        ((DATA, torch.zeros(79, 1)), "condition has 79 rows, the data 80"),
        ((DATA, torch.zeros(80, 1).long() - 1), "classes are whole numbers"),
    ],
)
def test_data_that_make_no_sense_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        lfi.fit_generator(data, settings=QUICK, seed=1)


def test_arguments_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="members must be at least 1"):
        lfi.fit_generators(DATA, 0)
    with pytest.raises(ValueError, match="generators: 1 networks for 2 members"):
        lfi.fit_generators(DATA, 2, generators=[Shift()])
    with pytest.raises(TypeError, match=r"Linear has no `noise\(n, rng\)`"):
        lfi.fit_generator(DATA, generator=nn.Linear(2, 2), settings=QUICK)
    with pytest.raises(ValueError, match="seed: a checkpoint needs the seed"):
        lfi.fit_generator(DATA, checkpoint=Checkpoint(tmp_path / "fit.lfi"))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        lfi.AdversarialSettings(batch_size=0)
    balanced = lfi.Adversarial(
        lfi.losses.Bernoulli(), lfi.losses.NonSaturating(), lfi.penalties.Balance()
    )
    with pytest.raises(ValueError, match="balance penalty"):
        lfi.fit_generators(DATA, 2, comparison=balanced, settings=QUICK)


@pytest.mark.slow
def test_the_default_covers_every_mode_of_the_grid():
    # half of the default's steps; tests/benchmarks/modes.py prints what is asked here
    torch.set_default_dtype(torch.float32)
    data = grid.sample(50_000, torch.Generator().manual_seed(1))
    generator = lfi.fit_generator(data, settings=lfi.AdversarialSettings(steps=1_500), seed=1)
    x = generator.sample(2_500, seed=1)
    distance, mode = torch.cdist(x.double(), grid.centres).min(dim=1)
    good = distance <= 3 * grid.scale
    counts = torch.bincount(mode[good], minlength=25)
    shares = counts / counts.sum()
    assert (counts >= 20).all()
    assert good.double().mean() > 0.9
    assert torch.xlogy(shares, 25 * shares).sum() < 0.08
    spreads = torch.stack([x[good & (mode == k)].std(0).mean() for k in range(25)]) / grid.scale
    assert 0.7 < spreads.median() < 1.2


@pytest.mark.parametrize("members", [1, 2])
def test_a_callback_is_called_with_the_generators_of_the_moment_and_changes_nothing(members):
    data, quick = torch.randn(200, 2), lfi.AdversarialSettings(steps=40)
    samples, steps, critic = [], [], []

    def callback(step, generators):
        steps.append(step)
        samples.append([one.sample(50, seed=1) for one in generators])
        critic.append([one.criticise(data) for one in generators])

    observed = lfi.fit_generators(data, members, settings=quick, callback=callback, seed=1)
    alone = lfi.fit_generators(data, members, settings=quick, seed=1)
    assert steps == list(range(2, 41, 2))
    for i in range(members):
        assert torch.equal(observed[i].sample(50, seed=1), alone[i].sample(50, seed=1))
        assert torch.equal(samples[-1][i], alone[i].sample(50, seed=1))  # averaged weights too
        assert torch.equal(critic[-1][i], alone[i].criticise(data))
        assert not torch.equal(samples[0][i], samples[-1][i])


def test_the_callback_of_one_generator_is_called_with_it_alone():
    kept = {}
    lfi.fit_generator(
        torch.randn(200, 2),
        comparison=lfi.discrepancies.Energy(),
        settings=lfi.AdversarialSettings(steps=3),
        callback=lambda step, generator: kept.update({step: generator.sample(5, seed=1)}),
        seed=1,
    )
    assert list(kept) == [1, 2, 3] and kept[3].shape == (5, 2)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"critic_steps": 0}, ValueError, "critic_steps must be at least 1, got 0"),
        ({"critic_learning_rate": -1.0}, ValueError, "critic_learning_rate must be positive"),
        ({"betas": (0.0, 1.0)}, ValueError, r"betas must be in \[0, 1\)"),
        ({"turn": "alternating"}, TypeError, "turn"),
    ],
)
def test_settings_are_validated_when_they_are_made(wrong, error, message):
    with pytest.raises(error, match=message):
        lfi.AdversarialSettings(**wrong)


def test_numpy_arrays_and_their_classes_are_data_too():
    condition = torch.arange(80) % 3
    arrays = lfi.fit_generator((DATA.numpy(), condition.numpy()), settings=QUICK, seed=1)
    tensors = lfi.fit_generator((DATA, condition), settings=QUICK, seed=1)
    assert torch.equal(arrays.sample(5, 1, seed=2), tensors.sample(5, torch.tensor(1), seed=2))


def test_a_column_that_does_not_vary_is_generated_constant():
    data = torch.stack([torch.full((100,), 3e-6), 1e-6 * torch.randn(100)], dim=1)
    fitted = lfi.fit_generator(data, settings=lfi.AdversarialSettings(steps=5), seed=1)
    x = fitted.sample(50, seed=2)
    assert (x[:, 0] == 3e-6).all()
    assert x[:, 1].std() < 1e-5  # a few of the data's deviations
