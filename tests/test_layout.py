"""The shape of the package: rooms, short modules, a lazy front door, no hidden randomness."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import lfi

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "lfi").rglob("*.py"))
SIMULATORS = sorted((ROOT / "simulators").glob("*.py"))
FURNITURE = [path for path in MODULES if path.stem != "__init__"]
DOORS = [path for path in MODULES if path.stem == "__init__" and path.parent.name != "lfi"]
FUNCTIONS = [name for name in lfi.__all__ if name.islower()]  # classes are in CamelCase
DRAWING = {
    "abc_smc",
    "c2st",
    "check",
    "check_observation",
    "energy_test",
    "fidelity",
    "fidelity_by_region",
    "fit_posterior",
    "fit_rounds",
    "fit_surrogate",
    "local_check",
    "lsdd_test",
    "mmd_test",
    "mutual_information",
    "predictive_check",
    "predictive_checks",
    "simulate",
    "wasserstein_distance",
}

# What draws from the global state of torch, unless it is given a generator, and of NumPy.
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli"}
TORCH_DRAWS |= {"poisson", "rand_like", "randn_like", "randint_like", "_standard_gamma"}
NUMPY_SAFE = {"Generator", "SeedSequence", "default_rng", "PCG64", "BitGenerator"}
NUMPY_SAFE |= {"RandomState"}  # of a seed, as scikit-learn has it


def short(path):
    return str(path.relative_to(ROOT))


each_module = pytest.mark.parametrize("path", MODULES, ids=short)
each_room = pytest.mark.parametrize("path", DOORS, ids=short)
each_simulator = pytest.mark.parametrize("path", SIMULATORS, ids=short)
each_name = pytest.mark.parametrize("name", lfi.__all__)
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def nodes(path, kind):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]


def imports(path):
    """Every dotted name the file imports."""
    for node in nodes(path, (ast.Import, ast.ImportFrom)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield "." * node.level + (node.module or "")


# Modules.


@pytest.mark.parametrize("path", [*MODULES, *SIMULATORS], ids=short)
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= 350


@each_module
def test_modules_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}


@each_room
def test_doors_of_rooms_only_reexport(path):
    for node in ast.parse(path.read_text()).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert docstring or names or isinstance(node, ast.ImportFrom), ast.unparse(node)


@each_simulator
def test_simulators_do_not_know_lfi(path):
    assert not any(name.split(".")[0] == "lfi" for name in imports(path))


@each_module
def test_only_the_command_line_knows_the_simulators(path):
    if path.parent.name != "cli":
        assert not any(name.split(".")[0] == "simulators" for name in imports(path))


@each_module
def test_functions_take_no_bag_of_options(path):
    kind = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    assert not [node.lineno for node in nodes(path, kind) if node.args.kwarg]


@each_module
def test_modules_do_not_print(path):
    calls = [node for node in nodes(path, ast.Call) if isinstance(node.func, ast.Name)]
    assert not [node.lineno for node in calls if node.func.id == "print"]


@each_module
def test_random_numbers_come_from_generators_handed_down(path):
    for call in nodes(path, ast.Call):
        room, _, name = ast.unparse(call.func).rpartition(".")
        if room == "torch" and name in TORCH_DRAWS:
            words = {word.arg for word in call.keywords}  # None: options unpacked, **draw
            assert words & {"generator", None}, ast.unparse(call)
        if room in {"np.random", "numpy.random"}:
            assert name in NUMPY_SAFE or path.name == "seeds.py", ast.unparse(call)


# The front door.


def test_importing_lfi_imports_nothing_heavy():
    code = "import lfi, sys; assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_front_door_lists_its_names():
    assert set(lfi.__all__) <= set(dir(lfi))
    assert len(set(lfi.__all__)) == len(lfi.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lfi.nothing  # noqa: B018


@each_name
def test_public_names_resolve_and_are_documented(name):
    doc = inspect.getdoc(getattr(lfi, name)) or ""
    assert doc
    assert not doc.startswith(f"{name}("), "a dataclass with a signature for a docstring"


@each_function
def test_public_functions_have_an_example_that_runs(name):
    doc = inspect.getdoc(getattr(lfi, name))
    assert "Example" in doc
    assert ">>>" in doc


@each_function
def test_public_functions_that_draw_take_a_seed(name):
    parameters = inspect.signature(getattr(lfi, name)).parameters
    if name in DRAWING or name.startswith("fit_"):
        seed = parameters["seed"]
        assert seed.default is None
        assert seed.kind is inspect.Parameter.KEYWORD_ONLY
