"""Stacking: the mean of several critics that tells held-out samples apart best.

    w = argmin over the simplex of  E_p[softplus(-w . h)] + E_q[softplus(w . h)],

a convex problem of a few weights, on samples that no critic was fitted to. A critic that is free
where the ratio is simple differs from a simple one by noise alone, and gets a small weight.

References:
    Breiman, Stacked regressions, Machine Learning 1996.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


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
    from scipy.optimize import minimize

    k = len(h_p)
    sides = [(-1.0, h_p.double().numpy()), (1.0, h_q.double().numpy())]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = 0.0, np.zeros(k)
        for sign, h in sides:
            wrong = sign * (w @ h)
            value += np.logaddexp(0, wrong).mean()
            gradient += sign * (h / (1 + np.exp(-wrong.clip(-500)))).mean(1)
        return len(h_p[0]) * value, len(h_p[0]) * gradient  # of order 1 where a choice matters

    best = minimize(
        loss,
        np.full(k, 1 / k),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(k)},
    )
    weights = best.x.clip(0, 1)
    return torch.from_numpy(weights / weights.sum()).to(h_p)
