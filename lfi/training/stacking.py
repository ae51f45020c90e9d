"""Stacking: weights of several fitted models, of lowest risk on data that none was fitted to.

`stacking_weights` minimises a convex risk, such as minus the mean log density of a pool, over
non-negative weights; `stack` finds the mean of log ratios that tells held-out p from q best:

    w = argmin over the simplex of  E_p[softplus(-w . h)] + E_q[softplus(w . h)].

References:
    Breiman, Stacked regressions, Machine Learning 1996.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.simplex import Derivatives, minimise_on_simplex

GAP = 1e-9  # nats that other weights may do better

Risk = Callable[[Float[Tensor, " k"]], Float[Tensor, ""]]


def minimise_in_bounds(
    risk: Risk, start: Sequence[float], bounds: Sequence[tuple[float | None, float | None]]
) -> Float[Tensor, " k"]:
    """Return the minimiser of a smooth convex function of a few numbers, each within bounds.

    The risk is a differentiable scalar of float64 numbers on the CPU; a bound of None is none.

    Example:
        >>> minimise_in_bounds(lambda w: (w + 1).square().sum(), [1.0, 1.0], [(0, None), (-2, 2)])
        tensor([ 0., -1.])
    """
    from scipy.optimize import minimize

    def value_and_slope(w: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.enable_grad():
            weights = torch.tensor(w, dtype=torch.float64, requires_grad=True)
            value = risk(weights)
            (slope,) = torch.autograd.grad(value, weights)
        return float(value.detach()), slope.numpy()

    begin = np.asarray(start, dtype=np.float64)
    found = minimize(value_and_slope, begin, jac=True, method="L-BFGS-B", bounds=bounds)
    return torch.from_numpy(found.x)


def stacking_weights(
    risk: Risk, models: int, *, max_weight: float | None = None
) -> Float[Tensor, " k"]:
    """Return the non-negative weights of models that have the lowest held-out risk.

    They need not sum to 1: less tempers what is too sure of itself. The risk of (k,) weights is
    convex and differentiable; each weight begins at 1/k. `max_weight` None sets no limit.

    Example:
        >>> x = torch.linspace(-1, 1, 9)
        >>> models = torch.stack([x, x.square()])
        >>> weights = stacking_weights(lambda w: (w @ models - 0.5 * x).square().mean(), 2)
        >>> [round(weight, 3) for weight in weights.tolist()]
        [0.5, 0.0]
    """
    return minimise_in_bounds(risk, [1 / models] * models, [(0.0, max_weight)] * models)


def stack(h_p: Float[Tensor, "k n"], h_q: Float[Tensor, "k m"]) -> Float[Tensor, " k"]:
    """Return non-negative weights that sum to 1, of lowest balanced log-loss.

    h_p and h_q are the critics' values at samples of p and of q.

    Example:
        >>> x_p, x_q = 1 + torch.randn(5_000), torch.randn(5_000)
        >>> right, noise = lambda x: x - 0.5, lambda x: torch.sin(9 * x)
        >>> stack(*(torch.stack([right(x), noise(x)]) for x in (x_p, x_q)))[1] < 0.2
        tensor(True)
    """
    k = len(h_p)
    sides = [(-1.0, h_p.double()), (1.0, h_q.double())]

    def derivatives(w: Float[Tensor, " k"]) -> Derivatives:
        wrong = [(sign, h, torch.sigmoid(sign * (w @ h))) for sign, h in sides]
        gradients = [sign * (h * s).mean(1) for sign, h, s in wrong]
        hessians = [(h * s * (1 - s)) @ h.T / h.shape[1] for _, h, s in wrong]
        return torch.stack(gradients).sum(0), torch.stack(hessians).sum(0)

    start = torch.full((k,), 1 / k, dtype=torch.float64)
    return minimise_on_simplex(derivatives, start, tolerance=GAP).to(h_p)
