"""Stacking: the mean of several critics that tells held-out samples apart best.

    w = argmin over the simplex of  E_p[softplus(-w . h)] + E_q[softplus(w . h)],

a convex problem of a few weights, on samples that no critic was fitted to. A critic that is free
where the ratio is simple differs from a simple one by noise alone, and gets a small weight.

References:
    Breiman, Stacked regressions, Machine Learning 1996.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.simplex import minimise_on_simplex

GAP = 1e-9  # nats that other weights may do better


def stack(h_p: Float[Tensor, "k n"], h_q: Float[Tensor, "k m"]) -> Float[Tensor, " k"]:
    """Return non-negative weights that sum to 1, of least balanced log-loss.

    Args:
        h_p: Each critic's values at samples of p.
        h_q: Each critic's values at samples of q.

    Example:
        >>> x_p, x_q = 1 + torch.randn(5_000), torch.randn(5_000)
        >>> right, noise = lambda x: x - 0.5, lambda x: torch.sin(9 * x)
        >>> stack(*(torch.stack([right(x), noise(x)]) for x in (x_p, x_q)))[1] < 0.2
        tensor(True)
    """
    k = len(h_p)
    sides = [(-1.0, h_p.double()), (1.0, h_q.double())]

    def derivatives(w: Float[Tensor, " k"]) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"]]:
        wrong = [(sign, h, torch.sigmoid(sign * (w @ h))) for sign, h in sides]
        gradient = sum(sign * (h * s).mean(1) for sign, h, s in wrong)
        hessian = sum((h * s * (1 - s)) @ h.T / h.shape[1] for _, h, s in wrong)
        return gradient, hessian

    start = torch.full((k,), 1 / k, dtype=torch.float64)
    return minimise_on_simplex(derivatives, start, tolerance=GAP).to(h_p)
