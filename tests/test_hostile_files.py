"""Hostile files and folders: thousands of changes, each of which is harmless or one clear error.

Whatever a file says, nothing hangs, no more than 256 MB are taken, no other file is touched, and
what is refused is refused by a ValueError of one line that names the file. Bits are flipped and
files cut; descriptions, sizes and shapes are edited and the checksums made to agree; stores get
links, pipes, bombs and metadata that claim the impossible. The quick tests make a few of each.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.records import sign
from torch.distributions import MultivariateNormal, Normal, Uniform

import lfi
from lfi.comparison import Recovers
from lfi.generation import Generator, Surrogate
from lfi.inference.abc.population import load_population, stored_seed
from lfi.inference.draws import Draws
from lfi.inference.implicit.coordinates import coordinates_of
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.joint_density import density_without_model
from lfi.inference.implicit.posterior import FitVerdict, ImplicitPosterior
from lfi.inference.implicit.pyro_distribution import RatioDistribution
from lfi.inference.minimum_distance.result import MinimumDistance, Starts
from lfi.inference.posteriors.adversarial import GeneratorPosterior, PosteriorGenerator
from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.likelihood import LikelihoodPosterior
from lfi.inference.posteriors.pooled import PoolChoice, PooledPosterior
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.rounds.store import agreed_seed
from lfi.inference.surrogate_search.result import SearchResult, SearchRound
from lfi.inference.variational_optimisation.optimum import ParameterProposal, VariationalOptimum
from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.networks import (
    Features,
    LikelihoodEstimator,
    MixedGenerator,
    MixtureProposal,
    PairCritic,
    PosteriorEstimator,
    SampleCritics,
    SetEmbedding,
    Standardise,
    ValidCritic,
    Validity,
    VectorCritic,
    VectorGenerator,
)
from lfi.ratio import CriticRatio, RatioDensity
from lfi.ratio.density.reference import WideT
from lfi.runtime import files
from lfi.simulation import as_prior
from lfi.simulation.records.store import StoreError
from lfi.training import History

SECONDS, MEGABYTES = 5, 256  # of one file; by the processor's clock
ASLEEP = 120  # seconds by the wall's clock: what waits for a pipe does nothing
PRIOR = {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}
BOUNDS = [0.0, -float("inf")], [1.0, float("inf")]
HISTORY = (History({"held-out": ((1, 0.5), (2, 0.25))}, 2, 2, 0.1, "all steps done", 1),)


def ratio():
    embedded = PairCritic(*BOUNDS, (3, 2), width=4, rank=2, embedding=SetEmbedding((3, 2), size=2))
    critic = ValidCritic(embedded, Validity(*BOUNDS, width=4))
    return RatioPosterior(critic, as_prior(PRIOR), Recovers.RATIO, (3, 2), HISTORY)


def flow():
    network = PosteriorEstimator(2, (3,), width=4, layers=1, couplings=2, bins=3)
    prior = MultivariateNormal(torch.zeros(2), torch.eye(2))
    return FlowPosterior(network, as_prior(prior), (3,), HISTORY)


def likelihood():
    shape = {"width": 4, "layers": 1, "couplings": 1, "bins": 3}
    network = LikelihoodEstimator(*BOUNDS, (3, 2), **shape, trial=2, mark=1)
    return LikelihoodPosterior(network, as_prior(PRIOR).truncate([0.1, -1.0], [0.2, 1.0]))


def categorical():
    network = LikelihoodEstimator(*BOUNDS, (3,), width=4, layers=1, levels=2)
    return LikelihoodPosterior(network, as_prior(PRIOR))


def pool():
    choice = PoolChoice(("a", "b"), (1.0, 2.0), (0.1, 0.1), (0.5, 0.5), 2.0, 10, (1.0, 1.0))
    one = PosteriorEstimator(2, (3,), width=4, layers=1, couplings=1, bins=3)
    critic = PairCritic(*BOUNDS, (3,), width=4, head_layers=1)
    members = (
        RatioPosterior(critic, as_prior(PRIOR), Recovers.RATIO, (3,)),
        FlowPosterior(one, as_prior(PRIOR), (3,)),
    )
    return PooledPosterior(members, (0.5, 0.5), choice, members[1])


def generator():
    return Generator(VectorGenerator(3, width=4, layers=1), Standardise((3,)), history=HISTORY[0])


def table():
    columns = {"a": torch.randn(30), "b": ["x", "y"] * 15, "c": torch.randint(40, (30,))}
    encoding = lfi.tables.TableEncoding.of(columns)
    network = MixedGenerator(encoding.widths, width=4, layers=1)
    one = Generator(network, Standardise((4,)), scaled=True, history=HISTORY[0])
    return lfi.tables.TableGenerator(encoding, one)


def density():
    critics = SampleCritics((2,), 2, width=4)
    return RatioDensity(CriticRatio(critics, (2,)), WideT(torch.zeros(2), torch.eye(2), (2,)), 0.0)


def implicit():
    networks = VectorGenerator(2, 6, width=4, layers=1), VectorCritic([(2,), (6,)], width=4)
    places = coordinates_of(2, 6, False), coordinates_of(2, 6, False)
    q = ImplicitDistribution(*networks, *places, Features((3,)))
    density = density_without_model(("a", "b"), as_prior(PRIOR), torch.float64)
    return ImplicitPosterior(density, q, (3,), HISTORY, FitVerdict(0.1, 0.9, -1.0, -0.9))


def optimum():
    columns = {f"{word} {name}": ((1, 0.5),) for word in ("mean", "sd") for name in PRIOR}
    history = replace(HISTORY[0], columns=columns)
    proposal = ParameterProposal(StandardParameters(as_prior(PRIOR)), MixtureProposal(2))
    return VariationalOptimum(torch.zeros(2), proposal, 10, 1, 20, history)


def search():
    rounds = (SearchRound(200, 1, 199, (0.5, 0.0), (0.1, 1.0)),)
    return SearchResult(torch.zeros(2), likelihood(), torch.zeros(3, 2), rounds, 200, 1)


def distribution():
    return RatioDistribution(torch.randn(50, 2), density())


def minimum_distance():
    starts = Starts(torch.zeros(2, 2), torch.zeros(2), torch.ones(2) > 0, torch.ones(2) > 0)
    draws = Draws(torch.zeros(5, 2), ("a", "b"), "posterior bootstrap", 5.0, 10, 1.0, 1)
    numbers = {"curvature": 0.5, "noise": 0.1, "simulations": 10, "failed": 0, "steps": 10}
    return MinimumDistance(
        torch.zeros(2), draws, 0.1, as_prior(PRIOR), starts, **numbers, seconds=1.0, seed=1
    )


def adversarial():
    network = PosteriorGenerator(2, (3,), width=4, generator=VectorGenerator(2, 3, width=4))
    ratio = CriticRatio(SampleCritics((5,), 2, width=4), (5,))
    return GeneratorPosterior(network, as_prior(PRIOR), (3,), ratio, True, HISTORY)


KINDS = {
    "adversarial": adversarial,
    "minimum_distance": minimum_distance,
    "ratio": ratio,
    "flow": flow,
    "likelihood": likelihood,
    "categorical": categorical,
    "pool": pool,
    "generator": generator,
    "table": table,
    "surrogate": lambda: Surrogate(as_prior(PRIOR), (3,), width=4, history=HISTORY[0]),
    "density": density,
    "distribution": distribution,
    "implicit": implicit,
    "optimum": optimum,
    "search": search,
}
VALUES = [0, 1, -1, 2, 7, 30_000, 10**6, 10**9, 10**30, 0.5, 1e308, True, None, "", "os.system", []]
VALUES += [{}, [[]], [10**9] * 3, {"torch": "LKJCholesky"}, {"kind": "PooledPosterior"}, "own"]


def places(part, path=()):
    """Every place inside plain values, deepest last."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def edited(spec, rng):
    """Plain values with one place changed, removed or repeated."""
    spec = json.loads(json.dumps(spec))
    *path, key = rng.choice(list(places(spec)))
    inside = spec
    for step in path:
        inside = inside[step]
    match rng.randrange(6):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(key, inside[key])
        case 1:
            inside[f"{key}_"] = inside[key]
        case 2:
            nested = inside[key]
            for _ in range(rng.choice([2, 400])):
                nested = [nested]
            inside[key] = nested
        case _:
            inside[key] = rng.choice(VALUES)
    return spec


