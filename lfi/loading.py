"""Loading: from a file to the object that was saved, without running any code of the file."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lfi.generation import Generator, Surrogate
from lfi.inference import Posterior
from lfi.inference.posteriors.restore import POSTERIORS, restore_posterior
from lfi.ratio import CriticRatio, RatioDensity
from lfi.runtime import read
from lfi.simulation import Prior, as_prior

OTHERS = {kind.__name__: kind for kind in (CriticRatio, Generator, RatioDensity, Surrogate)}


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
    given: Prior | None = None if prior is None else as_prior(prior)
    try:
        if contents.kind in POSTERIORS:
            return restore_posterior(contents, given, modules or {})
        if contents.kind in OTHERS:
            return OTHERS[contents.kind].restore(contents, prior=given, modules=modules or {})
    except KeyError as error:
        raise ValueError(f"{path} is damaged: it lacks {error}") from error
    raise ValueError(f"{path} holds a {contents.kind}, which this lfi does not know: upgrade lfi")
