"""The report: one HTML file with all inside (PNG figures, no script); every part is optional."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jaxtyping import Float
from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor

from lfi.diagnostics import Checks, LocalChecks, ObservationChecks, PredictiveCheck
from lfi.generation import Surrogate
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.inference import Draws, Posterior, TargetPosterior
from lfi.numerics.arguments import checked
from lfi.report.provenance import provenance_section
from lfi.report.sections import (
    Section,
    calibration_section,
    local_section,
    observation_section,
    posterior_section,
    predictive_section,
    surrogate_section,
    training_section,
)
from lfi.report.verdicts import assess
from lfi.runtime import check_writable, child, fresh, replace_file
from lfi.simulation import Prior
from lfi.training import History

DRAWS = 10_000  # posterior draws that the report takes itself where it is given none


@checked
def write_report(
    path: str | os.PathLike[str],
    *,
    title: str = "Likelihood-free inference",
    posterior: Posterior | TargetPosterior | None = None,
    x_obs: Float[Tensor, "..."] | None = None,
    draws: Draws | None = None,
    checks: Checks | None = None,
    local: LocalChecks | None = None,
    observation: ObservationChecks | None = None,
    predictive: PredictiveCheck | None = None,
    surrogate: Surrogate | None = None,
    fidelity: Fidelity | None = None,
    prior: Prior | None = None,
    units: Mapping[str, str] | None = None,
    command: str | None = None,
    settings: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
    seed: int | None = None,
) -> Path:
    """Write a self-contained HTML page of whatever is given, and return where it is.

    The file appears whole or not at all; one that was there before is replaced.

    Args:
        path: The file, in a folder that exists.
        title: The page's heading.
        posterior: For its prior and its training curves, and to draw from in place of `draws`.
        x_obs: The observation, needed only to draw.
        draws: Draws of the posterior of the observation, from `posterior.draw`.
        checks: Calibration, from `lfi.check`.
        local: The posterior tested at observations, from `lfi.local_check`.
        observation: The data among simulations, from `lfi.check_observation`.
        predictive: The posterior predictive check, from `lfi.predictive_check`.
        surrogate: For its training curves.
        fidelity: The surrogate compared with the simulator.
        prior: The prior to show beside the posterior, by default the posterior's, before rounds
            truncated it. The truncated one is shown under that name.
        units: The parameters' units by name.
        command: The command line that made all this.
        settings: What was chosen, such as the seed and the budget, as text.
        seconds: How long each stage took.
        seed: For the draws that the report takes itself; the page records it.

    Raises:
        ValueError: If there is nothing to report.
        OSError: If the file cannot be written, before anything is computed.

    Example:
        >>> import tempfile
        >>> draws = lfi.inference.Draws(
        ...     theta=torch.randn(1000, 1), names=("mean",), sampler="importance", ess=1000.0,
        ...     khat=0.1, proposals=8192, seconds=0.1,
        ...     seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_report(f"{folder}/report.html", draws=draws, seed=1).read_text()
        >>> "mean = " in page
        True
    """
    path, seed, units = Path(path), fresh(seed), units or {}
    check_writable(path)
    if draws is None and posterior is not None and x_obs is not None:
        drawn = posterior.draw(DRAWS, x_obs, seed=child(seed, 0))
        if not isinstance(drawn, Draws):
            raise ValueError(f"x_obs: a report is of one observation, got {len(drawn)}")
        draws = drawn
    truncated = None
    if posterior is not None:
        prior = posterior.prior.untruncated if prior is None else prior
        if posterior.prior.fingerprint != prior.fingerprint:
            truncated = posterior.prior

    sections: list[Section] = []
    if draws is not None:
        sections.append(
            posterior_section(
                draws, prior=prior, truncated=truncated, units=units, seed=child(seed, 1)
            )
        )
    if observation is not None:
        sections.append(observation_section(observation))
    if predictive is not None:
        sections.append(predictive_section(predictive))
    if checks is not None:
        sections.append(calibration_section(checks))
    if local is not None:
        sections.append(local_section(local))
    if fidelity is not None:
        sections.append(surrogate_section(fidelity))
    fits: list[History] = [*getattr(posterior, "history", ())]  # of rounds, and a pool's members
    titles = ["posterior" + f", fit {i + 1}" * (len(fits) > 1) for i in range(len(fits))]
    if surrogate is not None and surrogate.history is not None:
        fits.append(surrogate.history)
        titles.append("surrogate")
    if fits:
        sections.append(training_section(fits, titles))
    if not sections:
        raise ValueError(
            "there is nothing to report: give at least one of posterior, draws, checks, local, "
            "observation, predictive, surrogate, fidelity"
        )
    sections.append(
        provenance_section(
            command=command,
            settings=settings or {},
            seconds=seconds or {},
            seed=seed,
            written=datetime.now().astimezone(),
        )
    )
    environment = Environment(
        loader=PackageLoader("lfi.report", "."),
        autoescape=True,  # text of any origin
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    assessment = assess(
        draws=draws,
        observation=observation,
        predictive=predictive,
        checks=checks,
        local=local,
        fidelity=fidelity,
    )
    page = template.render(title=title, sections=sections, verdict=assessment.overall)
    replace_file(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path
