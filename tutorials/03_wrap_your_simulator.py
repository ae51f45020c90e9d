# %% [markdown]
# # Wrap your simulator: Python, C, Pyro
#
# **Question.** You have a simulator, in whatever language. What does lfi need to know of it?
#
# **Answer.** Say what its parameters are called and how they are distributed, and how it is called.
# One radioactive source serves as the example, written four times: as a function of a batch, as a
# function of one parameter vector, as a program in C, and as a Pyro model. All four are the same
# simulator to lfi, and tests of their data cannot tell them apart.
#
# Its activity is `a` counts a day at first and halves in `h` days; on ten days we count:
# $x_t \sim \mathrm{Poisson}(a\,2^{-t/h})$.
#
# You need: nothing; for one section a C compiler. You will meet: `Simulator`, `check`, `simulate`,
# `from_command`, `from_pyro`.

# %%
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch.distributions import LogNormal, Uniform

import lfi

torch.set_num_threads(1)
days = torch.arange(10.0)
prior = {"a": LogNormal(4.0, 0.5), "h": Uniform(1.0, 5.0)}

# %% [markdown]
# ## 1. A function of a batch
#
# The quickest way, where it is possible: all parameter vectors at once, (n, 2) in and (n, 10) out.
# A second argument is a random generator, made from the run's seed. Annotated so, it is torch's.


# %%
@lfi.simulator(prior=prior, units={"a": "1/day", "h": "day"})
def decay(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    a, h = theta[:, :1], theta[:, 1:]
    return torch.poisson(a * 2 ** (-days / h), generator=rng)


print(decay)
print(decay.check(seed=1))

# %% [markdown]
# `check` has run it a few times. It looks for what spoils a fit without an error message. Here is
# its output for a simulator with a common mistake, one random number for the whole batch:

# %%
broken = lfi.Simulator(
    lambda theta, rng: theta[:, :1] * (1 + 0.1 * rng.normal()) + torch.zeros(10), prior=prior
)
found = broken.check(seed=1)
print(found)

# %% [markdown]
# ## 2. A function of one vector
#
# Most simulators take one parameter vector. `batched=False` says so. Without annotations the
# generator is NumPy's, and without the argument the function may draw from the global state, which
# lfi seeds for each call and restores afterwards. A simulation that raises does not end the run: it
# is recorded, with its message.


# %%
def count(theta, rng):
    a, h = theta.tolist()
    if h < 1.1:
        raise RuntimeError(f"the source is gone before we can look (h = {h:.2f} days)")
    return rng.poisson(a * 2 ** (-days.numpy() / h))


one_by_one = lfi.Simulator(count, prior=prior, batched=False)
simulations = lfi.simulate(one_by_one, 1_000, seed=1)
print(simulations)
print(next(iter(simulations.errors.values())))

# %% [markdown]
# With `workers=2` the same numbers come from two processes, and a simulator that crashes costs one
# row; with `timeout=60` one that hangs does too.
#
# ## 3. A program in C
#
# Parameters and seed stand in the command line in braces; the numbers that the program prints are
# the data. Files, JSON, CSV and `.npy` have readers in `lfi.simulation.simulators.readers`. A
# program that starts slowly can keep running and answer line by line: `persistent=True`.

# %%
program = r"""
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **argument) {
    double a = atof(argument[1]), h = atof(argument[2]);
    srand48(atol(argument[3]));
    for (int t = 0; t < 10; t++) {                       /* count arrivals of a day */
        double rate = a * pow(2, -t / h), clock = -log1p(-drand48());
        int n = 0;
        while (clock < rate) { n++; clock -= log1p(-drand48()); }
        printf("%d ", n);
    }
    return 0;
}
"""
compiler = shutil.which("cc")
if compiler:
    Path("decay.c").write_text(program)
    subprocess.run([compiler, "-O2", "-o", "decay", "decay.c", "-lm"], check=True)
    in_c = lfi.Simulator.from_command("./decay {a} {h} {seed}", prior=prior)
    print(lfi.simulate(in_c, 200, seed=1))

# %% [markdown]
# ## 4. A Pyro model
#
# Its latent sites are the parameters, with their priors; its observed sites are the data.


# %%
def model():
    a = pyro.sample("a", dist.LogNormal(4.0, 0.5))
    h = pyro.sample("h", dist.Uniform(1.0, 5.0))
    with pyro.plate("days", 10):
        pyro.sample("x", dist.Poisson(a * 2 ** (-days / h)))


in_pyro = lfi.Simulator.from_pyro(model, observed="x")
print(in_pyro)

# %% [markdown]
# ## 5. Summaries
#
# A simulator with summaries is a simulator again.

# %%
totals = decay.with_summary(lambda x: torch.stack([x.sum(1), x[:, 5:].sum(1)], 1))
print(totals(torch.tensor([[50.0, 2.0]]), seed=1))

# %% [markdown]
# ## 6. Four times the same
#
# At one parameter vector, 300 data sets of each: a two-sample test by the energy distance compares
# them with those of the first. A p-value is uniform where two simulators are the same; the last
# line shows that the test detects a half-life that is wrong by a tenth.

# %%
theta = torch.tensor([[50.0, 2.0]]).repeat(300, 1)
reference = decay(theta, seed=1)
others = {"one by one": one_by_one, "Pyro": in_pyro} | ({"C": in_c} if compiler else {})
p_values = {}
for seed, (name, simulator) in enumerate(others.items(), start=2):
    p_values[name] = lfi.energy_test(reference, simulator(theta, seed=seed), seed=seed).p_value
    print(f"{name:12} p = {p_values[name]:.3f}")
wrong = decay(theta * torch.tensor([1.0, 1.1]), seed=9)
p_wrong = lfi.energy_test(reference, wrong, seed=9).p_value
print(f"{'wrong h':12} p = {p_wrong:.3f}")

# %% [markdown]
# Each of them now goes wherever a simulator goes: `lfi.simulate`, `lfi.fit_rounds`,
# `lfi.fit_surrogate`, and, as a file with `prior` and `simulate`, `lfi run my_simulator.py`.

# %%
assert decay.check(seed=1).ok and "all rows of a batch" in str(found)
raised = simulations.status == "error"
assert np.array_equal(raised, (simulations.theta[:, 1] < 1.1).numpy()) and raised.any()
assert all(p > 0.001 for p in p_values.values())  # false once in 1,000 for each
assert p_wrong < 0.01
