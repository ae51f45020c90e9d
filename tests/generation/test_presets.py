"""Every preset trains: a few steps of each, alone and side by side, and what it promises holds."""

import pytest
import torch

import lfi
from lfi.comparison import Discrepancy, Recovers
from lfi.training import Diverged

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
                "Counted", (type(loss),), {"__call__": lambda s, *h: points.append(1) or loss(*h)}
            )(),
            comparison.generator_loss,
        )
        lfi.fit_generator(DATA, comparison=counted, settings=QUICK, seed=1)
        return len(points) / QUICK.steps

    assert rounds(lfi.gans.WGAN()) == 5
    assert rounds(lfi.gans.GAN()) == 1


def test_a_run_that_blows_up_says_who_and_when():
    huge = lfi.AdversarialSettings(steps=300, batch_size=16, critic_learning_rate=1e9)
    with pytest.raises(Diverged, match=r"the objective of critic became \S+ at step \d+"):
        lfi.fit_generator(DATA, comparison=lfi.gans.WGANGP(), settings=huge, seed=1)
