"""Steps a second of `fit_generator`, beside a loop written by hand and beside torchgan.

    python tests/benchmarks/steps.py                             # lfi and the loop, 5 minutes
    python tests/benchmarks/steps.py --peer /path/to/python      # one that has lfi and torchgan

All train the same two networks, lfi's own residual ones, on the same data with the same batches,
optimiser and losses (non-saturating): of the ring with 64 units, and of the 64 pixels of digits
with 256. Under "R1" there are a gradient penalty and an average of the generator's weights, as in
practice; torchgan has neither, so it plays under "plain" alone. The loop by hand is the shortest
that does this: no check, no history, no judge, and the penalty at values it has anyway. lfi's fit
is timed whole, with its twenty validations on held-out data.

2,000 steps of the ring, 1,000 of digits; repetitions are interleaved. What is counted is the
processor's time of one thread, which is the clock's where nothing else runs; printed are medians,
and the median of the ratios to the loop by hand of the same repetition. Each figure is appended to
results.csv.
"""

import argparse
import copy
import csv
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lfi
from lfi.networks import VectorCritic, VectorGenerator
from simulators import digits, ring

HERE = Path(__file__).parent
SIMULATORS = {"ring": (ring, 2, 64), "digits": (digits, 64, 256)}  # size and width
STEPS = {"ring": 2_000, "digits": 1_000}
DATA, BATCH = 10_000, 128
CRITIC_RATE, GENERATOR_RATE, BETAS, AVERAGE = 3e-3, 3e-4, (0.0, 0.99), 0.998
GAMMA = 0.1  # the weight of R1


def problem(task: str) -> tuple[Tensor, nn.Module, nn.Module]:
    """Return data, a generator and a critic."""
    simulator, size, width = SIMULATORS[task]
    torch.manual_seed(1)
    data = simulator.sample(DATA, torch.Generator().manual_seed(1))
    return data, VectorGenerator(size, width=width), VectorCritic([(size,)], width=width)


def by_lfi(task: str, plain: bool, steps: int) -> float:
    """Return the seconds of lfi's fit."""
    data, generator, critic = problem(task)
    begin = time.process_time()
    lfi.fit_generator(
        data,
        comparison=lfi.gans.NonSaturatingGAN(r1=0.0 if plain else GAMMA),
        generator=generator,
        critic=critic,
        settings=lfi.AdversarialSettings(
            steps=steps,
            batch_size=BATCH,
            learning_rate=GENERATOR_RATE,
            critic_learning_rate=CRITIC_RATE,
            betas=BETAS,
            average=0 if plain else AVERAGE,
        ),
        seed=1,
        progress=False,
    )
    return time.process_time() - begin


def by_hand(task: str, plain: bool, steps: int) -> float:
    """Return the seconds of the loop that one would write."""
    data, generator, critic = problem(task)
    begin = time.process_time()
    x = (data - data.mean(0)) / data.std(0).clamp_min(1e-6)
    average = copy.deepcopy(generator)
    means, weights = list(average.parameters()), list(generator.parameters())
    critics = torch.optim.AdamW(
        critic.parameters(), lr=CRITIC_RATE, betas=BETAS, weight_decay=0, fused=True
    )
    generators = torch.optim.AdamW(
        weights, lr=GENERATOR_RATE, betas=BETAS, weight_decay=0, fused=True
    )
    at = len(x)
    for step in range(steps):
        factor = min(1.0, 2 * (1 - step / steps))
        critics.param_groups[0]["lr"] = CRITIC_RATE * factor
        generators.param_groups[0]["lr"] = GENERATOR_RATE * factor
        if at + BATCH > len(x):
            order, at = torch.randperm(len(x)), 0
        x_p = x[order[at : at + BATCH]].requires_grad_(not plain)
        at += BATCH
        critic.requires_grad_(True)
        with torch.no_grad():
            x_q = generator(generator.noise(BATCH, None))
        h_p = critic(x_p)
        loss = F.softplus(-h_p).mean() + F.softplus(critic(x_q)).mean()
        if not plain:
            (slope,) = torch.autograd.grad(h_p.sum(), x_p, create_graph=True)
            loss = loss + GAMMA / 2 * slope.square().sum(1).mean()
        critics.zero_grad()
        loss.backward()
        critics.step()
        critic.requires_grad_(False)
        loss = F.softplus(-critic(generator(generator.noise(BATCH, None)))).mean()
        generators.zero_grad()
        loss.backward()
        generators.step()
        if not plain:
            with torch.no_grad():
                torch._foreach_lerp_(means, weights, 1 - min(AVERAGE, (step + 1) / (step + 11)))
    return time.process_time() - begin


