"""Weather on a circle of latitude: which closure stands for what is too small to be resolved?

Lorenz's atmosphere has 40 slow variables y_k, each with 8 fast ones z_j (all indices are cyclic, z
being one circle of 320):

    dy_k/dt = -y_{k-1} (y_{k-2} - y_{k+1}) - y_k + F - (h c / b) sum of its z_j,
    dz_j/dt = -c b z_{j+1} (z_{j+2} - z_{j-1}) - c z_j + (h c / b) y_k,

with F = b = c = 10, h = 1: `two_scale` solves it. A forecast that cannot afford the fast variables
replaces their sum by a line and noise, its stochastic parametrisation. This is the simulator:

    dy_k/dt = -y_{k-1} (y_{k-2} - y_{k+1}) - y_k + F - (theta1 + theta2 y_k) + eta_k,
    eta_k(t + dt) = phi eta_k(t) + (1 - phi^2)^(1/2) e_k(t),    e_k ~ Normal(0, 1),    phi = 0.4,

with eta constant for dt = 0.025 and of variance 1 - phi^2 in the first step. It starts from a fixed
state and runs for 4 units of time (20 days) by Runge-Kutta steps of dt. A simulation is kept as six
averages over time and place, those of Hakkarainen et al., which `summaries` computes.

The line through the full system's own drag is 0.13 + 0.25 y, outside the prior, which is that of
Thomas et al.: averages of `two_scale` are data that the simulator cannot quite explain.

References:
    Lorenz, Predictability: a problem partly solved, ECMWF seminar, 1995.
    Wilks, Effects of stochastic parametrizations in the Lorenz '96 system, Quarterly Journal of the
    Royal Meteorological Society 2005.
    Hakkarainen et al., On closure parameter estimation in chaotic systems, Nonlinear Processes in
    Geophysics 2012.
    Thomas, Dutta, Corander, Kaski & Gutmann, Likelihood-free inference by ratio estimation,
    Bayesian Analysis 2022. arXiv:1611.10242
"""

from collections.abc import Callable

import scipy.stats
import torch
from torch import Tensor

differentiable = True
places = 40
fast = 8  # for each place
steps = 160
dt = 0.025
force = 10.0
phi = 0.4
coupling, ratio, amplitude = 1.0, 10.0, 10.0  # h, c, b

units = {"theta1": "1", "theta2": "1"}
prior = {
    "theta1": scipy.stats.uniform(loc=0.5, scale=3.0),
    "theta2": scipy.stats.uniform(loc=0.0, scale=0.3),
}
theta_true = (2.0, 0.1)  # of the paper's simulated data

# The slow variables of `two_scale` long after a start from rest, rounded.
_start = (
    "6.4 6.8 3.3 0.7 -3.4 2.7 1.1 1.0 6.0 4.0 -3.2 2.3 7.1 5.7 -2.9 1.9 8.0 10.7 -4.6 3.7 "
    "8.5 4.3 3.3 3.1 -0.5 3.4 8.3 1.1 -2.2 0.5 3.1 9.4 -1.1 -1.8 2.4 11.1 2.5 -4.1 -2.5 0.0"
)
start = tuple(float(value) for value in _start.split())


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the six averages of a forecast, (n, 2) to (n, 6)."""
    return summaries(forecast(theta, rng))


def forecast(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw y at dt, 2 dt, ..., 4, (n, 2) to (n, 160, 40)."""
    shape = steps, len(theta), places
    eta = (1 - phi**2) ** 0.5 * torch.randn(shape, generator=rng, dtype=theta.dtype)
    noise = [eta[0]]
    for fresh in eta[1:]:
        noise.append(phi * noise[-1] + fresh)
    return solve(theta, torch.stack(noise))


def solve(theta: Tensor, eta: Tensor) -> Tensor:
    """Return y at dt, 2 dt, ..., t dt for a given noise, (n, 2) and (t, n, 40) to (n, t, 40)."""
    theta1, theta2 = theta.T[:, :, None]
    y = torch.tensor(start, dtype=theta.dtype).expand(len(theta), places)
    path = []
    for constant in force - theta1 + eta:
        y = _runge_kutta(lambda y, push=constant: advection(y) - (1 + theta2) * y + push, y, dt)
        path.append(y)
    return torch.stack(path, dim=1)


def summaries(y: Tensor) -> Tensor:
    """Return six averages of series, (n, t, 40) to (n, 6), as sums over a place's own series.

    They are the mean, the variance, the autocovariance at lag dt, the covariance with the next
    place, and the covariances with the places before and after at dt later, all averaged over
    places; the means that covariances are taken about are of the entries that enter.
    """
    now, later = y[:, :-1], y[:, 1:]
    averages = [
        y.mean(dim=1),
        _covariance(y, y),
        _covariance(now, later),
        _covariance(y, y.roll(-1, dims=2)),
        _covariance(now, later.roll(1, dims=2)),
        _covariance(now, later.roll(-1, dims=2)),
    ]
    return torch.stack([each.mean(dim=1) for each in averages], dim=1)


def two_scale(n: int, rng: torch.Generator, spin_up: float = 0.0, h: float = 0.0025) -> Tensor:
    """Draw y of the full system at dt, 2 dt, ..., 4, (n, 160, 40), in the default dtype.

    The slow variables start where forecasts do; the fast ones, unseen, at normal numbers of
    deviation 0.1, so that n histories part from one another.

    Args:
        n: How many histories.
        rng: Where the fast variables' start comes from.
        spin_up: The time that passes first.
        h: The Runge-Kutta step, which divides dt.
    """
    y = torch.tensor(start, dtype=torch.get_default_dtype()).expand(n, places)
    z = 0.1 * torch.randn(n, places * fast, generator=rng, dtype=y.dtype)
    state, path = torch.cat([y, z], dim=1), []
    inner, before = round(dt / h), round(spin_up / h)
    for k in range(before + steps * inner):
        state = _runge_kutta(slope_of_both, state, h)
        if k >= before and (k - before + 1) % inner == 0:
            path.append(state[:, :places])
    return torch.stack(path, dim=1)


def slope_of_both(state: Tensor) -> Tensor:
    """Return the time derivative of the full system, slow variables first, (n, 360) to (n, 360)."""
    y, z = state[:, :places], state[:, places:]
    pull = coupling * ratio / amplitude
    drag = pull * z.unflatten(1, (places, fast)).sum(dim=2)
    lift = pull * y.repeat_interleave(fast, dim=1)
    swirl = ratio * amplitude * advection(z.flip(1)).flip(1)  # runs the other way
    return torch.cat([advection(y) - y + force - drag, swirl - ratio * z + lift], dim=1)


def advection(y: Tensor) -> Tensor:
    """Return -y_{k-1} (y_{k-2} - y_{k+1}), which keeps the sum of squares."""
    return y.roll(1, dims=1) * (y.roll(-1, dims=1) - y.roll(2, dims=1))


def _runge_kutta(slope: Callable[[Tensor], Tensor], y: Tensor, h: float) -> Tensor:
    k1 = slope(y)
    k2 = slope(y + h / 2 * k1)
    k3 = slope(y + h / 2 * k2)
    k4 = slope(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def _covariance(a: Tensor, b: Tensor) -> Tensor:
    """Return the covariance over time at each place, (n, t, 40) twice to (n, 40)."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    return (a * b).mean(dim=1)
