"""Whether entries depend on those before them.

An autoregression is worth its training where one in closed form is,

    u_i = sum_k (a_k + b_k c + d_k c^2) u_j + e,      j before i, u residuals of a regression on c

by least squares for all entries alike. If it is not better on held-out simulations than the best
model so far, entries of x hardly depend on those before them, or not in the same way along a
series. The same regression of squares tells whether their spread does.
"""

import copy
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lfi.networks import ConditionalFlow
from lfi.networks.conditional_gaussian import standard_normal_log_prob

MAX_NUMBERS = 2 * 10**7  # of a design matrix
RIDGE = 1e-6
CLIP = 4.0  # deviations, of numbers whose squares are compared
GAIN = 0.5  # nats by which an autoregression is better, or squares say that it could be

Coordinates = tuple[Tensor, Tensor, Tensor]  # y (n, size), the condition, and log slopes (n,)


@torch.no_grad()
def serially_dependent(
    flow: ConditionalFlow, train: Coordinates, held_out: Coordinates, best: float
) -> bool:
    """Return whether an autoregression in closed form is better than the best loss of held-out x.

    Coordinates of the simulations are y, (n, size), the condition, (n, condition), and log slopes
    of y in x, (n,). Nothing is changed.
    """
    if flow.neighbours is None:
        return False
    gaussian, before = copy.deepcopy(flow.whitening), flow.neighbours.before
    squares = [_squares(flow, part) for part in (train, held_out)]
    gaussian.reset_networks()
    gaussian.make_independent()
    parts, loss = [], math.inf
    for y, c, log_slope in (train, held_out):
        context = y.new_zeros(len(y), gaussian.mean.in_features)
        u, log_det = gaussian(y, c, context, independent=True)
        loss = -float((standard_normal_log_prob(u) + log_det + log_slope).mean())
        parts.append(u)
    conditions = train[1], held_out[1]
    if loss - _gain(parts, conditions, before) < best - GAIN:
        return True
    explained = 1 - math.exp(-2 * _gain(squares, conditions, before) / flow.size)
    return flow.size * explained / 2 > GAIN  # of log p, where a variance h leaves E[h^2] / 4


def _squares(flow: ConditionalFlow, part: Coordinates) -> Float[Tensor, "n size"]:
    """Return centred squares of what the flow's Gaussian leaves."""
    y, c, _ = part
    embedded = flow.embed(c)
    v, _ = flow.whitening(y, c, embedded[:, c.shape[1] :], independent=bool(flow.independent))
    squares = (v / v.std(0)).clamp(-CLIP, CLIP).square()
    return squares - squares.mean(0)


def _gain(
    parts: list[Tensor], conditions: tuple[Tensor, Tensor], before: Int[Tensor, "size k"]
) -> float:
    """Return by how many nats a simulation held out is likelier by the regression of neighbours.

    Of numbers (n, size) and conditions (n, condition), to fit to and held out.
    """
    d, k = conditions[0].shape[1], before.shape[1]
    most = max(1, MAX_NUMBERS // (len(before) * k * (2 * d + 1)))

    def design(u: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        u, c = u[:most].double(), c[:most].double()
        powers = torch.cat([torch.ones_like(c[:, :1]), c, c.square()], 1)
        seen = F.pad(u, (0, 1))[:, before]
        features = seen[..., None] * powers[:, None, None]
        return features.flatten(2).flatten(0, 1), u.flatten()

    x, u = design(parts[0], conditions[0])
    gram = x.T @ x
    ridge = RIDGE * gram.diagonal().mean().clamp_min(1e-12)
    found = torch.linalg.solve(gram + ridge * torch.eye(len(gram)).to(gram), x.T @ u)
    x, u = design(parts[1], conditions[1])
    left = (u - x @ found).square().mean().clamp_min(1e-30)
    return len(before) / 2 * math.log(float(u.square().mean().clamp_min(1e-30) / left))
