"""Normal scores, the normal quantiles of ranks: no outlier, unit or heavy tail decides a check."""

import numpy as np
import scipy.special
import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.ranks import mid_ranks
from lfi.numerics.ridge import left_out_predictions


def normal_scores(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return each entry's normal score among its column's; ties share their mean rank."""
    ranks = scipy.stats.rankdata(x.double().numpy(), axis=0)
    return torch.from_numpy(scipy.special.ndtri((ranks - 0.5) / len(x)))


def scores_among(
    x: Float[Tensor, " *n d"], reference: Float[Tensor, "k d"]
) -> Float[Tensor, " *n d"]:
    """Return normal scores among a sample, by interpolated ranks; all equal beyond its extremes."""
    levels = (np.arange(len(reference)) + 0.5) / len(reference)
    ordered = reference.double().sort(dim=0).values.numpy()
    columns = [
        np.interp(column, ordered[:, d], levels)
        for d, column in enumerate(x.double().movedim(-1, 0).numpy())
    ]
    return torch.from_numpy(scipy.special.ndtri(np.stack(columns, axis=-1)))


def two_sided(sample: Float[Tensor, "n d"], values: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
    """Return 2 min(F, 1 - F), F a value's mid-rank among the sample's entries and itself."""
    middle = (mid_ranks(sample, values) + 0.5) / (len(sample) + 1)
    return 2 * torch.minimum(middle, 1 - middle)


def predict_left_out(x: Float[Tensor, "n d"], y: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Predict each row of y from its x by a regression on all the other rows.

    Ridge regression of y, which should be centred, on the normal scores z of x and on z^2 - 1. The
    penalty is their number: the prior variance of what they explain is then that of the noise.
    """
    z = normal_scores(x)
    features = torch.cat([z, z.square() - 1], dim=1)
    return left_out_predictions(features, y, features.shape[1])
