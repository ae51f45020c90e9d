"""Loading: from a file to the object that was saved, without running any code of the file."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lfi.generation import Generator, Surrogate
from lfi.inference.flow_posterior import FlowPosterior
from lfi.inference.likelihood_posterior import LikelihoodPosterior
from lfi.inference.pooled_posterior import PooledPosterior
from lfi.inference.posterior import Posterior
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.networks import read
from lfi.ratio import CriticRatio, RatioDensity
from lfi.simulation import Prior, as_prior

POSTERIORS = (FlowPosterior, LikelihoodPosterior, PooledPosterior, RatioPosterior)
OTHERS = (CriticRatio, Generator, RatioDensity, Surrogate)
KINDS = {kind.__name__: kind for kind in (*OTHERS, *POSTERIORS)}


def load(
    path: str | Path,
    *,
    prior: object | None = None,
    modules: Mapping[str, nn.Module] | None = None,
) -> Posterior | Generator | Surrogate | CriticRatio | RatioDensity:
    """Load a posterior, a generator, a surrogate, a density ratio or a density.

    Args:
        path: A file that `save` has written.
        prior: The prior, where the file cannot name it (a distribution of your own).
        modules: Networks of your own by the name of their place, such as {"critic": network};
            their weights come from the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a file of lfi, is damaged, or lacks what the arguments must give.

    Example:
        >>> import lfi, tempfile
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 1_000, seed=1)
        >>> posterior = lfi.fit_posterior(simulations, method=lfi.NeuralRatio(steps=20), seed=1)
        >>> path = Path(tempfile.mkdtemp()) / "posterior.lfi"
        >>> posterior.save(path)
        >>> again = lfi.load(path)
        >>> theta, x = simulations.theta[:5], influenza.x_obs
        >>> bool((again.log_ratio(theta, x) == posterior.log_ratio(theta, x)).all())
        True
    """
    contents = read(path)
    kind = KINDS.get(contents.kind)
    if kind is None:
        raise ValueError(
            f"{path} holds a {contents.kind}, which this lfi does not know: upgrade lfi"
        )
    given: Prior | None = None if prior is None else as_prior(prior)
    try:
        restored = kind.restore(contents, prior=given, modules=modules or {})
    except KeyError as error:
        raise ValueError(f"{path} is damaged: it lacks {error}") from error
    return restored.with_seen(contents.tensors) if kind in POSTERIORS else restored
