"""What fits where nothing is said: the kind of network, and that images are learnt with it."""

from dataclasses import replace

import pytest
import torch

import lfi
from lfi.generation import AdversarialSettings
from lfi.generation.defaults import (
    CLIPPED,
    EXPONENTIAL,
    IMAGE_SETTINGS,
    SINKHORN,
    SLICED,
    UNROLLED,
    VECTOR_SETTINGS,
    VECTORS,
    WASSERSTEIN,
    critic_for,
    grows_exponentially,
    settings_for,
)
from lfi.generation.settings import DEFAULTS
from lfi.networks import (
    FourierFeatureCritic,
    ImageCritic,
    ImageGenerator,
    MixtureGenerator,
    VectorCritic,
)
from lfi.networks.residual import ResidualBlock
from simulators import digits

X = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(40) % 4
BRIEF = AdversarialSettings(steps=2, batch_size=8)

COMPARISONS = [None, lfi.gans.PacGAN(), lfi.gans.MMDGAN(), lfi.discrepancies.Energy()]


def fitted_kinds(data, **options):
    generator = lfi.fit_generator(data, settings=BRIEF, seed=1, **options)
    (critic,) = generator._critic
    return generator, type(generator.network), type(critic)


@pytest.mark.parametrize("comparison", COMPARISONS, ids=["default", "pack", "features", "energy"])
@pytest.mark.parametrize(
    "condition", [None, CLASSES, X[:, :, ::2, ::2]], ids=["", "class", "image"]
)
def test_images_are_fitted_by_convolutions_whatever_compares(comparison, condition):
    data = X if condition is None else (X, condition)
    generator, kind, critic = fitted_kinds(data, comparison=comparison)
    assert kind is ImageGenerator
    assert critic is (
        type(None) if isinstance(comparison, lfi.discrepancies.Energy) else ImageCritic
    )
    what = None if condition is None else condition[:3]
    assert generator.sample(3, what, seed=1).shape == (3, 1, 8, 8)


def test_what_is_no_image_is_fitted_as_a_vector():
    for data in (X.flatten(1), X.flatten(2), X[..., :7]):
        assert fitted_kinds(data)[1] is MixtureGenerator


@pytest.mark.parametrize(
    "comparison", [lfi.gans.GAN(), lfi.gans.PacGAN(), lfi.gans.MMDGAN(), lfi.gans.WGANGP()]
)
def test_waves_are_for_penalties_that_fade(comparison):
    assert fitted_kinds(X.flatten(1))[2] is FourierFeatureCritic
    assert fitted_kinds(X.flatten(1), comparison=VECTORS)[2] is FourierFeatureCritic
    assert fitted_kinds(X.flatten(1), comparison=comparison)[2] is VectorCritic


def test_rates_suit_the_comparison_unless_they_are_given():
    own = lfi.AdversarialSettings(critic_learning_rate=0.1)
    filled = settings_for(own, (2,), VECTORS)
    assert filled.learning_rate == VECTOR_SETTINGS.learning_rate
    assert filled.critic_learning_rate == 0.1
    assert settings_for(own, (2,), lfi.gans.GAN()) == DEFAULTS.updated(own)
    assert settings_for(None, (1, 8, 8), lfi.gans.GAN()) == DEFAULTS.updated(IMAGE_SETTINGS)


def test_comparisons_of_vectors_have_what_narrow_modes_ask_of_them():
    pearson = lfi.losses.PearsonChiSquared()
    for comparison, suited in (
        (lfi.gans.bGAN(pearson), EXPONENTIAL),
        (lfi.gans.fGAN(lfi.losses.KL()), EXPONENTIAL),
        (lfi.gans.Packed(lfi.gans.fGAN(pearson)), EXPONENTIAL),
        (lfi.gans.WGAN(), CLIPPED),
        (lfi.discrepancies.SlicedWasserstein(), SLICED),
        (lfi.gans.LSGAN(), None),
        (lfi.gans.WGANGP(), WASSERSTEIN),
        (lfi.gans.CramerGAN(), None),
        (lfi.gans.SinkhornGAN(), SINKHORN),
    ):
        assert settings_for(None, (2,), comparison) == DEFAULTS.updated(suited), comparison
        images = settings_for(None, (1, 8, 8), comparison)
        assert images == DEFAULTS.updated(IMAGE_SETTINGS), comparison
    ahead = replace(settings_for(None, (2,), lfi.gans.UnrolledGAN()), turn=DEFAULTS.turn)
    assert ahead == DEFAULTS.updated(UNROLLED)
    own = lfi.AdversarialSettings(clip=7.0, steps=11)
    assert settings_for(own, (2,), lfi.gans.bGAN(pearson)) == DEFAULTS.updated(own)


