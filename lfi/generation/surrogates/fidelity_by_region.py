"""Regions: where among the parameters a surrogate may be trusted, from held-out simulations alone.

The range of each parameter is cut at quantiles of the held-out simulations, and in each part a
classifier is trained to tell pairs (theta, x) of the simulator from pairs of the surrogate, on one
part of the pairs judged on another. Its accuracy is 1/2 where the surrogate is perfect. The
surrogate draws at the parameters of one half of the pairs, the simulator's data are the other half,
so that no pair has a twin at the same theta, and the parameters have one law on either side.

No simulator is called: the held-out simulations are all that it takes, and the slower the simulator
the more that matters. `fidelity` calls it, and sees more at each of a few parameter vectors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.generation.surrogates.fidelity import compare
from lfi.runtime.seeds import child, fresh, torch_rng
from lfi.simulation import Simulations, as_simulator, replicate

LEAST = 40  # pairs in a region


@dataclass(frozen=True, eq=False)
class Regions:
    """Where a classifier can tell a surrogate from its simulator.

    Attributes:
        names: The parameters.
        edges: Where the range of each was cut, (D, parts + 1).
        statistic: Accuracy of the classifier in each part, (D, parts): 1/2 is perfect.
        p_values: Of the hypothesis that the surrogate is perfect there, (D, parts).
        n: Pairs of the simulator in each part; as many of the surrogate.
        most: The accuracy above which a part is not trusted.
        seed: The seed in use.
    """

    names: tuple[str, ...]
    edges: Float[Tensor, "d edges"]
    statistic: Float[Tensor, "d parts"]
    p_values: Float[Tensor, "d parts"]
    n: int
    most: float
    seed: int

    @property
    def trusted(self) -> Bool[Tensor, "d parts"]:
        """Which parts are trusted: those where the classifier does no better than `most`."""
        return self.statistic <= self.most

    def trusts(self, theta: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
        """Return which parameter vectors lie in trusted parts of every parameter's range."""
        inside = []
        for column, edges, trusted in zip(theta.T, self.edges, self.trusted, strict=True):
            part = torch.bucketize(column.contiguous(), edges[1:-1].to(theta))
            within = (column >= edges[0]) & (column <= edges[-1])
            inside.append(trusted[part] & within)
        return torch.stack(inside).all(dim=0)

    def describe(self) -> list[str]:
        """Return lines for people: one for each part of each parameter's range."""
        lines = [
            "accuracy of a classifier of surrogate and simulator "
            f"(1/2 is perfect, above {self.most:g} is not trusted; {self.n} data of each)"
        ]
        for name, edges, row in zip(self.names, self.edges, self.statistic.tolist(), strict=True):
            for low, high, accuracy in zip(edges, edges[1:], row, strict=False):
                verdict = "" if accuracy <= self.most else "  not trusted"
                lines.append(f"  {accuracy:.3f} for {name} in ({low:.3g}, {high:.3g}){verdict}")
        return lines


def fidelity_by_region(
    surrogate: object,
    held_out: Simulations,
    *,
    parts: int = 4,
    most: float = 0.6,
    seed: int | None = None,
) -> Regions:
    """Say where a surrogate may be trusted, by a two-sample test in each region of theta.

    Args:
        surrogate: A `Simulator`, or anything with `prior` and `simulate`.
        held_out: Simulations that it was not trained on, some hundreds for each part.
        parts: Into how many equally likely parts the range of each parameter is cut.
        most: The accuracy above which a part is not trusted.
        seed: Of the surrogate's draws and the classifiers.

    Raises:
        ValueError: If the parameters are others, x has another shape, or fewer than 40 pairs are
            left in a part.
        RuntimeError: If the surrogate raises everywhere.

    Example:
        >>> from torch.distributions import Uniform
        >>> prior = {"mean": Uniform(-1.0, 1.0)}
        >>> right = lambda theta: theta + 0.1 * torch.randn(len(theta), 1)
        >>> wrong = lambda theta: right(theta) + 2.0 * (theta > 0)
        >>> held_out = lfi.simulate(lfi.Simulator(right, prior=prior), 800, seed=1)
        >>> regions = fidelity_by_region(
        ...     lfi.Simulator(wrong, prior=prior), held_out, parts=2, seed=1
        ... )
        >>> regions.trusted.tolist()
        [[True, False]]
    """
    simulator, seed = as_simulator(surrogate), fresh(seed)
    if simulator.names != held_out.names:
        raise ValueError(
            f"surrogate has the parameters {simulator.names}, the simulations {held_out.names}"
        )
    if parts < 1:
        raise ValueError(f"parts must be at least 1, got {parts}")
    theta, x = held_out.ok()
    order = torch.randperm(len(theta), generator=torch_rng(seed, 0))
    theta, x = theta[order], x[order]
    half = len(theta) // 2
    if half // parts < LEAST:
        raise ValueError(
            f"held_out: {len(theta)} valid simulations are too few for {parts} parts, need "
            f"{2 * LEAST * parts}"
        )
    made = replicate(simulator, theta[half : 2 * half], seed=child(seed, 1))
    if made.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"surrogate makes data of shape {tuple(made.shape[1:])}, the simulator "
            f"{tuple(x.shape[1:])}"
        )
    real, imitated = (
        torch.cat([at.double(), data.reshape(half, -1).double()], dim=1)
        for at, data in ((theta[:half], x[:half]), (theta[half : 2 * half], made))
    )
    levels = torch.linspace(0, 1, parts + 1, dtype=torch.float64)
    edges = theta.double().quantile(levels, dim=0).T.contiguous()
    tests = []
    for d, cuts in enumerate(edges):
        row = [torch.bucketize(pairs[:, d].contiguous(), cuts[1:-1]) for pairs in (imitated, real)]
        for part in range(parts):
            a, b = imitated[row[0] == part], real[row[1] == part]
            size = min(len(a), len(b))  # of unequal sizes, one half would not be chance
            tests.append(compare(a[:size], b[:size], child(seed, 2, d, part)))
    shape = (len(edges), parts)
    return Regions(
        names=simulator.names,
        edges=edges,
        statistic=torch.tensor([t.statistic for t in tests], dtype=torch.float64).reshape(shape),
        p_values=torch.tensor([t.p_value for t in tests], dtype=torch.float64).reshape(shape),
        n=half // parts,
        most=most,
        seed=seed,
    )
