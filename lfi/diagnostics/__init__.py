"""Diagnostics: is a posterior right, does it predict, and can it know of what was observed?"""

from lfi.diagnostics.calibration import (
    Checks,
    check,
)
from lfi.diagnostics.local import (
    LocalChecks,
    local_check,
)
from lfi.diagnostics.misspecification import (
    Misspecified,
    ObservationChecks,
    check_observation,
)
from lfi.diagnostics.predictive import (
    PredictiveCheck,
    Quantity,
    predictive_check,
    predictive_checks,
)

__all__ = [
    "Checks",
    "LocalChecks",
    "Misspecified",
    "ObservationChecks",
    "PredictiveCheck",
    "Quantity",
    "check",
    "check_observation",
    "local_check",
    "predictive_check",
    "predictive_checks",
]