def changed_tensors(tensors, rng):
    """Tensors with one of them reshaped, resized, retyped, renamed, made NaN or dropped."""
    tensors, name = dict(tensors), rng.choice(list(tensors))
    tensor = tensors.pop(name)
    match rng.randrange(6):
        case 0:
            tensors[name] = tensor.reshape(-1)[None]
        case 1:
            tensors[name] = torch.zeros(rng.choice([(0,), (3, 5), (7,), (2, 0, 10**6)]))
        case 2:
            tensors[name] = tensor.to(rng.choice([torch.bool, torch.int64, torch.float16]))
        case 3:
            tensors[f"{name}.more"] = tensor
        case 4:
            tensors[name] = torch.full_like(tensor.float(), rng.choice([torch.nan, torch.inf]))
    return tensors


def mutate_file(path, contents, content, rng):
    """Write a changed file: its bytes, or its parts with checksums that agree."""
    spec, tensors, kind = contents.spec, contents.tensors, contents.kind
    match rng.randrange(8):
        case 0:
            path.write_bytes(content[: rng.randrange(len(content))])
        case 1:
            changed = bytearray(content)
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
        case 2:
            begin = rng.randrange(len(content))
            noise = rng.randbytes(rng.randrange(1, 64))
            path.write_bytes(content[:begin] + noise + content[begin + len(noise) :])
        case 3:
            size = rng.choice([0, 1, 8, 2**31, 2**62]).to_bytes(8, "little")
            path.write_bytes(size + content[8:])
        case 4:
            files.write(path, kind, spec, changed_tensors(tensors, rng))
        case 5:
            other = rng.choice([*files.KINDS, "Circle", ""])
            files.write(path, other, spec, tensors)
        case _:
            files.write(path, kind, edited(spec, rng), tensors)


