"""Classifier score (inception score by a classifier of the user's own): quality and diversity.

    S = exp E_x KL(p(y | x) || p(y)),    p(y) = E_x p(y | x),

from 1, where the classifier says the same of every point, to the number of classes, where it is
sure of each point and sees all classes equally; with an Inception network, the inception score.
One sharp point for each class would have the best score: `support_scores` sees that. The score of
a finite sample is too small, the more so the fewer the points: compare equal sizes.

Reference: Salimans et al., Improved techniques for training GANs, 2016. arXiv:1606.03498
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.numerics.checks import check_counts
from lfi.runtime import Described


@dataclass(frozen=True, eq=False, repr=False)
class ClassifierScore(Described):
    """The classifier score of a sample, between 1 and the number of classes: the mean over splits.

    Its standard error is nan of one split; `shares` is p(y), of each class in what is generated.
    """

    statistic: float
    standard_error: float
    shares: Float[Tensor, " classes"]

    def describe(self) -> str:
        """Return the score, and the shares of the classes."""
        shares = ", ".join(f"{share:.1%}" for share in self.shares.tolist())
        return (
            f"classifier score {self.statistic:.4g} of at most {len(self.shares)} (standard error "
            f"{self.standard_error:.2g})\nshares of the classes: {shares}"
        )


@checked
@torch.no_grad()
def classifier_score(
    x: Float[Tensor, " n *event"],
    classifier: Callable[[Tensor], Tensor],
    *,
    splits: int = 10,
    batch_size: int = 1_024,
) -> ClassifierScore:
    """Return the inception score of a sample by a classifier of the user's own.

    Args:
        x: The sample, in random order, (n, *event).
        classifier: Logits, or logarithms of probabilities, of (n, *event): (n, classes). It is
            called in batches, without gradients, as it is: put a network into evaluation mode.
        splits: Parts of equal size that are scored apart. Rows that do not fill one are left out.
        batch_size: How many points are classified at once.

    Raises:
        ValueError: If a split has no point, or the classifier returns no logits.

    Example:
        >>> x = torch.arange(30.0)[:, None]
        >>> sure = lambda x: 100 * torch.nn.functional.one_hot(x[:, 0].long() % 3, 3).double()
        >>> score = classifier_score(x, sure, splits=1)
        >>> round(score.statistic, 6)
        3.0
    """
    check_counts(splits=splits, batch_size=batch_size)
    x = as_sample("x", x, min_rows=1)
    size = len(x) // splits
    if size < 1:
        raise ValueError(f"splits must lie between 1 and the {len(x)} points, got {splits}")
    try:
        logits = torch.cat([classifier(part) for part in x.split(batch_size)])
    except RuntimeError as error:
        raise ValueError(f"classifier takes no x, which is {tuple(x.shape)}: {error}") from error
    if logits.ndim != 2 or len(logits) != len(x) or not logits.isfinite().all():
        raise ValueError(
            f"classifier must return finite logits of shape ({len(x)}, classes), got "
            f"{tuple(logits.shape)}" + ("" if logits.isfinite().all() else ", not all finite")
        )
    log_p = logits.double().log_softmax(dim=1)
    parts = log_p[: splits * size].unflatten(0, (splits, size))
    log_mean = parts.logsumexp(dim=1, keepdim=True) - math.log(size)
    scores = (parts.exp() * (parts - log_mean)).sum(dim=2).mean(dim=1).exp()
    standard_error = (scores.std() / splits**0.5).item() if splits > 1 else math.nan
    return ClassifierScore(scores.mean().item(), standard_error, log_p.exp().mean(dim=0))
