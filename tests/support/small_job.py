"""`lfi run` with few steps of training, which prints the name of each stage that it begins.

Run as `python -m support.small_job run SIMULATOR --out DIR ...`.
"""

from functools import partial, wraps

from support.small_steps import FLOW, LIKELIHOOD, RATIO, SmallSurrogate

import lfi
from lfi.cli import main, timing, workflow
from lfi.inference.methods import pool, ratio_training
from lfi.inference.rounds import fit as rounds
from lfi.runtime.workers.beside import Beside

STAGES = {  # where each is called, and by which name
    "simulating": (rounds, "simulate"),
    "fitting flows": (pool, "fit_side_by_side"),
    "fitting a critic": (ratio_training, "train_one"),
    "drawing held-out simulations": (workflow, "simulate"),
    "checking": (workflow, "check"),
    "comparing the surrogate": (workflow, "fidelity"),
    "writing": (workflow, "write_report"),
}


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
    workflow.PARAMETERS, timing.SAMPLES = 2, 100
    small = lfi.Pool((RATIO, FLOW, LIKELIHOOD))  # the ratio first: it would not be fitted last
    workflow.METHODS["pool"] = lambda: small
    workflow.fit_rounds = partial(rounds.fit_rounds, preliminary=small)
    workflow.SurrogateJob, workflow.Beside = SmallSurrogate, Announced
    for stage, (place, name) in STAGES.items():
        setattr(place, name, announced(stage, getattr(place, name)))
    main()
