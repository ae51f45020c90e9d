"""Fitting an implicit posterior to a model of known likelihood: a network that draws from it.

First come coordinates in which the posterior is nearly normal (`lfi.inference.implicit.start`).
Generator, critic and reference then train in turns from there (`lfi.inference.implicit.players`),
and at last the critic alone, so that the weights of draws can be judged.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lfi.generation.settings import AdversarialSettings, CompleteAdversarialSettings
from lfi.generation.validated_training import check_resumable
from lfi.inference.implicit.coordinates import coordinates_of
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.joint_density import (
    JointDensity,
    check_density,
    density_by_names,
    density_with_prior,
)
from lfi.inference.implicit.players import ReferenceBatches, contrast_risk, implicit_players
from lfi.inference.implicit.posterior import ImplicitPosterior, verdict_of
from lfi.inference.implicit.pyro_density import pyro_density
from lfi.inference.implicit.start import (
    fit_bent_start,
    fit_conditional_start,
    return_to_start,
    start_at,
)
from lfi.inference.samplers.adaptive_importance import smoothed_samples
from lfi.networks import Features, VectorCritic, VectorGenerator
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, floating_dtype
from lfi.numerics.checks import check_callable, check_instance
from lfi.runtime import bar, child, fresh, isolated, torch_rng, within
from lfi.runtime.progress import Advance
from lfi.simulation import Prior, as_prior
from lfi.training import Checkpoint, History, Shuffled, TrainSettings, fit, train_one

DEFAULTS = CompleteAdversarialSettings(
    steps=2_000,
    clip=10.0,
    critic_learning_rate=3e-3,
    critic_steps=2,
    betas=(0.5, 0.9),
)
BENT = replace(DEFAULTS, learning_rate=3e-4)  # from bent coordinates, as little is left to learn
CRITIC_ALONE = 0.5  # of the steps, once the generator is trained
START = 0.5  # of the steps, those of the coordinates before
MIN_OBSERVATIONS = 20
WIDTH = 64  # of the critic
START_DRAWS = 2_000  # of the posterior, for its moments
JUDGED, FEW_JUDGED = 2**13, 2**10  # draws, and those of a model that is run row by row


@checked
def fit_implicit(
    model: Callable[..., Any],
    *,
    prior: object = None,
    names: Sequence[str] | None = None,
    arguments: Sequence[object] = (),
    x: Samples | None = None,
    start: Samples | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    settings: AdversarialSettings | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> ImplicitPosterior:
    """Train a network to draw from the posterior of a model whose likelihood is known.

    The posterior may be of any shape that a network maps noise to. It is fitted by adversarial
    variational Bayes with adaptive contrast: the network's draws maximise a lower bound of the
    evidence, with a critic in place of their unknown density. One posterior's training starts from
    coordinates whose scales depend on those before them, in the order of the parameters: in a
    hierarchical model, name deviations before what they are the deviations of. Where training makes
    the weights of draws less even, the draws of its start are kept, as the verdict says.

    Args:
        model: One of three: a Pyro model, whose latent sites are the parameters; with a `prior`, a
            log-likelihood of theta, (n, theta_dim) to (n,); with `names`, an unnormalised log
            density on all of R^d, (n, d) to (n,). Torch must be able to differentiate it.
        prior: The prior of a log-likelihood: a dictionary of names and distributions, or what else
            `lfi.Simulator` takes.
        names: The names of the parameters of a log density.
        arguments: What a Pyro model is called with, such as its data.
        x: Observations, (m, *event), to fit the posterior of any: the model is then called with a
            row of them for each row of theta, as `model(theta, x)`.
        start: Points, (k, d), about where a log density of `names` lies, from which the scale is
            taken; None for that of a standard normal.
        generator: A network of your own: `noise(n, rng)`, and (z) or (z, features of x) to (n, d)
            of order one; d is the number of unconstrained parameters. Give
            `lfi.networks.MixtureGenerator(d, codes=8)` where there are several modes.
        critic: A network of your own: (w) or (w, features of x) to (n,), of standardised w. With a
            network of your own, one posterior's training starts from a Gaussian.
        settings: Steps, batch size, learning rates and so on.
        checkpoint: Where to keep what an interrupted training of generator and critic in turn
            resumes from; what comes before is done again.
        seed: None takes fresh entropy, which the history records.
        device: Where the networks train; the model is evaluated on the CPU.
        progress: Show a bar on a terminal.

    Returns:
        The posterior, whose `verdict` says whether its draws can be relied on.

    Raises:
        TypeError: If the model is no function or returns no tensor, or the generator has no noise.
        ValueError: If the log density has a wrong shape, no gradients, or no finite value where it
            may lie; if a site is discrete, observations are too few, or a checkpoint is given
            without the seed.
        Diverged: If a player's objective is no longer finite.

    References:
        Mescheder, Nowozin & Geiger, Adversarial variational Bayes, ICML 2017. arXiv:1701.04722
        Huszar, Variational inference using implicit distributions, 2017. arXiv:1702.08235

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> data = torch.tensor([0.3, 1.1, 0.8])
        >>> likelihood = lambda theta: -(data - theta).square().sum(1) / 2
        >>> quick = lfi.AdversarialSettings(steps=20)
        >>> posterior = lfi.fit_implicit(likelihood, prior=prior, settings=quick, seed=1)
        >>> posterior.sample(100, seed=2).shape
        torch.Size([100, 1])
    """
    check_resumable(checkpoint, seed)
    seed = fresh(seed)
    check_instance("settings", settings, AdversarialSettings, optional=True)
    bent = generator is None and critic is None and x is None
    complete = (BENT if bent else DEFAULTS).updated(settings)
    rows = None if x is None else _rows(x)
    density = _density(model, prior, names, arguments, start, rows, child(seed, 0))
    check_density(density, () if rows is None else (rows,))
    encode = None
    if rows is not None:
        encode = Features(tuple(rows.shape[1:]))
        encode.fit_from_data(rows)
    d, size = density.dim, 0 if encode is None else encode.size
    with isolated(child(seed, 1)):
        places = [coordinates_of(d, size, bent), coordinates_of(d, size, False)]
        q = ImplicitDistribution(
            generator or VectorGenerator(d, size, initial_log_scale=0.0 if bent else -0.1),
            critic or VectorCritic([(d,)] + [(size,)] * (size > 0), width=WIDTH),
            places[0],
            places[1],
            encode,
        ).to(device)
    _check_shape(q, d, rows)
    batch = complete.batch_size
    shuffled = None
    if rows is not None:
        shuffled = Shuffled((rows,), size=min(batch, len(rows)), device=device)
        batch = shuffled.size
    batches = ReferenceBatches(batch, d, device, shuffled)
    alone = max(1, round(CRITIC_ALONE * complete.steps))
    before = max(1, round(START * complete.steps)) if bent or rows is not None else 0
    judged = JUDGED if density.quick else FEW_JUDGED
    with bar(
        "fitting the implicit posterior", complete.steps + alone + before, progress
    ) as advance:
        others, of_start, histories = None, None, []
        if rows is None:
            others = density.importance_samples(START_DRAWS, seed=child(seed, 2))
            points = others.resample(2 * START_DRAWS, torch_rng(seed, 3))
            start_at(q.start, points)
            if bent:
                with within("start"):
                    begun, of_start = fit_bent_start(
                        q, density, batches, before, others, judged, seed, device, advance
                    )
                histories.append(begun)
        else:
            with within("start"):
                begun = fit_conditional_start(
                    q, density, batches, before, rows, seed, device, advance
                )
            histories.append(begun)
        history = fit(
            implicit_players(q, density, replace(complete, batch_size=batch)),
            batches,
            steps=complete.steps,
            turn=complete.turn,
            schedule=complete.schedule,
            seed=child(seed, 5),
            device=device,
            callbacks=[lambda done, latest: advance(1)],
            checkpoint=checkpoint,
        )
        if rows is None:
            with torch.no_grad():
                start_at(q.reference, q.draw(2 * JUDGED, torch_rng(seed, 6)))
        histories.append(replace(history, seed=seed))  # which repeats the whole fit
        with within("critic"):
            histories.append(_fit_critic(q, batches, complete, alone, seed, device, advance))
    q.eval().requires_grad_(False)
    posterior = ImplicitPosterior(
        density, q, None if rows is None else tuple(rows.shape[1:]), tuple(histories)
    )
    if rows is not None:
        return posterior
    u, log_weights = posterior.weighted_draws(judged, None, torch_rng(seed, 8))
    samples = smoothed_samples(u, log_weights, late=False)
    verdict = verdict_of(samples, log_weights, others)
    if of_start is not None and of_start.better_than(verdict):
        return_to_start(q)
        verdict = replace(of_start, start_kept=True)
    return replace(posterior, verdict=verdict)


def _rows(x: Samples) -> Tensor:
    """Return observations in a floating dtype."""
    rows = as_sample("x", x, min_rows=MIN_OBSERVATIONS).detach().cpu()
    if rows.ndim < 2:
        raise ValueError(f"x has shape {tuple(rows.shape)}, expected observations (m, *event)")
    return rows.to(floating_dtype(rows.dtype))


def _density(
    model: Callable[..., Any],
    prior: object,
    names: Sequence[str] | None,
    arguments: Sequence[object],
    start: Samples | None,
    x: Tensor | None,
    seed: int,
) -> JointDensity:
    """Return the joint density of a log-likelihood, a log density or a Pyro model."""
    check_callable("model", model, "a function of parameters, or a Pyro model")
    if prior is not None and names is not None and not isinstance(prior, Prior):
        prior = as_prior(prior, names)
    if start is not None and (names is None or prior is not None):
        raise ValueError("start: it is for a log density of `names`, and is not taken here")
    if arguments and (prior is not None or names is not None):
        raise ValueError(
            f"arguments are for a Pyro model, and {len(arguments)} are given beside a prior or "
            "names"
        )
    if prior is not None:
        return density_with_prior(model, as_prior(prior), seed=seed)
    if names is not None:
        return density_by_names(model, names, start, seed=seed)
    if x is not None:
        raise ValueError(
            "x: a Pyro model holds its observation; of any observation, give a log-likelihood of "
            "(theta, x) and a prior"
        )
    return pyro_density(model, arguments, seed=seed)


def _check_shape(q: ImplicitDistribution, d: int, rows: Tensor | None) -> None:
    """Check that a generator's draws are vectors of d numbers."""
    given = () if rows is None else (rows[:2],)
    with torch.no_grad():
        shape = tuple(q.draw(2, torch_rng(0), *given).shape)
    if shape != (2, d):
        raise ValueError(
            f"generator returns {shape[1]} numbers a draw, expected {d}: one for each "
            "unconstrained parameter"
        )


def _fit_critic(
    q: ImplicitDistribution,
    batches: ReferenceBatches,
    settings: CompleteAdversarialSettings,
    steps: int,
    seed: int,
    device: str,
    advance: Advance,
) -> History:
    """Train the critic once more, for a generator and a reference that stay as they are."""
    history = train_one(
        q.critic,
        partial(contrast_risk, q, follows=False),
        replace(batches, size=batches.size if batches.rows is not None else 2 * batches.size),
        TrainSettings(
            steps=steps,
            learning_rate=settings.critic_learning_rate,
            weight_decay=settings.weight_decay,
            average=0.995,
        ),
        seed=child(seed, 7),
        device=device,
        advance=advance,
    )
    return replace(history, seed=seed)
