"""Loading: from a file to the object that was saved, without running any code of the file.

What can be saved inherits from `lfi.runtime.Saved`; the rooms imported here hold all such classes.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from lfi.generation import Autoencoder, Generator, Policy, Surrogate, TableGenerator
from lfi.inference.implicit.posterior import ImplicitPosterior
from lfi.inference.implicit.pyro_distribution import RatioDistribution
from lfi.inference.minimum_distance.result import MinimumDistance
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.inference.surrogate_search.result import SearchResult
from lfi.inference.variational_optimisation.optimum import VariationalOptimum
from lfi.numerics.arguments import checked
from lfi.ratio import CriticRatio, RatioDensity
from lfi.runtime import read, restore_saved
from lfi.simulation import as_prior

Loaded = (
    SavedDrawnPosterior
    | ImplicitPosterior
    | MinimumDistance
    | VariationalOptimum
    | SearchResult
    | Generator
    | TableGenerator
    | Autoencoder
    | Surrogate
    | Policy
    | CriticRatio
    | RatioDensity
    | RatioDistribution
)


@checked
def load(
    path: str | Path,
    *,
    prior: object | None = None,
    modules: Mapping[str, nn.Module] | None = None,
) -> Loaded:
    """Load a posterior, an estimate, a generator, a surrogate, a policy, a ratio or a density.

    Args:
        path: A file that `save` has written.
        prior: The prior, where the file cannot name it (a distribution of your own).
        modules: Networks of your own by the name of their place: "embedding", "critic",
            "generator", "encoder", "decoder" or "policy"; their weights come from the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a file of lfi, is damaged, lacks what the arguments must give, or
            was made with another prior.

    Example:
        >>> import lfi, tempfile
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 400, seed=1)
        >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
        >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
        >>> path = Path(tempfile.mkdtemp()) / "posterior.lfi"
        >>> posterior.save(path)
        >>> again = lfi.load(path)
        >>> theta, x = simulations.theta[:5], influenza.x_obs
        >>> bool((again.log_ratio(theta, x) == posterior.log_ratio(theta, x)).all())
        True
    """
    given = None if prior is None else as_prior(prior)
    contents = replace(read(path), prior=given, modules=modules or {})
    try:
        saved = restore_saved(contents)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(saved, Loaded):
        raise ValueError(f"{path} holds a {contents.kind}, which `load` does not return")
    return saved
