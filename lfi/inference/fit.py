"""`fit_posterior`: the posterior of a simulator's parameters, by a method or the default."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import nn

from lfi.comparison import CriticLoss
from lfi.inference.methods.embedded import with_embedding
from lfi.inference.methods.neural_ratio import NeuralRatio
from lfi.inference.methods.pool import Pool
from lfi.inference.posteriors.kept import (
    NOTHING_KEPT,
    KeptFits,
    check_restorable,
    recorded_seed,
)
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.inference.training_reference import TrainingReference
from lfi.inference.types import Method, Posterior, limited_fit, resumed_fit
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole
from lfi.runtime import whole_repr
from lfi.simulation import Simulations
from lfi.training import StageSteps, StepLimit

POSTERIOR = "posterior"  # the file of a store


@checked
def fit_posterior(
    simulations: Simulations,
    *,
    method: Method | None = None,
    loss: CriticLoss | None = None,
    embedding: nn.Module | None = None,
    minutes: float | None = None,
    stages: Sequence[StageSteps] | None = None,
    workers: int | None = None,
    store: str | Path | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Posterior:
    """Fit the posterior of a simulator's parameters, for any observation.

    Draws of an observation that is unlike every simulation come with a warning, `Misspecified`.

    Args:
        simulations: What `lfi.simulate` has returned; its `marginal([names])` gives the posterior
            of some of the parameters, the others integrated out.
        method: How. By default `lfi.Pool()`: a posterior flow, a surrogate likelihood and, where
            these disagree, a ratio are fitted, and pooled with the weights that give the parameters
            of simulations held out the highest posterior density; `posterior.choice` says what was
            picked and why. Entries of x that tell nothing of theta are left out before. Of at most
            2,000 simulations flow and likelihood are fitted twice, with little weight decay and
            with much. By name: `lfi.NeuralRatio()`, `lfi.PosteriorFlow()`,
            `lfi.SurrogateLikelihood()`, `lfi.AdversarialPosterior()`.
        loss: Short for `method=NeuralRatio(loss=loss)`.
        embedding: For series, sets and images: a network of x, (n, *event) to (n, k), that is
            trained along with the method, which sees x through it, such as
            `lfi.embeddings.SeriesEmbedding(simulations.x.shape[1:])`, or one of your own, which
            gets x standardised entry by entry. All methods take one but a likelihood, which models
            x itself: of the default it stays where x is at most 128 numbers.
        minutes: How long the fit may take; None as long as it needs. Methods, and their stages,
            have their steps cut to what is left of the time, or are left out. The steps to a
            validation, the weights of a pool and a classifier of failed simulations may come on
            top: some seconds. `posterior.choice` of a pool, and `posterior.history`, say what there
            was no time for.
        stages: What such a fit has done, its `posterior.stages`: with the same arguments and seed,
            but without a clock, the posterior is the same.
        workers: How many processes fit methods of a pool side by side, this one included; the
            posterior is the same for any number. None is one for each core, where that takes more
            than a second, and this one alone on another device than the CPU or of more than 64 MB
            of simulations, which each process copies. Give 1 where processes of your own call this.
            The methods of the default compute on one thread each, those with networks of your own
            on torch's and in this process.
        store: A folder that keeps the methods that are fitted, every few seconds where a training
            stands, and the posterior: a second call with the same arguments goes on where the first
            was interrupted, and ends with the same numbers. None keeps nothing.
        seed: None takes fresh entropy, which the posterior's history records, or the seed that the
            store holds.
        device: Where to train, such as "cuda".
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If both a method and a loss are given, or minutes and stages; minutes are not
            positive and finite; the method's time cannot be limited; the method takes no embedding,
            or has one; there is a store, and time is limited, a file alone would not bring back the
            posterior, or it holds the fit of another call; or the method refuses the simulations.

    Example:
        >>> import lfi
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 400, seed=1)
        >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
        >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
        >>> posterior.names
        ('beta', 'gamma', 'phi_inv')
        >>> posterior = lfi.fit_posterior(simulations, method=quick, minutes=1e-9, seed=1)
        >>> for stage in posterior.stages:
        ...     print(stage.describe())
        Gaussian: not trained
        splines: not trained
    """
    if method is not None and loss is not None:
        raise ValueError("give a method or a loss, not both: a method has a loss of its own")
    if method is None:
        method = Pool() if loss is None else NeuralRatio(loss=loss)
    if embedding is not None:
        method = with_embedding("method", method, embedding)
    check_whole("workers", workers, optional=True)
    limit = StepLimit.of(minutes, stages)
    fit, kept = limited_fit("method", method, limit), NOTHING_KEPT
    if store is not None:
        kept, seed = _kept(Path(store), simulations, method, limit, seed)
        found = kept.load(POSTERIOR, simulations.prior, device)
        if found is not None:
            return found
    if isinstance(method, Pool):
        fit = partial(fit, workers=workers, kept=kept)
    else:
        fit = resumed_fit(method, fit, kept.checkpoints(POSTERIOR))
    posterior = fit(simulations, seed=seed, device=device, progress=progress)
    if not isinstance(posterior, SavedDrawnPosterior):
        return posterior
    if limit.exists:
        *before, latest = posterior.history
        posterior = replace(posterior, history=(*before, replace(latest, stages=limit.stages)))
    posterior = replace(posterior, training_reference=TrainingReference.of(simulations, seed=0))
    kept.save(POSTERIOR, posterior)
    return posterior


def _kept(
    store: Path, simulations: Simulations, method: Method, limit: StepLimit, seed: int | None
) -> tuple[KeptFits, int]:
    """Return where a call keeps its fit and its seed; ValueError if it cannot be resumed there."""
    check_restorable("method", method)
    if limit.exists:
        raise ValueError("store: a fit of limited time cannot go on: call without minutes, stages")
    store.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(str(simulations.prior).encode())
    for part in (simulations.theta, simulations.x, simulations.codes):
        digest.update(part.contiguous().numpy().data)
    settings = {"simulations": digest.hexdigest(), "method": whole_repr(method)}
    return KeptFits(store), recorded_seed(store / "fit.json", "a fit", settings, seed)
