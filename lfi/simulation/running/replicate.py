"""Simulation at given parameters, rather than at draws from the prior."""

from contextlib import closing

from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike
from lfi.numerics.checks import check_positive, check_whole
from lfi.runtime.seeds import fresh
from lfi.simulation.records.results import BLOCK, RowResults, concatenate_results
from lfi.simulation.running.simulate import run_tasks
from lfi.simulation.running.tasks import Task
from lfi.simulation.simulators.simulator import Simulator


@checked
def replicate(
    simulator: Simulator,
    theta: Float[Tensor, "n dim"] | ArrayLike,
    *,
    seed: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
) -> Float[Tensor, " n *event"]:
    """Return x for every row of theta, NaN in rows that raised or took too long.

    ValueError if theta's shape is wrong; RuntimeError, from the first error, if all rows raised.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
        >>> replicate(noisy, torch.zeros(3, 1), seed=1).shape
        torch.Size([3, 2])
    """
    results = simulate_at(simulator, theta, seed=seed, workers=workers, timeout=timeout)
    if results.x is None:
        every = f"all of {len(results)} parameter vectors"
        raise RuntimeError(f"{simulator.name} raised at {every}") from results.cause
    return results.x


@checked
def simulate_at(
    simulator: Simulator,
    theta: Float[Tensor, "n dim"] | ArrayLike,
    *,
    seed: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
) -> RowResults:
    """Simulate at every row of theta, and return data, failures included.

    Blocks are of 1,024 rows, as in a run: equal seeds give equal numbers for any number of workers.
    ValueError if theta's shape is wrong, or x has wrong rows, a changing shape or no numbers.

    Example:
        >>> prior = {"rate": torch.distributions.LogNormal(0.0, 1.0)}
        >>> picky = lfi.Simulator(lambda theta: (theta - 2).log(), prior=prior)
        >>> simulate_at(picky, torch.tensor([[1.0], [3.0]]), seed=1).codes
        tensor([1, 0], dtype=torch.uint8)
    """
    theta, seed = simulator.prior.as_theta(theta), fresh(seed)
    if len(theta) == 0:
        raise ValueError("theta must hold at least one parameter vector, got none")
    check_whole("workers", workers)
    check_positive("timeout", timeout, optional=True)
    rows = BLOCK if simulator.batched else max(1, min(BLOCK, len(theta) // (4 * workers)))
    tasks = (
        Task(b, start, part.numpy(), seed)
        for b, block in enumerate(theta.detach().to("cpu", simulator.prior.dtype).split(BLOCK))
        for start, part in zip(range(0, BLOCK, rows), block.split(rows), strict=False)
    )
    with closing(run_tasks(simulator, workers, timeout, None, tasks)) as results:
        return concatenate_results([block for _, block in results])
