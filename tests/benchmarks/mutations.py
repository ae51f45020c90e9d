"""Mutation testing: small faults put into lfi on purpose, and how many of them the quick tests see.

    python tests/benchmarks/mutations.py                           # all families, an hour of a core
    python tests/benchmarks/mutations.py --only kernels penalties  # some families or modules
    python tests/benchmarks/mutations.py --sample 20               # at most 20 mutants of a module
    python tests/benchmarks/mutations.py --recorded                # those that survived before
    python tests/benchmarks/mutations.py --only smc --list         # the mutants, without running

A mutant is a module with one change in the body of a function: another operator, comparison, sign
or constant, swapped arguments of `where`, min for max, sum for mean, a clamp, a square, a check or
a `not` left out, a branch taken the other way, an argument returned in place of a result.
Messages, what describes results in words, and defaults, which are choices, are left as they are. A
mutant is killed if one of the module's quick tests or examples fails, the quickest of which are
run, five seconds of them in all, or if these take twice the time.

Survivors are printed. Those that are accepted are listed, with the reason, in survivors.csv; one
that is not listed makes the exit status 1. The shares are appended to results.csv. The tests of a
module run in forks of one process that has collected them, where functions get other code: a mutant
costs a fraction of a second. (Tools such as mutmut and cosmic-ray start pytest, and so torch, for
each, or wrap functions whose signatures `checked` has to read.)
"""

import argparse
import ast
import csv
import gc
import importlib
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from zlib import crc32

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
if not (ROOT / "lfi").exists():  # a copy of the script alone
    ROOT = Path(importlib.util.find_spec("lfi").origin).parent.parent
SHARED = "torch scipy.stats scipy.optimize mpmath pyro zuko sklearn.svm"  # imported once

# Of each family its modules, and of these their quick tests, and which functions, if not all.
LOSSES = "comparison/losses/test_{}.py"
DIVERGENCES = [LOSSES.format(name) for name in ("divergence", "divergences", "decision")]
SMC = ["_first_population", "_next_tolerance", "_next_population", "_without_ties", "_summary"]
FAMILIES = {
    "divergences": {
        "comparison/losses/divergence.py": DIVERGENCES,
        "comparison/losses/divergences.py": DIVERGENCES,
        "comparison/losses/relative.py": [LOSSES.format("relative")],
        "comparison/losses/custom.py": [LOSSES.format("custom"), *DIVERGENCES[:2]],
    },
    "losses": {
        "comparison/losses/contrastive.py": [LOSSES.format("contrastive")],
        "comparison/losses/decision.py": [LOSSES.format("decision")],
        "comparison/losses/learned_features.py": [LOSSES.format("learned_features")],
        "comparison/losses/least_squares.py": [LOSSES.format("least_squares")],
        "comparison/losses/relativistic.py": [LOSSES.format("relativistic")],
    },
    "penalties": {
        "comparison/penalties/annealed.py": ["comparison/penalties/test_annealed.py"],
        "comparison/penalties/constraints.py": ["comparison/penalties/test_constraints.py"],
        "comparison/penalties/gradient.py": ["comparison/penalties/test_gradient.py"],
    },
    "kernels": {
        "comparison/kernels/stationary.py": ["comparison/kernels/test_stationary.py"],
        "comparison/kernels/composite.py": ["comparison/kernels/test_stationary.py"],
    },
    "importance weights": {
        "numerics/importance_weights.py": ["numerics/test_importance_weights.py"],
        "numerics/resampling.py": ["numerics/test_resampling.py"],
        "inference/samplers/adaptive_importance.py": [
            "inference/samplers/test_adaptive_importance.py",
            "inference/samplers/test_importance.py",
        ],
        "inference/samplers/importance.py": ["inference/samplers/test_importance.py"],
        "inference/samplers/defensive.py": ["inference/samplers/test_defensive.py"],
        "inference/methods/stacking_table.py": ["inference/methods/test_pool.py"],
        "training/stacking.py": ["training/test_stacking.py"],
        "ratio/density/importance_resampling.py": ["ratio/density/test_importance_resampling.py"],
    },
    "ABC weights": {
        "inference/abc/accepted.py": ["inference/abc/test_accepted.py"],
        "inference/abc/adjustment.py": ["inference/abc/test_adjustment.py"],
        "inference/abc/population.py": [
            "inference/abc/test_population.py",
            "inference/abc/test_smc.py",
        ],
        "inference/abc/proposals.py": ["inference/abc/test_proposals.py"],
        "inference/abc/rejection.py": ["inference/abc/test_rejection.py"],
        "inference/abc/schedules.py": ["inference/abc/test_schedules.py"],
        "inference/abc/smc.py": ["inference/abc/test_smc.py"],
    },
}
WEIGHING = ["ImportanceSamples", "StageProposal", "StagedSamples", "adaptive_importance"]
WEIGHING += ["_initial_samples", "tempering_power", "smoothed_samples", "_check_weights"]
FUNCTIONS = {  # not those that read files or decide how many samples are drawn
    "inference/abc/smc.py": SMC,
    "inference/abc/population.py": ["Population", "closest"],
    "inference/samplers/adaptive_importance.py": WEIGHING,
}
SECONDS = 5  # of tests that a mutant has to pass: the quickest ones
WORDS = {"describe", "_table", "__repr__"}  # functions that make texts

