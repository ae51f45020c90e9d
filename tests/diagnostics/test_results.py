"""Results of checks: their first line is the verdict, on a terminal and in a notebook."""

import pytest
from support import report_parts as parts


@pytest.mark.parametrize(
    "result, verdict",
    [
        (parts.checks(), "posterior consistent with calibration"),
        (parts.local(m=2), "posterior consistent with held-out simulations at 2 observations"),
        (parts.local(ess=3.0), "posterior at 3 observations not assessed: too few effective"),
        (parts.observation(), "observation consistent with the simulations"),
        (parts.observation(m=3, failed=[1]), "1 of 3 observations unlike the simulations"),
        (parts.predictive(), "observation consistent with posterior predictions"),
        (parts.predictive(p_value=0.001), "observation inconsistent with posterior predictions"),
    ],
)
def test_the_verdict_comes_first_and_all_fits_on_a_screen(result, verdict):
    assert result.verdict.startswith(verdict)
    assert repr(result).split() == result.describe().split()  # but for long lines, wrapped
    assert result.describe().startswith(result.verdict)
    assert len(repr(result).splitlines()) <= 25
    html = result._repr_html_()
    assert html.startswith(f"<p>{result.verdict}") and "<table>" in html


def test_the_p_value_of_all_tests_is_corrected_for_their_number():
    checks = parts.checks()
    assert checks.p_value == min(1.0, 6 * min(checks.p_values.values()))
