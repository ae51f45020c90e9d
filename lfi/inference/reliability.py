"""Reliability of draws: the limits of Pareto k-hat and of R-hat, and a warning beyond them.

Importance weights are reliable while Pareto's k-hat is at most 0.7. Chains that went on from them
replace the weights, and then R-hat counts. Chains agree where R-hat is about 1; beyond 1.05 where
they started still tells where they are.

References:
    Vehtari et al., Pareto Smoothed Importance Sampling, JMLR 2024. arXiv:1507.02646
    Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat, Bayesian
        Analysis 2021. arXiv:1903.08008
"""

from collections.abc import Sequence

from lfi.inference.draws import Draws
from lfi.runtime.calls import warn_caller

MAX_KHAT = 0.7
MAX_R_HAT = 1.05

REPLACE_WEIGHTS = (
    "take a sampler with chains, such as lfi.samplers.Automatic(), or lfi.samplers.SMC() where "
    "there may be several modes; or fit around the observation with lfi.fit_rounds"
)
LENGTHEN_CHAINS = (
    "give the sampler more time (max_steps, warmup, time_limit), or take lfi.samplers.SMC() where "
    "there may be several modes"
)


class UnreliableDraws(UserWarning):
    """Draws whose importance weights or chains cannot be relied on."""


def unreliable_weights(draws: Draws) -> bool:
    """Return whether draws rest on importance weights that are not reliable."""
    return draws.r_hat is None and draws.khat is not None and not draws.khat <= MAX_KHAT


def unreliable_chains(draws: Draws) -> bool:
    """Return whether the chains that made draws have not converged."""
    return draws.r_hat is not None and not float(draws.r_hat.max()) <= MAX_R_HAT


def warn_unreliable(draws: Sequence[Draws]) -> None:
    """Warn once, with `UnreliableDraws`, of draws that are not reliable at some observations."""
    by_weights = [each.khat for each in draws if each.khat is not None and unreliable_weights(each)]
    by_chains = [each for each in draws if unreliable_chains(each)]
    if not by_weights and not by_chains:
        return
    some = len(by_weights) + len(by_chains)
    of = f" of {some} of {len(draws)} observations" if len(draws) > 1 else ""
    up_to = "up to " if some > 1 else ""
    parts = []
    if by_weights:
        parts.append(
            f"Pareto k-hat is {up_to}{max(by_weights):.2f}, above {MAX_KHAT}: a few importance "
            f"weights dominate, so {REPLACE_WEIGHTS}"
        )
    if by_chains:
        name, value = max((worst_r_hat(each) for each in by_chains), key=lambda pair: pair[1])
        parts.append(
            f"R-hat is {up_to}{value:.2f} ({name}), above {MAX_R_HAT}: the chains have not "
            f"converged, so {LENGTHEN_CHAINS}"
        )
    warn_caller(f"draws{of} are not reliable. {'. '.join(parts)}", UnreliableDraws)


def warn_unreliable_constants(khats: Sequence[float]) -> None:
    """Warn once, with `UnreliableDraws`, of normalising constants from weights of high k-hat."""
    high = [khat for khat in khats if not khat <= MAX_KHAT]
    if high:
        of = f" of {len(high)} of {len(khats)} observations" if len(khats) > 1 else ""
        warn_caller(
            f"the normalising constant{of} is not reliable. Pareto k-hat is "
            f"{'up to ' * (len(high) > 1)}{max(high):.2f}, above {MAX_KHAT}: a few importance "
            "weights dominate, so fit around the observation with lfi.fit_rounds",
            UnreliableDraws,
        )


def worst_r_hat(draws: Draws) -> tuple[str, float]:
    """Return the parameter whose R-hat is the largest, and that; ValueError without chains."""
    if draws.r_hat is None:
        raise ValueError(f"draws by {draws.sampler} have no R-hat: no chains made them")
    worst = int(draws.r_hat.argmax())
    return draws.names[worst], float(draws.r_hat[worst])