def test_a_critic_of_clipped_weights_is_wide_and_of_one_block():
    for comparison, width, blocks in (
        (lfi.gans.WGAN(), 256, 1),
        (lfi.gans.Packed(lfi.gans.WGAN()), 256, 1),
        (lfi.gans.WGANGP(), 96, 2),
    ):
        critic = critic_for(comparison, (2,), 0)
        assert critic.first.out_features == width
        assert sum(isinstance(part, ResidualBlock) for part in critic.rest) == blocks


def test_losses_that_grow_exponentially_are_told_from_those_that_do_not():
    losses = lfi.losses
    for loss in (losses.KL(), losses.ReverseKL(), losses.PearsonChiSquared(), losses.Jeffreys()):
        assert grows_exponentially(loss), loss
    learned = losses.LearnedFeatures(lfi.discrepancies.MMD())
    relative, plain = losses.RelativisticPaired(), losses.LeastSquares()
    for loss in (
        losses.Bernoulli(),
        losses.Hinge(),
        losses.Wasserstein(),
        learned,
        relative,
        plain,
    ):
        assert not grows_exponentially(loss), loss


def test_a_condition_is_taken_for_an_image_unless_it_is_larger():
    small, _, _ = fitted_kinds((X, X[:, :, :4, :4]))
    large, _, _ = fitted_kinds((X, torch.rand(40, 1, 9, 8)))
    assert small.network.spec["condition"] == [1, 4, 4]
    assert large.network.spec["condition"] == 72


def test_pixels_of_a_channel_share_one_scale():
    x = torch.cat([X, 9 * X], dim=1)
    x[:, :, 0, 0] = 0  # a pixel that never changes
    x[0, :, 0, 0] = 0.1  # hardly ever
    generator, _, _ = fitted_kinds((x, x[:, :, :4, :4]))
    for scale in (
        generator.standardise.scale,
        generator.condition.standardise.scale.reshape(2, 4, 4),
    ):
        assert len(scale.unique()) == 2
    torch.testing.assert_close(
        generator.standardise.scale[1, 3, 3].float(), x[:, 1].std(correction=0).float()
    )


def test_image_generators_train_as_one_stack():
    networks = [ImageGenerator((1, 8, 8), 4, width=4) for _ in range(2)]
    critics = [ImageCritic((1, 8, 8), 4, width=4) for _ in range(2)]
    before = [network.last.weight.clone() for network in networks]
    pair = lfi.fit_generators(
        (X, CLASSES), 2, generators=networks, critics=critics, settings=BRIEF, seed=1
    )
    assert [generator.network for generator in pair] == networks  # trained in place
    for network, weight in zip(networks, before, strict=True):
        assert not torch.equal(network.last.weight, weight)
    one, other = (generator.sample(4, CLASSES[:4], seed=2) for generator in pair)
    assert not torch.equal(one, other)


@pytest.mark.slow
def test_digits_are_generated_by_class():
    # six tenths of the default's steps; tests/benchmarks/digits.py prints what is asked here
    from sklearn.svm import SVC

    torch.set_default_dtype(torch.float32)
    x, labels = digits.images(), digits.labels()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(5))
    train, test = order[:898], order[898:]
    generator = lfi.fit_generator(
        (x[train].unflatten(1, (1, 8, 8)), labels[train]),
        settings=AdversarialSettings(steps=600),
        seed=5,
    )
    made = generator.sample(899, labels[test], seed=5).flatten(1).clamp(0, 1)
    classifier = SVC(C=10.0).fit(x[train].numpy(), labels[train].numpy())
    seen = torch.from_numpy(classifier.predict(made.numpy()))
    assert (seen == labels[test]).float().mean() >= 0.95
    assert len(seen.unique()) == 10
    assert lfi.scores.support_scores(x[test], made, standardise=False).coverage >= 0.8
    assert lfi.scores.memorisation(made, x[train], x[test], standardise=False).z < 3
