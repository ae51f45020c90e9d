"""Surrogates of simulators: can a classifier tell their data from the simulator's?

    python tests/benchmarks/surrogates.py two_moons influenza --methods gaussian adversarial flow

For each task and method: a surrogate is fitted to `--simulations` simulations, and at 20 parameter
vectors from the prior's central 90% a classifier (that of `lfi.fidelity`) is trained to tell 2,000
of its data from 2,000 of the simulator's. The mean of its accuracies is printed and appended to
results.csv; 0.5 is perfect. Beside lfi's own: a Gaussian fitted to each theta by a network
(`gaussian`, which is where lfi's start from) and a conditional spline flow of zuko (`flow`), fitted
to the same data in the same coordinates by maximum likelihood.

With `--posterior` each of lfi's also takes the simulator's place in inference: the posterior of
influenza's real data through the surrogate (`lfi.fit_rounds`, which calls the surrogate alone) is
told from 10,000 exact draws.
"""

import argparse
import csv
import importlib
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import lfi
from lfi.comparison import R1, R2, Adversarial, Bernoulli, NonSaturating, Relativistic
from lfi.generation import Surrogate
from lfi.generation.surrogates.fidelity import compare
from lfi.networks import Coordinates
from lfi.networks.data_transforms import BoundedTransform
from lfi.runtime.seeds import numpy_rng, torch_rng
from lfi.simulation import Prior, Simulations, as_simulator, replicate
from simulators import influenza

HERE = Path(__file__).parent
TASKS = ("two_moons", "influenza", "lotka_volterra", "sir_gillespie")
THETAS, DATA = 20, 2_000
Draw = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Fit:
    """Draws of what was fitted, the CPU seconds that it took, and lfi's surrogate if it is one."""

    draw: Draw
    seconds: float
    surrogate: Surrogate | None = None


COMPARISONS = {
    "adversarial": Adversarial(Bernoulli(), NonSaturating(), R1(0.1, every=4)),
    "relativistic": Adversarial(
        Relativistic(), Relativistic(), (R1(0.1, every=4), R2(0.1, every=4))
    ),
    "energy": lfi.discrepancies.Energy(),
    "mmd": lfi.discrepancies.MMD(),
}


def central(prior: Prior, n: int, seed: int) -> Tensor:
    """Return n draws of the prior whose every entry is in the central 90%."""
    rng = numpy_rng(seed, 7)
    many = prior.sample(20_000, seed=rng)
    low, high = many.quantile(many.new_tensor([0.05, 0.95]), dim=0)
    theta = prior.sample(100 * n, seed=rng)
    return theta[((theta > low) & (theta < high)).all(1)][:n]


def fit_lfi(
    simulations: Simulations, method: str, steps: int, start_steps: int, seed: int
) -> Surrogate:
    """Return a surrogate of lfi."""
    return lfi.fit_surrogate(
        simulations,
        comparison=COMPARISONS["adversarial" if method == "gaussian" else method],
        settings=lfi.AdversarialSettings(steps=1 if method == "gaussian" else steps),
        start_steps=start_steps,
        seed=seed,
    )


