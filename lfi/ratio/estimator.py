"""Estimators as scikit-learn has them, without importing it.

The constructor only keeps its arguments, under their own names; `fit` sets what ends in an
underscore and returns the estimator; `sklearn.base.clone` makes an unfitted copy.

References:
    Buitinck et al., API design for machine learning software, 2013. arXiv:1309.0238
"""

import inspect

UNCHANGED = object()


class Estimator:
    """What follows from the constructor's arguments alone."""

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the arguments of the constructor.

        Args:
            deep: Of no effect: no argument is an estimator.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def change(self, values: tuple[object, ...]) -> None:
        """Set the constructor's arguments, in their order, but those that are UNCHANGED.

        An estimator's `set_params` names its arguments, and calls this.
        """
        for name, value in zip(self.get_params(), values, strict=True):
            if value is not UNCHANGED:
                setattr(self, name, value)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({given})"

    def check_fitted(self, attribute: str, call: str) -> None:
        """Refuse to go on before `fit`.

        Args:
            attribute: What a fit sets.
            call: What to call first.

        Raises:
            sklearn.exceptions.NotFittedError: If the attribute is not there.
        """
        if not hasattr(self, attribute):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"this {type(self).__name__} is not fitted: call {call}")
