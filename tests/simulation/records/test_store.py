"""Stores: what was written is read, whatever stopped the run; what is damaged is never believed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from types import SimpleNamespace

import google_crc32c
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings, strategies as st
from numcodecs import Zstd
from support.records import assert_same, sign
from torch.distributions import AffineTransform, Normal, TransformedDistribution, Uniform

from lfi.simulation.records import layout
from lfi.simulation.records.results import BLOCK
from lfi.simulation.records.simulations import Simulations
from lfi.simulation.records.store import Store, StoreError
from lfi.simulation.running import writer
from lfi.simulation.running.simulate import simulate
from lfi.simulation.simulators.simulator import Simulator


def prior():
    return {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}


def noisy(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta[:, :, None] + torch.randn(len(theta), 2, 3, generator=rng)


def fragile(theta: np.ndarray, rng):
    if theta[0] < 0.1:
        raise ValueError("a is 'too' small\n– naïve")
    return np.float32(theta.sum() + rng.normal())


def batched(**options):
    return Simulator(noisy, **{"prior": prior(), "name": "noisy", **options})


def of_one():
    return Simulator(fragile, prior=prior(), batched=False, name="fragile")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def flush_always(monkeypatch):
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.0)


# What was written is read.


@pytest.mark.parametrize("make, n", [(batched, 2_500), (of_one, 300)], ids=["batched", "of one"])
def test_a_store_holds_what_memory_would(make, n, path):
    stored = simulate(make(), n, seed=1, store=path)
    assert_same(stored, simulate(make(), n, seed=1))
    opened = Simulations.open(path)
    assert_same(opened[:n], stored)
    theta = torch.rand(5, 2)
    assert torch.equal(opened.prior.log_prob(theta), stored.prior.log_prob(theta))


@pytest.mark.parametrize("make, unit", [(batched, BLOCK), (of_one, 60)], ids=["batched", "of one"])
def test_a_store_is_extended_and_cut(make, unit, path, flush_always):
    long = simulate(make(), 5 * unit, seed=1)
    for n in (unit // 2, unit, 2 * unit + 1, 3, 5 * unit, unit):
        assert_same(simulate(make(), n, seed=1, store=path), long[:n])
    assert len(Simulations.open(path)) == 5 * unit


def test_what_is_there_is_not_simulated_again(path):
    calls = []

    def counted(theta):
        calls.append(1)
        return theta

    wrapped = Simulator(counted, prior=prior())
    for n, blocks in ((2_000, 2), (100, 2), (2 * BLOCK, 2), (3_000, 3)):
        simulate(wrapped, n, seed=1, store=path)
        assert len(calls) == blocks


def test_without_a_seed_a_store_goes_on_with_its_own(path):
    first = simulate(batched(), 10, store=path)
    assert simulate(batched(), 2_000, store=path).seed == first.seed


def test_zarr_itself_reads_a_store(path):
    stored = simulate(batched(), BLOCK, seed=1, store=path)
    group = zarr.open_group(path, mode="r")
    assert np.array_equal(group["x"][:], stored.x.numpy())
    assert group["theta"].chunks == (BLOCK, 2) and group["status"].dtype == np.uint8
    said = group.attrs["lfi"]
    assert said["seed"] == 1 and said["names"] == ["a", "b"] and said["name"] == "noisy"


def test_a_block_without_any_finite_row_is_no_missing_chunk(path):
    blocks = iter([0.0, torch.nan, 0.0])
    wrapped = Simulator(lambda theta: theta + next(blocks), prior=prior(), name="hole")
    simulations = simulate(wrapped, 3 * BLOCK, seed=1, store=path)
    assert (~simulations.valid).sum() == BLOCK
    assert len(Simulations.open(path)) == 3 * BLOCK


def test_a_prior_that_cannot_be_named_is_asked_for(path):
    odd = TransformedDistribution(Uniform(0.0, 1.0), AffineTransform(0.0, 2.0))
    wrapped = Simulator(lambda theta: theta, prior={"a": odd}, name="odd")
    simulate(wrapped, 10, seed=1, store=path)
    with pytest.raises(StoreError, match="could not name its prior: pass it"):
        Simulations.open(path)
    assert len(Simulations.open(path, prior={"a": odd})) == BLOCK
    with pytest.raises(StoreError, match="drawn from another prior"):
        Simulations.open(path, prior={"a": Normal(0.0, 1.0)})
    assert len(simulate(wrapped, 20, seed=1, store=path)) == 20


def test_a_truncated_prior_is_restored(path):
    box = batched().prior.truncate([0.2, -1.0], [0.3, float("inf")])
    simulate(batched(), 10, seed=1, store=path, prior=box)
    opened = Simulations.open(path)
    assert opened.prior.truncated and opened.prior.fingerprint == box.fingerprint


# Interruptions.


class Stop(KeyboardInterrupt):
    pass


@settings(max_examples=20)
@given(stops=st.lists(st.integers(1, 200), max_size=4))
def test_interrupted_runs_go_on_to_the_same_record(stops, tmp_path_factory):
    """A function of one vector; Ctrl-C falls into the middle of a piece."""
    path = tmp_path_factory.mktemp("stops") / "run.zarr"
    left = 0

    def interruptible(theta: np.ndarray, rng):
        nonlocal left
        left -= 1
        if left == 0:
            raise Stop
        return fragile(theta, rng)

    wrapped = Simulator(interruptible, prior=prior(), batched=False, name="fragile")
    for left in stops:  # noqa: B007 (the function counts it down)
        try:
            simulate(wrapped, 150, seed=1, store=path)
        except (Stop, RuntimeError):
            continue
    left = 0
    assert_same(simulate(wrapped, 150, seed=1, store=path), simulate(of_one(), 150, seed=1))


@pytest.mark.parametrize("where", ["theta", "x", "status", "count"])
def test_a_write_that_stops_half_way_is_as_if_it_had_not_begun(where, path, monkeypatch):
    simulate(of_one(), 100, seed=1, store=path)
    before = Simulations.open(path)
    original = zarr.Array.__setitem__

    def stopping(array, key, value):
        original(array, key, value)
        if array.path.endswith(where) or str(array.store).endswith(where):
            raise Stop

    def no_count(self, n):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", stopping)
        if where == "count":
            patch.setattr(writer.Writer, "_count", no_count)
        with pytest.raises(Stop):
            simulate(of_one(), 300, seed=1, store=path)
    assert_same(Simulations.open(path), before)
    assert_same(simulate(of_one(), 250, seed=1, store=path), simulate(of_one(), 250, seed=1))


KILLED = """
import os, random, signal, sys, time
import torch
from torch.distributions import Normal, Uniform
import lfi
from lfi.simulation.running import writer

