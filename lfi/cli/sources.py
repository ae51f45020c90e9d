"""What a command line names: a simulator, and the data it is to be compared with."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import simulators
from lfi.simulation import Simulator, as_simulator


def at_hand() -> dict[str, str]:
    """Return the names of the simulators that come with lfi, each with its first line.

    Example:
        >>> "influenza" in at_hand()
        True
    """
    return _first_lines(lambda m: hasattr(m, "prior") and hasattr(m, "simulate"))


def data_at_hand() -> dict[str, str]:
    """Return the names of the data for generators that come with lfi, each with its first line.

    They have samples but no parameters, so that there is nothing to infer.

    Example:
        >>> "ring" in data_at_hand()
        True
    """
    return _first_lines(lambda m: hasattr(m, "sample") and not hasattr(m, "prior"))


def find(source: str) -> Simulator:
    """Return the simulator that a person names.

    Args:
        source: A name of `lfi list`, a Python file shaped like those in `simulators/`, or an object
            in one, as in "my_sim.py:epidemic".

    Raises:
        ValueError: If there is no such simulator, with what there is.
    """
    path, _, name = source.partition(":")
    if path.endswith(".py"):
        module = load_file(Path(path))
        if not name:
            return as_simulator(module)
        if not hasattr(module, name):
            raise ValueError(f"{path} holds nothing called {name!r}")
        return as_simulator(getattr(module, name))
    if source not in at_hand():
        names = ", ".join(at_hand())
        what = f"there is no simulator {source!r}"
        if source in data_at_hand():
            what = f"{source!r} is data for generators and has no parameters to infer"
        raise ValueError(f"{what}: give {names}, or a Python file")
    return as_simulator(importlib.import_module(f"simulators.{source}"))


def load_file(path: Path) -> ModuleType:
    """Import a Python file of the user's.

    Raises:
        ValueError: If there is no such file, or importing it fails.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_the_user"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its classes and functions can be found again
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def read_observation(path: Path) -> Float[Tensor, "..."]:
    """Read an observation from .npy, or from text with numbers apart by commas or white space.

    Lines that start with # are left out, and so is a first line that holds no numbers. A table of
    one row or one column is one series.

    Raises:
        ValueError: If there is no such file or it holds something else than numbers.
    """
    if not path.is_file():
        raise ValueError(f"--observation: there is no file {path}")
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            lines = [line for line in path.read_text().splitlines() if line.strip()]
            rows = [line.replace(",", " ").split() for line in lines if line[0] != "#"]
            rows = rows[1:] if rows and not _numbers(rows[0]) else rows
            values = np.array([[float(entry) for entry in row] for row in rows])
            values = values.ravel() if 1 in values.shape else values
            if values.size == 0:
                raise ValueError("it is empty")
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).float()
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"--observation: {path} is no table of numbers: {error}") from error


def _first_lines(chosen: Callable[[ModuleType], bool]) -> dict[str, str]:
    """Return the first lines of the modules of `simulators` that are chosen, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(simulators.__path__))
    modules = {name: importlib.import_module(f"simulators.{name}") for name in names}
    return {
        name: (module.__doc__ or "").strip().partition("\n")[0]
        for name, module in modules.items()
        if chosen(module)
    }


def _numbers(row: list[str]) -> bool:
    try:
        return all(isinstance(float(entry), float) for entry in row)
    except ValueError:
        return False