OPERATORS = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
PAIRS = "min max, amin amax, argmin argmax, sum mean, any all, floor ceil, zeros_like ones_like, "
PAIRS += "minimum maximum, clamp_min clamp_max, exp expm1, log log1p, softmax log_softmax"
OTHER = {}
for pair in PAIRS.split(", "):
    one, two = pair.split()
    OTHER |= {one: two, two: one}
LEFT_OUT = "clamp clamp_min clamp_max nan_to_num relu abs square sqrt exp log detach mean cumsum"


def changed(node: ast.AST, first: str) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place; `first` is the function's first argument."""
    match node:
        case ast.BinOp(left, op, right):
            for other in OPERATORS.get(type(op), []):
                yield ast.BinOp(left, other(), right)
        case ast.AugAssign(target, op, value):
            for other in OPERATORS.get(type(op), []):
                yield ast.AugAssign(target, other(), value)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(OPERATORS[type(op)][0](), values)
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                for other in OPERATORS[type(op)]:
                    yield ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], comparators)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value or 1.0)
        case ast.Call():
            yield from changed_call(node)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Expr(value=ast.Call() as call):  # `super()` needs the name
            yield ast.Expr(ast.Name("__class__")) if "super()" in ast.unparse(call) else ast.Pass()
        case ast.Return(value=ast.expr() as value) if first and "super()" not in ast.unparse(value):
            if ast.unparse(value) != first:
                yield ast.Return(ast.Name(first))


def changed_call(node: ast.Call) -> Iterator[ast.AST]:
    """Yield other calls, or what is called upon."""
    func, arguments = node.func, node.args
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", None)
    if name in OTHER:
        renamed = ast.Name(OTHER[name])
        if isinstance(func, ast.Attribute):
            renamed = ast.Attribute(func.value, OTHER[name])
        yield ast.Call(renamed, arguments, node.keywords)
    if name == "where" and len(arguments) == 3:
        yield ast.Call(func, [arguments[0], arguments[2], arguments[1]], node.keywords)
    if name in LEFT_OUT.split() and isinstance(func, ast.Attribute):
        of_module = isinstance(func.value, ast.Name) and func.value.id in ("torch", "F", "math")
        yield arguments[0] if of_module else func.value


@dataclass(frozen=True)
class Mutant:
    """A change of a module: where, what stood there, and what stands there instead."""

    module: str
    function: str
    original: str
    mutated: str
    number: int  # among those that look the same
    line: int
    source: bytes

    @property
    def key(self) -> tuple[str, ...]:
        """What survivors.csv knows it by."""
        return self.module, self.function, self.original, self.mutated, str(self.number)