def by_torchgan(task: str, steps: int) -> float:
    """Return the seconds of torchgan's trainer, without its pictures and checkpoints."""
    # torchgan imports torchvision for its pictures, which samples that are no images cannot have
    sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))
    from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
    from torchgan.models import Discriminator, Generator
    from torchgan.trainer import Trainer

    data, generator, critic = problem(task)
    size = data.shape[1]

    class Source(Generator):
        def __init__(self) -> None:
            super().__init__(size)
            self.network = generator

        def forward(self, z: Tensor) -> Tensor:
            return self.network(z)

    class Judge(Discriminator):
        def __init__(self) -> None:
            super().__init__(size)
            self.network = critic

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)

    def player(module: type, rate: float) -> dict:
        arguments = {"lr": rate, "betas": BETAS, "weight_decay": 0, "fused": True}
        return {"name": module, "optimizer": {"name": torch.optim.AdamW, "args": arguments}}

    x = (data - data.mean(0)) / data.std(0).clamp_min(1e-6)
    loader = torch.utils.data.DataLoader(x, batch_size=BATCH, shuffle=True, drop_last=True)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            {
                "generator": player(Source, GENERATOR_RATE),
                "discriminator": player(Judge, CRITIC_RATE),
            },
            [MinimaxGeneratorLoss(nonsaturating=True), MinimaxDiscriminatorLoss()],
            device=torch.device("cpu"),
            epochs=steps // len(loader),
            checkpoints=f"{folder}/gan",
            recon=f"{folder}/images",
        )
        trainer.logger.logger_end_epoch.clear()
        trainer.save_model = lambda *arguments: None
        begin = time.process_time()
        trainer(loader)
        spent = time.process_time() - begin
    return spent * steps / (trainer.epochs * len(loader))


def asked(peer: Path, task: str, steps: int) -> float:
    """Return what another interpreter says of torchgan."""
    command = [peer, __file__, "--torchgan", task, "--steps", str(steps)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(answer.split()[-1])


def main() -> None:
    """Time what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=list(SIMULATORS), default=list(SIMULATORS))
    parser.add_argument("--steps", type=int, help="2,000 of the ring, 1,000 of digits")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="an interpreter that has lfi and torchgan")
    parser.add_argument("--torchgan", choices=list(SIMULATORS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.torchgan:
        print(by_torchgan(arguments.torchgan, arguments.steps))
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{'task':<16}{'method':<10}{'steps/s':>9}{'of by hand':>12}{'from':>6}{'to':>6}")
    for task in arguments.tasks:
        steps = arguments.steps or STEPS[task]
        for plain in (False, True):
            methods: dict[str, Callable[[], float]] = {
                "by hand": partial(by_hand, task, plain, steps),
                "lfi": partial(by_lfi, task, plain, steps),
            }
            if arguments.peer is not None and plain:
                methods["torchgan"] = partial(asked, arguments.peer, task, steps)
            seconds: dict[str, list[float]] = {name: [] for name in methods}
            for _ in range(arguments.repetitions):
                for name, method in methods.items():
                    seconds[name].append(method())
            label = f"{task} {'plain' if plain else 'R1'}"
            for name, spent in seconds.items():
                ratios = sorted(
                    hand / own for hand, own in zip(seconds["by hand"], spent, strict=True)
                )
                speed, ratio = steps / statistics.median(spent), statistics.median(ratios)
                print(
                    f"{label:<16}{name:<10}{speed:>9.0f}{ratio:>12.2f}{ratios[0]:>6.2f}"
                    f"{ratios[-1]:>6.2f}",
                    flush=True,
                )
                with (HERE / "results.csv").open("a", newline="") as file:
                    csv.writer(file).writerows(
                        [commit, date.today(), f"steps {label}", name, DATA, 1, metric]
                        + [f"{value:.4g}", f"{statistics.median(spent):.1f}"]
                        for metric, value in (("steps a second", speed), ("of by hand", ratio))
                    )


if __name__ == "__main__":
    main()
