"""Every preset trains: a few steps of each, alone and side by side, and what it promises holds."""

from dataclasses import replace

import pytest
import torch

import lfi
from lfi.comparison import Discrepancy, Recovers
from lfi.training import Diverged
from simulators import ring

DATA = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 3
QUICK = lfi.AdversarialSettings(steps=3, batch_size=16)
PRESETS = {
    "GAN": lfi.gans.GAN(),
    "NonSaturatingGAN": lfi.gans.NonSaturatingGAN(),
    "NonSaturatingGAN R1": lfi.gans.NonSaturatingGAN(r1=0.1),
    "LSGAN": lfi.gans.LSGAN(),
    "fGAN": lfi.gans.fGAN(lfi.losses.KL()),
    "bGAN": lfi.gans.bGAN(lfi.losses.PearsonChiSquared()),
    "HingeGAN": lfi.gans.HingeGAN(),
    "WGAN": lfi.gans.WGAN(),
    "WGANGP": lfi.gans.WGANGP(),
    "DRAGANNS": lfi.gans.DRAGANNS(),
    "GANGP": lfi.gans.GANGP(),
    "R3GAN": lfi.gans.R3GAN(),
    "GMMN": lfi.gans.GMMN(),
    "CramerGAN": lfi.gans.CramerGAN(),
    "MMDGAN": lfi.gans.MMDGAN(),
    "SinkhornGAN": lfi.gans.SinkhornGAN(),
    "PacGAN": lfi.gans.PacGAN(),
    "UnrolledGAN": lfi.gans.UnrolledGAN(2),
    "UnrolledGAN of packs": lfi.gans.Unrolled(lfi.gans.PacGAN(), 1),
    "Energy": lfi.discrepancies.Energy(),
    "SlicedWasserstein": lfi.discrepancies.SlicedWasserstein(),
    "Moments": lfi.discrepancies.Moments(),
    "spectral norm": lfi.Adversarial(
        lfi.losses.Hinge(), lfi.losses.Hinge(), constraint=lfi.penalties.SpectralNorm()
    ),
}
each_preset = pytest.mark.parametrize("comparison", PRESETS.values(), ids=PRESETS)


@each_preset
def test_every_preset_trains_with_classes_side_by_side(comparison):
    pair = lfi.fit_generators((DATA, LABELS), 2, comparison=comparison, settings=QUICK, seed=1)
    samples = [generator.sample(5, torch.tensor(1), seed=2) for generator in pair]
    assert all(x.shape == (5, 2) and x.isfinite().all() for x in samples)
    assert not torch.equal(*samples)
    players = {"generator"} if isinstance(comparison, Discrepancy) else {"critic", "generator"}
    assert set(pair[0].history.columns) == players | {"held-out"}


def test_presets_are_values_of_one_formula():
    assert (
        lfi.gans.GAN()
        == lfi.gans.fGAN(lfi.losses.Bernoulli())
        == lfi.Adversarial(lfi.losses.Bernoulli(), lfi.losses.Bernoulli())
    )
    assert lfi.gans.NonSaturatingGAN() == lfi.gans.bGAN(lfi.losses.Bernoulli())
    assert lfi.gans.PacGAN(3) == lfi.gans.Packed(lfi.gans.NonSaturatingGAN(), 3)
    assert lfi.gans.UnrolledGAN(4) == lfi.gans.Unrolled(lfi.gans.NonSaturatingGAN(0.1), 4)
    dragan = lfi.penalties.DRAGAN(0.1, alpha=0.5)
    assert lfi.gans.DRAGANNS(alpha=0.5) == replace(lfi.gans.NonSaturatingGAN(), penalty=dragan)
    assert lfi.gans.UnrolledGAN(r1=0.0).recovers is Recovers.RATIO
    assert lfi.gans.UnrolledGAN().recovers is Recovers.NOTHING
    assert lfi.gans.GAN().recovers is lfi.gans.PacGAN().recovers is Recovers.RATIO
    assert lfi.gans.WGAN().recovers is lfi.gans.MMDGAN().recovers is Recovers.NOTHING


def test_a_clipped_critic_stays_clipped_for_every_member():
    pair = lfi.fit_generators(DATA, 2, comparison=lfi.gans.WGAN(0.02), settings=QUICK, seed=1)
    for generator in pair:
        (critic,) = generator._critic
        assert max(p.abs().max() for p in critic.parameters()) <= 0.02


def test_wasserstein_critics_move_five_times_and_others_once():
    def rounds(comparison):
        points = []
        loss = comparison.critic_loss
        counted = lfi.Adversarial(
            type(
                "Counted",
                (type(loss),),
                {"__call__": lambda s, *h: points.append(len(h[0])) or loss(*h)},
            )(),
            comparison.generator_loss,
        )
        lfi.fit_generator(DATA, comparison=counted, settings=QUICK, seed=1)
        return points.count(QUICK.batch_size) / QUICK.steps  # fewer tell which kind of loss it is

    assert rounds(lfi.gans.WGAN()) == 5
    assert rounds(lfi.gans.GAN()) == 1


def test_a_run_that_blows_up_says_who_and_when():
    huge = lfi.AdversarialSettings(steps=300, batch_size=16, critic_learning_rate=1e9)
    with pytest.raises(Diverged, match=r"the objective of critic became \S+ at step \d+"):
        lfi.fit_generator(DATA, comparison=lfi.gans.WGANGP(), settings=huge, seed=1)


def test_an_unrolled_gan_takes_the_unrolled_turn_unless_settings_say_otherwise():
    def weights(comparison, **settings):
        given = {"critic_learning_rate": 1e-3, "betas": (0.0, 0.99)} | settings
        brief = lfi.AdversarialSettings(steps=2, batch_size=16, **given)
        generator = lfi.fit_generator(DATA, comparison=comparison, settings=brief, seed=1)
        return torch.cat([p.flatten() for p in generator.network.parameters()])

    plain, ahead = lfi.gans.NonSaturatingGAN(), lfi.gans.UnrolledGAN(2, r1=0.0)
    turn = lfi.training.unrolled(2)
    assert torch.equal(weights(ahead), weights(plain, turn=turn))
    assert not torch.equal(weights(ahead), weights(plain))
    assert torch.equal(weights(ahead, turn=lfi.training.alternating), weights(plain))


@pytest.mark.slow
@pytest.mark.parametrize(
    "comparison",
    [
        lfi.gans.DRAGANNS(),
        lfi.gans.WGAN(),
        lfi.gans.bGAN(lfi.losses.PearsonChiSquared()),
        lfi.discrepancies.SlicedWasserstein(),
        lfi.gans.UnrolledGAN(),
    ],
    ids=["DRAGANNS", "WGAN", "bGAN", "SlicedWasserstein", "UnrolledGAN"],
)
def test_presets_cover_the_ring_at_their_own_defaults(comparison):
    # tests/benchmarks/modes.py has more of them, of five seeds
    torch.set_default_dtype(torch.float32)
    data = ring.sample(50_000, torch.Generator().manual_seed(1))
    generator = lfi.fit_generator(data, comparison=comparison, seed=1)
    distance, mode = torch.cdist(generator.sample(2_500, seed=1).double(), ring.centres).min(dim=1)
    counts = torch.bincount(mode[distance <= 3 * ring.scale], minlength=ring.modes)
    assert (counts >= 60).all()  # a fifth of a mode's share


def test_what_projects_weights_cannot_be_unrolled():
    with pytest.raises(ValueError, match="projected"):
        lfi.gans.Unrolled(lfi.gans.WGAN())