def mutants(module: str) -> list[Mutant]:
    """Return the mutants of a module."""
    source = (ROOT / "lfi" / module).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, same = [], Counter()
    for node, names, first in nodes(ast.parse(source)):
        if module in FUNCTIONS and not set(names) & set(FUNCTIONS[module]):
            continue
        branch = isinstance(node, ast.If | ast.While)
        place = node.test if branch else node
        if branch and isinstance(place, ast.Compare | ast.UnaryOp):
            continue  # these are changed by themselves
        others = [ast.UnaryOp(ast.Not(), place)] if branch else changed(node, first)
        for other in others:
            begin = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            text = ast.unparse(other)
            text = f"({text})" if isinstance(other, ast.expr) else text
            original = " ".join(source[begin:end].decode().split())
            key = ".".join(names), original, text
            same[key] += 1
            whole = source[:begin] + text.encode() + source[end:]
            found.append(Mutant(module, *key, same[key], place.lineno, whole))
    return found


def nodes(
    node: ast.AST, names: tuple[str, ...] = (), first: str | None = None
) -> Iterator[tuple[ast.AST, tuple[str, ...], str]]:
    """Yield the nodes of functions' bodies, with the names and the first argument around them."""
    if first is not None:
        yield node, names, first
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        names = (*names, node.name)
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.FunctionDef):
        children = [] if node.name in WORDS else node.body
        arguments = [each.arg for each in node.args.args]
        first = next((name for name in arguments if name not in ("self", "cls")), "")
    if isinstance(node, ast.AnnAssign):
        children = [node.value] if node.value else []
    for child in children:
        if not isinstance(child, ast.Raise | ast.JoinedStr):
            yield from nodes(child, names, first)


class Killing:
    """A plugin of pytest that runs the tests collected against mutants of a module.

    The tests run once as they are, and then, those that were quickest first, in a fork for each
    mutant, whose functions' code replaces the module's.
    """

    def __init__(self, module: str, chosen: list[Mutant]) -> None:
        self.path, self.chosen = ROOT / "lfi" / module, chosen
        self.alive: list[int] | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests, and then the mutants."""
        examples = [item.dtest.globs for item in session.items if hasattr(item, "dtest")]
        names = [dict(each) for each in examples]
        took = run(session)
        if session.testsfailed:
            return True
        for each, before in zip(examples, names, strict=True):
            each.update(before)  # an example that has run loses its names
        session.items.sort(key=lambda item: took[item])
        total = list(accumulate(took[item] for item in session.items))
        del session.items[bisect_right(total, SECONDS) :]
        limit = 2 + 2 * SECONDS
        functions, cached = self._functions()
        gc.collect()
        gc.freeze()
        found = []
        for mutant in (None, *self.chosen):
            process = os.fork()
            if process == 0:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                signal.alarm(10 * limit)
                if mutant is not None:
                    replace_code(functions, mutant, self.path)
                for values, name in cached:
                    values.pop(name, None)
                run(session)
                os._exit(session.testsfailed > 0)
            found.append(finish(process))
            if not found[0]:  # they cannot be run twice
                return True
        self.alive = [number for number, passed in enumerate(found[1:]) if passed]
        return True

    def _functions(self) -> tuple[list[FunctionType], list[tuple[dict, str]]]:
        """Return the module's functions, and what its cached properties have kept."""
        path, things = str(self.path), gc.get_objects()
        functions = [f for f in things if type(f) is FunctionType]
        functions = [f for f in functions if f.__code__.co_filename == path]
        kept = {f.__qualname__ for f in functions}
        cached = []
        for thing in things:
            for name, value in vars(type(thing)).items():
                if isinstance(value, cached_property) and value.func.__qualname__ in kept:
                    cached.append((vars(thing), name))
        return functions, cached


def run(session: pytest.Session) -> dict[pytest.Item, float]:
    """Run the tests of a session until one fails, and return the processor's seconds of each."""
    took = {}
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        begin = time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        took[item] = time.process_time() - begin
        if session.testsfailed:
            break
    return took


