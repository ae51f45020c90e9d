"""The report's first section: what the model says of itself, its priors, and the data."""

import textwrap
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.report.blocks import ReportTable, Section, Text
from lfi.report.plots.style import number, shown_unit
from lfi.simulation import DataLabels, Prior, Simulator
from lfi.simulation.priors.laws import laws

CENTRAL = (0.025, 0.5, 0.975)  # quantiles shown of each prior


def model_section(
    simulator: Simulator | None,
    prior: Prior,
    prior_theta: Float[Tensor, "n D"],
    *,
    units: Mapping[str, str],
    x_obs: Float[Tensor, "..."] | None = None,
    data: str | None = None,
) -> Section:
    """Return the model's description, the priors' laws, and the data's source and shape.

    `prior_theta` are draws of the prior, `data` says where x_obs comes from.
    """
    blocks: list[Text | ReportTable] = []
    if simulator is not None:
        blocks += description_blocks(simulator.description)
    labels = DataLabels() if simulator is None else simulator.labels
    if x_obs is not None:
        own = None if simulator is None else simulator.x_obs
        if simulator is not None and own is not None and torch.equal(own, x_obs.to(own)):
            data = data or f"x_obs of {simulator.name}"
        blocks.append(Text(data_sentence(x_obs, labels, data)))
    blocks.append(prior_table(prior, prior_theta, units))
    return Section("model", "Model", blocks=tuple(blocks))


def description_blocks(description: str) -> list[Text]:
    r"""Return a docstring's paragraphs, with indented lines as formulas.

    Example:
        >>> [block.formula for block in description_blocks("A law:\n\n    x = r t")]
        [False, True]
    """
    blocks = []
    for part in description.strip("\n").split("\n\n"):
        lines = [line for line in part.splitlines() if line.strip()]
        if not lines:
            continue
        if all(line.startswith("    ") for line in lines):
            blocks.append(Text(textwrap.dedent("\n".join(lines)), formula=True))
        else:
            blocks.append(Text(" ".join(line.strip() for line in lines)))
    return blocks


def data_sentence(
    x_obs: Float[Tensor, "..."], labels: DataLabels, source: str | None = None
) -> str:
    """Return how many numbers were observed, what they are, where from, and if some are missing.

    Example:
        >>> labels = lfi.simulation.DataLabels(("hares", "lynxes"))
        >>> data_sentence(torch.zeros(21, 2), labels, "a.csv")
        'Data: 21 × 2 numbers, hares, lynxes, from a.csv.'
    """
    shape = " × ".join(str(length) for length in x_obs.shape if length != 1)
    text = f"Data: {shape} numbers" if shape else f"Data: one number, {float(x_obs):.6g}"
    what = labels.describe()
    text += f", {what}" * bool(what) + f", from {source}" * bool(source)
    if labels.observed is None:
        return f"{text}."
    whole, left = labels.observed.size, int(labels.observed.sum())
    gaps = f"{whole - left} of {whole} entries"
    return f"{text}. Missing, and left out of all simulations shown here: {gaps}."


def prior_table(
    prior: Prior, prior_theta: Float[Tensor, "n D"], units: Mapping[str, str]
) -> ReportTable:
    """Return each parameter's law, its median and its central 95%."""
    header = ["parameter", "prior", "median", "central 95%"]
    header += ["unit"] if units else []
    rows = []
    each = zip(prior.names, laws(prior.distribution), prior_theta.double().numpy().T, strict=True)
    for name, law, draws in each:
        low, middle, high = np.quantile(draws, CENTRAL)
        scale = float(high - low) / 4
        row = [name, f"{name} ~ {law}", number(float(middle), scale)]
        row += [f"{number(float(low), scale)} to {number(float(high), scale)}"]
        row += [shown_unit(units.get(name))] if units else []
        rows.append(tuple(row))
    caption = "The prior of each parameter, as the model has it, before any data."
    return ReportTable(tuple(header), rows, caption, words=("prior", "unit"))
