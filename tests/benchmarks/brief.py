"""What the smallest runs of benchmarks take in place of a default: it fits in a second."""

import lfi


def few_steps() -> lfi.NeuralRatio:
    """Return a method of few steps and a small network."""
    return lfi.NeuralRatio(settings=lfi.TrainSettings(steps=10), width=8, rank=4, head_layers=None)
