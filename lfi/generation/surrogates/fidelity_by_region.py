"""Fidelity of a surrogate by region of the parameters, from held-out simulations alone.

The range of each parameter is cut at quantiles of the held-out simulations, and in each part a
classifier is trained to tell pairs (theta, x) of the simulator from pairs of the surrogate, on one
part of the pairs, validated on another. Its accuracy is 1/2 where the surrogate is perfect. The
surrogate draws at the parameters of one half of the pairs, so that no theta occurs twice.

`fidelity` calls the simulator, and is more sensitive at each of a few parameter vectors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.generation.surrogates.fidelity import compare
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_share
from lfi.runtime import Described, Rows
from lfi.runtime.seeds import child, fresh, torch_rng
from lfi.simulation import Simulations, as_simulator, replicate

MIN_PAIRS = 40  # pairs in a region


@dataclass(frozen=True, eq=False, repr=False)
class RegionalFidelity(Described):
    """Where a classifier can tell a surrogate from its simulator.

    Attributes:
        names: The parameters.
        edges: Where the range of each was cut, (D, parts + 1).
        statistic: Accuracy of the classifier in each part, (D, parts): 1/2 is perfect.
        p_value: Of the hypothesis that the surrogate is perfect there, (D, parts).
        n: Pairs of the simulator in each part; as many of the surrogate.
        max_accuracy: The accuracy above which a part is not trusted.
        seed: The seed in use.
    """

    names: tuple[str, ...]
    edges: Float[Tensor, "d edges"]
    statistic: Float[Tensor, "d parts"]
    p_value: Float[Tensor, "d parts"]
    n: int
    max_accuracy: float
    seed: int

    @property
    def trusted(self) -> Bool[Tensor, "d parts"]:
        """Which parts are trusted: those of an accuracy of at most `max_accuracy`."""
        return self.statistic <= self.max_accuracy

    def trusts(self, theta: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
        """Return which parameter vectors lie in trusted parts of every parameter's range."""
        inside = []
        for column, edges, trusted in zip(theta.T, self.edges, self.trusted, strict=True):
            part = torch.bucketize(column.contiguous(), edges[1:-1].to(theta))
            within = (column >= edges[0]) & (column <= edges[-1])
            inside.append(trusted[part] & within)
        return torch.stack(inside).all(dim=0)

    def describe(self) -> str:
        """Return the accuracy in each part of each parameter's range, in words."""
        lines = [
            "accuracy of a classifier of surrogate and simulator (1/2 is perfect, above "
            f"{self.max_accuracy:g} is not trusted; {self.n} data of each)"
        ]
        for name, interval, accuracy, _ in self._table()[1:]:
            verdict = "" if float(str(accuracy)) <= self.max_accuracy else "  not trusted"
            lines.append(f"  {accuracy} for {name} in {interval}{verdict}")
        return "\n".join(lines)

    def _table(self) -> Rows:
        rows = [("parameter", "interval", "accuracy", "p-value")]
        for name, edges, row, tests in zip(
            self.names, self.edges, self.statistic, self.p_value, strict=True
        ):
            for low, high, accuracy, p in zip(edges, edges[1:], row, tests, strict=False):
                rows.append((name, f"({low:.3g}, {high:.3g})", f"{accuracy:.3f}", f"{p:.2g}"))
        return rows


@checked
def fidelity_by_region(
    surrogate: object,
    held_out: Simulations,
    *,
    parts: int = 4,
    max_accuracy: float = 0.6,
    seed: int | None = None,
) -> RegionalFidelity:
    """Test a surrogate in each region of theta, by held-out simulations.

    Args:
        surrogate: A `Simulator`, or anything with `prior` and `simulate`.
        held_out: Simulations that it was not trained on, some hundreds for each part.
        parts: Into how many equally likely parts the range of each parameter is cut.
        max_accuracy: The accuracy above which a part is not trusted.
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
    simulator, seed = as_simulator(surrogate, name="surrogate"), fresh(seed)
    check_counts(parts=parts)
    check_share("max_accuracy", max_accuracy, ends=True)
    if simulator.names != held_out.names:
        raise ValueError(
            f"surrogate has the parameters {simulator.names}, the simulations {held_out.names}"
        )
    theta, x = held_out.ok()
    order = torch.randperm(len(theta), generator=torch_rng(seed, 0))
    theta, x = theta[order], x[order]
    half = len(theta) // 2
    if half // parts < MIN_PAIRS:
        raise ValueError(
            f"held_out: {len(theta)} valid simulations are too few for {parts} parts, need "
            f"{2 * MIN_PAIRS * parts}"
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
    return RegionalFidelity(
        names=simulator.names,
        edges=edges,
        statistic=torch.tensor([t.statistic for t in tests], dtype=torch.float64).reshape(shape),
        p_value=torch.tensor([t.p_value for t in tests], dtype=torch.float64).reshape(shape),
        n=half // parts,
        max_accuracy=max_accuracy,
        seed=seed,
    )
