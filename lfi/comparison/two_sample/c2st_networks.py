"""Networks as classifiers of C2ST, by default sbibm's (see `c2st`), all folds in one batch.

They do what scikit-learn's `MLPClassifier` does, for every fold at once, from the same random
numbers: starting weights, order of rows in every epoch, Adam, rule for stopping.
Only the arithmetic is single, as it is for sbibm. A fold that has stopped takes no further part.

    sbibm: hidden layers 2 x (10 x dimension), relu   batches of 200, reshuffled in every epoch
    Adam, rate 1e-3; weights pay 1e-4 |w|^2 / 2       stops after more than 10 epochs in a row
                                                      without a loss lower by 1e-4

Reference: Pedregosa et al., Scikit-learn: machine learning in Python, 2011.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
WEIGHT_DECAY = 1e-4
BATCH_SIZE, MAX_EPOCHS = 200, 10_000
LOWER, PATIENCE = 1e-4, 10

Weights = list[Tensor]  # of all layers, (folds, in, out), then their offsets, (folds, 1, out)


@dataclass(frozen=True)
class FoldNetworks:
    """Networks, one for each fold, of some hidden widths; None are sbibm's two."""

    hidden: tuple[int, ...] | None = None
    max_epochs: int = MAX_EPOCHS

    def sizes(self, dim: int) -> tuple[int, ...]:
        """Return the widths from a number of entries to the logit.

        Example:
            >>> FoldNetworks().sizes(3)
            (3, 30, 30, 1)
        """
        return (dim, *((10 * dim, 10 * dim) if self.hidden is None else self.hidden), 1)


def predictions(
    x: np.ndarray,
    label: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
    networks: FoldNetworks = FoldNetworks(),
) -> list[np.ndarray]:
    """Return the predictions for each fold's second rows by the network trained on its first.

    Rows are standardised; the folds' first parts are of one size, or one row fewer. Weights and the
    order of rows start from the same seed in all folds.
    """
    rows, true = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(label).float()[:, None]
    streams = [np.random.RandomState(seed) for _ in folds]
    weights = _start(streams, networks.sizes(x.shape[1]))
    order = [train.copy() for train, _ in folds]
    moments = [[torch.zeros_like(w) for w in weights] for _ in range(2)]
    final: list[Weights] = [[] for _ in folds]
    best, stale = [math.inf] * len(folds), [0] * len(folds)
    going, steps = list(range(len(folds))), 0
    for _ in range(networks.max_epochs):
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
    depth, said = len(weights) // 2, [x]
    for layer, offset in zip(weights[:depth], weights[depth:], strict=True):
        said.append(torch.baddbmm(offset, said[-1], layer))
        if len(said) <= depth:
            said[-1].relu_()
    return said[1:]


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
    *hidden, logit = _forward(weights, x)
    depth = len(weights) // 2
    n = present.sum(1, keepdim=True)
    # gradients by hand: a few layers need no graph, and half of the time goes without one
    ats = [(logit.sigmoid() - true) * present / n]  # of each layer's values
    for layer, part in zip(reversed(weights[1:depth]), reversed(hidden), strict=True):
        ats.insert(0, _of_relu(ats[0] @ layer.transpose(1, 2), part))
    gradients = [part.transpose(1, 2) @ at for part, at in zip((x, *hidden), ats, strict=True)]
    loss = ((torch.nn.functional.softplus(logit) - true * logit) * present).sum((1, 2))
    squares = sum(w.square().sum((1, 2)) for w in weights[:depth])
    for gradient, w in zip(gradients, weights[:depth], strict=True):
        gradient += WEIGHT_DECAY * w / n
    gradients += [at.sum(1, keepdim=True) for at in ats]
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
