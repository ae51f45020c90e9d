"""Missing entries: simulations whose x is observed in part, as an observation may be.

An entry of x that is NaN is missing. A posterior that is fitted to simulations of which entries are
hidden at random is that of what is left: one fit serves every pattern that the hiding can draw,

    p(theta | x observed in part)  ∝  p(theta) p(what is observed of x | theta),

where what is hidden does not depend on theta or on the hidden values, as what `with_missing` hides
does not. Entries that the simulator itself leaves NaN are taken as they come: that they are missing
then tells of theta what it tells in the simulator.

References:
    Wang, Hasenauer & Schaelte, Missing data in amortized simulation-based neural posterior
    estimation, PLOS Computational Biology 2024. doi:10.1371/journal.pcbi.1012184
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike, as_tensor
from lfi.numerics.checks import check_share
from lfi.runtime.seeds import fresh, torch_rng
from lfi.simulation.records.results import NONFINITE, OK
from lfi.simulation.records.simulations import Simulations

DrawMasks = Callable[[int, torch.Generator], Bool[Tensor, "n ..."]]


@checked
def with_missing(
    simulations: Simulations,
    masks: Tensor | ArrayLike | DrawMasks | None = None,
    *,
    most: float = 1.0,
    seed: int | None = None,
) -> Simulations:
    """Return simulations whose entries of x may be missing, NaN, for posteriors of such data.

    Rows that are not finite because of NaN alone count as valid then, unless no entry is left; rows
    with infinities, errors or timeouts stay failed.

    Args:
        simulations: What `lfi.simulate` has returned.
        masks: Which entries to hide, true where one is missing: one pattern, (*event), for all
            rows; one for each, (n, *event); or a function of n and a torch.Generator that draws
            these, such as gaps of a series. By default every row hides each of its entries with one
            probability, which is drawn between 0 and `most`.
        most: The largest of these probabilities; 0 hides nothing but what is NaN already.
        seed: None takes fresh entropy.

    Raises:
        ValueError: If the masks do not fit x, or `most` is not between 0 and 1.

    Example:
        >>> from simulators import influenza
        >>> simulations = lfi.with_missing(lfi.simulate(influenza, 400, seed=1), seed=1)
        >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
        >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
        >>> x_obs = influenza.x_obs.clone()
        >>> x_obs[3] = float("nan")
        >>> posterior.sample(100, x_obs, seed=2).shape
        torch.Size([100, 3])
    """
    check_share("most", most, ends=True)
    x, rng = simulations.x, torch_rng(fresh(seed))
    if masks is None:
        share = most * torch.rand(len(x), *[1] * (x.ndim - 1), generator=rng, dtype=torch.float64)
        hidden = torch.rand(x.shape, generator=rng, dtype=torch.float64) < share
    elif callable(masks):
        hidden = _fitting(masks(len(x), rng), x, rows=True)
    else:
        hidden = _fitting(masks, x, rows=False)
    valid = simulations.valid | (simulations.codes == NONFINITE)
    hidden = hidden & valid.reshape(-1, *[1] * (x.ndim - 1))
    x = x.masked_fill(hidden, torch.nan)
    flat = x.reshape(len(x), -1)
    left = valid & ~flat.isinf().any(1) & ~(flat.isnan().all(1) & ~simulations.valid)
    codes = torch.where(left, OK, simulations.codes).to(simulations.codes.dtype)
    return replace(simulations, x=x, codes=codes, missing=True)


def _fitting(masks: object, x: Tensor, *, rows: bool) -> Bool[Tensor, "n ..."]:
    """Return masks for every row of x; ValueError unless they are truth values of its shape."""
    hidden = as_tensor("masks", masks)
    shapes = [tuple(x.shape)] if rows else [tuple(x.shape), tuple(x.shape[1:])]
    if hidden.dtype != torch.bool or tuple(hidden.shape) not in shapes:
        raise ValueError(
            f"masks must be truth values of shape {' or '.join(map(str, shapes))}, got "
            f"{hidden.dtype} of shape {tuple(hidden.shape)}"
        )
    return hidden.expand(x.shape)
