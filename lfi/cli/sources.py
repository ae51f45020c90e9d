"""What a command line names, a simulator and data, found without importing any simulator."""

import ast
import importlib
import importlib.util
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType

import lfi
import simulators

_imported: dict[str, ModuleType] = {}  # files of the user's, by their path


def available_simulators() -> dict[str, str]:
    """Return the names of the simulators that come with lfi, each with its first line."""
    return _first_lines({"prior", "simulate"})


def available_data() -> dict[str, str]:
    """Return names and first lines of lfi's data sets, samples without parameters to infer."""
    return _first_lines({"sample"})


def check_simulator(source: str) -> None:
    """Raise `ValueError` where there is no simulator of a name, nor a file that may hold it."""
    path = source.partition(":")[0]
    names = available_simulators()
    if path.endswith(".py"):
        if not Path(path).is_file():
            close = get_close_matches(path, [found.name for found in Path().glob("*.py")], n=2)
            advice = f": did you mean {' or '.join(close)}?" if close else ""
            raise ValueError(f"there is no file {path}{advice}")
    elif source not in names:
        problem = f"there is no simulator {source!r}"
        if source in available_data():
            problem = f"{source!r} is a data set for generators and has no parameters to infer"
        elif close := similar(source):
            raise ValueError(f"{problem}: did you mean {' or '.join(close)}?")
        raise ValueError(f"{problem}: give {', '.join(names)}, or a Python file")


def similar(source: str) -> list[str]:
    """Return the names of simulators, and of Python files here, that are nearly what was typed."""
    files = [path.name for path in Path().glob("*.py")]
    return get_close_matches(source, [*available_simulators(), *files], n=2)


def load_simulator(source: str) -> "lfi.Simulator":
    """Return what `lfi list` names, or "my_sim.py" or "my_sim.py:epidemic"; else ValueError.

    How a function of a file is called is found out by trying it (`as_found`).
    """
    from lfi.simulation.simulators.convention import as_found
    from lfi.simulation.simulators.wrap import as_simulator

    check_simulator(source)
    path, _, name = source.partition(":")
    if not path.endswith(".py"):
        return as_simulator(importlib.import_module(f"simulators.{source}"))
    module = import_file(Path(path))
    if name and not hasattr(module, name):
        raise ValueError(f"{path} holds nothing called {name!r}{_offered(module)}")
    if name or (hasattr(module, "prior") and hasattr(module, "simulate")):
        return as_found(getattr(module, name) if name else module, name=source)
    wrapped = _wrapped(module)
    if len(wrapped) != 1:
        raise ValueError(
            f"{path} has no `prior` and `simulate`{_offered(module)}; `lfi new` writes an example"
        )
    return getattr(module, wrapped[0])


def module_of(source: str) -> ModuleType | None:
    """Return the module that a simulator was loaded from, by what named it."""
    path = source.partition(":")[0]
    if not path.endswith(".py"):
        return sys.modules.get(f"simulators.{path}")
    return _imported.get(str(Path(path).absolute()))


def _wrapped(module: ModuleType) -> list[str]:
    """Return the names of the simulators in a module."""
    return [name for name, value in vars(module).items() if isinstance(value, lfi.Simulator)]


def _offered(module: ModuleType) -> str:
    """Return which simulators a module has, for a message."""
    names = _wrapped(module)
    return f": it has the simulators {', '.join(names)}" if names else ""


def import_file(path: Path) -> ModuleType:
    """Import a Python file of the user's; where that fails, raise `ValueError` with the line."""
    known = sys.modules.get(path.stem)
    again = known is None or getattr(known, "__file__", None) == str(path.absolute())
    name = path.stem if again else f"{path.stem}_of_the_user"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    assert spec is not None and spec.loader is not None  # as for every file called *.py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its classes and functions can be found again
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a simulator's file is no program
        from lfi.runtime.calls import in_words

        raise ValueError(f"{path} cannot be imported: {in_words(error)}") from error
    finally:
        sys.path.pop(0)
    _imported[str(path.absolute())] = module
    return module


def _first_lines(required: set[str]) -> dict[str, str]:
    """Return the first lines of the modules of `simulators` that define all of these names."""
    return {name: line for name, (line, defined) in _modules().items() if required <= defined}


@cache
def _modules() -> dict[str, tuple[str, set[str]]]:
    """Return the first line of each module of `simulators`, and the names that it defines."""
    found = {}
    for path in sorted(Path(simulators.__path__[0]).glob("*.py")):
        tree = ast.parse(path.read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
        defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0], defined
    return found
