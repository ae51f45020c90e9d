"""Two-sample tests: kernels, energy, density difference, classifiers."""

from lfi.comparison.two_sample.c2st import (
    C2ST,
    c2st,
)
from lfi.comparison.two_sample.kernel_tests import (
    energy_test,
    mmd_test,
)
from lfi.comparison.two_sample.lsdd_test import (
    lsdd_test,
)
from lfi.comparison.two_sample.permutation import (
    TwoSampleTest,
)

__all__ = [
    "C2ST",
    "TwoSampleTest",
    "c2st",
    "energy_test",
    "lsdd_test",
    "mmd_test",
]
