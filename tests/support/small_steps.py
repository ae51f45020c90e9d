"""Fits and surrogates of few steps, for tests of the command line."""

import lfi
from lfi.cli.surrogate import SurrogateJob
from lfi.generation import fit_surrogate
from lfi.simulation import Simulations

FEW = lfi.TrainSettings(steps=150)
FLOW = lfi.PosteriorFlow(settings=FEW, gaussian_steps=150, width=16, couplings=2)
LIKELIHOOD = lfi.SurrogateLikelihood(
    proposal=None, settings=FEW, gaussian_steps=150, width=16, couplings=2
)
QUICK = lfi.PosteriorFlow(  # of a moment
    settings=lfi.TrainSettings(steps=20), gaussian_steps=40, width=8, couplings=1
)
RATIO = lfi.NeuralRatio(settings=FEW, width=16, rank=None, head_layers=None)


class SmallSurrogate(SurrogateJob):
    """A surrogate of few steps, in whatever process."""

    def train(self, progress):
        store = self.rounds / f"round_{self.number}.zarr"
        settings = lfi.AdversarialSettings(steps=300)
        small = {"settings": settings, "start_steps": 50, "width": 16, "progress": progress}
        simulations = Simulations.open(store, prior=self.prior)[: self.count]
        fit_surrogate(simulations, seed=self.seed, **small).save(self.file)
