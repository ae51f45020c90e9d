"""Peak memory of fits of many simulations, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 2**30  # bytes beyond the simulations, which are 42 MB
PROGRAM = """
import re, sys
import torch
import lfi

def memory(name):
    return 1024 * int(re.search(rf"{name}:\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
theta = torch.rand(200_000, 3)
x = theta.repeat(1, 17)[:, :50] + 0.1 * torch.randn(200_000, 50)
prior = {name: torch.distributions.Uniform(0.0, 1.0) for name in "abc"}
simulations = lfi.Simulations.from_arrays(theta, x, prior=prior)
brief = {"settings": lfi.TrainSettings(steps=5, batch_size=256)}
if sys.argv[1] != "NeuralRatio":
    brief["gaussian_steps"] = 5
method = getattr(lfi, sys.argv[1])(**brief)
before = memory("VmRSS")
lfi.fit_posterior(simulations, method=method, seed=1, progress=False)
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells no peak of memory")
@pytest.mark.parametrize("method", ["PosteriorFlow", "SurrogateLikelihood", "NeuralRatio"])
def test_two_hundred_thousand_simulations_are_fitted_in_a_gigabyte(method):
    command = [sys.executable, "-c", PROGRAM, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < LIMIT