def replace_code(functions: list[FunctionType], mutant: Mutant, path: Path) -> None:
    """Give functions the code that a mutant has for them."""
    codes, found = [compile(mutant.source, str(path), "exec", dont_inherit=True)], {}
    while codes:
        code = codes.pop()
        found[code.co_qualname] = code
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    for function in functions:
        name = function.__code__.co_qualname
        if name in found and "<locals>" not in name:
            function.__code__ = found[name]


def finish(process: int) -> bool:
    """Wait for a process, end what it has started, and return whether it passed."""
    _, status = os.waitpid(process, 0)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return status == 0


def survivors(module: str, tests: list[str], chosen: list[Mutant]) -> list[Mutant]:
    """Return the mutants that no test of the module kills."""
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        log, result = Path(folder) / "log.txt", Path(folder) / "alive.json"
        log.touch()
        process = os.fork()
        if process == 0:
            os.setsid()
            try:
                for stream in (1, 2):
                    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
                killing = Killing(module, chosen)
                files = [*(f"tests/{test}" for test in tests), f"lfi/{module}"]
                files = [str(ROOT / file) for file in files]
                pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[killing])
                result.write_text(json.dumps(killing.alive))
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        finish(process)
        alive = json.loads(result.read_text()) if result.exists() else None
        if alive is None:
            raise SystemExit(f"the tests of {module} fail:\n{log.read_text()}")
    left = [chosen[number] for number in alive]
    for mutant in left:  # as in survivors.csv, but for the reason
        print(f"  line {mutant.line}: ", end="", flush=True)
        csv.writer(sys.stdout).writerow(mutant.key)
    return left


def accepted() -> dict[tuple[str, ...], str]:
    """Return the survivors on record with their reasons."""
    path = HERE / "survivors.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {tuple(key): reason for *key, reason in list(csv.reader(file))[1:]}


def main() -> None:
    """Run the mutants asked for, print and append the shares, and check the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of families or modules, in part")
    parser.add_argument("--sample", type=int, help="how many of a module, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--recorded", action="store_true", help="those in survivors.csv; no shares")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    arguments = parser.parse_args()
    known, unknown = accepted(), 0
    for name in SHARED.split() * (not arguments.list):
        importlib.import_module(name)
    command = ["git", "rev-parse", "--short", "HEAD"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    for family, modules in FAMILIES.items():
        began, tried, alive = time.monotonic(), 0, []
        for module, tests in modules.items():
            names = arguments.only or [""]
            if not any(name in family or name in module for name in names):
                continue
            chosen = mutants(module)
            if arguments.recorded:
                chosen = [mutant for mutant in chosen if mutant.key in known]
            if arguments.sample:
                order = lambda mutant: crc32(repr((arguments.seed, mutant.key)).encode())
                chosen = sorted(chosen, key=order)[: arguments.sample]
            if arguments.list:
                for each in chosen:
                    print(f"{module}:{each.line} {each.original} -> {each.mutated}")
                continue
            left = survivors(module, tests, chosen)
            print(f"{module}: {len(chosen) - len(left)} of {len(chosen)} killed", flush=True)
            tried, alive = tried + len(chosen), alive + left
        if not tried or arguments.recorded:
            continue
        took, share = time.monotonic() - began, 1 - len(alive) / tried
        new = [mutant for mutant in alive if mutant.key not in known]
        unknown += len(new)
        print(f"{family}: {share:.1%} of {tried} killed, {len(new)} survivors not on record")
        with (HERE / "results.csv").open("a", newline="") as file:
            row = [run.stdout.strip(), date.today(), f"mutations, {family}", "quick tests"]
            seed = arguments.seed if arguments.sample else ""
            csv.writer(file).writerow([*row, tried, seed, "killed", f"{share:.3f}", f"{took:.0f}"])
    raise SystemExit(unknown > 0)


if __name__ == "__main__":
    main()
