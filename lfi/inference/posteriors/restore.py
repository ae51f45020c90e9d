"""Restoring posteriors from what a file holds."""

from collections.abc import Mapping

from torch import nn

from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.likelihood import LikelihoodPosterior
from lfi.inference.posteriors.pooled import PooledPosterior
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.runtime import Contents
from lfi.simulation import Prior

POSTERIORS = {
    kind.__name__: kind
    for kind in (FlowPosterior, LikelihoodPosterior, PooledPosterior, RatioPosterior)
}


def restore_posterior(
    contents: Contents, prior: Prior | None, modules: Mapping[str, nn.Module]
) -> SavedPosterior:
    """Return the posterior that a file holds, on the CPU.

    Raises:
        KeyError: If the file is damaged: what it lacks.
        ValueError: If the file holds something else, or lacks what the arguments must give.
    """
    kind = POSTERIORS.get(contents.kind)
    if kind is None:
        raise ValueError(f"it holds a {contents.kind}, which is not a posterior of this lfi")
    return kind.restore(contents, prior=prior, modules=modules).with_seen(contents.tensors)