@contextmanager
def bounded(path):
    """Fail if what is inside takes longer or more memory than one file may, or says it badly."""

    def late(*_):
        raise AssertionError(f"{path} takes more than {SECONDS} s")

    before = {sign: signal.signal(sign, late) for sign in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(ASLEEP)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    except ValueError as error:
        assert "\n" not in str(error) and str(path) in str(error), error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for sign, handler in before.items():
            signal.signal(sign, handler)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - taken) / 1024
    assert more < MEGABYTES, f"{path} takes {more:.0f} MB"


def change_files(kind, count, tmp_path):
    folder, path = tmp_path / "files", tmp_path / "files" / "fitted.lfi"
    folder.mkdir()
    KINDS[kind]().save(path)
    contents, content, rng = files.read(path), path.read_bytes(), random.Random(kind)
    assert type(lfi.load(path)).__name__ == contents.kind
    refused, state = 0, torch.get_rng_state()
    for _ in range(count):
        mutate_file(path, contents, content, rng)
        with bounded(path):
            refused += 1
            lfi.load(path)
            refused -= 1
    assert torch.equal(torch.get_rng_state(), state)
    assert [entry.name for entry in folder.iterdir()] == ["fitted.lfi"]
    assert refused > count // 2


def simulated(path):
    def fragile(theta, rng: torch.Generator):
        x = theta + torch.randn(theta.shape, generator=rng, dtype=theta.dtype)
        return torch.where(theta[:, :1] > 0.9, torch.nan, x)

    one = lfi.Simulator(fragile, prior=PRIOR, name="fragile")
    lfi.simulate(one, 2_500, seed=1, store=path)
    return one


