"""Density ratios by kernels: convex problems, solved to the optimum, and no network to train.

    loss          objective                                 chosen by         r = p/q is
    LSIF()        E_q[r^2]/2 - E_p[r] + ridge |r|^2 / 2     leave-one-out     a sum of kernels
    KLIEP()       -E_p[log r],  where E_q[r] = 1            held-out value    a mixture of them
    MMD(kernel)   MMD^2(p, r q) + ridge / ESS(r)            the kernel        within [0, bound]

The first two minimise, over sums of kernels at centres, the losses that critics minimise over
networks (`lfi.fit_ratio(loss=lfi.losses.LSIF())`); the third matches moments, by the user's kernel.

**Relative ratios.** p/q is unbounded where q is thin, and such weights have a small effective
sample size. With alpha > 0 least squares estimates r_alpha = p / (alpha p + (1 - alpha) q)
instead, which stays below 1/alpha and is easier to estimate; p/q follows from it,

    p/q = (1 - alpha) r_alpha / (1 - alpha r_alpha),

but where r_alpha comes close to 1/alpha it says no more than that r is large: r is held to m, the
size of the sample of q, which no weight of mean 1 can exceed.

Coordinates are divided by their standard deviations in p (not for MMD, whose kernel is given in the
user's units); computation is in float64.

References:
    Sugiyama, Suzuki & Kanamori, Density Ratio Estimation in Machine Learning, 2012.
    and those of the modules `lsif`, `kliep` and `kmm`.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Num
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from lfi.comparison import KLIEP, LSIF, MMD, CriticLoss, Discrepancy
from lfi.comparison.kernels.stationary import Kernel
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, as_two_samples, floating_dtype
from lfi.numerics.checks import check_number, check_positive, check_whole
from lfi.numerics.distances import median_distance
from lfi.ratio.kernel.kliep import FOLDS, KliepRatio, fit_kliep
from lfi.ratio.kernel.kmm import KmmRatio, fit_kmm
from lfi.ratio.kernel.lsif import LeastSquaresRatio, PearsonEstimates, fit_ulsif
from lfi.ratio.types import BaseEstimator, Ratio
from lfi.runtime import fresh, torch_rng

MIN_ROWS = 2 * FOLDS  # of either sample
OCTAVES = (-3.0, 2.0)  # of the median distance, between which widths are tried
RIDGES = 10  # between 1/min(n, m), which theory asks for, and 1


@checked
class KernelRatio(BaseEstimator, Ratio):
    """A density ratio by kernels: uLSIF, RuLSIF, KLIEP or kernel mean matching.

    An estimator as scikit-learn has them: the constructor only keeps its arguments, `fit` sets what
    ends in an underscore and returns the estimator, `sklearn.base.clone` copies it unfitted.

    Args:
        loss: `LSIF()` (uLSIF, RuLSIF), `KLIEP()`, or `MMD(kernel)`, whose kernel's moments match;
            `fit` refuses others.
        alpha: For LSIF: 0 estimates p/q, values in (0, 1) the relative ratio, bounded by 1/alpha.
        centres: How many kernels, at points of p drawn at random; as many as there are at most.
            MMD has none.
        widths: Of the kernels, in standard deviations of p, to choose from. None: every half octave
            (KLIEP: every octave) from 1/8 to 4 times the median distance. MMD takes none.
        ridges: For LSIF to choose from; None: ten between 1/min(n, m) and 1. For MMD, the one to
            take; None: 1. KLIEP has none.
        bound: For MMD: the largest weight.

    Attributes:
        model_: What was fitted: `LeastSquaresRatio`, `KliepRatio` or `KmmRatio`.
        width_: The chosen width, in standard deviations of p (not MMD).
        ridge_: The ridge (not KLIEP).
        widths_: Those it was chosen from (not MMD).
        ridges_: Likewise (LSIF).
        scores_: Leave-one-out loss of each width and ridge, (widths, ridges) (LSIF: the lowest was
            chosen), or held-out bound of KL(p || q) of each width (KLIEP: the greatest).
        pearson_: Estimates of the relative Pearson divergence (LSIF).
        weights_: Matched weights of the sample of q, of mean 1 (MMD).
        alpha_: The alpha that was fitted with.
        q_size_: m, the size of the sample of q.
        scale_: What coordinates are divided by, (d,).
        event_shape_: The shape of one event.
        n_features_in_: Its number of entries.
        seed_: The seed, the drawn one where none was given.

    Example:
        >>> p, q = torch.randn(500) + 1, torch.randn(500)
        >>> ratio = lfi.KernelRatio().fit(p, q, seed=1)
        >>> ratio.log_ratio(torch.tensor([0.5])).abs() < 0.3  # exactly 0
        tensor([True])
        >>> relative = lfi.KernelRatio(alpha=0.5).fit(p, q, seed=1)
        >>> bool(relative.relative_ratio(q).max() <= 2)
        True
        >>> matched = lfi.KernelRatio(loss=lfi.discrepancies.MMD()).fit(p, q, seed=1)
        >>> bool(abs(matched.weights_ @ q / 500 - p.mean()) < abs(q.mean() - p.mean()) / 10)
        True
    """

    model_: LeastSquaresRatio | KliepRatio | KmmRatio
    width_: float
    ridge_: float
    widths_: Float[Tensor, " widths"]
    ridges_: Float[Tensor, " ridges"]
    scores_: Float[Tensor, "widths ..."]
    pearson_: PearsonEstimates
    weights_: Float[Tensor, " m"]
    alpha_: float
    q_size_: int
    scale_: Float[Tensor, " d"]
    event_shape_: tuple[int, ...]
    n_features_in_: int
    seed_: int

    def __init__(
        self,
        loss: CriticLoss | Discrepancy = LSIF(),  # noqa: B008
        alpha: float = 0.0,
        centres: int = 100,
        widths: Sequence[float] | None = None,
        ridges: Sequence[float] | None = None,
        bound: float = 1000.0,
    ) -> None:
        self.loss = loss
        self.alpha = alpha
        self.centres = centres
        self.widths = widths
        self.ridges = ridges
        self.bound = bound
        self._check()

    def describe(self) -> str:
        """Return what was fitted and chosen."""
        check_is_fitted(self, "model_")
        name = type(self.loss).__name__
        lines = [f"log ratio of events {self.event_shape_} by kernels, loss {name}"]
        if hasattr(self, "width_"):
            lines.append(f"  width {self.width_:.3g}, of {len(self.widths_)}")
        if hasattr(self, "ridge_"):
            lines.append(f"  ridge {self.ridge_:.3g}")
        if hasattr(self, "pearson_"):
            lines.append(f"  {self.pearson_.describe()}")
        return "\n".join([*lines, f"  seed {self.seed_}"])

    @checked
    @torch.no_grad()
    def fit(
        self, p_samples: Samples, q_samples: Samples, *, seed: int | None = None
    ) -> "KernelRatio":
        """Fit the ratio p/q.

        Args:
            p_samples: Samples of p, (n,) or (n, *event), NumPy or torch.
            q_samples: Samples of q, (m,) or (m, *event).
            seed: Of the centres and folds; None takes fresh entropy, which `seed_` records.

        Raises:
            TypeError: If a sample is not an array of numbers, or the loss is none of the three.
            ValueError: If a row is not finite, a sample has fewer than 10 rows, the events differ
                in shape, or an argument of the constructor is out of range or of no use to the
                loss.
        """
        self._check()
        p, q = as_two_samples(p_samples, q_samples, min_rows=MIN_ROWS)
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # of an earlier fit, which may have had another loss
        self.seed_, self.event_shape_ = fresh(seed), tuple(p.shape[1:])
        p, q = (x.reshape(len(x), -1) for x in (p, q))
        self.n_features_in_, self.alpha_, self.q_size_ = p.shape[1], self.alpha, len(q)
        if isinstance(self.loss, MMD):
            self.model_ = self._match(p, q, self.loss.kernel)
        else:
            self.model_ = self._choose(p.to(torch.float64), q.to(torch.float64))
        return self

    def relative_ratio(self, x: Samples) -> Float[Tensor, " n"]:
        """Return p / (alpha p + (1 - alpha) q), held to what it can be: from 0 to 1/alpha.

        On the sample of q these are bounded importance weights. With alpha = 0 it is p/q.

        Args:
            x: Where, (n, *event).

        Raises:
            sklearn.exceptions.NotFittedError: Before `fit`.
            ValueError: If the events have another shape than those fitted to, or are not finite.
        """
        rows, like = self._rows(x)
        if isinstance(self.model_, KliepRatio):
            return self.model_.log_ratio(rows).exp().to(like)
        r = self.model_.ratio(rows).clamp(min=0)
        return (r.clamp(max=1 / self.alpha_) if self.alpha_ else r).to(like)

    @checked
    def log_ratio(self, x: Samples) -> Float[Tensor, " n"]:
        """Return log p(x)/q(x), -inf where the fitted ratio is not positive.

        With alpha > 0 it is at most log m, as the module says. KLIEP's is finite everywhere. See
        `Ratio.log_ratio`.
        """
        rows, like = self._rows(x)
        if isinstance(self.model_, KliepRatio):
            return self.model_.log_ratio(rows).to(like)
        ratio, alpha = self.model_.ratio(rows), self.alpha_
        r = torch.where(ratio > 0, ratio, 1.0)
        if alpha:
            r = r.clamp(max=self.q_size_ / (1 - alpha + alpha * self.q_size_))
        h = r.log() + math.log1p(-alpha) - torch.log1p(-alpha * r)
        return torch.where(ratio > 0, h, -math.inf).to(like)

    def _choose(
        self, p: Float[Tensor, "n d"], q: Float[Tensor, "m d"]
    ) -> LeastSquaresRatio | KliepRatio:
        """Fit by least squares or maximum likelihood."""
        of_p, of_q = p.std(0), q.std(0)
        either = torch.where(of_p > 0, of_p, of_q)
        self.scale_ = torch.where(either > 0, either, 1.0)
        x_p, x_q = p / self.scale_, q / self.scale_
        # Random pairs are left out together, and centres are the first of p, in whatever order the
        # samples come.
        order = torch.randperm(len(p), generator=torch_rng(self.seed_, 0))
        x_p = x_p[order.to(p.device)]
        centres = x_p[: self.centres]
        likelihood = isinstance(self.loss, KLIEP)
        if self.widths is None:
            steps = int(OCTAVES[1] - OCTAVES[0]) * (1 if likelihood else 2) + 1
            octaves = torch.linspace(*OCTAVES, steps, dtype=torch.float64, device=p.device)
            self.widths_ = median_distance(x_p, x_q) * 2**octaves
        else:
            self.widths_ = p.new_tensor(list(self.widths))
        if likelihood:
            folds_q = torch.randperm(len(q), generator=torch_rng(self.seed_, 1)) % FOLDS
            folds = torch.arange(len(p), device=p.device) % FOLDS, folds_q.to(p.device)
            model = fit_kliep(x_p, x_q, centres, self.widths_, *folds)
        else:
            if self.ridges is None:
                lowest = -math.log10(min(len(p), len(q)))
                self.ridges_ = torch.logspace(
                    lowest, 0, RIDGES, dtype=torch.float64, device=p.device
                )
            else:
                self.ridges_ = p.new_tensor(list(self.ridges))
            model = fit_ulsif(x_p, x_q, centres, self.widths_, self.ridges_, self.alpha)
            self.ridge_, self.pearson_ = model.ridge, model.pearson
        self.width_, self.scores_ = model.width, model.scores
        return model

    def _match(self, p: Num[Tensor, "n d"], q: Num[Tensor, "m d"], kernel: Kernel) -> KmmRatio:
        """Fit by mean matching, in the samples' own units and floating dtype."""
        dtype = floating_dtype(torch.promote_types(p.dtype, q.dtype))
        self.ridge_ = 1.0 if self.ridges is None else float(self.ridges[0])
        model = fit_kmm(p.to(dtype), q.to(dtype), kernel, ridge=self.ridge_, bound=self.bound)
        self.scale_ = torch.ones(p.shape[1], dtype=dtype, device=p.device)
        self.weights_ = model.weights
        return model

    def _rows(self, x: Samples) -> tuple[Float[Tensor, "n d"], Tensor]:
        """Return points as the model takes them, and an example of what is wanted back."""
        check_is_fitted(self, "model_")
        x = as_sample("x", x, self.event_shape_)
        like = torch.empty(0, dtype=floating_dtype(x.dtype), device=x.device)
        return x.reshape(len(x), -1).to(self.scale_) / self.scale_, like

    def _check(self) -> None:
        """Check the constructor's arguments, all of them."""
        if not isinstance(self.loss, (LSIF, KLIEP, MMD)):
            raise TypeError(
                f"loss must be LSIF(), KLIEP() or MMD(kernel), got {self.loss!r}; others are "
                "fitted by lfi.fit_ratio"
            )
        check_whole("centres", self.centres)
        check_number("alpha", self.alpha, minimum=0, below=1)
        check_positive("bound", self.bound)
        if self.alpha and not isinstance(self.loss, LSIF):
            raise ValueError(
                f"alpha is for LSIF only: {type(self.loss).__name__} takes 0, got {self.alpha}"
            )
        for name, given in (("widths", self.widths), ("ridges", self.ridges)):
            if given is None:
                continue
            if len(given) == 0 or not all(0 < float(v) < math.inf for v in given):
                raise ValueError(f"{name} must be positive and finite, got {given}")
        if isinstance(self.loss, KLIEP) and self.ridges is not None:
            raise ValueError(f"KLIEP has no ridge: ridges must be None, got {self.ridges}")
        if isinstance(self.loss, MMD):
            if self.widths is not None:
                raise ValueError(f"MMD's kernel has its bandwidth: got widths {self.widths}")
            if self.ridges is not None and len(self.ridges) != 1:
                raise ValueError(f"MMD takes one ridge, got {self.ridges}")
            if not self.bound > 1:
                raise ValueError(f"bound must be above 1, got {self.bound}")
