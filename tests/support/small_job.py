"""`lfi run` with few steps of training, which prints the name of each stage that it begins.

Run as `python -m support.small_job run SIMULATOR --out DIR ...`.
"""

from functools import partial, wraps

import lfi
from lfi.cli import main, workflow
from lfi.cli.surrogate import SurrogateJob
from lfi.generation import fit_surrogate
from lfi.inference.methods import pool, ratio_training
from lfi.inference.rounds import fit as rounds
from lfi.runtime.workers.beside import Beside
from lfi.simulation import Simulations

FEW = lfi.TrainSettings(steps=150)
FLOW = lfi.PosteriorFlow(settings=FEW, gaussian_steps=150, width=16, couplings=2)
LIKELIHOOD = lfi.SurrogateLikelihood(
    proposal=None, settings=FEW, gaussian_steps=150, width=16, couplings=2
)
RATIO = lfi.NeuralRatio(settings=FEW, width=16, rank=None, head_layers=None)
STAGES = {  # where each is called, and by which name
    "simulating": (rounds, "simulate"),
    "fitting flows": (pool, "fit_side_by_side"),
    "fitting a critic": (ratio_training, "train_one"),
    "drawing held-out simulations": (workflow, "simulate"),
    "checking": (workflow, "check"),
    "comparing the surrogate": (workflow, "fidelity"),
    "writing": (workflow, "write_report"),
}


class SmallSurrogate(SurrogateJob):
    """A surrogate of few steps, in whatever process."""

    def train(self, progress):
        store = self.rounds / f"round_{self.number}.zarr"
        settings = lfi.AdversarialSettings(steps=300)
        small = {"settings": settings, "start_steps": 50, "width": 16, "progress": progress}
        simulations = Simulations.open(store, prior=self.prior)[: self.count]
        fit_surrogate(simulations, seed=self.seed, **small).save(self.file)


class Announced(Beside):
    """What is computed beside the draws and checks, and waited for after them."""

    def results(self):
        print("waiting for the surrogate", flush=True)
        return super().results()


def announced(stage, function):
    """A function that says what it begins."""

    @wraps(function)
    def call(*arguments, **options):
        print(stage, flush=True)
        return function(*arguments, **options)

    return call


if __name__ == "__main__":
    workflow.HELD_OUT, workflow.IMPORTANCE_SAMPLES = 50, 256
    workflow.PARAMETERS, workflow.SAMPLES = 2, 100
    small = lfi.Pool((RATIO, FLOW, LIKELIHOOD))  # the ratio first: it would not be fitted last
    workflow.fit_rounds = partial(rounds.fit_rounds, method=small, preliminary=small)
    workflow.SurrogateJob, workflow.Beside = SmallSurrogate, Announced
    for stage, (place, name) in STAGES.items():
        setattr(place, name, announced(stage, getattr(place, name)))
    main()
