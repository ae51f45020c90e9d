"""Export to ArviZ: posterior, prior, predictive and observed data in one InferenceData."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws, columns_by_name, diagnostics_of
from lfi.numerics.inference_data import as_inference_data, data_group, draws_group
from lfi.simulation import Prior

if TYPE_CHECKING:
    import arviz


def inference_data(
    draws: Draws | tuple[Draws, ...],
    prior: Float[Tensor, "n theta_dim"] | None,
    x_obs: Float[Tensor, "..."] | None,
    predictive: Float[Tensor, "..."] | None = None,
    truncated_prior: Float[Tensor, "n theta_dim"] | None = None,
) -> "arviz.InferenceData":
    """Return draws and what they belong to as ArviZ's InferenceData, a DataTree from ArviZ 1 on.

    `prior` are draws of the scientist's own prior, `truncated_prior` those of the one that rounds
    have truncated, a group of that name. Without prior or x_obs there is no such group.

    The draws, independent or the last states of as many chains, are split into four chains, three
    or two where their number does not divide by four; their diagnostics are the attributes of the
    group `posterior`. Of many observations, a tuple of draws with x_obs (m, *event) and predictive
    (m, n, *event), every variable has a dimension `observation`, and every attribute is a list.
    """
    many = isinstance(draws, tuple)
    diagnostics = [diagnostics_of(each) for each in (draws if many else (draws,))]
    names = draws[0].names if many else draws.names
    theta = torch.stack([each.theta for each in draws]) if many else draws.theta
    facts = diagnostics[0]
    if many:
        shared = set.intersection(*map(set, diagnostics)) - {"r_hat"}
        facts = {name: [each[name] for each in diagnostics] for name in sorted(shared)}
    dims = ["observation"] if many else []
    groups = {"posterior": draws_group(columns_by_name(theta, names), dims=dims, attributes=facts)}
    if predictive is not None:
        x = predictive.numpy(force=True)
        x = np.moveaxis(x, 1, 0) if many else x
        groups["posterior_predictive"] = draws_group({"x": x}, dims=dims)
    if x_obs is not None:
        groups["observed_data"] = data_group({"x": x_obs.numpy(force=True)}, dims=dims)
    own = {"prior": prior, "truncated_prior": truncated_prior}  # ArviZ knows no truncated one
    for name, rows in own.items():
        if rows is not None:
            groups[name] = draws_group(columns_by_name(rows, names))
    return as_inference_data(groups)


def draws_of(
    draws: Draws | Sequence[Draws], names: tuple[str, ...], observations: int
) -> tuple[Draws, ...]:
    """Return given draws, one each for so many observations; ValueError if they are not."""
    found = (draws,) if isinstance(draws, Draws) else tuple(draws)
    if len(found) != observations:
        raise ValueError(
            f"draws are of {len(found)} observations, and x_obs is {observations}: give the draws "
            "of each"
        )
    if len({(each.names, len(each)) for each in found} | {(names, len(found[0]))}) > 1:
        kinds = sorted({f"{len(each)} of {', '.join(each.names)}" for each in found})
        raise ValueError(
            f"draws: {' and '.join(kinds)}, expected as many of {', '.join(names)} for each "
            "observation"
        )
    return found


def prior_draws(
    prior: Prior, n: int, rng: np.random.Generator
) -> tuple[Float[Tensor, "n theta_dim"], Float[Tensor, "n theta_dim"] | None]:
    """Return n draws of the prior before truncation, and of the truncated one if it is one."""
    own = prior.untruncated.sample(n, seed=rng)
    return own, prior.sample(n, seed=rng) if prior.truncated else None
