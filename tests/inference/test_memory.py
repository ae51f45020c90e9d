"""Peak memory of fits of many simulations, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 2**30  # bytes beyond the simulations, which are 42 MB
PROGRAM = """
import re, resource, sys
from dataclasses import replace
import torch
import lfi

def memory(name):
    return 1024 * int(re.search(rf"{name}:\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
theta = torch.rand(200_000, 3)
x = theta.repeat(1, 17)[:, :50] + 0.1 * torch.randn(200_000, 50)
prior = {name: torch.distributions.Uniform(0.0, 1.0) for name in "abc"}
simulations = lfi.Simulations.from_arrays(theta, x, prior=prior)
few = lfi.TrainSettings(steps=5, batch_size=256)
flow, likelihood, ratio = lfi.Pool().methods  # the default's
methods = (
    replace(flow, settings=few, gaussian_steps=5),
    replace(likelihood, settings=few, gaussian_steps=5),
    replace(ratio, settings=few),
)
kinds = {type(method).__name__: method for method in methods} | {"Pool": lfi.Pool(methods)}
method = kinds[sys.argv[1]]
before = memory("VmRSS")
lfi.fit_posterior(simulations, method=method, seed=1, progress=False)
others = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # processes, if any
print(memory("VmHWM") - before + others)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells no peak of memory")
@pytest.mark.parametrize("method", ["PosteriorFlow", "SurrogateLikelihood", "NeuralRatio", "Pool"])
def test_two_hundred_thousand_simulations_are_fitted_in_a_gigabyte(method):
    command = [sys.executable, "-c", PROGRAM, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < LIMIT
