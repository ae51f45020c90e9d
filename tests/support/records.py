"""Simulators that tests run, of a batch and of one vector, and when two records are the same."""

import json
from contextlib import suppress

import numpy as np
import torch
from torch.distributions import Normal, Uniform

from lfi.simulation.records.layout import metadata_checksum
from lfi.simulation.simulators.simulator import Simulator


def prior():
    return {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}


def noisy(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta + torch.randn(theta.shape, generator=rng)


def fragile(theta):
    """Of one vector; fails in a tenth of the rows, and draws from the global state."""
    if theta[0] < 0.1:
        raise ValueError("a is too small")
    return theta.sum() + torch.randn(3) + np.random.randn()


def batched():
    return Simulator(noisy, prior=prior(), name="noisy")


def of_one():
    return Simulator(fragile, prior=prior(), batched=False, name="fragile")


def assert_same(one, two):
    for name in ("theta", "x", "codes"):
        a, b = getattr(one, name), getattr(two, name)
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert (one.errors, one.seed, one.names, one.source) == (
        two.errors,
        two.seed,
        two.names,
        two.source,
    )


def sign(path):
    """Let a store's checksum agree with what its metadata say, where they can be read."""
    place = path / "finished.json"
    with suppress(Exception):
        count = json.loads(place.read_text())
        count["checksum"] = metadata_checksum(path, count["finished"], count["errors_size"])
        place.write_text(json.dumps(count))