writer.FLUSH_SECONDS = 0.0

seconds = 0.1

@lfi.simulator(prior={"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)})
def slow(theta):
    time.sleep(seconds)
    return theta + torch.randn(len(theta), 2)

path, n = sys.argv[1], int(sys.argv[2])
wanted, clock = int(sys.argv[3]), random.Random(int(sys.argv[4]))
for kills in range(wanted + 1):
    child = os.fork()
    if child == 0:
        state = random.getstate(), torch.get_rng_state()
        lfi.simulate(slow, n, seed=1, store=path)
        same = state[0] == random.getstate() and torch.equal(state[1], torch.get_rng_state())
        os._exit(0 if same else 1)
    if kills < wanted:
        time.sleep(clock.uniform(0.0, 1.0))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        break
    if os.path.exists(path + "/finished.json"):
        finished = lfi.simulation.records.store.Store.open(path).finished
        assert finished == 0 or len(lfi.Simulations.open(path)) == finished
assert os.WEXITSTATUS(status) == 0
seconds = 0.0
whole = lfi.simulate(slow, n, seed=1)
stored = lfi.simulate(slow, n, seed=1, store=path)
assert torch.equal(whole.x, stored.x) and torch.equal(whole.theta, stored.theta)
print(kills)
"""


@pytest.mark.parametrize(
    "kills, n",
    [(2, 20_000), pytest.param(20, 150_000, marks=pytest.mark.slow)],  # work for 2 s, for 15 s
)
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(kills, n, path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(n), str(kills), "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == kills  # the last child was the first to end by itself


CTRL_C = """
import sys, time
import torch, lfi
from torch.distributions import Normal

@lfi.simulator(prior={"a": Normal(0.0, 1.0)}, batched=False)
def slow(theta):
    time.sleep(0.01)
    return theta + torch.randn(1)

print("ready", flush=True)
lfi.simulate(slow, 5_000, seed=1, store=sys.argv[1], workers=int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_run_quickly_and_leaves_its_work(workers, path):

    def listen():  # a shell that starts things in the background lets them ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, str(path), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listen,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if (path / "finished.json").exists() and Store.open(path).finished > 100:
            break
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10  # on a busy machine; about a second
    assert b"KeyboardInterrupt" in errors and process.returncode != 0
    assert 100 < len(Simulations.open(path)) < 5_000


# Refusals: one line that says what to do, and nothing is touched.


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "lock"
    }


OTHERS = {
    "source": (
        "another simulator",
        lambda: {"simulator": Simulator(fragile, prior=prior(), name="noisy")},
    ),
    "name": ("another simulator", lambda: {"simulator": batched(name="quiet")}),
    "its prior": ("another prior", lambda: {"simulator": batched(prior=wider())}),
    "prior": ("another prior", lambda: {"prior": wider()}),
    "seed": ("made with seed 1, not 2", lambda: {"seed": 2}),
}


def wider():
    return {**prior(), "a": Uniform(0.0, 2.0)}


@pytest.mark.parametrize("says, change", OTHERS.values(), ids=OTHERS)
def test_the_store_of_another_run_is_refused(says, change, path):
    run = {"simulator": batched(), "n": 10, "seed": 1, "store": path}
    simulate(**run)
    before = contents(path)
    with pytest.raises(StoreError, match=f"{says}.*: choose another folder") as caught:
        simulate(**{**run, **change()})
    assert "\n" not in str(caught.value) and contents(path) == before


def damage(path, kind):
    chunk = path / "x" / "c" / "1" / "0" / "0"
    match kind:
        case "truncated chunk":
            chunk.write_bytes(chunk.read_bytes()[:-7])
        case "flipped bit":
            raw = bytearray(chunk.read_bytes())
            raw[len(raw) // 2] ^= 1
            chunk.write_bytes(bytes(raw))
        case "empty chunk":
            chunk.write_bytes(b"")
        case "missing chunk":
            chunk.unlink()
        case "missing array":
            (path / "theta" / "zarr.json").unlink()
        case "metadata":
            (path / "zarr.json").write_text("{")
        case "array metadata":
            (path / "status" / "zarr.json").write_text('{"zarr_format": 3}')
        case "no attributes":
            zarr.open_group(path, mode="r+").attrs.put({})
        case "count":
            (path / "finished.json").write_text("")
        case "count too high":
            text = json.dumps({"finished": 10**6, "errors_size": 0})
            (path / "finished.json").write_text(text)
        case "prior":
            group = zarr.open_group(path, mode="r+")
            said = dict(group.attrs["lfi"])
            said["prior"] = {"names": ["a", "b"], "product": [{"torch": "os.system"}]}
            group.attrs.put({"lfi": said})


KINDS = [
    "truncated chunk",
    "flipped bit",
    "empty chunk",
    "missing chunk",
    "missing array",
    "metadata",
    "array metadata",
    "no attributes",
    "count",
    "count too high",
    "prior",
]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_and_not_made_worse(kind, path):
    simulate(batched(), 2_500, seed=1, store=path)
    damage(path, kind)
    before = contents(path)
    with pytest.raises(StoreError, match=r"delete the folder and simulate again|pass prior="):
        Simulations.open(path)
    if kind != "prior":  # which is known to who simulates
        with pytest.raises(StoreError) as caught:
            simulate(batched(), 2_500, seed=1, store=path)
        assert "\n" not in str(caught.value)
    assert contents(path) == before


def test_damaged_messages_are_found(path):
    simulate(of_one(), 100, seed=1, store=path)
    (path / "errors.jsonl").write_text("{")
    with pytest.raises(StoreError, match=r"damaged errors.jsonl"):
        Simulations.open(path)


def test_a_run_into_a_store_without_its_messages_says_so(path):
    simulate(of_one(), 3, seed=1, store=path)
    (path / "errors.jsonl").unlink()
    with pytest.raises(StoreError, match=r"damaged errors.jsonl"):
        simulate(of_one(), 5, seed=1, store=path)


def test_a_store_of_another_format_is_refused(path):
    simulate(batched(), 10, seed=1, store=path)
    group = zarr.open_group(path, mode="r+")
    group.attrs.put({"lfi": {**group.attrs["lfi"], "format": 99}})
    with pytest.raises(StoreError, match="format 99, this version of lfi reads 1"):
        Simulations.open(path)


@pytest.mark.parametrize("content", ["notes.txt", "x", "finished.txt"])
def test_a_folder_that_is_no_store_is_left_alone(content, path):
    path.mkdir()
    (path / content).write_text("mine")
    with pytest.raises(StoreError, match="is not a store of simulations"):
        simulate(batched(), 10, seed=1, store=path)
    with pytest.raises(StoreError, match="is not a store of simulations"):
        Simulations.open(path)
    assert contents(path) == {content: b"mine"}


def test_a_store_that_lost_its_count_is_not_begun_anew(path):
    simulate(batched(), 10, seed=1, store=path)
    (path / "finished.json").unlink()
    before = contents(path)
    with pytest.raises(StoreError, match="is not a store"):
        simulate(batched(), 10, seed=1, store=path)
    assert contents(path) == before


def test_an_empty_store_says_so(path):
    with pytest.raises(RuntimeError, match="no finite x"):
        simulate(Simulator(lambda theta: 1 / 0, prior=prior()), 10, seed=1, store=path)
    with pytest.raises(StoreError, match="is empty: simulate into it first"):
        Simulations.open(path)


def test_folders_that_cannot_be_written_are_refused_before_simulating(tmp_path):
    (tmp_path / "file").write_text("")
    calls = []
    wrapped = Simulator(lambda theta: calls.append(1), prior=prior())
    with pytest.raises(StoreError, match="cannot be written .*choose another folder"):
        simulate(wrapped, 10, seed=1, store=tmp_path / "file" / "run.zarr")
    assert not calls


def test_a_full_disk_is_an_error_and_what_was_counted_is_safe(path, monkeypatch):
    simulate(of_one(), 100, seed=1, store=path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(StoreError, match=r"\(No space left on device\).*; 100 finished"):
            simulate(of_one(), 300, seed=1, store=path)
    assert len(Simulations.open(path)) == 100
    assert_same(simulate(of_one(), 300, seed=1, store=path), simulate(of_one(), 300, seed=1))


def test_a_disk_that_is_really_full_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        wrapped = lambda: Simulator(noisy, prior=prior(), name="noisy")
        simulate(wrapped(), 3 * BLOCK, seed=1, store=disk / "run.zarr")
        with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"):
            simulate(wrapped(), 40 * BLOCK, seed=1, store=disk / "run.zarr")
        kept = Simulations.open(disk / "run.zarr")
        assert len(kept) >= 3 * BLOCK
        assert_same(kept, simulate(wrapped(), len(kept), seed=1))
        shutil.copytree(disk / "run.zarr", tmp_path / "larger.zarr")  # room is made, and on it goes
        longer = simulate(wrapped(), 6 * BLOCK, seed=1, store=tmp_path / "larger.zarr")
        assert_same(longer, simulate(wrapped(), 6 * BLOCK, seed=1))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_second_writer_is_refused_until_the_first_is_done(path):
    first = writer.Writer(path, batched(), batched().prior, 1)
    with pytest.raises(StoreError, match="being written by another process"):
        simulate(batched(), 10, seed=1, store=path)
    first.lock.release()
    assert len(simulate(batched(), 10, seed=1, store=path)) == 10
    assert len(simulate(batched(), 10, seed=1, store=path)) == 10  # released at the end


def test_readers_find_whole_rows_while_a_run_writes(path, flush_always):
    tries, found, ended = [], [], threading.Event()

    def after_two_tries(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        goal = len(tries) + 2  # however slow the disk is
        while len(tries) < goal and not ended.wait(0.001):
            pass
        return noisy(theta, rng)

    writing = threading.Thread(
        target=simulate,
        args=(Simulator(after_two_tries, prior=prior(), name="noisy"), 6 * BLOCK),
        kwargs={"seed": 1, "store": path},
    )
    expected = simulate(batched(), 6 * BLOCK, seed=1)
    writing.start()
    try:
        while writing.is_alive():
            try:
                read = Simulations.open(path)
                assert_same(read, expected[: len(read)])
                found.append(len(read))
            except StoreError:
                assert not found  # nothing was there yet
            tries.append(len(tries))
    finally:
        ended.set()
        writing.join()
    assert len(set(found)) >= 5 and sorted(found) == found
    assert_same(Simulations.open(path), expected)


def test_a_run_that_ends_in_another_thread_does_not_cost_this_one_its_chunks(path, monkeypatch):
    """Zarr leaves chunks of zeros away where its settings, which threads share, say so."""
    open_array = zarr.open_array

    def meanwhile(*args, **options):
        zarr.config.set({"array.write_empty_chunks": False})
        return open_array(*args, **options)

    monkeypatch.setattr(zarr, "open_array", meanwhile)
    zeros = Simulator(lambda theta: torch.zeros(len(theta), 2), prior=prior(), name="zeros")
    assert simulate(zeros, 3 * BLOCK, seed=1, store=path).x.shape == (3 * BLOCK, 2)


def test_a_disk_that_takes_minutes_changes_nothing(path, monkeypatch):
    clock, found, replace = count(0.0, 120.0), [], os.replace  # two minutes at every look

    def slowly(part, place):
        if os.fspath(place).endswith("finished.json"):
            with pytest.raises(StoreError, match="being written by another process"):
                writer.Writer(path, batched(), batched().prior, 1)
            found.append(Store.open(path).finished if found else 0)
        replace(part, place)

    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(os, "replace", slowly)
    stored = simulate(batched(), 4 * BLOCK, seed=1, store=path)
    assert found == [0, 0, BLOCK, 2 * BLOCK, 3 * BLOCK]
    assert_same(stored, simulate(batched(), 4 * BLOCK, seed=1))


def test_an_error_in_the_simulator_releases_the_lock_and_keeps_the_work(path, flush_always):
    shapes = iter([2, 2, 3])
    wrapped = Simulator(lambda theta: theta.new_zeros(len(theta), next(shapes)), prior=prior())
    with pytest.raises(ValueError, match="same shape"):
        simulate(wrapped, 3 * BLOCK, seed=1, store=path)
    assert len(Simulations.open(path)) == 2 * BLOCK
    writer.Writer(path, wrapped, wrapped.prior, 1).lock.release()


# Hostile folders: see also tests/test_hostile_files.py.


def plant(path, name, what):
    """Put something else in the place of a store's file."""
    place = path / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(what)


@pytest.mark.parametrize("what", ["/dev/zero", "pipe", "mine"])
@pytest.mark.parametrize(
    "name", ["zarr.json", "finished.json", "errors.jsonl", "lock", "x", "x/zarr.json", "x/c/0/0/0"]
)
def test_links_and_pipes_are_neither_read_nor_written(name, what, path, tmp_path):
    (tmp_path / "mine").write_text("mine")
    simulate(batched(), 10, seed=1, store=path)
    plant(path, name, tmp_path / "mine" if what == "mine" else what)
    says = "expected a regular file"
    with pytest.raises(StoreError, match=says):
        Simulations.open(path)
    with pytest.raises(StoreError, match=says):
        simulate(batched(), 2_000, seed=1, store=path)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["errors.jsonl", "zarr.json", "theta", "lock"])
def test_a_link_in_an_empty_folder_is_not_written_through(name, path, tmp_path):
    (tmp_path / "mine").write_text("mine")
    path.mkdir()
    (path / name).symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="is a link, expected a regular file: remove it"):
        simulate(batched(), 10, seed=1, store=path)
    assert (tmp_path / "mine").read_text() == "mine"


def test_names_of_ones_own_are_not_written_through(path, tmp_path):
    (tmp_path / "mine").write_text("mine")
    simulate(of_one(), 20, seed=1, store=path)
    for name in ("finished.json.partial", "finished.json.part"):
        (path / name).symlink_to(tmp_path / "mine")
    os.link(path / "errors.jsonl", tmp_path / "copy")
    before = (tmp_path / "copy").read_bytes()
    assert_same(simulate(of_one(), 90, seed=1, store=path), simulate(of_one(), 90, seed=1))
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "copy").read_bytes() == before


def test_a_prior_of_many_parameters_is_not_taken_for_a_hostile_one(path):
    many = {f"parameter_{i}": Uniform(0.0, 1.0) for i in range(150)}
    simulate(Simulator(lambda theta: theta, prior=many, name="many"), 10, seed=1, store=path)
    assert Simulations.open(path).names == tuple(many)


def edit(path, name, **changes):
    """Change metadata, and what is said of them to agree."""
    spec = json.loads((path / name).read_text())
    (path / name).write_text(json.dumps({**spec, **changes}))
    sign(path)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("x/zarr.json", '"little"', '"big"'),  # which would be other numbers
        ("x/zarr.json", '"fill_value": 0.0', '"fill_value": 1.0'),
        ("zarr.json", '"seed": 1', '"seed": 3'),
        ("zarr.json", '"name": "noisy"', '"name": "quiet"'),
        ("finished.json", '"finished": 1024', '"finished": 1020'),
    ],
)
def test_a_changed_value_of_metadata_is_found(name, old, new, path):
    simulate(batched(), 10, seed=1, store=path)
    text = (path / name).read_text()
    text = " ".join(text.split())
    assert old in text
    (path / name).write_text(text.replace(old, new))
    with pytest.raises(StoreError, match="damaged"):
        Simulations.open(path)
    with pytest.raises(StoreError, match="damaged"):
        simulate(batched(), 20, store=path)


