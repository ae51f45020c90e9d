"""sbibm's classifier side by side: scikit-learn's own, from the same random numbers."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

from lfi.comparison.two_sample.c2st_networks import FoldNetworks, predictions

SEED = 3


def task(n, dim, shift):
    """Return rows of two samples, their labels, and five folds."""
    rng = np.random.default_rng(dim)
    x = np.concatenate([rng.normal(size=(n, dim)), rng.normal(shift, 1.2, (n, dim))])
    return x, np.arange(2 * n) >= n, list(KFold(5, shuffle=True, random_state=SEED).split(x))


def by_scikit_learn(x, label, folds, **settings):
    """Return the predictions of its network, in single precision, one fold after the other."""
    x, size = x.astype(np.float32), 10 * x.shape[1]
    settings = {"hidden_layer_sizes": (size, size), **settings}
    for train, test in folds:
        network = MLPClassifier(random_state=SEED, **settings)
        yield network.fit(x[train], label[train]).predict(x[test])


@pytest.mark.parametrize(
    "n, dim, hidden", [(30, 1, None), (203, 2, None), (301, 3, None), (203, 2, (16,))]
)  # folds alike, and not
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_few_epochs_are_those_of_scikit_learn(n, dim, hidden):
    """Rounding aside: no more than one row in a hundred lies so close to the border."""
    x, label, folds = task(n, dim, 0.5)
    ours = predictions(x, label, folds, SEED, FoldNetworks(hidden, max_epochs=20))
    given = {} if hidden is None else {"hidden_layer_sizes": hidden}
    theirs = by_scikit_learn(x, label, folds, max_iter=20, **given)
    for own, other in zip(ours, theirs, strict=True):
        assert (own == other).mean() >= 0.99


def test_training_stops_where_scikit_learns_does():
    """Over hundreds of epochs rounding grows; a network stopped elsewhere differs by far more."""
    x, label, folds = task(150, 2, 0.5)
    ours = predictions(x, label, folds, SEED)
    theirs = list(by_scikit_learn(x, label, folds, max_iter=10_000))
    assert np.mean([(a == b).mean() for a, b in zip(ours, theirs, strict=True)]) > 0.97
    short = predictions(x, label, folds, SEED, FoldNetworks(max_epochs=10))
    assert np.mean([(a == b).mean() for a, b in zip(short, theirs, strict=True)]) < 0.97


def test_folds_do_not_depend_on_each_other():
    x, label, folds = task(100, 2, 0.5)
    together = predictions(x, label, folds, SEED, FoldNetworks(max_epochs=30))
    alone = predictions(x, label, folds[2:3], SEED, FoldNetworks(max_epochs=30))[0]
    assert (together[2] == alone).mean() >= 0.97  # one row of 40, by rounding


def test_the_global_state_and_the_default_dtype_do_not_matter():
    x, label, folds = task(40, 2, 0.5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = predictions(x, label, folds, SEED, FoldNetworks(max_epochs=5))
    torch.set_default_dtype(torch.float32)
    again = predictions(x, label, folds, SEED, FoldNetworks(max_epochs=5))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
