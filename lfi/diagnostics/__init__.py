"""Diagnostics: is a posterior calibrated, and does it predict what was observed?"""

from lfi.diagnostics.calibration import Checks, check
from lfi.diagnostics.predictive import PredictiveCheck, predictive_check

__all__ = ["Checks", "PredictiveCheck", "check", "predictive_check"]
