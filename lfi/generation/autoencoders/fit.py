"""Fitting autoencoders: VAE, adversarial variational Bayes, AGE, alpha-GAN, and any other."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import Adversarial, Bernoulli, Recovers, ReverseKL, energy_to
from lfi.generation.autoencoders.autoencoder import Autoencoder
from lfi.generation.autoencoders.encoders import Encoder
from lfi.generation.autoencoders.networks import (
    AutoencoderNetworks,
    Decoder,
    Shape,
    code_critic,
    codes_for,
    contrast_encoder,
    data_critic,
    decoder_network,
    encoder_network,
    joint_critic,
)
from lfi.generation.autoencoders.observers import BernoulliObserver
from lfi.generation.autoencoders.players import autoencoder_players
from lfi.generation.autoencoders.presets import AlphaGAN
from lfi.generation.autoencoders.scores import PriorEstimate
from lfi.generation.autoencoders.terms import (
    Autoencoding,
    CodeRatio,
    JointRatio,
    MomentsKL,
)
from lfi.generation.defaults import comparison_for
from lfi.generation.settings import DEFAULTS, AdversarialSettings, CompleteAdversarialSettings
from lfi.generation.validated_training import (
    MAX_HELD_OUT,
    batch_size_of,
    check_resumable,
    real_data,
    validated_training,
)
from lfi.networks import Standardise, is_image
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_whole
from lfi.runtime import child, fresh, isolated, torch_rng
from lfi.training import Checkpoint, History, Shuffled, hold_out

VECTOR_SETTINGS = AdversarialSettings(
    steps=4_000, betas=(0.5, 0.99), learning_rate=3e-3, critic_learning_rate=3e-3
)
ALONE = AdversarialSettings(learning_rate=5e-4)  # of a generator of vectors without an encoder
EXPLICIT = AdversarialSettings(steps=8_000)  # a scale of noise is learnt, which falls slowly
MOMENTS = AdversarialSettings(betas=(0.0, 0.99), learning_rate=1e-3)  # a game that momentum upsets
IMAGE_SETTINGS = AdversarialSettings(steps=2_000, batch_size=64, average=0.99, betas=(0.5, 0.99))


def settings_of(
    settings: AdversarialSettings | None, shape: Shape, algorithm: Autoencoding
) -> CompleteAdversarialSettings:
    """Return complete settings: those of the user, over those that suit data and algorithm."""
    if is_image(shape):
        return DEFAULTS.updated(IMAGE_SETTINGS).updated(settings)
    suited, moments = None, algorithm.prior_term(MomentsKL)
    if algorithm.encoder is None:
        suited = ALONE
    elif moments and moments.against_samples:
        suited = MOMENTS
    elif algorithm.explicit:
        suited = EXPLICIT
    return DEFAULTS.updated(VECTOR_SETTINGS).updated(suited).updated(settings)


def with_comparison(algorithm: Autoencoding, shape: Shape) -> tuple[Autoencoding, bool]:
    """Return an algorithm whose ratio on x has a comparison, and whether that is the default."""
    synthetic = algorithm.synthetic
    if synthetic is None or synthetic.comparison is not None:
        return algorithm, False
    usual = comparison_for(shape)
    ratio = Adversarial(Bernoulli(), ReverseKL(), usual.penalty)
    given = replace(synthetic, comparison=usual if algorithm.encoder is None else ratio)
    likelihood = tuple(given if term == synthetic else term for term in algorithm.likelihood)
    return replace(algorithm, likelihood=likelihood), True


@checked
def fit_autoencoder(
    data: Samples,
    algorithm: Autoencoding | None = None,
    *,
    codes: int | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    critic: nn.Module | None = None,
    scaled: bool = False,
    settings: AdversarialSettings | None = None,
    callback: Callable[[int, Autoencoder], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Autoencoder:
    """Train an encoder of data and a generator of data from codes.

    An algorithm is a choice of terms of the likelihood (an observer, a critic of data) and of the
    prior (closed form, moments, a critic of codes or of pairs). `lfi.gans` has VAE, DCGAN, VAEGAN,
    AVB, AGE and AlphaGAN, `lfi.autoencoders` the terms for algorithms of your own. Data of
    (n, channels, height, width), of 8 to 64 pixels a side, are images, for convolutional networks.

    Args:
        data: (n, *event).
        algorithm: The two lists of terms, and the kind of encoder; None is `lfi.gans.AlphaGAN()`.
        codes: How many numbers a code has; by default 16 of images and without an encoder, and of
            vectors as many as a row has, from 4 to 32.
        encoder: A network of your own: standardised (x), or (x, noise) under `ImplicitEncoder`, to
            as many numbers as `algorithm.encoder.outputs(codes)`. It is trained in place.
        decoder: A network of your own: (n, codes) to (n, *event), of standardised data, or logits
            under `BernoulliObserver`. One without weights to train stays as it is.
        critic: A network of your own, of standardised data: (n, *event) to (n,).
        scaled: Whether the decoder's outputs are in the data's units, not standardised.
        settings: Steps, batch size, learning rates and so on; what it leaves out suits the data.
            `patience` is of validations by the energy distance of samples to held-out data, twenty
            times.
        callback: Called at each validation with the steps done and the autoencoder as it is then:
            of that moment only, without history, to be neither changed nor moved.
        checkpoint: Where to keep what an interrupted training resumes from.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If the data are too few, or not in [0, 1] under `BernoulliObserver`, a network
            is given that the algorithm has no use for, or a checkpoint without the seed.
        Diverged: If a player's objective is no longer finite: which one's, and at which step.

    References:
        Rosca, Lakshminarayanan, Warde-Farley & Mohamed, Variational approaches for auto-encoding
            generative adversarial networks, 2017. arXiv:1706.04987

    Example:
        >>> data = torch.randn(200, 2) * torch.tensor([1.0, 10.0])
        >>> quick = lfi.AdversarialSettings(steps=5)
        >>> autoencoder = lfi.fit_autoencoder(data, lfi.gans.VAE(), settings=quick, seed=1)
        >>> autoencoder.sample(3, seed=2).shape, autoencoder.encode(data[:3], seed=2).shape
        (torch.Size([3, 2]), torch.Size([3, 4]))
        >>> autoencoder.elbo(data[:3], seed=3).shape
        torch.Size([3])
    """
    check_whole("codes", codes, optional=True)
    check_resumable(checkpoint, seed)
    x = real_data(data)
    chosen = AlphaGAN() if algorithm is None else algorithm
    if isinstance(chosen.observer, BernoulliObserver) and (x.amin() < 0 or x.amax() > 1):
        raise ValueError(
            f"data must lie in [0, 1] for BernoulliObserver, got {x.amin():.3g} to {x.amax():.3g}"
        )
    shape, seed = tuple(x.shape[1:]), fresh(seed)
    given = {"encoder": encoder, "decoder": decoder, "critic": critic}
    _refuse_idle(given, chosen)
    chosen, fine = with_comparison(chosen, shape)
    complete = settings_of(settings, shape, chosen)
    standardise = Standardise(shape)
    standardise.fit_from_data(x, shared_axes=2 if is_image(shape) else 0)
    train, held_out = hold_out(
        (standardise(x),), complete.held_out, torch_rng(seed, 1), max_held_out=MAX_HELD_OUT
    )
    with isolated(child(seed, 0)):
        nets = _networks(chosen, standardise, codes, given, scaled=scaled, fine=fine)
    players = autoencoder_players(nets, chosen, complete)
    for player in players:
        player.module.to(device)
    own = [name for name in ("encoder", "decoder") if given[name] is not None]

    def now(history: History | None) -> Autoencoder:
        known = prior_estimate(chosen)
        noisy = chosen.explicit and chosen.observer is not None
        fitted = Autoencoder(nets, known, noisy=noisy, own=own, dtype=x.dtype, history=history)
        return fitted.to(device).eval()

    nets.decoder.to(device)
    history = validated_training(
        "autoencoder",
        players,
        Shuffled(train, held_out, size=batch_size_of(complete, len(train[0]), None), device=device),
        _distance(nets, held_out[0].to(device), seed),
        complete,
        watch=callback and (lambda step: callback(step, now(None))),
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    if nets.encoder is not None:
        with torch.no_grad():
            y = held_out[0].to(device)
            nets.decoder.fit_scale(y, nets.decoder(nets.encoder.draw(y, torch_rng(seed, 4))))
    return now(history)


def prior_estimate(algorithm: Autoencoding) -> PriorEstimate | None:
    """Return how an algorithm knows the divergence of codes from the prior: by its first term."""
    if not algorithm.prior:
        return None
    term = algorithm.prior[0]
    recovers = Recovers.RATIO
    if isinstance(term, CodeRatio | JointRatio):
        recovers = term.comparison.recovers
    return PriorEstimate(type(term), recovers)


def _networks(
    algorithm: Autoencoding,
    standardise: Standardise,
    codes: int | None,
    given: dict[str, nn.Module | None],
    *,
    scaled: bool,
    fine: bool,
) -> AutoencoderNetworks:
    """Return the networks of an algorithm: the user's, and by default those of `networks`."""
    shape, kind = tuple(standardise.location.shape), algorithm.encoder
    codes = codes_for(shape, alone=kind is None) if codes is None else codes
    network = given["decoder"] or decoder_network(shape, codes)
    encoder = None
    if kind is not None:
        own = given["encoder"] or encoder_network(kind, shape, codes)
        encoder = Encoder(kind, own, codes, sphere=algorithm.sphere)
    joint = algorithm.prior_term(JointRatio)
    return AutoencoderNetworks(
        codes,
        algorithm.sphere,
        Decoder(network, standardise, algorithm.observer, scaled=scaled),
        encoder,
        critic=given["critic"] or (data_critic(shape, fine) if algorithm.synthetic else None),
        code_critic=code_critic(codes) if algorithm.prior_term(CodeRatio) else None,
        joint_critic=joint_critic(shape, codes) if joint else None,
        contrast=contrast_encoder(shape, codes) if joint and joint.adaptive else None,
    )


def _refuse_idle(given: dict[str, nn.Module | None], algorithm: Autoencoding) -> None:
    """Refuse networks that the algorithm has no use for."""
    idle = {"encoder": algorithm.encoder is None, "critic": algorithm.synthetic is None}
    for name, unused in idle.items():
        if unused and given[name] is not None:
            raise ValueError(f"{name}: the algorithm trains none, got {type(given[name]).__name__}")


@torch.no_grad()
def _distance(
    nets: AutoencoderNetworks, held_out: Tensor, seed: int
) -> Callable[[tuple[Tensor, ...]], float]:
    """Return the energy distance of samples to held-out data, both standardised."""
    distance = energy_to(held_out.flatten(1))

    def measure(_: tuple[Tensor, ...]) -> float:
        z = nets.prior(len(held_out), torch_rng(seed, 3))
        return float(distance(nets.decoder.samples(z).flatten(1)))

    return measure
