"""Telescoping density ratios, for p and q too far apart for one classifier.

To the log-loss of a classifier that tells p from q without a mistake it hardly matters how large
log p/q is. So the way is divided into bridges between waymarks p = p_0, p_1, ..., p_K = q, each
close to the next,

    log p/q = log p_0/p_1 + log p_1/p_2 + ... + log p_{K-1}/p_K,

and every bridge is an easy classification. All bridges are heads of one network, trained together
in batches of coupled waymarks (`lfi.ratio.telescoping.waymarks`, `lfi.networks.Bridges`).

The sum is wanted at samples of p, which late bridges are not trained on: they extrapolate by their
shape, which is why each has a quadratic form. Waymarks of discrete data are told apart by whether
they lie on the lattice: add noise to such data first. In pairs (x, y) only y is mixed, and x may be
anything.

References:
    Rhodes, Xu & Gutmann, Telescoping density-ratio estimation, 2020. arXiv:2006.12204
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from lfi.comparison import Bernoulli, CriticLoss
from lfi.networks import Bridges, Whiten
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, as_two_samples, floating_dtype, stacked_pairs
from lfi.numerics.checks import check_counts, check_whole
from lfi.ratio.neural.nested_levels import check_loss
from lfi.ratio.telescoping.bridge_training import Trained, train_bridges
from lfi.ratio.telescoping.endpoint_samples import (
    EndpointSamples,
    endpoints_of_pairs,
    endpoints_of_samples,
)
from lfi.ratio.telescoping.waymarks import Waymarks, even_coefficients, respaced
from lfi.ratio.types import BaseEstimator, Ratio
from lfi.runtime import bar, child, fresh, isolated, within
from lfi.training import CompleteSettings, History, TrainSettings

MIN_ROWS = 100  # of either sample
DEFAULTS = CompleteSettings(
    steps=3_000,
    batch_size=512,
    learning_rate=3e-3,
    weight_decay=1e-4,
    average=0.998,  # .99 errs by 1 to 2% more on the mixture of the benchmark
    held_out=0.1,
)
PILOT = 16  # bridges of the short fit that places the waymarks
MIN_PILOT_STEPS = 100  # which are a tenth of the others
MAX_FORM = 512  # entries of an event up to which bridges have a quadratic form
ROWS = 2_048  # samples that the network sees at a time: keeps memory flat


@checked
class TelescopingRatio(BaseEstimator, Ratio):
    """A density ratio as a sum of bridges between waymarks.

    An estimator as scikit-learn has them: the constructor only keeps its arguments, `fit` sets what
    ends in an underscore and returns the estimator.

    Args:
        bridges: How many. None: as many as a short pilot fit finds parts of the way of a Jeffreys
            divergence of about 2 nats; one, if p and q are closer than that.
        coefficients: The waymarks' coefficients alpha, increasing from 0 to 1, not the pilot's. See
            `lfi.ratio.telescoping.waymarks`.
        loss: Any loss that recovers the ratio, applied to every bridge.
        width: The trunk's width.
        layers: Its residual blocks.
        quadratic: Give each bridge a quadratic form of the event. None: where the event has 512
            entries or fewer.
        settings: How bridges train: by default 3,000 steps of 512 rows of either sample. The pilot
            takes a tenth of the steps, or 100, in addition. Linear and quadratic forms have
            multiples of the learning rate, see `lfi.ratio.telescoping.bridge_training`.

    Attributes:
        coefficients_: Those of the waymarks, (bridges + 1,).
        separation_: For each bridge, the held-out bound of the Jensen-Shannon divergence of its two
            waymarks, as a share of log 2: at 1 they are separated without error, and the
            bridge's ratio is a guess. More bridges help.
        network_: The bridges, of whitened events.
        whiten_: What whitens.
        history_: How they were trained; its seed repeats the whole fit.
        event_shape_: The shape of one event.
        n_features_in_: Its number of entries.

    Example:
        >>> p, q = 4 + torch.randn(2_000), torch.randn(2_000)
        >>> quick = lfi.TrainSettings(steps=100, batch_size=128)
        >>> ratio = lfi.TelescopingRatio(settings=quick).fit(p, q, seed=1)
        >>> len(ratio.separation_) > 1
        True
        >>> ratio.log_ratio(torch.tensor([2.0])).abs() < 1  # exactly 0
        tensor([True])
    """

    coefficients_: Float[Tensor, " waymarks"]
    separation_: Float[Tensor, " bridges"]
    network_: Bridges
    whiten_: Whiten
    history_: History
    event_shape_: tuple[int, ...]
    n_features_in_: int

    def __init__(
        self,
        bridges: int | None = None,
        coefficients: Sequence[float] | None = None,
        loss: CriticLoss = Bernoulli(),  # noqa: B008
        width: int = 64,
        layers: int = 1,
        quadratic: bool | None = None,
        settings: TrainSettings | None = None,
    ) -> None:
        self.bridges = bridges
        self.coefficients = coefficients
        self.loss = loss
        self.width = width
        self.layers = layers
        self.quadratic = quadratic
        self.settings = settings
        check_whole("bridges", bridges, optional=True)
        check_counts(width=width)
        check_counts(minimum=0, layers=layers)

    @checked
    def fit(
        self,
        p_samples: Samples,
        q_samples: Samples,
        *,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> "TelescopingRatio":
        """Fit the ratio p/q.

        Args:
            p_samples: Samples of p, (n,) or (n, *event), NumPy or torch.
            q_samples: Samples of q, (m,) or (m, *event), independent of them.
            seed: None takes fresh entropy, which the history records.
            device: Where to train, such as "cuda".
            progress: Show a bar on a terminal.

        Raises:
            TypeError: If a sample is not an array of numbers.
            ValueError: If a row is not finite, a sample has fewer than 100 rows, the events differ
                in shape, or an argument of the constructor is out of range.
        """
        settings = self._check()
        p, q = as_two_samples(p_samples, q_samples, min_rows=MIN_ROWS)
        seed, shape = fresh(seed), tuple(p.shape[1:])
        p, q = (x.detach().reshape(len(x), -1).cpu() for x in (p, q))
        endpoints = endpoints_of_samples(p, q, settings, seed=seed, device=device)
        return self._fit(endpoints, shape, settings, seed, device, progress)

    @checked
    def fit_pairs(
        self,
        x: Samples,
        y: Samples,
        *,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> "TelescopingRatio":
        """Fit p(x, y) / p(x) p(y), whose mean log over pairs is the mutual information.

        Only y is mixed, with the y of other pairs: x stays in its row and may be discrete. The
        fitted ratio takes rows of x and y, flattened, side by side.

        Args:
            x: (n,) or (n, *event), NumPy or torch.
            y: (n,) or (n, *event), the other halves of the pairs.
            seed: None takes fresh entropy, which the history records.
            device: Where to train, such as "cuda".
            progress: Show a bar on a terminal.

        Raises:
            TypeError: If x or y is not an array of numbers.
            ValueError: If a row is not finite, there are fewer than 100, x and y have different
                numbers of them, or an argument of the constructor is out of range.
        """
        settings = self._check()
        pairs, of_x = stacked_pairs(x, y)
        if len(pairs) < MIN_ROWS:
            raise ValueError(f"x, y: {len(pairs)} pairs are too few, need at least {MIN_ROWS}")
        seed, shape = fresh(seed), tuple(pairs.shape[1:])
        pairs = pairs.detach().cpu()
        endpoints = endpoints_of_pairs(pairs, of_x, settings, seed=seed, device=device)
        return self._fit(endpoints, shape, settings, seed, device, progress)

    def describe(self) -> str:
        """Return the bridges, and how well a classifier tells the waymarks of each apart."""
        check_is_fitted(self, "network_")
        ends = self.coefficients_.tolist()
        rows = zip(ends, ends[1:], self.separation_.tolist(), strict=False)
        return "\n".join(
            [
                f"log ratio of events {self.event_shape_} by {len(ends) - 1} bridges",
                "  coefficients      separation (1: separated without error)",
                *(f"  {start:.4f} to {end:.4f}  {apart:.2f}" for start, end, apart in rows),
                f"  seed {self.history_.seed}",
            ]
        )

    @checked
    def log_ratio(self, x: Samples) -> Float[Tensor, " n"]:
        """Return log p(x)/q(x), the sum of the bridges'; see `Ratio.log_ratio`."""
        return self.bridge_log_ratios(x).sum(0)

    def bridge_log_ratios(self, x: Samples) -> Float[Tensor, "bridges n"]:
        """Return each bridge's log ratio, of which `log_ratio` is the sum, in order from p to q."""
        check_is_fitted(self, "network_")
        x = as_sample("x", x, self.event_shape_)
        device = self.whiten_.mean.device
        rows = x.reshape(len(x), -1).split(ROWS)
        h = [self.network_(self.whiten_(part.to(device))) for part in rows]
        return torch.cat(h, dim=1).to(x.device, floating_dtype(x.dtype))

    def _fit(
        self,
        endpoints: EndpointSamples,
        shape: tuple[int, ...],
        settings: CompleteSettings,
        seed: int,
        device: str,
        progress: bool,
    ) -> "TelescopingRatio":
        """Place the waymarks and train the bridges."""
        coefficients, steps = None, settings.steps
        if self.coefficients is not None:
            coefficients = torch.tensor(self.coefficients, dtype=torch.float64)
        elif self.bridges == 1:
            coefficients = even_coefficients(1)
        size = len(endpoints.moments_p[0])
        quadratic = size <= MAX_FORM if self.quadratic is None else self.quadratic
        pilot = 0 if coefficients is not None else max(min(steps, MIN_PILOT_STEPS), steps // 10)
        with bar("fitting the bridges", pilot + steps, progress) as advance:

            def train(coefficients: Tensor, settings: CompleteSettings, key: int) -> Trained:
                bridges = len(coefficients) - 1
                with isolated(child(seed, key, 0)):
                    network = Bridges(
                        size, bridges, width=self.width, layers=self.layers, quadratic=quadratic
                    )
                return train_bridges(
                    network,
                    Waymarks(coefficients.to(torch.float32), endpoints.mixed),
                    endpoints,
                    self.loss,
                    settings=settings,
                    seed=child(seed, key, 1),
                    device=device,
                    advance=advance,
                )

            if coefficients is None:
                even = even_coefficients(PILOT)
                with within("pilot"):
                    measured = train(even, replace(settings, steps=pilot), 1)
                coefficients = respaced(even, measured.divergences, self.bridges)
            trained = train(coefficients, settings, 2)
        self.coefficients_, self.network_ = coefficients, trained.network
        self.whiten_ = endpoints.whiten.to(device)
        self.separation_ = torch.tensor(trained.divergences, dtype=torch.float64) / math.log(2)
        self.history_ = replace(trained.history, seed=seed)  # the one that repeats the whole fit
        self.event_shape_, self.n_features_in_ = shape, math.prod(shape)
        return self

    def _check(self) -> CompleteSettings:
        """Check the constructor's arguments, and return the settings with their defaults."""
        check_loss(self.loss)
        if self.bridges is not None and self.coefficients is not None:
            raise ValueError("give bridges or coefficients, not both: k bridges have k + 1")
        if self.coefficients is not None:
            Waymarks(torch.tensor(self.coefficients))
        if self.bridges is not None:
            check_whole("bridges", self.bridges)
        check_whole("width", self.width)
        check_whole("layers", self.layers, minimum=0)
        return DEFAULTS.updated(self.settings)
