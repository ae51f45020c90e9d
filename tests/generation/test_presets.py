"""Every preset trains: a few steps of each, alone and side by side, and what it promises holds."""

import pytest
import torch

import lfi
from lfi.comparison import Discrepancy, Recovers
from lfi.training import Diverged

DATA = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 3
QUICK = lfi.Regime(steps=3, batch=16)
PRESETS = {
    "GAN": lfi.GAN(),
    "NonSaturatingGAN": lfi.NonSaturatingGAN(),
    "NonSaturatingGAN R1": lfi.NonSaturatingGAN(r1=0.1),
    "LSGAN": lfi.LSGAN(),
    "fGAN": lfi.fGAN(lfi.KL()),
    "bGAN": lfi.bGAN(lfi.PearsonChiSquared()),
    "HingeGAN": lfi.HingeGAN(),
    "WGAN": lfi.WGAN(),
    "WGANGP": lfi.WGANGP(),
    "DRAGANNS": lfi.DRAGANNS(),
    "GANGP": lfi.GANGP(),
    "R3GAN": lfi.R3GAN(),
    "GMMN": lfi.GMMN(),
    "CramerGAN": lfi.CramerGAN(),
    "MMDGAN": lfi.MMDGAN(),
    "SinkhornGAN": lfi.SinkhornGAN(),
    "PacGAN": lfi.PacGAN(),
    "Energy": lfi.Energy(),
    "SlicedWasserstein": lfi.SlicedWasserstein(),
    "Moments": lfi.Moments(),
    "spectral norm": lfi.Adversarial(lfi.Hinge(), lfi.Hinge(), constraint=lfi.SpectralNorm()),
}
each_preset = pytest.mark.parametrize("comparison", PRESETS.values(), ids=PRESETS)


@each_preset
def test_every_preset_trains_with_classes_side_by_side(comparison):
    pair = lfi.fit_generators((DATA, LABELS), 2, comparison=comparison, regime=QUICK, seed=1)
    samples = [generator.sample(5, torch.tensor(1), seed=2) for generator in pair]
    assert all(x.shape == (5, 2) and x.isfinite().all() for x in samples)
    assert not torch.equal(*samples)
    players = {"generator"} if isinstance(comparison, Discrepancy) else {"critic", "generator"}
    assert set(pair[0].history.columns) == players | {"held-out"}


def test_presets_are_values_of_one_formula():
    assert (
        lfi.GAN() == lfi.fGAN(lfi.Bernoulli()) == lfi.Adversarial(lfi.Bernoulli(), lfi.Bernoulli())
    )
    assert lfi.NonSaturatingGAN() == lfi.bGAN(lfi.Bernoulli())
    assert lfi.PacGAN(3) == lfi.Packed(lfi.NonSaturatingGAN(), 3)
    assert lfi.GAN().recovers is lfi.PacGAN().recovers is Recovers.RATIO
    assert lfi.WGAN().recovers is lfi.MMDGAN().recovers is Recovers.NOTHING


def test_a_clipped_critic_stays_clipped_for_every_member():
    pair = lfi.fit_generators(DATA, 2, comparison=lfi.WGAN(0.02), regime=QUICK, seed=1)
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
        lfi.fit_generator(DATA, comparison=counted, regime=QUICK, seed=1)
        return len(points) / QUICK.steps

    assert rounds(lfi.WGAN()) == 5
    assert rounds(lfi.GAN()) == 1


def test_a_run_that_blows_up_says_who_and_when():
    huge = lfi.Regime(steps=300, batch=16, critic_rate=1e9)
    with pytest.raises(Diverged, match=r"the objective of critic became \S+ at step \d+"):
        lfi.fit_generator(DATA, comparison=lfi.WGANGP(), regime=huge, seed=1)
