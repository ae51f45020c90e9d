"""Diagnostics: calibration, local tests, predictive checks and misspecification."""

from lfi.diagnostics.calibration import Checks as Checks, check as check
from lfi.diagnostics.local import LocalChecks as LocalChecks, local_check as local_check
from lfi.diagnostics.misspecification import (
    Misspecified as Misspecified,
    ObservationChecks as ObservationChecks,
    check_observation as check_observation,
)
from lfi.diagnostics.predictive import (
    PredictiveCheck as PredictiveCheck,
    PredictiveQuantity as PredictiveQuantity,
    predictive_check as predictive_check,
    predictive_checks as predictive_checks,
)
