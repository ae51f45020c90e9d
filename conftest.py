"""Every test and docstring example starts from seed 0, in float64, on one thread.

What a test changes of the global state is put back after it: the next one starts from the same.
"""

import os
import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also of the processes that tests start
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import torch
import typechecker
from hypothesis import settings

UNKNOWN_SECONDS = 5  # of slow tests that tests/slow_seconds.txt does not name

typechecker.check_once_per_shape()
torch.set_num_threads(1)  # small networks on shared cores: ten times faster than the default
settings.register_profile("lfi", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("lfi")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --device: where tests that train do it (with `-m gpu`: cuda), and --part."""
    parser.addoption("--device", default="cpu", help="device of the tests that train: cpu, cuda")
    parser.addoption("--part", default="1/1", help="which part of the slow tests, such as 2/3")


def pytest_configure(config: pytest.Config) -> None:
    """Let ArviZ write its stamp of the day before workers start, which race to write it."""
    if not hasattr(config, "workerinput"):
        import_module("arviz")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests of other parts, which take about as long as each other.

    The longest goes first, each to the part that has least so far; its file runs first too, so
    that none is left alone at the end.
    """
    part, parts = map(int, config.getoption("--part").split("/"))
    lines = (config.rootpath / "tests" / "slow_seconds.txt").read_text().splitlines()
    known = [line.split(maxsplit=1) for line in lines if line[0] != "#"]
    slow = {item.nodeid: item for item in items if item.get_closest_marker("slow")}

    def seconds(name: str) -> int:
        found = [(begin, int(count)) for count, begin in known if name.startswith(begin)]
        return max(found, key=lambda pair: len(pair[0]), default=("", UNKNOWN_SECONDS))[1]

    loads, own = [0] * parts, set()
    for name in sorted(slow, key=lambda name: (-seconds(name), name)):
        place = loads.index(min(loads))
        loads[place] += seconds(name)
        own |= {name} if place == part % parts else set()
    config.hook.pytest_deselected(items=[slow[name] for name in slow.keys() - own])
    items[:] = [item for item in items if item.nodeid in own or item.nodeid not in slow]
    longest: dict[Path, int] = {}
    for item in items:
        if item.nodeid in own:
            longest[item.path] = max(longest.get(item.path, 0), seconds(item.nodeid))
    items.sort(key=lambda item: -longest.get(item.path, 0))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """Return the device asked for on the command line, to be passed to what fits."""
    return request.config.getoption("--device")


@pytest.fixture(autouse=True)
def clean_state() -> Iterator[None]:
    """Seed what draws, compute in float64, and restore the global state afterwards."""
    dtype, threads, grad = torch.get_default_dtype(), torch.get_num_threads(), True
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(grad)
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no workers that a test does not ask for."""
    for user in ("lfi.runtime.workers.beside", "lfi.inference.methods.separate_fits"):
        monkeypatch.setattr(import_module(user), "usable_cores", lambda: 1)


@pytest.fixture(scope="module")
def float64_throughout() -> Iterator[None]:
    """Compute in float64 in a module's own fixtures too, which begin before its first test."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture(autouse=True)
def names_of_examples(doctest_namespace: dict) -> None:
    """Let docstring examples use `torch` and `lfi` without importing them."""
    import lfi  # here: a test run must install its check of shapes before the first import

    doctest_namespace.update(torch=torch, lfi=lfi)