def mutate_store(path, rng):
    """Change one of a store's files."""
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*"))
    metadata = [name for name in names if name.endswith("json")]
    name = rng.choice(names)
    place = path / name
    match rng.randrange(9):
        case 0 | 1 if place.is_file():
            content = bytearray(place.read_bytes() or b"-")
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            place.write_bytes(content)
        case 2 if place.is_file():
            place.write_bytes(place.read_bytes()[: rng.randrange(1 + place.stat().st_size)])
        case 3 | 4:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
            match rng.randrange(4):
                case 0:
                    os.mkfifo(place)
                case 1:
                    place.symlink_to(rng.choice(["/dev/zero", "/dev/urandom", path, "absent"]))
                case 2:
                    place.symlink_to(path.parent / "mine")
        case 5 if place.is_file():
            with place.open("r+b") as file:
                file.truncate(rng.choice([2**24, 2**31]))  # sparse
        case _:
            place = path / rng.choice(metadata)
            text = json.dumps(edited(json.loads(place.read_text()), rng))
            place.write_text(text if rng.randrange(9) else "[" * 10**5)
            if rng.randrange(4) and place.name != "errors.jsonl":
                sign(path)


def change_stores(count, tmp_path):
    path, whole, rng = tmp_path / "run.zarr", tmp_path / "whole.zarr", random.Random(0)
    one, refused = simulated(whole), 0
    (tmp_path / "mine").write_text("mine")
    known = lfi.Simulations.open(whole)
    for number in range(count):
        shutil.copytree(whole, path)
        mutate_store(path, rng)
        with bounded(path):
            refused += 1
            lfi.Simulations.open(path) if number % 2 else lfi.simulate(
                one, 2_700, seed=1, store=path
            )
            refused -= 1
        shutil.rmtree(path)
    assert (tmp_path / "mine").read_text() == "mine" and refused > count // 4
    assert np.array_equal(lfi.Simulations.open(whole).x, known.x, equal_nan=True)
    assert issubclass(StoreError, ValueError)


def change_records_of_rounds(count, tmp_path):
    rng, record = random.Random(0), tmp_path / "rounds.json"
    (tmp_path / "mine").write_text("mine")
    agreed_seed(tmp_path, {"budget": [1, 2], "x_obs": "a"}, 1)
    content = record.read_text()
    for _ in range(count):
        record.unlink(missing_ok=True)
        if rng.randrange(4):
            record.write_text(json.dumps(edited(json.loads(content), rng)))
        elif rng.randrange(2):
            os.mkfifo(record)
        else:
            record.symlink_to(rng.choice(["/dev/zero", tmp_path / "mine"]))
        with bounded(tmp_path):
            agreed_seed(tmp_path, {"budget": [1, 2], "x_obs": "a"}, rng.choice([1, None]))
    assert (tmp_path / "mine").read_text() == "mine"


def change_populations(count, tmp_path):
    path, rng = tmp_path / "abc.lfi", random.Random(0)
    noisy = lfi.Simulator(lambda theta: theta + torch.randn(theta.shape), prior=PRIOR)
    settings = {"particles": 30, "budget": 150, "seed": 1}
    lfi.abc_smc(noisy, torch.zeros(2), store=path, **settings)
    contents, content, refused = files.read(path), path.read_bytes(), 0
    assert len(load_population(path, 2, from_origin)[1]) > 1
    for _ in range(count):
        mutate_file(path, contents, content, rng)
        with bounded(path):
            refused += 1
            stored_seed(path, contents.spec["settings"], None)
            load_population(path, 2, from_origin)
            refused -= 1
    assert refused > count // 2


def from_origin(theta, x):
    return lambda x: x.abs().sum(1)


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_refused_by_one_kind_of_error(kind, tmp_path):
    change_files(kind, 20, tmp_path)


def test_changed_stores_are_refused_by_one_kind_of_error(tmp_path):
    change_stores(20, tmp_path)


def test_changed_records_of_rounds_are_refused_by_one_kind_of_error(tmp_path):
    change_records_of_rounds(100, tmp_path)


def test_changed_populations_are_refused_by_one_kind_of_error(tmp_path):
    change_populations(100, tmp_path)


CHECKS = [f"change_files({kind!r}, " for kind in KINDS]
CHECKS += ["change_stores(", "change_records_of_rounds(", "change_populations("]


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_a_thousand_changes_are_refused_by_one_kind_of_error(check, tmp_path):
    """In a process of its own, whose memory is that of the files, and without checks of shapes."""
    code = "import sys, torch; from pathlib import Path; import test_hostile_files as here; "
    code += "torch.set_default_dtype(torch.float64); torch.set_num_threads(1); "
    code += f"here.{check}1_000, Path(sys.argv[1]))"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    run = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(
        run, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
