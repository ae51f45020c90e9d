"""Classifiers of scikit-learn: seeded copies, and training without warnings."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def seeded_copy(classifier: object, state: int) -> object:
    """Return an untrained copy, with `state` for every random_state that is None.

    Raises:
        TypeError: If it is not a classifier of scikit-learn.
    """
    from sklearn.base import BaseEstimator, clone, is_classifier

    if not isinstance(classifier, BaseEstimator) or not is_classifier(classifier):
        raise TypeError(
            "classifier must be a classifier of scikit-learn, such as LogisticRegression(), got "
            f"{classifier!r}"
        )
    copy = clone(classifier)
    unseeded = {
        name: state
        for name, value in copy.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return copy.set_params(**unseeded)


@contextmanager
def without_convergence_warnings() -> Iterator[None]:
    """Train without a warning where training ends early: when to stop is the caller's."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