def fit_flow(simulations: Simulations, steps: int, seed: int) -> Draw:
    """Return draws of a conditional neural spline flow, best of its held-out likelihoods."""
    import zuko

    theta, x = (part.float() for part in simulations.ok())
    prior, rng = simulations.prior, torch_rng(seed, 9)
    coordinates = Coordinates(prior.lower.tolist(), prior.upper.tolist())
    columns = BoundedTransform(x.shape[1])
    coordinates.fit_from_data(theta)
    columns.fit_from_data(x)
    given, best, state = coordinates(theta), float("inf"), None
    torch.manual_seed(seed)
    flow = zuko.flows.NSF(x.shape[1], given.shape[1], transforms=3, hidden_features=(64, 64))
    optimiser = torch.optim.AdamW(flow.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    held = torch.zeros(len(x), dtype=torch.bool)
    held[torch.randperm(len(x), generator=rng)[:1_000]] = True
    train = (~held).nonzero()[:, 0]
    for step in range(steps):
        rows = train[torch.randint(len(train), (256,), generator=rng)]
        loss = -flow(given[rows]).log_prob(columns.encode(x[rows], rng)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            with torch.no_grad():
                value = -flow(given[held]).log_prob(columns.encode(x[held], rng)).mean()
            if value < best:
                best = value
                state = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    flow.load_state_dict(state)

    @torch.no_grad()
    def draw(theta: Tensor) -> Tensor:
        return columns.decode(flow(coordinates(theta.float())).sample())

    return draw


def data(
    task: str, n: int, thetas: int, seed: int, store: Path
) -> tuple[Simulations, Tensor, Tensor]:
    """Return simulations to fit, and parameters and the simulator's data there; kept in store."""
    simulator = as_simulator(importlib.import_module(f"simulators.{task}"))
    folder = str(store / f"{task}_{n}_{seed}.zarr")
    simulations = lfi.simulate(simulator, n, seed=seed, store=folder, progress=False)
    theta = central(simulator.prior, THETAS, seed)[:thetas]
    kept = store / f"{task}_{thetas}_{seed}.pt"
    if not kept.is_file():
        rows = theta.repeat_interleave(DATA, 0)
        torch.save(replicate(simulator, rows, seed=seed + 2).unflatten(0, (-1, DATA)), kept)
    return simulations, theta, torch.load(kept)


def fitted(task: str, method: str, arguments: argparse.Namespace, simulations: Simulations) -> Fit:
    """Fit, or load what was fitted; return draws, and the CPU seconds that it took."""
    settings = f"{arguments.steps}_{arguments.start_steps}_{arguments.seed}"
    file = arguments.store / f"{task}_{method}_{settings}.lfi"
    taken = file.with_suffix(".seconds")
    if method != "flow" and file.is_file():
        surrogate, seconds = lfi.load(file), float(taken.read_text())
    else:
        begin = time.process_time()
        if method == "flow":
            draw = fit_flow(simulations, arguments.steps, arguments.seed)
            return Fit(draw, time.process_time() - begin)
        surrogate = fit_lfi(
            simulations, method, arguments.steps, arguments.start_steps, arguments.seed
        )
        seconds = time.process_time() - begin
        taken.write_text(f"{seconds:.1f}")
        surrogate.save(file)

    def draw(theta: Tensor) -> Tensor:
        return surrogate(theta, seed=arguments.seed + 1).detach()

    return Fit(draw, seconds, surrogate)


def posterior_through(surrogate: Surrogate, budget: int, seed: int) -> dict[str, float]:
    """Return what tells the posterior of influenza's data through a surrogate from the exact."""
    exact = torch.from_numpy(np.load(HERE.parent / "reference" / "influenza.npz")["samples"])
    posterior = lfi.fit_rounds(surrogate, influenza.x_obs, budget=budget, seed=seed, progress=False)
    theta = posterior.sample(len(exact), influenza.x_obs, seed=seed).to(exact)
    return {
        "posterior c2st": lfi.c2st(exact, theta, seed=1).statistic,
        "posterior mean error": float(((theta - exact).mean(0) / exact.std(0)).abs().max()),
        "posterior sd error": float((theta.std(0) / exact.std(0) - 1).abs().max()),
    }


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    parser.add_argument("--methods", nargs="+", default=["gaussian", "adversarial", "flow"])
    parser.add_argument("--simulations", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=1_000, help="of the generator, or of the flow")
    parser.add_argument("--start-steps", type=int, default=3_000)
    parser.add_argument("--thetas", type=int, default=THETAS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", type=Path, help="a folder to keep data and fits in, and go on")
    parser.add_argument("--posterior", type=int, help="calls of a surrogate for influenza's")
    arguments = parser.parse_args()
    unknown = set(arguments.methods) - {*COMPARISONS, "gaussian", "flow"}
    if unknown:
        parser.error(f"--methods: {', '.join(sorted(unknown))} is none")
    if arguments.store is None:
        arguments.store = Path(tempfile.mkdtemp())
    arguments.store.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True, cwd=HERE).stdout
    n, seed = arguments.simulations, arguments.seed
    print(f"{'task':<16}{'method':<14}{'C2ST':>7}{'least':>7}{'most':>7}{'fit, CPU s':>12}")
    for task in arguments.tasks:
        simulations, theta, real = data(task, n, arguments.thetas, seed, arguments.store)
        for method in arguments.methods:
            fit = fitted(task, method, arguments, simulations)
            found = [
                compare(fit.draw(t.expand(DATA, -1)), x, seed).statistic
                for t, x in zip(theta, real, strict=True)
            ]
            mean = sum(found) / len(found)
            figures = {f"c2st at {len(theta)} theta": mean}
            if arguments.posterior and task == "influenza" and fit.surrogate is not None:
                figures |= posterior_through(fit.surrogate, arguments.posterior, seed)
            said = "".join(f"   {name} {value:.3f}" for name, value in list(figures.items())[1:])
            print(
                f"{task:<16}{method:<14}{mean:>7.3f}{min(found):>7.3f}{max(found):>7.3f}"
                f"{fit.seconds:>12.0f}{said}",
                flush=True,
            )
            trained = f"{method} {arguments.steps} steps"
            row = [commit.strip(), date.today(), f"surrogate {task}", trained, n, seed]
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(
                    [*row, metric, f"{value:.4f}", f"{fit.seconds:.1f}"]
                    for metric, value in figures.items()
                )


if __name__ == "__main__":
    main()
