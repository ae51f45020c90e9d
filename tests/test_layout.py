"""The shape of the package: rooms, short modules, unique names, a lazy front door, seeds."""

import ast
import inspect
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import lfi

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "lfi").rglob("*.py"))
SIMULATORS = sorted((ROOT / "simulators").glob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in [*PATHS, *SIMULATORS]}
NAMESPACES = (
    "abc",
    "autoencoders",
    "discrepancies",
    "embeddings",
    "gans",
    "imitation",
    "kernels",
    "losses",
    "penalties",
)
NAMESPACES += ("plots", "samplers", "scores", "tables", "trackers")


def names_of(module):
    items = vars(module).items()
    return sorted(n for n, item in items if not (n.startswith("_") or inspect.ismodule(item)))


OFFERED = {space: names_of(getattr(lfi, space)) for space in NAMESPACES}
PUBLIC = {name: getattr(lfi, name) for name in lfi.__all__}
FUNCTIONS = {name: item for name, item in PUBLIC.items() if inspect.isfunction(item)}
DETERMINISTIC = {"abc_rejection", "load", "simulator", "write_report"}

# What draws from the global state of torch, unless it is given a generator, and of NumPy.
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli"}
TORCH_DRAWS |= {"poisson", "rand_like", "randn_like", "randint_like", "_standard_gamma"}
NUMPY_SAFE = {"Generator", "SeedSequence", "default_rng", "PCG64", "BitGenerator"}
NUMPY_SAFE |= {"RandomState"}  # of a seed, as scikit-learn has it


