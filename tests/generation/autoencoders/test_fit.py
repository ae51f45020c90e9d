"""Every algorithm trains on vectors and on images, repeats with its seed, resumes, and is saved."""

import pytest
import torch
from torch import nn

import lfi
from lfi import autoencoders as terms
from lfi.generation.autoencoders.fit import settings_of, with_comparison
from lfi.training import Checkpoint
from simulators import ring

VECTORS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) * 5 + 2
IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)).float()
QUICK = lfi.AdversarialSettings(steps=3, batch_size=16)
PRESETS = {
    "VAE": {"autoencoder"},
    "DCGAN": {"generator", "critic"},
    "VAEGAN": {"autoencoder", "critic"},
    "AVB": {"autoencoder", "joint critic", "contrast"},
    "AGE": {"autoencoder"},
    "AlphaGAN": {"autoencoder", "critic", "code critic"},
}
each_preset = pytest.mark.parametrize("name", PRESETS)
both_kinds = pytest.mark.parametrize("data", [VECTORS, IMAGES], ids=["vectors", "images"])


def quick(data, algorithm=None, **options):
    return lfi.fit_autoencoder(data, algorithm, settings=QUICK, seed=1, **options)


@both_kinds
@each_preset
def test_every_preset_trains_is_saved_and_loaded(name, data, tmp_path):
    fitted = quick(data, getattr(lfi.gans, name)())
    assert PRESETS[name] <= set(fitted.history.columns)
    x = fitted.sample(5, seed=2)
    assert x.shape == (5, *data.shape[1:])
    assert x.dtype == data.dtype
    assert x.isfinite().all()
    fitted.save(tmp_path / "fitted.lfi")
    again = lfi.load(tmp_path / "fitted.lfi")
    assert torch.equal(again.sample(5, seed=2), x)
    assert again.describe() == fitted.describe()
    if fitted.encoder is not None:
        bound = fitted.elbo(data[:4], seed=3)
        assert bound.shape == (4,) and bound.isfinite().all()
        assert torch.equal(again.elbo(data[:4], seed=3), bound)


def test_equal_seeds_train_equal_autoencoders():
    one, two = (quick(VECTORS).sample(4, seed=1) for _ in range(2))
    other = lfi.fit_autoencoder(VECTORS, settings=QUICK, seed=2).sample(4, seed=1)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_training_goes_on_from_a_checkpoint_as_if_never_interrupted(tmp_path):
    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    settings = lfi.AdversarialSettings(steps=6, batch_size=16)
    whole = lfi.fit_autoencoder(VECTORS, settings=settings, seed=1)
    place = Checkpoint(tmp_path / "half.lfi", every=2)
    options = {"settings": settings, "seed": 1, "checkpoint": place}
    with pytest.raises(KeyboardInterrupt):
        lfi.fit_autoencoder(VECTORS, **options, callback=stop)
    resumed = lfi.fit_autoencoder(VECTORS, **options)
    assert torch.equal(resumed.sample(4, seed=1), whole.sample(4, seed=1))
    with pytest.raises(ValueError, match="seed: a checkpoint needs the seed"):
        lfi.fit_autoencoder(VECTORS, settings=settings, checkpoint=place)


def test_networks_of_ones_own_are_trained_and_asked_for_by_a_file(tmp_path):
    decoder, encoder = nn.Linear(2, 3).float(), nn.Linear(3, 4).float()
    before = decoder.weight.detach().clone()
    fitted = quick(VECTORS, lfi.gans.VAE(), codes=2, encoder=encoder, decoder=decoder)
    assert not torch.equal(decoder.weight, before)
    fitted.save(tmp_path / "own.lfi")
    with pytest.raises(ValueError, match="network of your own"):
        lfi.load(tmp_path / "own.lfi")
    own = {"encoder": nn.Linear(3, 4).float(), "decoder": nn.Linear(2, 3).float()}
    again = lfi.load(tmp_path / "own.lfi", modules=own)
    assert torch.equal(again.decode(torch.ones(1, 2)), fitted.decode(torch.ones(1, 2)))


