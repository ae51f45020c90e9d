"""Command lines as nobody should type them: words, options, files and folders of every kind."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIMULATOR = """
import torch
from torch.distributions import Normal
prior = {"mean": Normal(0.0, 1.0)}
def simulate(theta, rng: torch.Generator):
    return theta + torch.randn(len(theta), 2, generator=rng)
"""
FILES = {
    "good.py": SIMULATOR + "x_obs = torch.tensor([0.5, 0.7])\n",
    "unobserved.py": SIMULATOR,
    "column.py": SIMULATOR.replace("generator=rng)", "generator=rng).unsqueeze(2)"),
    "failing.py": SIMULATOR.replace("return", "raise LookupError('none'); return"),
    "leaving.py": SIMULATOR.replace("return", "raise SystemExit(3); return"),
    "exits.py": "import sys\nsys.exit(3)\n",
    "quits.py": "raise SystemExit\n",
    "deeper.py": "import exits\n",
    "raises.py": "raise LookupError('nothing here')\n",
    "syntax.py": "def (:\n",
    "bytes.py": "\x00",
    "recursive.py": "def f():\n    return f()\nf()\n",
    "empty.py": "",
    "numbers.py": "prior = simulate = 3\n",
    "lost.py": "def __getattr__(name):\n    raise OSError(name)\n",
    "named.py": SIMULATOR.replace('"mean"', '"a/b"'),
    "x.csv": "0.5, 0.7\n",
    "long.csv": "1\n2\n3\n",
    "words.csv": "a,b\nc,d\n",
    "ragged.csv": "1,2\n3\n",
    "empty.csv": "",
    "infinite.csv": "inf nan\n",
    "huge.csv": "1e999 1\n",
    "blank.csv": "\n\n  \n",
    "cut.npy": "\x93NUMPY\x01\x00v\x00{'descr'",
}
FLAGS = ("quiet", "help", "json", "dry-run", "no-surrogate", "restart")
OPTIONS = ("out", "budget", "rounds", "minutes", "draws", "seed", "observation", "device")
OPTIONS += ("workers", "timeout", "method", "column", "name", "log", *FLAGS)
NUMBERS = ("0", "1", "2", "-1", "200", "2400", "99999999999999999999", "1e3", "2.5", "nan", "")
WORDS = ("", " ", "-", "--", "run", "list", "influenza", "two_moons", "ring", "measles", "é\u202e")
ODD = ("--version", "--help", "--colour", "-x", "--out", "--seed=", "a" * 5_000, "\udcff", "*", "~")
DEVICES = ("cpu", "cuda", "cuda:99", "cuda:x", "mps", "xpu", "hpu", "meta", "cpu:3", "CPU", "")


def write_files(folder: Path) -> list[str]:
    """Write simulators and data of all kinds into a folder; return the paths, and some more."""
    for name, text in FILES.items():
        (folder / name).write_bytes(text.encode("latin-1" if name.endswith("npy") else "utf-8"))
    np.save(folder / "x.npy", np.array([0.5, 0.7]))
    np.save(folder / "objects.npy", np.array([{}], dtype=object))
    np.save(folder / "complex.npy", np.array([1j]))
    np.save(folder / "text.npy", np.array(["a"]))
    header = (folder / "x.npy").read_bytes()
    terabytes = header.replace(b"(2,), }             ", b"(2000000000000,), } ")
    assert terabytes != header
    (folder / "terabytes.npy").write_bytes(terabytes)
    (folder / "folder.py").mkdir()
    (folder / "taken").mkdir()
    (folder / "taken" / "rounds").mkdir()
    (folder / "taken" / "rounds" / "rounds.json").write_text("[]")
    paths = [str(path) for path in sorted(folder.iterdir())]
    simulators = [f"{folder / name}:{what}" for name in FILES for what in ("simulate", "", "a.b")]
    return [*paths, *simulators[:12], str(folder / "absent.py"), "/dev/null", "/proc/x", "/sys"]


def command_lines(n: int, seed: int, paths: list[str]) -> Iterator[list[str]]:
    """Return command lines, most of which begin like right ones."""
    rng = random.Random(seed)
    files = [path for path in paths if ".py" in path]
    data = [path for path in paths if path.endswith((".csv", ".npy"))]
    values = {
        "out": [*paths, f"{paths[0]}/out", "", "new"],
        "observation": [*data, *paths, "absent.csv", ""],
        "device": DEVICES,
        "method": ("pool", "flow", "npe", ""),
        "log": ("run.log", paths[0] + "/run.log", ""),
        **dict.fromkeys(FLAGS, ("1",)),
    }
    for _ in range(n):
        simulator = rng.choice([rng.choice(files), rng.choice(WORDS), "influenza"])
        line = ["run", simulator, "--out", f"{Path(paths[0]).parent}/out"]
        for _ in range(rng.randrange(4)):
            option = rng.choice(OPTIONS)
            value = rng.choice([*values.get(option, NUMBERS), *rng.sample(WORDS, 1)])
            form = [f"--{option}={value}"] if rng.random() < 0.3 else [f"--{option}", value]
            line += form[:1] if option in FLAGS else form
        for _ in range(rng.choice([0, 0, 1, 2])):  # a word more, less, twice or in another place
            place = rng.randrange(len(line)) if line else 0
            change = rng.randrange(4)
            if change == 0:
                line.insert(place, rng.choice([*WORDS, *ODD, *NUMBERS]))
            elif change == 1:
                del line[place : place + 1]
            elif change == 2:
                line[place:place] = line[place : place + 2]
            else:
                rng.shuffle(line)
        yield line
