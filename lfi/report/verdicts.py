"""Verdicts on draws and surrogates, and the one over all that a report shows.

The terminal, `summary.json` and the page say what `assess` says. By published rules of thumb, 400
effective draws fix a mean to a twentieth of an sd; the limits of Pareto's k-hat and of R-hat are
those at which draws warn (`lfi.inference.reliability`).

References:
    Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat, Bayesian
        Analysis 2021. arXiv:1903.08008
"""

import math
from dataclasses import dataclass

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.diagnostics.verdict import Grade, Verdict, overall_verdict
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws
from lfi.inference.reliability import (
    LENGTHEN_CHAINS,
    MAX_KHAT,
    MAX_R_HAT,
    REPLACE_WEIGHTS,
    unreliable_chains,
    unreliable_weights,
    worst_r_hat,
)

MIN_ESS = 400
CLOSE_C2ST, FAR_C2ST = 0.6, 0.75
NEUTRAL = Verdict(None, "")


@dataclass(frozen=True)
class Assessment:
    """The verdicts of several results by name, and one over all of them."""

    parts: dict[str, Verdict]

    @property
    def overall(self) -> Verdict:
        """The verdict over all."""
        return overall_verdict(*self.parts.values())

    def describe(self) -> str:
        """Return each verdict, the one over all, and what to do, in lines."""
        width = max((len(name) for name in self.parts), default=0)
        lines = []
        for name, each in self.parts.items():
            state = "noted" if each.state is None else each.state.value
            lines.append(f"{name:<{width}}  {state:<12}  {each.text}")
        lines += ["", self.overall.text]
        if self.overall.advice:
            lines.append(f"What to do: {self.overall.advice}.")
        return "\n".join(lines)


def assess(
    *,
    draws: Draws | None = None,
    observation: ObservationChecks | None = None,
    predictive: PredictiveCheck | None = None,
    checks: Checks | None = None,
    local: LocalChecks | None = None,
    fidelity: Fidelity | None = None,
) -> Assessment:
    """Return the verdict on each result there is, and over all of them."""
    parts = {} if draws is None else {"draws": draws_verdict(draws)}
    judged = {
        "observation": observation,
        "predictive": predictive,
        "calibration": checks,
        "local": local,
    }
    parts |= {name: result.judgement for name, result in judged.items() if result is not None}
    if fidelity is not None:
        parts["surrogate"] = surrogate_verdict(fidelity)
    return Assessment(parts)


def draws_verdict(draws: Draws) -> Verdict:
    """Return whether posterior draws are reliable, with every problem named."""
    problems = [each for each in checked_draws(draws) if each[2].state is Grade.PROBLEM]
    if not problems:
        return Verdict(Grade.GOOD, "posterior draws reliable")
    text = "; ".join(f"{name} {value}: {verdict.text}" for name, value, verdict in problems)
    advice = dict.fromkeys(verdict.advice for *_, verdict in problems if verdict.advice)
    return Verdict(Grade.PROBLEM, text, "; ".join(advice))


def checked_draws(draws: Draws) -> list[tuple[str, str, Verdict]]:
    """Return the name, the value and the verdict of each diagnostic that the draws have."""
    checked = [
        ("effective sample size", f"{draws.ess:,.0f}", ess_verdict(draws.ess)),
        ("unique draws", f"{draws.unique:,}", unique_verdict(draws.unique, len(draws.theta))),
    ]
    if draws.khat is not None:
        checked.append(("Pareto k-hat", f"{draws.khat:.2f}", weights_verdict(draws)))
    if draws.r_hat is not None:
        checked.append(("largest R-hat", f"{worst_r_hat(draws)[1]:.3f}", chains_verdict(draws)))
    return checked


def ess_verdict(ess: float) -> Verdict:
    """Return whether the effective sample size is large enough."""
    error = f"means are known to {1 / math.sqrt(max(ess, 1.0)):.1%} of an sd"
    if ess >= MIN_ESS:
        return Verdict(Grade.GOOD, f"enough: {error}")
    few = f"small ({MIN_ESS} are recommended), {error}"
    return Verdict(Grade.PROBLEM, few, "take more draws")


def unique_verdict(unique: int, n: int) -> Verdict:
    """Return whether the draws repeat each other."""
    if unique >= 0.9 * n:
        return Verdict(Grade.GOOD, "hardly a draw is repeated")
    repeated = f"{1 - unique / n:.0%} of the draws repeat another"
    if unique >= 0.5 * n:
        return Verdict(None, repeated)
    return Verdict(Grade.PROBLEM, repeated, "take a sampler with chains, or fewer draws")


def weights_verdict(draws: Draws) -> Verdict:
    """Return whether the importance weights are reliable, or were replaced by chains."""
    if unreliable_weights(draws):
        text = f"above {MAX_KHAT}: a few importance weights dominate"
        return Verdict(Grade.PROBLEM, text, REPLACE_WEIGHTS)
    if draws.khat is not None and draws.khat <= MAX_KHAT:
        return Verdict(Grade.GOOD, f"at most {MAX_KHAT}: the importance weights are reliable")
    return Verdict(None, f"above {MAX_KHAT}, so chains replaced the importance weights")


def chains_verdict(draws: Draws) -> Verdict:
    """Return whether the chains agree with each other."""
    if unreliable_chains(draws):
        text = f"above {MAX_R_HAT}: the chains have not converged"
        return Verdict(Grade.PROBLEM, text, LENGTHEN_CHAINS)
    return Verdict(Grade.GOOD, f"at most {MAX_R_HAT}: the chains agree")


def c2st_verdict(statistic: float) -> Verdict:
    """Return how well a classifier tells two samples apart."""
    if statistic <= CLOSE_C2ST:
        return Verdict(Grade.GOOD, "nearly indistinguishable")
    if statistic <= FAR_C2ST:
        return Verdict(None, "close, with visible differences")
    return Verdict(Grade.PROBLEM, "clearly distinguishable")


def surrogate_verdict(fidelity: Fidelity) -> Verdict:
    """Return how well a classifier tells a surrogate from its simulator, and its accuracy."""
    found = c2st_verdict(fidelity.mean)
    text = f"surrogate and simulator {found.text} (C2ST {fidelity.mean:.3f})"
    problem = found.state is Grade.PROBLEM
    return Verdict(found.state, text, "fit the surrogate to more simulations" if problem else "")


def surrogate_finding(fidelity: Fidelity) -> str:
    """Return the verdict on a surrogate and what it rests on."""
    return (
        f"{surrogate_verdict(fidelity).text}, on average over {len(fidelity.theta)} parameter "
        "vectors: the accuracy of a classifier that tells them apart, 0.5 being chance"
    )
