"""Results of steps: how they are kept between commands, and what summary.json says of them."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from lfi.diagnostics import Checks, PredictiveCheck
from lfi.diagnostics.verdict import Verdict
from lfi.generation import Fidelity
from lfi.inference import Draws
from lfi.report.verdicts import Assessment
from lfi.runtime import faults_of, read, write

Result = TypeVar("Result", Draws, Checks, PredictiveCheck, Fidelity)


def keep(path: Path, result: Draws | Checks | PredictiveCheck | Fidelity) -> None:
    """Write a result to a file: its tensors, and its plain values."""
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in values.items() if name not in tensors}
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, type(result).__name__, plain, tensors)


def kept(path: Path, kind: type[Result]) -> Result:
    """Return a result that was kept; ValueError if the file holds another, or is damaged."""
    contents = read(path)
    if contents.kind != kind.__name__:
        raise ValueError(f"{path} holds a {contents.kind}, expected {kind.__name__}: remove it")
    with faults_of(path):
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in contents.spec.items()
        }
        values.update(contents.tensors)
        return kind(**values)


def summary(
    draws: Draws,
    checks: Checks,
    predictive: PredictiveCheck,
    agreement: Fidelity | None,
    assessment: Assessment,
) -> dict[str, Any]:
    """Return the results as plain values, each verdict as the terminal and the page have it."""
    columns = zip(draws.names, draws.theta.double().T, strict=True)
    said = {name: stated(verdict) for name, verdict in assessment.parts.items()}
    results: dict[str, Any] = {
        **stated(assessment.overall),
        "marginals": {name: {"mean": float(c.mean()), "sd": float(c.std())} for name, c in columns},
        "draws": {
            **said["draws"],
            "sampler": draws.sampler,
            "n": len(draws.theta),
            "ess": draws.ess,
            "unique": draws.unique,
            "pareto_k": draws.khat,
            "r_hat": None if draws.r_hat is None else draws.r_hat.tolist(),
        },
        "calibration": {
            **said["calibration"],
            "scope": checks.scope,
            "p_values": checks.p_values,
        },
        "predictive": {
            **said["predictive"],
            "p_value": predictive.p_value,
        },
    }
    if agreement is not None:
        results["surrogate"] = {
            **said["surrogate"],
            "c2st": agreement.statistic.tolist(),
            "mean": agreement.mean,
        }
    return results


def stated(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values; `ok` is null where it is neither good nor a problem."""
    return {
        "verdict": verdict.text,
        "state": None if verdict.state is None else verdict.state.value,
        "ok": verdict.ok,
        "advice": verdict.advice,
    }
