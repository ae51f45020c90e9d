"""Export to ArviZ: posterior, prior, predictive and observed data in one InferenceData."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lfi.inference.posterior import Draws

if TYPE_CHECKING:
    import arviz


def columns(
    theta: Float[Tensor, "n theta_dim"], names: tuple[str, ...]
) -> dict[str, Float[np.ndarray, "1 n"]]:
    """Return each parameter's draws by name, as one chain."""
    values = theta.numpy(force=True)
    return {name: values[None, :, i] for i, name in enumerate(names)}


def inference_data(
    draws: Draws,
    prior: Float[Tensor, "n theta_dim"],
    x_obs: Float[Tensor, "..."],
    predictive: Float[Tensor, "n ..."] | None = None,
) -> "arviz.InferenceData":
    """Return draws and what they belong to as ArviZ's InferenceData.

    The draws are independent, or the last places of as many walkers, and so stand as one chain; how
    far to trust them is in the attributes of the group `posterior`.

    Args:
        draws: The posterior's draws.
        prior: Draws of the prior.
        x_obs: The observation.
        predictive: Data simulated at the posterior's draws.
    """
    with warnings.catch_warnings():  # ArviZ announces its next major version on import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz

    facts = {
        "sampler": draws.sampler,
        "ess": draws.ess,
        "unique_draws": draws.unique,
        "pareto_k": draws.khat,
        "candidates": draws.candidates,
        "seed": draws.seed,
        "inference_library": "lfi",
    }
    if draws.r_hat is not None:
        facts |= {"r_hat": draws.r_hat.tolist(), "acceptance": draws.acceptance}
    groups = (
        {}
        if predictive is None
        else {"posterior_predictive": {"x": predictive.numpy(force=True)[None]}}
    )
    return arviz.from_dict(
        posterior=columns(draws.theta, draws.names),
        prior=columns(prior, draws.names),
        observed_data={"x": x_obs.numpy(force=True)},
        posterior_attrs=facts,
        **groups,
    )
