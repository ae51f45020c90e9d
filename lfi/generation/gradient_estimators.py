"""Gradients of expectations, also where what is averaged has no derivative.

Each function returns the mean of `values` as a tensor whose gradient in the parameters psi is an
estimate of that of E_q[f], so that it can be an objective, or a part of one:

    pathwise                f(x(eps, psi)) is differentiated        needs df/dx, varies least
    score_function          (f(x) - b) d log q(x) / d psi           needs log q alone
    pathwise_and_score      the sum of both                         where x depends on psi both ways
    control_variate         score function of f - c, pathwise c     c a learned function of x
    common_random_numbers   (f(psi + s) - f(psi - s)) / 2 s         needs equal seeds on both sides

The baseline b must not depend on the draw that it is subtracted at: the mean over the other draws
(`leave_one_out`), or a network of what was known before the draw, trained on `baseline_risk`.
Draws of an earlier q are used again with `replay_weights`.

Rows are the last dimension of `values`, and leading ones are separate expectations.

References:
    Williams, Simple statistical gradient-following algorithms, 1992 (REINFORCE).
    Schulman, Heess, Weber & Abbeel, Gradient estimation using stochastic computation graphs, 2015.
        arXiv:1506.05254
    Mnih & Rezende, Variational inference for Monte Carlo objectives, 2016. arXiv:1602.06725
    Grathwohl et al., Backpropagation through the void, 2018. arXiv:1711.00123
    Mohamed, Rosca, Figurnov & Mnih, Monte Carlo gradient estimation in machine learning, 2020.
        arXiv:1906.10652
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics import effective_sample_size
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_callable, check_number, check_positives
from lfi.runtime import fresh

Rows = Float[Tensor, "*b n"]
Means = Float[Tensor, "*b"]


@checked
def pathwise(values: Rows, *, weight: Rows | None = None) -> Means:
    """Return the mean of values that are differentiable functions of the parameters.

    Args:
        values: f at each draw x(eps, psi), (*b, n), with their graph.
        weight: Of each draw, with mean 1, as `replay_weights` has them; None for equal ones.

    Raises:
        ValueError: If there are no values, or weights are not one for each.

    Example:
        >>> mean = torch.zeros(1, requires_grad=True)
        >>> draws = mean + torch.randn(100, generator=torch.Generator().manual_seed(0))
        >>> pathwise(3 * draws).backward()
        >>> mean.grad
        tensor([3.])
    """
    _check_rows(values, {"weight": weight})
    return _mean(values, weight)


@checked
def score_function(
    values: Rows, log_prob: Rows, *, baseline: Rows | None = None, weight: Rows | None = None
) -> Means:
    """Return the mean of values whose gradient goes through the draws' log density alone.

    Args:
        values: f at each draw, (*b, n); gradients through them are not taken.
        log_prob: log q of each draw, (*b, n), with its graph, the draws being held fixed.
        baseline: Subtracted from the values, (*b, n), each without knowing its own draw. None for
            the mean of the others; zeros for none.
        weight: Of each draw, with mean 1; None for equal ones. The mean of the others is weighted
            likewise.

    Raises:
        ValueError: If there are no values, shapes differ, or there is one value alone and no
            baseline.

    Example:
        >>> logit = torch.zeros(1, requires_grad=True)
        >>> heads = torch.tensor([1.0, 0.0, 1.0, 0.0])  # a fair coin: df/dlogit is 1/4
        >>> coin = torch.distributions.Bernoulli(logits=logit)
        >>> score_function(heads, coin.log_prob(heads), baseline=0.5 + 0 * heads).backward()
        >>> logit.grad
        tensor([0.2500])
    """
    _check_rows(values, {"log_prob": log_prob, "baseline": baseline, "weight": weight})
    return _mean(values.detach(), weight) + _score(values, log_prob, baseline, weight)


@checked
def pathwise_and_score(
    values: Rows, log_prob: Rows, *, baseline: Rows | None = None, weight: Rows | None = None
) -> Means:
    """Return the mean of values that depend on the parameters directly and through choices.

    For simulators that are differentiable in part: `values` keep the graph of what is, and
    `log_prob` is the log probability of the choices, or branches, that are not.

    Args:
        values: f at each draw, (*b, n), with their graph.
        log_prob: The log probability of each draw's choices, (*b, n), with its graph.
        baseline: As `score_function` takes it.
        weight: Likewise.

    Raises:
        ValueError: As `score_function`.

    Example:
        >>> step = torch.tensor(2.0, requires_grad=True)
        >>> heads = torch.tensor([1.0, 0.0, 1.0, 0.0])
        >>> log_prob = torch.distributions.Bernoulli(logits=step - 2.0).log_prob(heads)
        >>> pathwise_and_score(step * heads, log_prob, baseline=1 + 0 * heads).backward()
        >>> step.grad  # 1/2 directly, 2/4 by the coin
        tensor(1.)
    """
    _check_rows(values, {"log_prob": log_prob, "baseline": baseline, "weight": weight})
    return _mean(values, weight) + _score(values, log_prob, baseline, weight)


@checked
def control_variate(
    values: Rows, log_prob: Rows, predicted: Rows, *, weight: Rows | None = None
) -> Means:
    """Return the mean of values, of which a learned function of the draws takes the pathwise part.

    The score function of what the prediction leaves, whose leave-one-out mean is subtracted too,
    and the prediction's own gradient through the draws: whatever is predicted, the estimate has no
    bias, and the better the prediction, the less it varies.

    Args:
        values: f at each draw, (*b, n).
        log_prob: log q of each draw, (*b, n), as a function of the parameters alone.
        predicted: c at each draw, (*b, n), with the graph of draws that depend on the parameters;
            c itself is trained on `baseline_risk`.
        weight: Of each draw, with mean 1; None for equal ones.

    Raises:
        ValueError: If there is one value alone, or shapes differ.

    Example:
        >>> mean = torch.tensor(1.0, requires_grad=True)
        >>> draws = mean + torch.randn(9, generator=torch.Generator().manual_seed(0))
        >>> log_prob = -(draws.detach() - mean).square() / 2
        >>> control_variate(3 * draws.detach(), log_prob, 3 * draws).backward()  # all predicted
        >>> mean.grad
        tensor(3.0000)
    """
    _check_rows(values, {"log_prob": log_prob, "predicted": predicted, "weight": weight})
    left = values.detach() - predicted.detach()
    path = _mean(predicted - predicted.detach(), weight)
    return _mean(values.detach(), weight) + path + _score(left, log_prob, None, weight)


@checked
def common_random_numbers(
    function: Callable[[Tensor, int], Tensor],
    theta: Float[Tensor, "*b d"],
    *,
    step: float | Tensor = 0.05,
    seed: int | None = None,
) -> Means:
    """Return a simulation's value at theta, with the gradient by differences at equal seeds.

    What both sides of a central difference draw cancels, where a simulator uses as many random
    numbers on either side. Two calls, of d rows for each theta.

    Args:
        function: Of parameters, (m, d), and a seed, to values, (m,): rows may differ in their
            random numbers, and equal seeds give equal ones. An `lfi.Simulator` keeps to this.
        theta: The parameters, (*b, d), that the gradient is of.
        step: Half the difference, one for all parameters or (d,).
        seed: None takes fresh entropy.

    Returns:
        The mean of the 2 d values, (*b,).

    Raises:
        ValueError: If the function does not return one number for each row, there are no
            parameters, or steps are not positive, or neither one nor one for each parameter.

    Example:
        >>> theta = torch.tensor([1.0, -2.0], requires_grad=True)
        >>> noisy = lambda theta, seed: theta.square().sum(1) + torch.randn(
        ...     len(theta), generator=torch.Generator().manual_seed(seed))
        >>> common_random_numbers(noisy, theta, seed=1).backward()
        >>> theta.grad
        tensor([ 2.0000, -4.0000])
    """
    check_callable("function", function, "a function of parameters and a seed")
    check_positives("step", step)
    if theta.ndim == 0 or theta.shape[-1] == 0:
        raise ValueError(f"theta must hold one parameter at least, got shape {tuple(theta.shape)}")
    d, seed = theta.shape[-1], fresh(seed)
    if isinstance(step, Tensor) and step.shape not in ((), (1,), (d,)):
        raise ValueError(f"step must be one number or one for each of {d} parameters, got {step}")
    steps = torch.as_tensor(step, dtype=theta.dtype, device=theta.device).expand(d)
    moves = torch.diag(steps)
    sides = []
    for sign in (1, -1):
        with torch.no_grad():
            at = (theta.detach().unsqueeze(-2) + sign * moves).reshape(-1, d)
            values = function(at, seed)
        if not isinstance(values, Tensor) or values.shape != at.shape[:1]:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(f"function must return {len(at)} values, one a row; got {got}")
        sides.append(values.reshape(theta.shape).to(theta))
    slope = (sides[0] - sides[1]) / (2 * steps)
    return ((sides[0] + sides[1]) / 2).mean(-1) + (slope * (theta - theta.detach())).sum(-1)


@checked
def leave_one_out(values: Rows, *, weight: Rows | None = None) -> Rows:
    """Return the baseline of each draw: the mean of the values at all others.

    Args:
        values: f at each draw, (*b, n), n at least 2.
        weight: Of each draw; None for equal ones.

    Raises:
        ValueError: If there is one value alone.

    Example:
        >>> leave_one_out(torch.tensor([1.0, 2.0, 6.0]))
        tensor([4.0000, 3.5000, 1.5000])
    """
    _check_rows(values, {"weight": weight})
    if values.shape[-1] < 2:
        raise ValueError("values: leaving one out needs at least two; give a baseline")
    values = values.detach()
    share = torch.ones_like(values) if weight is None else weight.detach()
    total, rest = (share * values).sum(-1, keepdim=True), share.sum(-1, keepdim=True) - share
    others = total - share * values
    return torch.where(rest > 0, others / torch.where(rest > 0, rest, 1.0), values)


@checked
def baseline_risk(predicted: Rows, values: Rows, *, weight: Rows | None = None) -> Means:
    """Return what a learned baseline minimises: its mean squared distance from the values.

    Args:
        predicted: The baseline at each draw, (*b, n), with its graph.
        values: f there; gradients through them are not taken.
        weight: Of each draw, with mean 1; None for equal ones.

    Example:
        >>> baseline_risk(torch.zeros(2), torch.tensor([1.0, 3.0]))
        tensor(5.)
    """
    _check_rows(values, {"predicted": predicted, "weight": weight})
    return _mean((predicted - values.detach()).square(), weight)


@dataclass(frozen=True, eq=False)
class ReplayWeights:
    """How much past draws count, as if they were draws of q now.

    Attributes:
        weight: With mean 1, (*b, n), without gradients.
        effective: How many draws of q now they are worth, (*b,), between 1 and n.
    """

    weight: Rows
    effective: Means


@checked
def replay_weights(log_prob: Rows, log_prob_then: Rows, *, clip: float = math.inf) -> ReplayWeights:
    """Return importance weights of past draws, self-normalised: q now over q when they were drawn.

    With `score_function` they estimate a gradient whose bias falls with the effective number.

    Args:
        log_prob: log q of each draw now, (*b, n).
        log_prob_then: Of the q that it was drawn from.
        clip: The largest ratio that counts; smaller ones vary less, and draw the estimate towards
            the q of the time.

    Raises:
        ValueError: If shapes differ, `clip` is not positive, or all weights of a row are zero.

    Example:
        >>> replay_weights(torch.tensor([0.0, 0.0, -50.0, -50.0]), torch.zeros(4))
        ReplayWeights(weight=tensor([2.0000e+00, 2.0000e+00, ...]), effective=tensor(2.))
    """
    check_number("clip", clip, above=0, maximum=math.inf)
    _check_rows(log_prob, {"log_prob_then": log_prob_then})
    ratio = (log_prob - log_prob_then).detach().clamp(max=math.log(clip))
    if (ratio == -math.inf).all(-1).any() or ratio.isnan().any():
        raise ValueError("log_prob: past draws must have a density now, got none or NaN")
    return ReplayWeights(ratio.softmax(-1) * ratio.shape[-1], effective_sample_size(ratio))


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return (values if weight is None else weight.detach() * values).mean(-1)


def _score(
    values: Tensor, log_prob: Tensor, baseline: Tensor | None, weight: Tensor | None
) -> Tensor:
    """Return zero, whose gradient is that of the score function."""
    if baseline is None:
        baseline = leave_one_out(values, weight=weight)
    advantage = (values - baseline).detach()
    return _mean(advantage * (log_prob - log_prob.detach()), weight)


def _check_rows(values: Tensor, others: Mapping[str, Tensor | None]) -> None:
    """Check that there are values, and that what is given beside them has their shape."""
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"values must hold one at least, got shape {tuple(values.shape)}")
    for name, other in others.items():
        if other is not None and other.shape != values.shape:
            raise ValueError(
                f"{name} has shape {tuple(other.shape)}, expected {tuple(values.shape)}, one for "
                "each value"
            )
