# %% [markdown]
# # From one core to a cluster
#
# **Question.** A simulation takes a second, and you need a hundred thousand. How do you use all
# the processors you can get, stop and go on, and still publish numbers that others can repeat?
#
# **Answer.** Give `simulate` workers, a store, or an executor. Wherever they are computed, in
# whatever order and however often interrupted: the same seed gives the same simulations, bit for
# bit.
#
# You need: `pip install 'lfi[cluster]'` for the part on Dask. You will meet: `workers`, `timeout`,
# `store`, `executor`.

# %%
import os
import tempfile
import time
from pathlib import Path

import torch
from distributed import Client, LocalCluster
from torch.distributions import LogNormal

import lfi

torch.set_num_threads(1)


def queue(theta, rng):
    """Waiting times of 40 customers in front of one counter."""
    arrival, service = theta.tolist()
    gaps = rng.exponential(1 / arrival, size=40)
    needs = rng.exponential(1 / service, size=40)
    wait, waits = 0.0, []
    for gap, need in zip(gaps, needs, strict=True):
        wait = max(0.0, wait - gap) + need
        waits.append(wait)
    time.sleep(0.002)  # a stand-in for something that takes longer
    return waits


prior = {"arrival": LogNormal(0.0, 0.3), "service": LogNormal(0.5, 0.3)}
simulator = lfi.Simulator(queue, prior=prior, batched=False)

# %% [markdown]
# ## 1. One core, and then all of yours
#
# `workers` are processes. They get the function itself, closures and all, so a notebook or script
# needs no `if __name__ == "__main__"`. One that crashes is replaced, and the row that crashed it is
# recorded as an error; `timeout` does the same for one that hangs.

# %%
alone = lfi.simulate(simulator, 400, seed=1)
together = lfi.simulate(simulator, 400, seed=1, workers=2, timeout=60)
print(torch.equal(alone.x, together.x))

# %% [markdown]
# ## 2. Stop and go on
#
# With a `store` every finished simulation is on disk within a second. `Ctrl-C`, a time limit of the
# queue, a power cut: the same call goes on where it was. Here "stopped" means that only 150 were
# asked for at first.

# %%
folder = Path(tempfile.mkdtemp()) / "queue.zarr"
lfi.simulate(simulator, 150, seed=1, store=folder)
began = time.monotonic()
stored = lfi.simulate(simulator, 400, seed=1, store=folder, workers=2)
print(torch.equal(alone.x, stored.x), f"{time.monotonic() - began:.1f} s for the other 250")

# %% [markdown]
# Another process may read the store while it grows, `lfi.Simulations.open(folder)`. A store larger
# than memory is read in batches by `lfi.simulation.StreamedBatches`, for `lfi.training.fit`.
#
# ## 3. A cluster
#
# `executor` is any `concurrent.futures.Executor`. Dask's is the one to begin with, because the same
# line works on a laptop and on a thousand machines. Here two processes of this machine stand for
# the cluster, and speak to the scheduler over TCP as they would from elsewhere.
#
#     from dask_jobqueue import SLURMCluster                  # on a Slurm cluster
#     cluster = SLURMCluster(cores=1, memory="2 GB", walltime="04:00:00")
#     cluster.scale(jobs=100)
#
#     from dask_kubernetes.operator import KubeCluster        # on Kubernetes
#     cluster = KubeCluster(name="lfi", image="an image with lfi in it", n_workers=100)
#
# Workers may come, go and be killed: Dask gives their work to others, and the store holds what is
# done if everything goes. lfi and what your simulator imports must be installed where they run; the
# function itself travels. `workers` says how many there are, so that all of them have something to
# do. A worker of the cluster that should survive crashes and hangs gets a `timeout` too.

# %%
with (
    LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    Client(cluster) as client,
):
    pids = set(client.run(os.getpid).values())
    clustered = lfi.simulate(simulator, 400, seed=1, workers=2, executor=client.get_executor())
print(f"processes {pids}, this one {os.getpid()}:", torch.equal(alone.x, clustered.x))

# %% [markdown]
# MPI (`mpi4py.futures.MPIPoolExecutor`), Parsl, loky and Python's own pools are executors as well.
#
# ## 4. What to write in the paper
#
# The seed. Rows are numbered; theta and x of row i depend on the seed, on i and on the simulator,
# and on nothing else. So more of the same run only adds rows:

# %%
longer = lfi.simulate(simulator, 500, seed=1)
print(torch.equal(longer.x[:400], alone.x))

# %%
assert torch.equal(alone.x, together.x) and torch.equal(alone.x, stored.x)
assert torch.equal(alone.x, clustered.x) and os.getpid() not in pids and len(pids) == 2
assert torch.equal(longer.x[:400], alone.x) and len(longer) == 500
assert len(lfi.Simulations.open(folder)) == 400
