"""Classifiers of scikit-learn: seeded copies, and training without warnings."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class SklearnClassifier(Protocol):
    """A classifier of scikit-learn."""

    get_params: Callable[..., dict[str, object]]
    set_params: Callable[..., object]
    fit: Callable[..., object]
    predict: Callable[..., np.ndarray]


def seeded_copy(classifier: object, state: int) -> SklearnClassifier:
    """Return an untrained copy, with `state` for every random_state that is None.

    TypeError if it is not a classifier of scikit-learn.
    """
    from sklearn.base import BaseEstimator, clone, is_classifier

    if not isinstance(classifier, BaseEstimator) or not is_classifier(classifier):
        raise TypeError(
            "classifier must be a classifier of scikit-learn, such as LogisticRegression(), got "
            f"{classifier!r}"
        )
    copy = clone(classifier)
    assert isinstance(copy, SklearnClassifier)  # as all of its classifiers are
    unseeded = {
        name: state
        for name, value in copy.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    copy.set_params(**unseeded)
    return copy


@contextmanager
def without_convergence_warnings() -> Iterator[None]:
    """Train without a warning where training ends early: when to stop is the caller's."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