def test_a_store_without_a_checksum_is_read_and_gets_one(path):
    simulate(batched(), 10, seed=1, store=path)
    count = json.loads((path / "finished.json").read_text())
    del count["checksum"]
    (path / "finished.json").write_text(json.dumps(count))
    assert len(Simulations.open(path)) == BLOCK
    simulate(batched(), 2 * BLOCK, seed=1, store=path)
    assert "checksum" in json.loads((path / "finished.json").read_text())


def bomb(path, size):
    """A chunk that is sound to Zarr and holds so many bytes of zeros."""
    content = Zstd(level=1).encode(bytes(size))
    sum_of = google_crc32c.value(bytes(content)).to_bytes(4, "little")
    (path / "x" / "c" / "0" / "0" / "0").write_bytes(bytes(content) + sum_of)


def test_a_chunk_that_would_become_gigabytes_is_refused(path):
    size = simulate(batched(), 10, seed=1, store=path).x.element_size()
    bomb(path, 10**8)
    with pytest.raises(StoreError, match=r"chunk 0 of .* holds 100000000, expected \d\d,\d+"):
        Simulations.open(path)
    event = [2_000, 1]  # and where the metadata agree
    grid = {"name": "regular", "configuration": {"chunk_shape": [BLOCK, *event]}}
    edit(path, "x/zarr.json", shape=[BLOCK, *event], chunk_grid=grid)
    bomb(path, BLOCK * event[0] * size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "FREE", 2**20)
        with pytest.raises(StoreError, match="bytes of chunks would become .* a part at a time"):
            Simulations.open(path)


