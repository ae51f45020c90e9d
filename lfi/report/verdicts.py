"""Verdicts: whether a result can be relied on, in words.

By published rules of thumb, importance weights are reliable while Pareto's k-hat is below 0.7,
chains agree while R-hat is below 1.01, and 400 effective draws fix a mean to a twentieth of an sd.

References:
    Vehtari et al., Pareto Smoothed Importance Sampling, JMLR 2024. arXiv:1507.02646
    Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat, Bayesian
        Analysis 2021. arXiv:1903.08008
"""

import math
from dataclasses import dataclass

from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws

MAX_KHAT, HOPELESS_KHAT = 0.7, 1.0
MAX_R_HAT = 1.01
MIN_ESS = 400
CLOSE_C2ST, FAR_C2ST = 0.6, 0.75


@dataclass(frozen=True)
class Verdict:
    """What a number means: good, a problem (False), or a fact that is neither (None)."""

    good: bool | None
    text: str


NEUTRAL = Verdict(None, "")


def overall_verdict(*verdicts: Verdict | None) -> Verdict:
    """Return the verdict over several results: the problems, or what was found good."""
    given = [verdict for verdict in verdicts if verdict is not None]
    problems = [verdict.text for verdict in given if verdict.good is False]
    if problems:
        return Verdict(False, f"Needs attention: {'; '.join(problems)}.")
    passed = [verdict.text for verdict in given if verdict.good]
    if passed:
        return Verdict(True, f"No problem found: {'; '.join(passed)}.")
    return Verdict(None, "Nothing was checked.")


def draws_verdict(draws: Draws) -> Verdict:
    """Return whether posterior draws are reliable, with every problem named."""
    problems = [f"{n} {value}: {v.text}" for n, value, v in checked_draws(draws) if v.good is False]
    return Verdict(not problems, "; ".join(problems) or "posterior draws reliable")


def checked_draws(draws: Draws) -> list[tuple[str, str, Verdict]]:
    """Return the name, the value and the verdict of each diagnostic that the draws have."""
    checked = [
        ("effective sample size", f"{draws.ess:,.0f}", ess_verdict(draws.ess)),
        ("unique draws", f"{draws.unique:,}", unique_verdict(draws.unique, len(draws.theta))),
    ]
    if draws.khat is not None:
        verdict = khat_verdict(draws.khat, chains=draws.r_hat is not None)
        checked.append(("Pareto k-hat", f"{draws.khat:.2f}", verdict))
    if draws.r_hat is not None:
        worst = float(draws.r_hat.max())
        checked.append(("largest R-hat", f"{worst:.3f}", r_hat_verdict(worst)))
    return checked


def ess_verdict(ess: float) -> Verdict:
    """Return whether the effective sample size is large enough."""
    error = f"means are known to {1 / math.sqrt(max(ess, 1.0)):.1%} of an sd"
    if ess >= MIN_ESS:
        return Verdict(True, f"enough: {error}")
    return Verdict(False, f"small ({MIN_ESS} are recommended), {error}")


def unique_verdict(unique: int, n: int) -> Verdict:
    """Return whether the draws repeat each other."""
    if unique >= 0.9 * n:
        return Verdict(True, "hardly a draw is repeated")
    repeated = f"{1 - unique / n:.0%} of the draws repeat another"
    if unique >= 0.5 * n:
        return Verdict(None, repeated)
    return Verdict(False, f"{repeated}: take fewer draws")


def khat_verdict(khat: float, *, chains: bool) -> Verdict:
    """Return whether the importance weights are reliable, or were replaced by chains."""
    if khat < MAX_KHAT:
        return Verdict(True, f"good: below {MAX_KHAT}, the importance weights are reliable")
    if chains:
        return Verdict(None, f"above {MAX_KHAT}, so chains replaced the importance weights")
    if khat < HOPELESS_KHAT:
        return Verdict(False, f"above {MAX_KHAT}: a few draws dominate, more rounds would help")
    return Verdict(False, "above 1: the importance weights are unreliable")


def r_hat_verdict(worst: float) -> Verdict:
    """Return whether the chains agree with each other."""
    if worst < MAX_R_HAT:
        return Verdict(True, f"good: below {MAX_R_HAT}, the chains agree")
    return Verdict(False, f"above {MAX_R_HAT}: the chains have not converged")


def c2st_verdict(statistic: float) -> Verdict:
    """Return how well a classifier tells two samples apart."""
    if statistic <= CLOSE_C2ST:
        return Verdict(True, "nearly indistinguishable")
    if statistic <= FAR_C2ST:
        return Verdict(None, "close, with visible differences")
    return Verdict(False, "clearly distinguishable")


def surrogate_verdict(fidelity: Fidelity) -> Verdict:
    """Return how well a classifier tells a surrogate from its simulator."""
    verdict = c2st_verdict(fidelity.mean)
    return Verdict(verdict.good, f"surrogate and simulator {verdict.text}")


def surrogate_finding(fidelity: Fidelity) -> str:
    """Return the verdict on a surrogate and the accuracy that it rests on."""
    return (
        f"{surrogate_verdict(fidelity).text}: classifier accuracy {fidelity.mean:.3f} on average "
        f"over {len(fidelity.theta)} parameter vectors (0.5 is chance)"
    )
