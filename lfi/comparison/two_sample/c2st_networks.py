"""The default classifier of C2ST, that of sbibm (see `c2st`), all folds in one batched computation.

It does what scikit-learn's `MLPClassifier` does with sbibm's settings, for every fold at once, from
the same random numbers: starting weights, order of rows in every epoch, Adam, rule for stopping.
Only the arithmetic is single, as it is for sbibm. A fold that has stopped takes no further part.

    hidden layers 2 x (10 x dimension), relu          batches of 200, reshuffled in every epoch
    Adam, rate 1e-3; weights pay 1e-4 |w|^2 / 2       stops after more than 10 epochs in a row
                                                      without a loss lower by 1e-4

Reference: Pedregosa et al., Scikit-learn: machine learning in Python, 2011.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
WEIGHT_DECAY = 1e-4
BATCH_SIZE, MAX_EPOCHS = 200, 10_000
LOWER, PATIENCE = 1e-4, 10

Weights = list[Tensor]  # of three layers, (folds, in, out), then their offsets, (folds, 1, out)


def predictions(
    x: np.ndarray,
    label: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
    *,
    max_epochs: int = MAX_EPOCHS,
) -> list[np.ndarray]:
    """Return the predictions for each fold's second rows by the network trained on its first.

    Rows are standardised; the folds' first parts are of one size, or one row fewer. Weights and the
    order of rows start from the same seed in all folds.
    """
    rows, true = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(label).float()[:, None]
    streams = [np.random.RandomState(seed) for _ in folds]
    dim = x.shape[1]
    weights = _start(streams, (dim, 10 * dim, 10 * dim, 1))
    order = [train.copy() for train, _ in folds]
    moments = [[torch.zeros_like(w) for w in weights] for _ in range(2)]
    final: list[Weights] = [[] for _ in folds]
    best, stale = [math.inf] * len(folds), [0] * len(folds)
    going, steps = list(range(len(folds))), 0
    for _ in range(max_epochs):
        for fold in going:
            order[fold] = _shuffled(order[fold], streams[fold])
        # a row fewer in some folds: one that is there stands in for it, and weighs nothing
        length = max(len(order[fold]) for fold in going)
        index = torch.from_numpy(np.stack([np.resize(order[fold], length) for fold in going]))
        counts = torch.tensor([len(order[fold]) for fold in going])[:, None, None]
        lost = torch.zeros(len(going), dtype=torch.float64)
        for start in range(0, length, BATCH_SIZE):
            batch = index[:, start : start + BATCH_SIZE]
            place = torch.arange(start, start + batch.shape[1])[None, :, None]
            present = (place < counts).float()
            steps += 1
            lost += _step(weights, moments, rows[batch], true[batch], present, steps)
        losses = (lost / counts.flatten()).tolist()
        stopped = []
        for place, (fold, loss) in enumerate(zip(going, losses, strict=True)):
            stale[fold] = stale[fold] + 1 if loss > best[fold] - LOWER else 0
            best[fold] = min(best[fold], loss)
            if stale[fold] > PATIENCE:
                final[fold] = [w[place].clone() for w in weights]
                stopped.append(place)
        if stopped:
            keep = [place for place in range(len(going)) if place not in stopped]
            going = [going[place] for place in keep]
            weights = [w[keep] for w in weights]
            moments = [[m[keep] for m in kind] for kind in moments]
        if not going:
            break
    for place, fold in enumerate(going):
        final[fold] = [w[place].clone() for w in weights]
    return [
        (_forward([w[None] for w in final[i]], rows[test][None])[-1].flatten() > 0).numpy()
        for i, (_, test) in enumerate(folds)
    ]


def _start(streams: list[np.random.RandomState], sizes: Sequence[int]) -> Weights:
    """Return the first weights of every fold, uniform as Glorot has them for relu."""
    layers, offsets = [], []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        drawn = [
            [stream.uniform(-bound, bound, shape) for shape in ((fan_in, fan_out), (1, fan_out))]
            for stream in streams
        ]
        layers.append(torch.from_numpy(np.stack([w for w, _ in drawn])).float())
        offsets.append(torch.from_numpy(np.stack([b for _, b in drawn])).float())
    return [*layers, *offsets]


def _shuffled(order: np.ndarray, stream: np.random.RandomState) -> np.ndarray:
    """Return the rows in another order, from the numbers that scikit-learn draws for one."""
    places = np.arange(len(order))
    stream.shuffle(places)
    return order[places]


def _forward(weights: Weights, x: Float[Tensor, "folds n d"]) -> list[Tensor]:
    """Return what each layer says, the last one in logits."""
    first = torch.baddbmm(weights[3], x, weights[0]).relu_()
    second = torch.baddbmm(weights[4], first, weights[1]).relu_()
    return [first, second, torch.baddbmm(weights[5], second, weights[2])]


_of_relu = partial(torch.ops.aten.threshold_backward, threshold=0)  # six times a product's speed


def _step(
    weights: Weights,
    moments: list[Weights],
    x: Float[Tensor, "folds n d"],
    true: Float[Tensor, "folds n 1"],
    present: Float[Tensor, "folds n 1"],
    steps: int,
) -> Float[Tensor, " folds"]:
    """Move the weights, in place, and return each fold's loss before, times its rows."""
    first, second, logit = _forward(weights, x)
    n = present.sum(1, keepdim=True)
    # gradients by hand: three layers need no graph, and half of the time goes without one
    at_third = (logit.sigmoid() - true) * present / n
    at_second = _of_relu(at_third @ weights[2].transpose(1, 2), second)
    at_first = _of_relu(at_second @ weights[1].transpose(1, 2), first)
    gradients = [
        part.transpose(1, 2) @ at
        for part, at in zip((x, first, second), (at_first, at_second, at_third), strict=True)
    ]
    loss = ((torch.nn.functional.softplus(logit) - true * logit) * present).sum((1, 2))
    squares = sum(w.square().sum((1, 2)) for w in weights[:3])
    for gradient, w in zip(gradients, weights[:3], strict=True):
        gradient += WEIGHT_DECAY * w / n
    gradients += [at.sum(1, keepdim=True) for at in (at_first, at_second, at_third)]
    aten = torch.ops.aten
    mean, square = moments
    aten._foreach_lerp_.Scalar(mean, gradients, 1 - BETAS[0])
    aten._foreach_mul_.Scalar(square, BETAS[1])
    aten._foreach_addcmul_.Scalar(square, gradients, gradients, 1 - BETAS[1])
    down = aten._foreach_sqrt.default(square)
    aten._foreach_add_.Scalar(down, EPSILON)
    rate = RATE * math.sqrt(1 - BETAS[1] ** steps) / (1 - BETAS[0] ** steps)
    aten._foreach_addcdiv_.Scalar(weights, mean, down, -rate)
    return loss + WEIGHT_DECAY / 2 * squares