UNIT = {"a": Uniform(0.0, 1.0)}


def test_a_run_reads_its_own_rows_however_well_they_compress(path):
    sparse = Simulator(lambda theta: torch.zeros(len(theta), 2_000), prior=UNIT, name="sparse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "FREE", 2**20)
        assert simulate(sparse, 10, seed=1, store=path).x.shape == (10, 2_000)
        assert simulate(sparse, 20, seed=1, store=path).x.shape == (20, 2_000)


def test_a_store_that_tells_nothing_of_trials_is_gone_on_with(path):
    simulator = Simulator(lambda theta: theta[:, None] + 1, prior=UNIT, name="t", trials=3)
    simulate(simulator, 5, seed=1, store=path)
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    for trials in ("x", 2.5, -1, 7):
        edit(path, "zarr.json", attributes={"lfi": {**attributes["lfi"], "trials": trials}})
        with pytest.raises(StoreError, match="damaged"):
            Simulations.open(path)
    del attributes["lfi"]["trials"]
    edit(path, "zarr.json", attributes=attributes)
    assert simulate(simulator, 10, seed=1, store=path).trials == 3


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("x/zarr.json", {"codecs": [{"name": "bytes"}, {"name": "gzip"}]}),
        ("x/zarr.json", {"shape": [10**12, 10**6, 10**6]}),
        ("x/zarr.json", {"shape": "long"}),
        ("x/zarr.json", {"data_type": "object"}),
        ("finished.json", {"finished": 10**12}),
        ("finished.json", {"finished": -1}),
        ("finished.json", {"errors_size": 10**15}),
        ("zarr.json", {"attributes": {"lfi": [1]}}),
    ],
)
def test_metadata_that_claim_the_impossible_are_refused(name, changes, path):
    simulate(batched(), 10, seed=1, store=path)
    edit(path, name, **changes)
    with pytest.raises(StoreError, match="delete the folder and simulate again") as caught:
        Simulations.open(path)
    assert "\n" not in str(caught.value)
