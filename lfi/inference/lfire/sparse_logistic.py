"""L1-penalised logistic regression, J problems at a time, by batched matrix products.

Problem j has rows (s_ji, y_ji, a_ji) of features, labels in {0, 1} and weights, and minimises

    F_j(b, beta) = sum_i a_ji [softplus(h_ji) - y_ji h_ji] + lambda_j |beta|_1,   h = b + s . beta,

which sets the slopes of useless features to zero exactly. Proximal Newton: coordinate descent
minimises the penalised quadratic model of the smooth part, and the step is halved until F falls.
Cross-validated log-loss chooses from a path of penalties, warm started, from the one at which every
slope is zero downwards.

References:
    Friedman, Hastie & Tibshirani, Regularization paths for generalized linear models, 2010.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

NEWTON_STEPS = 50
SWEEPS = 30  # of coordinate descent, at most, in one Newton step
MIN_CHANGE = 0.02  # a sweep that changes this share of what the first did ends the step
HALVINGS = 20
CURVATURE = 1e-9  # added to the diagonal of the quadratic model


@dataclass(frozen=True, eq=False)
class Problems:
    """J classification problems: features s of about unit size, labels y, and row weights a."""

    s: Float[Tensor, "J n k"]
    y: Float[Tensor, "J n"]
    a: Float[Tensor, "J n"]

    def select(self, which: Tensor) -> "Problems":
        """Return some of the problems."""
        return Problems(self.s[which], self.y[which], self.a[which])

    def without(self, held: Bool[Tensor, "J n"]) -> "Problems":
        """Return the problems without some rows."""
        a = self.a.masked_fill(held, 0.0)
        return Problems(self.s, self.y, a / a.sum(dim=1, keepdim=True))

    def loss(self, b: Float[Tensor, " J"], beta: Float[Tensor, "J k"]) -> Float[Tensor, " J"]:
        """Return the weighted log-loss."""
        h = b[:, None] + (self.s @ beta[:, :, None])[:, :, 0]
        return (self.a * (softplus(h) - self.y * h)).sum(dim=1)

    def first_penalty(self) -> Float[Tensor, " J"]:
        """Return the smallest penalty at which every slope is zero."""
        share = (self.a * self.y).sum(dim=1, keepdim=True)
        pull = ((self.a * (share - self.y))[:, None, :] @ self.s)[:, 0]
        return pull.abs().amax(dim=1)


def solve(
    problems: Problems,
    penalty: Float[Tensor, " J"],
    start: tuple[Float[Tensor, " J"], Float[Tensor, "J k"]] | None = None,
    tolerance: float = 1e-6,
) -> tuple[Float[Tensor, " J"], Float[Tensor, "J k"]]:
    """Return intercepts and slopes of all problems, at a penalty of each.

    A problem is solved when no coefficient changes by more than the tolerance, relative to one plus
    the largest. None starts at slopes of zero.
    """
    j, _, k = problems.s.shape
    if start is None:
        share = (problems.a * problems.y).sum(dim=1)
        start = share.logit(), problems.s.new_zeros(j, k)
    b, beta = start[0].clone(), start[1].clone()
    open_, live = torch.arange(j, device=b.device), problems
    for _ in range(NEWTON_STEPS):
        new_b, new_beta = _step(live, b[open_], beta[open_], penalty[open_], tolerance)
        moved = torch.maximum((new_b - b[open_]).abs(), (new_beta - beta[open_]).abs().amax(dim=1))
        b[open_], beta[open_] = new_b, new_beta
        going = moved > tolerance * (1 + beta[open_].abs().amax(dim=1))
        if not going.any():
            break
        if going.sum() < 0.7 * len(open_):  # the others are solved
            open_, live = open_[going], live.select(going)
    return b, beta


def path(
    problems: Problems, points: int, min_penalty: float
) -> tuple[Float[Tensor, "points J"], Float[Tensor, "points J"], Float[Tensor, "points J k"]]:
    """Return penalties from the first down to `min_penalty` of it, and the solutions at each."""
    grid = torch.logspace(0, 1, points, base=min_penalty, dtype=problems.s.dtype)
    penalties = grid[:, None].to(problems.s) * problems.first_penalty()
    found: list[tuple[Tensor, Tensor]] = []
    for penalty in penalties:
        found.append(solve(problems, penalty, found[-1] if found else None, tolerance=1e-3))
    b, beta = zip(*found, strict=True)
    return penalties, torch.stack(b), torch.stack(beta)


def fit_sparse(
    problems: Problems,
    fold: Int[Tensor, " n"],
    *,
    points: int = 15,
    min_penalty: float = 1e-3,
) -> tuple[Float[Tensor, " J"], Float[Tensor, "J k"], Float[Tensor, " J"]]:
    """Return intercepts, slopes and the penalties that cross-validation chose.

    Of `points` penalties, evenly spaced in their logarithm, the last is `min_penalty` of the first.
    """
    risk = problems.s.new_zeros(points, len(problems.s))
    for f in range(int(fold.max()) + 1):
        held = (fold == f).expand_as(problems.y)
        rest, tests = problems.without(held), problems.without(~held)
        _, b, beta = path(rest, points, min_penalty)
        risk += torch.stack([tests.loss(*pair) for pair in zip(b, beta, strict=True)])
    penalties, b, beta = path(problems, points, min_penalty)
    best, every = risk.argmin(dim=0), torch.arange(len(problems.s))
    penalty = penalties[best, every]
    b, beta = solve(problems, penalty, (b[best, every], beta[best, every]))
    return b, beta, penalty


def _step(
    problems: Problems, b: Tensor, beta: Tensor, penalty: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Return where a proximal Newton step leads, from b and beta."""
    h = b[:, None] + (problems.s @ beta[:, :, None])[:, :, 0]
    p = torch.sigmoid(h)
    error, curve = problems.a * (p - problems.y), problems.a * p * (1 - p)
    gradient = torch.cat([error.sum(dim=1, keepdim=True), (error[:, None] @ problems.s)[:, 0]], 1)
    curved = curve[:, :, None] * problems.s
    cross = curved.sum(dim=1)[:, None]
    top = torch.cat([curve.sum(dim=1)[:, None, None], cross], dim=2)
    hessian = torch.cat([top, torch.cat([cross.mT, problems.s.mT @ curved], dim=2)], dim=1)
    at = torch.cat([b[:, None], beta], dim=1)
    step = _descend(hessian, gradient, at, penalty, tolerance / 10) - at
    before = problems.loss(b, beta) + penalty * beta.abs().sum(dim=1)
    size = torch.ones_like(b)
    tolerance_of_loss = 1e-7 * before.abs()  # of rounding
    for _ in range(HALVINGS):
        new = at + size[:, None] * step
        after = problems.loss(new[:, 0], new[:, 1:]) + penalty * new[:, 1:].abs().sum(dim=1)
        worse = ~(after <= before + tolerance_of_loss)
        if not worse.any():
            break
        size = torch.where(worse, size / 2, size)
    return new[:, 0], new[:, 1:]


def _descend(
    hessian: Float[Tensor, "J c c"],
    gradient: Float[Tensor, "J c"],
    at: Float[Tensor, "J c"],
    penalty: Float[Tensor, " J"],
    tolerance: float,
) -> Float[Tensor, "J c"]:
    """Return the minimum of the penalised quadratic model; coordinate 0 is not penalised."""
    position = at.T.clone()  # a coordinate of all problems lies together
    diagonal = hessian.diagonal(dim1=1, dim2=2).T + CURVATURE
    columns = hessian.permute(2, 1, 0).contiguous()  # (c, c, J)
    slope = gradient.T.clone()  # of the model, at the position
    first = None
    for _ in range(SWEEPS):
        largest = position.new_zeros(())
        for i in range(len(position)):
            old = position[i]
            aim = old - slope[i] / diagonal[i]
            if i > 0:
                aim = aim.sign() * (aim.abs() - penalty / diagonal[i]).clamp(min=0)
            change = aim - old
            position[i] = aim
            slope += columns[i] * change
            largest = torch.maximum(largest, change.abs().max())
        first = largest if first is None else first
        if largest <= max(tolerance, MIN_CHANGE * float(first)):
            break
    return position.T