@pytest.mark.parametrize("loss", [lfi.losses.KL(), lfi.losses.PearsonChiSquared()])
@pytest.mark.parametrize("generator", [lfi.losses.NonSaturating(), lfi.losses.RelativisticPaired()])
def test_ratio_terms_take_any_loss(loss, generator):
    ratio = lfi.Adversarial(loss, generator)
    fitted = quick(VECTORS, lfi.gans.AlphaGAN(ratio=ratio, code_ratio=ratio))
    assert fitted.sample(3, seed=1).isfinite().all()


@pytest.mark.parametrize(
    "observer", [terms.BernoulliObserver(), terms.LaplaceObserver(0.2), terms.GaussianObserver()]
)
def test_images_train_under_every_observer(observer):
    fitted = quick(IMAGES, lfi.gans.VAE(observer))
    assert fitted.sample(3, seed=1).isfinite().all()
    assert fitted.elbo(IMAGES[:3], seed=1).isfinite().all()
    if isinstance(observer, terms.BernoulliObserver):
        drawn, means = fitted.sample(3, seed=1), fitted.sample(3, noise=False, seed=1)
        assert set(drawn.unique().tolist()) <= {0.0, 1.0}
        assert ((means > 0) & (means < 1)).all()


@pytest.mark.parametrize(
    "given, message",
    [
        ({"data": VECTORS[:5]}, "at least 20 rows"),
        ({"algorithm": lfi.gans.VAE(terms.BernoulliObserver())}, r"must lie in \[0, 1\]"),
        ({"algorithm": lfi.gans.VAE(), "critic": nn.Linear(3, 1)}, "critic: the algorithm trains"),
        ({"algorithm": lfi.gans.DCGAN(), "encoder": nn.Linear(3, 4)}, "encoder: the algorithm"),
        ({"codes": 0}, "codes must be at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        lfi.fit_autoencoder(**{"data": VECTORS, "settings": QUICK, "seed": 1} | given)


def test_a_ratio_on_data_has_the_losses_of_the_paper_by_default():
    algorithm, is_default = with_comparison(lfi.gans.AlphaGAN(), (2,))
    ratio = algorithm.synthetic.comparison
    h = torch.tensor([-1.0, 3.0])
    # R = -log D + log(1 - D) = -h of D = sigmoid(h); a constant does not matter
    step = ratio.generator_loss.generator(h, h) - ratio.generator_loss.generator(h, h + 0.5)
    torch.testing.assert_close(step, torch.tensor(0.5))
    assert is_default
    assert not with_comparison(lfi.gans.VAE(), (2,))[1]


def test_a_game_on_moments_of_vectors_has_no_momentum_unless_settings_say_so():
    settings, vae = settings_of(None, (2,), lfi.gans.AGE()), settings_of(None, (2,), lfi.gans.VAE())
    assert settings.betas == (0.0, 0.99) != vae.betas
    assert settings.learning_rate < vae.learning_rate
    plain = lfi.gans.AGE(against_samples=0.0)  # no game
    assert settings_of(None, (2,), plain).learning_rate == vae.learning_rate
    assert vae.steps == 2 * settings_of(None, (2,), lfi.gans.AlphaGAN()).steps
    own = lfi.AdversarialSettings(betas=(0.9, 0.9))
    assert settings_of(own, (2,), lfi.gans.AGE()).betas == (0.9, 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("name, reconstruction", [("AlphaGAN", 0.05), ("AGE", 0.5), ("VAE", 0.05)])
def test_presets_cover_the_ring_and_reconstruct_it(name, reconstruction):
    # in standard deviations of the data; AGE perturbs codes. tests/benchmarks/autoencoders.py has
    # more of them, of five seeds
    torch.set_default_dtype(torch.float32)
    data = ring.sample(20_000, torch.Generator().manual_seed(1))
    autoencoder = lfi.fit_autoencoder(data, getattr(lfi.gans, name)(), seed=1)
    found = lfi.scores.mode_scores(
        autoencoder.sample(2_500, seed=1), ring.centres, ring.scale, at_least=60
    )
    assert found.covered == ring.modes
    scores = autoencoder.scores(ring.sample(2_000, torch.Generator().manual_seed(2)), seed=1)
    assert scores.reconstruction < reconstruction
    assert scores.mismatch < 0.05
