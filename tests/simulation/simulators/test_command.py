"""Programs as simulators: what they are given, what is read, and what goes wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, Uniform

import lfi
from lfi.simulation.simulators import readers
from lfi.simulation.simulators.command import Command, PersistentCommand, split_command, substitute
from lfi.simulation.simulators.readers import ProgramOutput

PRIOR = {"top": Uniform(1.0, 9.0), "shift": Normal(0.0, 1.0)}
THETA = torch.tensor([[2.0, 0.1], [8.0, -1 / 3]], dtype=torch.float64)


def script(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, "-S", str(path)]


# What a program is given.


def test_parameters_arrive_with_all_their_digits(tmp_path):
    program = script(tmp_path, "import sys; print(*sys.argv[1:])")
    simulator = lfi.Simulator.from_command([*program, "{shift}", "{top}"], prior=PRIOR)
    assert torch.equal(simulator(THETA, seed=1), THETA.flip(1))


def test_the_seed_is_the_runs_and_differs_between_rows(tmp_path):
    program = script(tmp_path, "import sys; print(sys.argv[1])")
    command = [*program, "{seed}", "{shift}", "{top}"]
    simulator = lfi.Simulator.from_command(command, prior=PRIOR)
    one, again, other = (simulator(THETA, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and len(torch.cat([one, other]).unique()) == 4


def test_standard_input_is_filled_too(tmp_path):
    program = script(tmp_path, "import json, sys; print(sum(json.load(sys.stdin).values()))")
    simulator = lfi.Simulator.from_command(program, prior=PRIOR, stdin='{"a": {top}, "b": {shift}}')
    torch.testing.assert_close(simulator(THETA, seed=1)[:, 0], THETA.sum(1))


def test_a_command_line_needs_no_shell_and_is_run_where_the_caller_stands(tmp_path, monkeypatch):
    (tmp_path / "a file.txt").write_text("1 2 3")
    monkeypatch.chdir(tmp_path)
    simulator = lfi.Simulator.from_command(
        "cat 'a file.txt'", prior={"a": Normal(0.0, 1.0)}, stdin="{a}"
    )
    monkeypatch.chdir("/")
    assert simulator.name == "cat"
    assert simulator(torch.zeros(1, 1), seed=1).tolist() == [[1.0, 2.0, 3.0]]
    assert split_command("run --x '{a b}'") == ("run", "--x", "{a b}")


def test_trials_are_runs(tmp_path):
    program = script(tmp_path, "import sys; print(sys.argv[1])")
    simulator = lfi.Simulator.from_command(
        [*program, "{seed}", "{top}", "{shift}"], prior=PRIOR, trials=3
    )
    x = simulator(THETA, seed=1)
    assert x.shape == (2, 3, 1) and len(x.unique()) == 6


@pytest.mark.parametrize(
    "command, options, says",
    [
        ("run {top}", {}, r"no placeholder for \{shift\}"),
        ("run {top} {shift} {typo}", {}, r"unknown placeholder \{typo\}"),
        ("", {}, "command is empty"),
        ("run", {"persistent": True}, "needs stdin"),
        ("run", {"persistent": True, "stdin": "{top}\n{shift}"}, "must be one line"),
    ],
)
def test_mistakes_in_a_command_are_told(command, options, says):
    with pytest.raises(ValueError, match=says):
        lfi.Simulator.from_command(command, prior=PRIOR, **options)


def test_other_braces_stay():
    assert substitute('{"x": {a}, {{b}}}', {"a": "1"}) == '{"x": 1, {{b}}}'


# What is read.

FILES = r"""
import json, pathlib, struct, sys
top, folder = float(sys.argv[1]), pathlib.Path(sys.argv[2])
(folder / "x.csv").write_text(f"day,ill\n1,{top}\n2,{2 * top}\n")
(folder / "x.json").write_text(json.dumps({"deep": {"x": [[top], [2 * top]]}}))
data = struct.pack("<2d", top, 2 * top)
head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }"
head += b" " * (117 - len(head)) + b"\n"
(folder / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
"""


@pytest.mark.parametrize(
    "read",
    [
        readers.csv("x.csv", columns=[1], header=1),
        readers.json("deep", "x", file="x.json"),
        readers.npy("x.npy"),
        lambda finished: np.load(finished.folder / "x.npy"),
    ],
    ids=["csv", "json", "npy", "own"],
)
def test_files_are_read(tmp_path, read):
    program = script(tmp_path, FILES)
    simulator = lfi.Simulator.from_command(
        [*program, "{top}", "{folder}"], prior={"top": PRIOR["top"]}, read=read
    )
    top = THETA[:, :1]
    assert torch.equal(simulator(top, seed=1), torch.stack([top, 2 * top], 1))


def test_the_folder_is_gone_afterwards(tmp_path):
    folders = []

    def read(finished):
        folders.append(finished.folder)
        return 0.0

    Command(("true", "{folder}", "{a}"), ("a",), read=read)(np.ones(1), np.random.default_rng(0))
    assert not folders[0].exists()


def test_missing_files_and_words_are_named(tmp_path):
    (tmp_path / "y.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"left no x.csv .* \['y.csv'\]"):
        ProgramOutput(b"", tmp_path).bytes("x.csv")
    with pytest.raises(ValueError, match="wrote nothing"):
        readers.numbers(ProgramOutput(b" \n", Path()))
    with pytest.raises(ValueError, match="could not convert"):
        readers.numbers(ProgramOutput(b"1 two", Path()))
    assert readers.json()(ProgramOutput(json.dumps([1, None]).encode(), Path())).tolist()[0] == 1.0


# What goes wrong.


def test_a_program_that_fails_is_recorded_with_its_last_words(tmp_path):
    text = "import sys\nif float(sys.argv[1]) < 4: sys.exit('top is too small')\nprint(1)"
    program = script(tmp_path, text)
    simulator = lfi.Simulator.from_command([*program, "{top}", "{shift}"], prior=PRIOR)
    simulations = lfi.simulate(simulator, 12, seed=1)
    small = simulations.theta[:, 0] < 4
    assert small.any() and torch.equal(~simulations.valid, small)
    row = int(small.nonzero()[0])
    assert simulations.errors[row].endswith("ended with code 1: top is too small")


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="program no-such-program is not there"):
        lfi.Simulator.from_command("no-such-program {top} {shift}", prior=PRIOR)
    elsewhere = ["env", "no-such-program", "{top}", "{shift}"]  # of other machines, perhaps
    with pytest.raises(RuntimeError, match="no-such-program"):
        lfi.simulate(lfi.Simulator.from_command(elsewhere, prior=PRIOR), 4, seed=1)


def test_a_file_that_cannot_be_run_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("no program")
    with pytest.raises(FileNotFoundError, match="notes.txt is no executable file"):
        lfi.Simulator.from_command([str(tmp_path / "notes.txt"), "{top}", "{shift}"], prior=PRIOR)


@pytest.mark.slow
def test_a_program_that_hangs_is_ended(tmp_path):
    text = "import sys, time\nif float(sys.argv[1]) < 4: time.sleep(1000)\nprint(1)"
    program = script(tmp_path, text)
    simulator = lfi.Simulator.from_command([*program, "{top}", "{shift}"], prior=PRIOR)
    simulations = lfi.simulate(simulator, 10, seed=1, timeout=2.0)
    assert set(simulations.status) == {"ok", "timeout"}
    assert ((simulations.status == "timeout") == (simulations.theta[:, 0] < 4).numpy()).all()


def test_another_program_is_another_simulator(tmp_path):
    command = [*script(tmp_path, "print(1)"), "{top}", "{shift}"]
    make = lambda: lfi.Simulator.from_command(command, prior=PRIOR).identity
    before = make()
    assert make() == before
    script(tmp_path, "print(2)")
    assert make() != before


# Programs that keep running.

PERSISTENT = """
import os, sys
for line in sys.stdin:
    top, shift = map(float, line.split())
    if top < 2:
        sys.exit(3)
    print(top + shift, os.getpid(), flush=True)
"""


def test_a_program_may_stay_and_answer_line_by_line(tmp_path):
    simulator = lfi.Simulator.from_command(
        script(tmp_path, PERSISTENT), prior=PRIOR, stdin="{top} {shift}", persistent=True
    )
    x = simulator(THETA, seed=1)
    torch.testing.assert_close(x[:, 0], THETA.sum(1))
    assert len(x[:, 1].unique()) == 1


def test_a_program_that_ends_is_started_again(tmp_path):
    simulator = lfi.Simulator.from_command(
        script(tmp_path, PERSISTENT), prior=PRIOR, stdin="{top} {shift}", persistent=True
    )
    simulations = lfi.simulate(simulator, 30, seed=1)
    assert torch.equal(~simulations.valid, simulations.theta[:, 0] < 2)
    assert all("ended with code 3 instead" in text for text in simulations.errors.values())
    assert simulations.errors


def test_a_program_that_stays_ends_with_its_simulator(tmp_path):
    command = PersistentCommand(tuple(script(tmp_path, PERSISTENT)), ("a", "b"), "{a} {b}")
    _, pid = command(np.array([3.0, 1.0]), np.random.default_rng(0))
    del command
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


# A program in C, as the tutorial has it.

WALK = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **argument) {
    double drift = atof(argument[1]), x = 0;
    srand(atoi(argument[2]));
    for (int i = 0; i < 10; i++)
        printf("%.17g\n", x += drift + (double)rand() / RAND_MAX - 0.5);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc")
def test_a_c_program_walks(tmp_path):
    (tmp_path / "walk.c").write_text(WALK)
    subprocess.run(["cc", "-o", tmp_path / "walk", tmp_path / "walk.c"], check=True)
    simulator = lfi.Simulator.from_command(
        f"{tmp_path / 'walk'} {{drift}} {{seed}}", prior={"drift": Normal(0.0, 1.0)}
    )
    simulations = lfi.simulate(simulator, 200, seed=1)
    steps = simulations.x.diff(dim=1) - simulations.theta
    # 1,800 uniform steps of variance 1/12: their mean has standard error 0.0068.
    assert simulations.x.shape == (200, 10) and abs(steps.mean()) < 5 * 0.0068
    assert steps.abs().max() <= 0.5
