"""The report: one HTML file with all inside (SVG figures, no script); every part is optional."""

import os
import re
from collections.abc import Mapping, Sequence
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
from lfi.report.blocks import Section
from lfi.report.model import model_section
from lfi.report.plots.posterior import PRIOR_DRAWS
from lfi.report.provenance import provenance_section
from lfi.report.sections import (
    calibration_section,
    local_section,
    observation_section,
    posterior_section,
    predictive_section,
    surrogate_section,
    training_section,
)
from lfi.report.verdicts import Assessment, assess
from lfi.runtime import check_writable, child, fresh, numpy_rng, replace_file
from lfi.simulation import Prior, as_simulator
from lfi.training import History

DRAWS = 10_000  # posterior draws that the report takes itself where it is given none
TITLE = "Likelihood-free inference"
ANCHOR = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@checked
def write_report(
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    simulator: object = None,
    posterior: Posterior | TargetPosterior | None = None,
    x_obs: Float[Tensor, "..."] | None = None,
    data: str | None = None,
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
    sections: Sequence[Section] = (),
    seed: int | None = None,
) -> Path:
    """Write a self-contained HTML page of whatever is given, and return where it is.

    The file appears whole or not at all; one that was there before is replaced.

    Args:
        path: The file, in a folder that exists.
        title: The page's heading, by default the simulator's name.
        simulator: The model, a `Simulator` or what `as_simulator` takes: for its name, description,
            prior, units, x_obs, and the names and axis of its data.
        posterior: For its prior and its training curves, and to draw from in place of `draws`.
        x_obs: The observation, by default the simulator's: its shape is told, and it is drawn at.
        data: Where x_obs comes from, such as a file's name.
        draws: Draws of the posterior of the observation, from `posterior.draw`.
        checks: Calibration, from `lfi.check`.
        local: The posterior tested at observations, from `lfi.local_check`.
        observation: The data among simulations, from `lfi.check_observation`.
        predictive: The posterior predictive check, from `lfi.predictive_check`.
        surrogate: For its training curves.
        fidelity: The surrogate compared with the simulator.
        prior: The prior to show beside the posterior, by default the simulator's, or the
            posterior's before rounds truncated it. The truncated one is shown under that name.
        units: The parameters' units by name, by default the simulator's.
        command: The command line that made all this.
        settings: What was chosen, such as the seed and the budget, as text.
        seconds: How long each stage took.
        sections: Sections of your own, shown after the others and before how it was made; their
            verdicts count in the page's one.
        seed: For the draws that the report takes itself; the page's head records it.

    Raises:
        TypeError: If `simulator` is no simulator.
        ValueError: If there is nothing to report, two sections have one anchor, or the names and
            axis of the simulator's data do not fit them.
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
    path, seed = Path(path), fresh(seed)
    check_writable(path)
    model = None if simulator is None else as_simulator(simulator)
    if model is not None:
        title = model.name if title is None else title
        x_obs = model.x_obs if x_obs is None else x_obs
        prior = model.prior if prior is None else prior
        units = model.units if units is None else units
    labels, units = None if model is None else model.labels, units or {}
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
    prior_theta = None
    if prior is not None:
        prior_theta = prior.sample(PRIOR_DRAWS, seed=numpy_rng(seed, 1))

    found: list[Section] = []
    if draws is not None:
        found.append(
            posterior_section(
                draws,
                prior=prior,
                prior_theta=prior_theta,
                truncated=truncated,
                units=units,
                seed=child(seed, 1),
            )
        )
    if observation is not None:
        found.append(observation_section(observation, labels))
    if predictive is not None:
        found.append(predictive_section(predictive, labels))
    if checks is not None:
        found.append(calibration_section(checks))
    if local is not None:
        found.append(local_section(local))
    if fidelity is not None:
        found.append(surrogate_section(fidelity, labels))
    fits: list[History] = [*getattr(posterior, "history", ())]  # of rounds, and a pool's members
    titles = ["posterior" + f", fit {i + 1}" * (len(fits) > 1) for i in range(len(fits))]
    if surrogate is not None and surrogate.history is not None:
        fits.append(surrogate.history)
        titles.append("surrogate")
    if fits:
        found.append(training_section(fits, titles))
    found += sections
    if not found:
        raise ValueError(
            "there is nothing to report: give at least one of posterior, draws, checks, local, "
            "observation, predictive, surrogate, fidelity, sections"
        )
    if prior is not None and prior_theta is not None:
        about = model_section(model, prior, prior_theta, units=units, x_obs=x_obs, data=data)
        found.insert(0, about)
    written = datetime.now().astimezone()
    found.append(
        provenance_section(
            command=command, settings=settings or {}, seconds=seconds or {}, written=written
        )
    )
    _check_anchors(found)
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
    own = {each.title: each.verdict for each in sections if each.verdict is not None}
    verdict = Assessment(assessment.parts | own).overall
    page = template.render(title=title or TITLE, sections=found, verdict=verdict, seed=seed)
    replace_file(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path


def _check_anchors(sections: Sequence[Section]) -> None:
    """Check that links to the sections can be told apart."""
    anchors = [section.anchor for section in sections]
    for anchor in anchors:
        if not ANCHOR.fullmatch(anchor) or anchors.count(anchor) > 1:
            raise ValueError(
                "sections: each needs an anchor of its own, of letters, digits and hyphens; got "
                f"{anchor!r}, with {', '.join(anchors)} in the page"
            )