def dotted(path):
    """The module's name, such as lfi.ratio.types; a package's is that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in PATHS}


def nodes(path, *kinds):
    return [node for node in ast.walk(TREES[path]) if isinstance(node, kinds)]


def imports(path):
    """Every module of lfi or elsewhere that the file imports, also inside functions."""
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif node.level == 0:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def offenders(check, paths=PATHS):
    """The places that a check finds, as text that a person can go to."""
    found = ((path, line) for path in paths for line in check(path))
    return [f"{path.relative_to(ROOT)}: {line}" for path, line in found]


# Modules.


def test_modules_are_short_and_say_what_they_are_for():
    def wrong(path):
        if (length := len(path.read_text().splitlines())) > 450:
            yield f"{length} lines"
        if not ast.get_docstring(TREES[path]):
            yield "no docstring"
        if path.stem in {"utils", "util", "helpers", "misc", "common"}:
            yield "a name that says nothing"

    assert not offenders(wrong, [*PATHS, *SIMULATORS])


def test_no_folder_has_more_than_twenty_modules():
    counts = defaultdict(int)
    for path in PATHS:
        counts[path.parent] += path.stem != "__init__"
    assert not [f"{folder}: {n}" for folder, n in counts.items() if n > 20]


def test_doors_of_rooms_only_reexport():
    def wrong(path):
        if path.stem == "__init__" and path.parent.name != "lfi":
            for node in TREES[path].body:
                docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                if not (docstring or isinstance(node, ast.ImportFrom)):
                    yield ast.unparse(node)

    assert not offenders(wrong)


def overloads(node):
    """Whether a definition only tells types, and another one of its name follows."""
    return any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)


def test_no_definition_has_the_name_of_another():
    places = defaultdict(list)
    for path in PATHS:
        for node in TREES[path].body:
            kinds = ast.FunctionDef | ast.ClassDef
            if isinstance(node, kinds) and not node.name.startswith("_") and not overloads(node):
                places[node.name].append(dotted(path))
    twice = {name: modules for name, modules in places.items() if len(modules) > 1}
    twice.pop("main", None)  # of programs
    assert not twice


def test_no_module_imports_itself_through_others():
    def reached(start):
        waiting, seen = [start], set()
        while waiting:
            for target in imports(MODULES[waiting.pop()]):
                known = target in MODULES and MODULES[target].stem != "__init__"
                if known and target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return seen

    assert not [name for name in MODULES if name in reached(name)]


def test_simulators_and_lfi_do_not_know_each_other():
    def knows(other):
        return lambda path: (name for name in imports(path) if name.split(".")[0] == other)

    rooms = [path for path in PATHS if path.parent.name != "cli"]
    assert not offenders(knows("lfi"), SIMULATORS)
    assert not offenders(knows("simulators"), rooms)


def test_functions_take_no_bag_of_options_and_do_not_print():
    def wrong(path):
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda):
            # a decorator takes what its function takes, a check the names of what it checks
            passes_on = path.stem in {"arguments", "checks"}
            if node.args.kwarg and not passes_on:
                yield f"line {node.lineno} takes **{node.args.kwarg.arg}"
        for node in nodes(path, ast.Call):
            if ast.unparse(node.func) == "print":
                yield f"line {node.lineno} prints"

    assert not offenders(wrong)


def test_random_numbers_come_from_generators_handed_down():
    def wrong(path):
        for call in nodes(path, ast.Call):
            room, _, name = ast.unparse(call.func).rpartition(".")
            words = {word.arg for word in call.keywords}  # None: options unpacked, **draw
            if room == "torch" and name in TORCH_DRAWS and not words & {"generator", None}:
                yield ast.unparse(call)
            safe = name in NUMPY_SAFE or path.name == "seeds.py"
            if room in {"np.random", "numpy.random"} and not safe:
                yield ast.unparse(call)

    assert not offenders(wrong)


def test_tests_lie_where_what_they_test_lies():
    rooms = {path.name for path in (ROOT / "lfi").iterdir() if path.is_dir()}
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    names = [folder.relative_to(ROOT / "tests") for folder in folders]
    assert not [
        str(name)
        for name in names
        if name.parts and name.parts[0] in rooms and not (ROOT / "lfi" / name).is_dir()
    ]


# The front door.


def test_importing_lfi_imports_nothing_heavy():
    code = "import lfi, sys; assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_front_door_has_few_names_and_all_rooms():
    kinds = {name for name, item in PUBLIC.items() if not inspect.ismodule(item)}
    assert len(kinds) <= 50
    rooms = {path.parent.name for path in PATHS if path.stem == "__init__"} - {"lfi"}
    top = {name for name in rooms if (ROOT / "lfi" / name).is_dir()}
    assert top | set(NAMESPACES) == set(lfi.__all__) - kinds
    with pytest.raises(AttributeError, match="nothing"):
        lfi.nothing  # noqa: B018


def test_there_is_one_way_to_a_name():
    places = defaultdict(list)
    for name in lfi.__all__:
        places[name].append("lfi")
    for space, names in OFFERED.items():
        for name in names:
            places[name].append(f"lfi.{space}")
    twice = {name: spaces for name, spaces in places.items() if len(spaces) > 1}
    assert not twice


def test_public_names_resolve_and_are_documented():
    offered = [(f"lfi.{name}", item) for name, item in PUBLIC.items()]
    for space, names in OFFERED.items():
        offered += [(f"lfi.{space}.{name}", getattr(getattr(lfi, space), name)) for name in names]
    undocumented = []
    for title, item in offered:
        doc = inspect.getdoc(item) or ""
        if not doc or doc.startswith(f"{title.split('.')[-1]}("):  # a dataclass's signature
            undocumented.append(title)
    assert not undocumented


def test_public_functions_have_an_example_that_runs():
    docs = {name: inspect.getdoc(function) for name, function in FUNCTIONS.items()}
    assert not [name for name, doc in docs.items() if "Example" not in doc or ">>>" not in doc]


def test_public_functions_that_draw_take_a_seed():
    def wrong(function):
        seed = inspect.signature(function).parameters.get("seed")
        return seed is None or seed.default is not None or seed.kind != seed.KEYWORD_ONLY

    drawing = FUNCTIONS.keys() - DETERMINISTIC
    assert not [name for name in sorted(drawing) if wrong(FUNCTIONS[name])]
