"""Random seeds: one number at the public function, independent streams for everything below it.

A stream is named by a key of whole numbers, as NumPy's `SeedSequence(seed, spawn_key=key)`: no
stream depends on how many numbers another one has used. Random numbers are drawn on the CPU and
moved, so that devices agree.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch

_one_at_a_time = threading.RLock()  # the global state is one for all threads


def fresh(seed: object = None) -> int:
    """Return the seed, a whole number from 0, or a new one from the machine's entropy for None.

    Example:
        >>> fresh(7)
        7
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed must be a whole number or None, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return int(seed)


def child(seed: int, *key: int) -> int:
    """Return the seed, below 2^63, of the stream that `key` names."""
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def numpy_rng(seed: int, *key: int) -> np.random.Generator:
    """Return NumPy's generator for the stream that `key` names."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def torch_rng(seed: int, *key: int) -> torch.Generator:
    """Return torch's generator, on the CPU, for the stream that `key` names.

    Example:
        >>> a, b = torch_rng(1, 0), torch_rng(1, 0)
        >>> torch.equal(torch.randn(3, generator=a), torch.randn(3, generator=b))
        True
    """
    return torch.Generator("cpu").manual_seed(child(seed, *key))


def reseed(seed: int) -> None:
    """Seed torch's, NumPy's and Python's global states, inside `isolated`."""
    state = child(seed, 0)
    torch.default_generator.manual_seed(state)  # torch.manual_seed takes 100 times as long
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(state)
    numpy, python = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(2, np.uint32)
    np.random.seed(numpy)
    random.seed(int(python))


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seed torch's, NumPy's and Python's global states inside, and restore them afterwards.

    For code that cannot be handed a generator, such as the initialisation of networks and
    `torch.distributions`. Other threads wait for their turn.
    """
    with _one_at_a_time:
        python, numpy = random.getstate(), np.random.get_state()
        state = torch.default_generator.get_state()
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        try:
            reseed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.default_generator.set_state(state)
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)
