"""What `lfi doctor` tells: versions, the machine, optional parts, and how to install what lacks."""

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import lfi

GIGABYTE = 1e9
PARTS = {  # what the extras of pyproject.toml are for
    "cluster": "simulations on a Dask cluster",
    "imitation": "environments of Gymnasium",
    "bench": "the packages that benchmarks compare with",
    "test": "the tests",
}
REQUIREMENT = re.compile(r"^([\w.-]+)(\[[\w,.-]+\])?")
EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")


@dataclass(frozen=True)
class Installed:
    """A package that lfi needs, or one of its optional parts does.

    Attributes:
        name: The package.
        requirement: What pip is to install.
        part: The optional part, "" for what every use needs.
        version: Which version there is, None where there is none.
    """

    name: str
    requirement: str
    part: str
    version: str | None


def packages() -> list[Installed]:
    """Return what lfi's own metadata ask for, and what there is of it."""
    try:
        wanted = requires("lfi") or []
    except PackageNotFoundError:  # a folder that was not installed
        wanted = ["numpy", "scipy", "torch", "zarr", "arviz", "pyro-ppl", "scikit-learn"]
    found = []
    for text in wanted:
        requirement, _, condition = (part.strip() for part in text.partition(";"))
        match = REQUIREMENT.match(requirement)
        assert match is not None  # as metadata are
        extra = EXTRA.search(condition)
        found.append(
            Installed(match[1], requirement, extra[1] if extra else "", version_of(match[1]))
        )
    return found


def version_of(package: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def devices() -> dict[str, str]:
    """Return the devices that torch can train on, by the name that --device takes."""
    import torch

    found = {"cpu": f"{torch.get_num_threads()} threads"}
    for kind in ("cuda", "xpu"):
        backend = getattr(torch, kind)
        for i in range(backend.device_count() if backend.is_available() else 0):
            found[f"{kind}:{i}"] = backend.get_device_name(i)
    return found


def machine(folder: Path) -> dict[str, float | int]:
    """Return cores, memory and free disk space in GB; what cannot be told is left out."""
    found: dict[str, float | int] = {"cores": os.cpu_count() or 1}
    if hasattr(os, "sched_getaffinity"):
        found["usable cores"] = len(os.sched_getaffinity(0))
    if hasattr(os, "sysconf"):
        names = os.sysconf_names
        page = os.sysconf("SC_PAGE_SIZE") if "SC_PAGE_SIZE" in names else 0
        for title, name in (("memory", "SC_PHYS_PAGES"), ("free memory", "SC_AVPHYS_PAGES")):
            if page and name in names:
                found[f"{title}, GB"] = round(page * os.sysconf(name) / GIGABYTE, 1)
    found["free disk, GB"] = round(shutil.disk_usage(folder).free / GIGABYTE, 1)
    return found


@dataclass(frozen=True)
class Diagnosis:
    """What is there and what lacks."""

    versions: dict[str, str]
    machine: dict[str, float | int]
    devices: dict[str, str]
    parts: list[str]  # the optional ones
    missing: dict[str, list[str]]  # requirements by part, "" for what every use needs
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether all is there that every use needs."""
        return not self.missing.get("")

    def lines(self) -> list[str]:
        """Return it in words, a line each."""
        found = [f"{name:<14} {text}" for name, text in self.text()]
        for part in self.parts:
            lacks = self.missing.get(part)
            state = f"lacks {', '.join(lacks)}" if lacks else "installed"
            purpose = f": {PARTS[part]}" if part in PARTS else ""
            found.append(f"{part:<14} {state} (optional{purpose})")
            if lacks:
                found.append(f"{'':<14} {install(lacks)}")
        if not self.ok:
            found.append(f"lfi lacks {', '.join(self.missing[''])}: {install(self.missing[''])}")
        return found + [f"note: {note}" for note in self.notes]

    def text(self) -> list[tuple[str, str]]:
        """Return versions, machine and devices as pairs of words."""
        return [
            *self.versions.items(),
            *((name, f"{value:g}") for name, value in self.machine.items()),
            *((f"device {name}", text) for name, text in self.devices.items()),
        ]


def install(requirements: list[str]) -> str:
    """Return the command that installs what lacks, for the Python that runs."""
    quoted = " ".join(f"'{text.replace(' ', '')}'" for text in requirements)
    return f"{Path(sys.executable).name} -m pip install {quoted}"


def examine(folder: Path) -> Diagnosis:
    """Return what is there and what lacks for work in a folder."""
    found = packages()
    needed = {package.name: package.version for package in found if not package.part}
    missing: dict[str, list[str]] = {}
    for package in found:
        if package.version is None:
            missing.setdefault(package.part, []).append(package.requirement)
    notes = []
    if not hasattr(os, "fork"):
        notes.append("this system cannot fork processes: lfi computes in one process")
    if not os.access(folder, os.W_OK):
        notes.append(f"the folder {folder} cannot be written to: give --out another")
    return Diagnosis(
        {
            "lfi": lfi.__version__,
            "Python": platform.python_version(),
            "system": platform.platform(),
            **{name: text for name, text in needed.items() if text is not None},
        },
        machine(folder),
        devices() if needed.get("torch") else {},
        list(dict.fromkeys(package.part for package in found if package.part)),
        missing,
        notes,
    )
