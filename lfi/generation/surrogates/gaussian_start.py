"""The conditional Gaussian that a surrogate starts from.

Its whitening e of y has an inverse for each theta, so that comparing (theta, e) is comparing
(theta, x), whatever the comparison. A generator of e learns what is not Gaussian. The context is a
network without normalisation layers, which are noise to a regression.
"""

from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.conditional_gaussian import MAX_FULL, ConditionalGaussian
from lfi.networks.residual import linear, trunk
from lfi.runtime.progress import Advance, silent
from lfi.training import Checkpoint, History, Shuffled, TrainSettings, train_one

SETTINGS = TrainSettings(learning_rate=5e-3, weight_decay=1e-4, average=0.99, clip=10.0)


class GaussianStart(nn.Module):
    """e = B(theta) (y - m(theta)), and back.

    Example:
        >>> start = GaussianStart(3, 2, width=16)
        >>> y, condition = torch.randn(5, 3).float(), torch.randn(5, 2).float()
        >>> torch.allclose(start.colour(start.whiten(y, condition), condition), y, atol=1e-5)
        True
    """

    def __init__(self, size: int, condition: int, *, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.context: nn.Sequential = nn.Sequential(
            linear(condition, width), trunk(width, layers, width, norm=False)
        )
        self.gaussian: ConditionalGaussian = ConditionalGaussian(
            size, condition, width, full_root=size <= MAX_FULL
        )

    def whiten(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, "n size"]:
        """Return e."""
        return self.gaussian(y, condition, self.context(condition))[0]

    def colour(
        self, e: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, "n size"]:
        """Return y."""
        return self.gaussian.inverse(e, condition, self.context(condition))

    def loss(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, ""]:
        """Return the mean of -log p(y | theta), without its constant."""
        e, log_det = self.gaussian(y, condition, self.context(condition))
        return (e.square().sum(1) / 2 - log_det).mean()


def fit_start(
    start: GaussianStart,
    batches: Shuffled,
    settings: TrainSettings,
    *,
    checkpoint: Checkpoint | None = None,
    seed: int,
    device: str = "cpu",
    advance: Advance = silent,
) -> History:
    """Fit it in place by maximum likelihood, to batches of y and conditions that hold rows out."""
    start.gaussian.fit_from_data(*batches.train)
    return train_one(
        start,
        lambda batch, step: start.loss(*batch),
        batches,
        SETTINGS.updated(settings),
        validate=lambda held_out: float(start.loss(*held_out)),
        name="Gaussian",
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        advance=advance,
    )
