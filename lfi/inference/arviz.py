"""Export to ArviZ: posterior, prior, predictive and observed data in one InferenceData."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.simulation import Prior

if TYPE_CHECKING:
    import arviz


def columns_by_name(
    theta: Float[Tensor, "*m n theta_dim"], names: tuple[str, ...]
) -> dict[str, Float[np.ndarray, "1 n *m"]]:
    """Return each parameter's draws by name, as one chain; observations are the last dimension."""
    values = np.moveaxis(theta.numpy(force=True), -2, 0)
    return {name: values[None, ..., i] for i, name in enumerate(names)}


def diagnostics_of(draws: Draws) -> dict[str, object]:
    """Return the diagnostics of draws as attributes."""
    facts = {
        "sampler": draws.sampler,
        "ess": draws.ess,
        "unique_draws": draws.unique,
        "pareto_k": draws.khat,
        "proposals": draws.proposals,
        "seed": draws.seed,
        "r_hat": None if draws.r_hat is None else draws.r_hat.tolist(),
        "acceptance": draws.acceptance,
        "log_evidence": draws.log_evidence,
        "timed_out": int(draws.timed_out),  # files know no booleans
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def inference_data(
    draws: Draws | tuple[Draws, ...],
    prior: Float[Tensor, "n theta_dim"] | None,
    x_obs: Float[Tensor, "..."] | None,
    predictive: Float[Tensor, "..."] | None = None,
    truncated_prior: Float[Tensor, "n theta_dim"] | None = None,
) -> "arviz.InferenceData":
    """Return draws and what they belong to as ArviZ's InferenceData.

    `prior` are draws of the scientist's own prior, `truncated_prior` those of the one that rounds
    have truncated, a group of that name. Without prior or x_obs there is no such group.

    The draws, independent or the last states of as many chains, are one chain; their diagnostics
    are the attributes of the group `posterior`. Of many observations, a tuple of draws with x_obs
    (m, *event) and predictive (m, n, *event), every variable has a dimension `observation`, and
    every attribute is a list.
    """
    with warnings.catch_warnings():  # ArviZ announces its next major version on import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz

    many = isinstance(draws, tuple)
    diagnostics = [diagnostics_of(each) for each in (draws if many else (draws,))]
    names = draws[0].names if many else draws.names
    theta = torch.stack([each.theta for each in draws]) if many else draws.theta
    facts = diagnostics[0]
    if many:
        shared = set.intersection(*map(set, diagnostics)) - {"r_hat"}
        facts = {name: [each[name] for each in diagnostics] for name in sorted(shared)}
    facts |= {"inference_library": "lfi"}
    dims = {name: ["observation"] for name in (*names, "x")} if many else None
    groups = {}
    if predictive is not None:
        x = predictive.numpy(force=True)
        groups["posterior_predictive"] = {"x": (np.moveaxis(x, 1, 0) if many else x)[None]}
    data = arviz.from_dict(
        posterior=columns_by_name(theta, names),
        observed_data=None if x_obs is None else {"x": x_obs.numpy(force=True)},
        posterior_attrs=facts,
        dims=dims,
        **groups,
    )
    if prior is not None:
        data.extend(arviz.from_dict(prior=columns_by_name(prior, names)))
    if truncated_prior is not None:  # a group that ArviZ's scheme does not know
        other = arviz.from_dict(prior=columns_by_name(truncated_prior, names))
        data.add_groups({"truncated_prior": other["prior"]}, warn_on_custom_groups=False)
    return data


def prior_draws(
    prior: Prior, n: int, rng: np.random.Generator
) -> tuple[Float[Tensor, "n theta_dim"], Float[Tensor, "n theta_dim"] | None]:
    """Return n draws of the prior before truncation, and of the truncated one if it is one."""
    own = prior.untruncated.sample(n, seed=rng)
    return own, prior.sample(n, seed=rng) if prior.truncated else None
