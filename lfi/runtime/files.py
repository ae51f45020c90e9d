"""Files of fitted objects: tensors in safetensors, everything else as JSON in its metadata.

Loading runs no code of the file: it yields tensors and plain values, from which the library builds
objects of classes that it knows by name, those that inherit from `Saved`. Every part of a file has
a checksum, and what is built may take little more than its tensors do (`lfi.runtime.limits`).
"""

import errno
import hashlib
import json
import os
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as from_bytes, save as to_bytes
from torch import Tensor, nn

from lfi.runtime.limits import Limits, check_description, unlimited
from lfi.runtime.seeds import isolated

FORMAT = 2  # 1 had no checksums
MAX_HEADER = 12 * 2**20  # bytes, which may take twenty times as many as Python's objects
REPORT_ROOM = 2**21  # bytes that a place must have room for, about those of a report
ADVICE = "restore it from a copy, or save it again"
KIND_OF_ENTRY = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class Refusal(ValueError):
    """What is wrong with a file that is whole: something is not given, or does not belong to it."""


@dataclass(frozen=True)
class Contents:
    """What a file holds: plain values, and tensors by name.

    `kind` names what they describe, such as "RatioPosterior". `prior` and `modules`, by the name of
    their place, are what the caller gives because the file cannot name it.
    """

    kind: str
    spec: dict[str, Any]
    tensors: dict[str, Tensor]
    prior: Any = None
    modules: Mapping[str, nn.Module] = field(default_factory=dict)

    def module(self, name: str) -> nn.Module:
        """Return the caller's network of that name; Refusal if it is not given."""
        if name not in self.modules:
            raise Refusal(
                f"the file holds the weights of a network of your own: give one of the same shape "
                f'with load(path, modules={{"{name}": network}})'
            )
        return self.modules[name]

    def part(self, kind: str, spec: dict[str, Any], prefix: str = "") -> "Contents":
        """Return the contents of an object inside this one, whose tensors begin with a prefix."""
        return replace(self, kind=kind, spec=spec, tensors=stripped(prefix, self.tensors))


KINDS: dict[str, type["Saved"]] = {}  # what can be saved, by name; classes enter when defined


class Saved(ABC):
    """What `save` writes to a file and `lfi.load` reads.

    A subclass has `_spec` and `_restore`; its name is the kind of file.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        KINDS[cls.__name__] = cls

    def save(self, path: str | Path) -> None:
        """Write it to a file that `lfi.load` reads: safetensors and JSON.

        Networks of your own are saved by their weights; `lfi.load` asks for the network.

        Raises:
            OSError: If the place cannot be written.
            TypeError: If the file cannot name a part of it.
            ValueError: If weights are not numbers (NaN), which no file is loaded with.
        """
        spec, tensors = self._whole_spec()
        check_weights(tensors)
        write(path, type(self).__name__, spec, tensors)

    def _whole_spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what `save` writes."""
        return self._spec()

    @abstractmethod
    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return plain values that JSON can hold, and tensors by name."""

    @classmethod
    def _restore_whole(cls, contents: Contents) -> "Saved":
        """Return what `save` has written."""
        return cls._restore(contents)

    @classmethod
    @abstractmethod
    def _restore(cls, contents: Contents) -> "Saved":
        """Return the object that `_spec` has described."""


def restore_saved(contents: Contents) -> Saved:
    """Return the object that a file holds, whatever its kind.

    ValueError if the kind is not known, the file is damaged, or a prior or network is not given.
    """
    try:
        check_weights(contents.tensors)
        check_description(contents.spec, contents.tensors)
        with isolated(0), Limits(contents.tensors, contents.spec):
            return restore_part(contents)
    except Refusal:
        raise
    except Exception as error:  # of whatever kind: a spec is a stranger's
        if contents.modules and isinstance(error, ValueError):
            raise  # the caller's network does not fit, as it says
        raise ValueError(f"it is damaged, or was changed ({_said(error)}): {ADVICE}") from error


def restore_part(contents: Contents) -> Saved:
    """Return an object inside another one, whose file `restore_saved` has found to be sound."""
    if contents.kind not in KINDS:
        raise Refusal(f"it holds a {contents.kind}, which this lfi does not know: upgrade lfi")
    return KINDS[contents.kind]._restore_whole(contents)


def check_weights(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError where a tensor has NaN."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and (count := int(tensor.isnan().sum())):
            raise ValueError(f"{count} of {tensor.numel()} numbers of the tensor {name} are NaN")


def check_regular(path: Path, *, links: bool = False) -> int:
    """Return the size of a regular file, reached by a link only where `links` may be.

    ValueError for anything else, such as a pipe, from which reading might never end.
    """
    found = os.stat(path, follow_symlinks=links)
    if not stat.S_ISREG(found.st_mode):
        what = KIND_OF_ENTRY.get(stat.S_IFMT(found.st_mode), "a device")
        raise ValueError(f"{path.name} is {what}, expected a regular file")
    return found.st_size


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a new file beside a place, and remove it; OSError, which names the place, if none."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # which nobody can have planted
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield part
    except OSError as error:
        folder, said = path.parent, error.strerror or str(error)
        reason = f"cannot write it: {said if folder.is_dir() else f'there is no folder {folder}'}"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside its place, and rename it there once it is whole.

    A reader finds the old file or the new one, and what fails leaves nothing behind; an OSError
    names the place.
    """
    with _beside(path) as part:
        write(part)
        os.replace(part, path)


def check_writable(path: Path) -> None:
    """Raise OSError where a file could not be written: to be found before work, not after it.

    Example:
        >>> check_writable(Path("/no/page.html"))
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] cannot write it: there is no folder /no: '/no/page.html'
    """
    with _beside(path := _place(path)) as part:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        part.write_bytes(bytes(REPORT_ROOM))


def write(
    path: str | Path, kind: str, spec: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a file in one atomic step; nothing is left behind if that fails.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "line.lfi"
        >>> write(path, "Line", {"slope": 2.0}, {"points": torch.zeros(3)})
        >>> read(path).spec
        {'slope': 2.0}
    """
    path = _place(path)
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(spec)
    sums = json.dumps(_checksums(kind, text, whole))
    metadata = {"lfi": str(FORMAT), "kind": kind, "spec": text, "checksums": sums}
    content = to_bytes(whole, metadata)
    if (size := int.from_bytes(content[:8], "little")) > MAX_HEADER:
        raise ValueError(
            f"{path}: a file may describe its tensors in {MAX_HEADER:,} bytes, got {size:,}"
        )
    replace_file(path, lambda part: part.write_bytes(content))


def _checksums(kind: str, spec: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return a checksum of the description, by the name "", and of each tensor."""
    sums = {"": hashlib.blake2b(f"{kind}\n{spec}".encode(), digest_size=8).hexdigest()}
    for name, tensor in tensors.items():
        found = hashlib.blake2b(f"{tensor.dtype}{tuple(tensor.shape)}".encode(), digest_size=8)
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        sums[name] = found.hexdigest()
    return sums


def _place(path: object) -> Path:
    """Return where a file is or shall be; TypeError or ValueError if that is no place."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a string or a path, got {path!r}")
    place = Path(path)
    if not place.name:
        raise ValueError(f"path must name a file, got {str(path)!r}")
    return place


def read(path: str | Path) -> Contents:
    """Read what `write` has written.

    ValueError if the file is not one of ours, is damaged, or comes from a newer lfi.
    """
    path = _place(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        check_regular(path, links=True)
        return _parsed(path.read_bytes())
    except Refusal as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError:
        raise
    except Exception as error:  # of JSON, safetensors and torch, of many kinds
        raise ValueError(
            f"{path} is not a file of lfi, or is damaged ({_said(error)}): {ADVICE}"
        ) from error


@contextmanager
def faults_of(path: str | Path) -> Iterator[None]:
    """Raise one ValueError for whatever is wrong inside with what a file has said.

    Example:
        >>> with faults_of("fit.lfi"):  # doctest: +ELLIPSIS
        ...     {}["steps"]
        Traceback (most recent call last):
        ValueError: fit.lfi is damaged, or was changed (it lacks 'steps'): restore it ...
    """
    try:
        yield
    except Exception as error:  # of whatever kind: a description is a stranger's
        text = f"{path} is damaged, or was changed ({_said(error)}): {ADVICE}"
        raise ValueError(text) from error


def _parsed(content: bytes) -> Contents:
    """Return what a file's bytes hold."""
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(MAX_HEADER, len(content) - 8):
        raise ValueError(f"{len(content):,} bytes with a header of {size:,}")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    if (version := int(metadata["lfi"])) < 1:
        raise ValueError(f"it has format {version}")
    if version > FORMAT:
        raise Refusal(f"it has format {version}; this lfi reads up to {FORMAT}: upgrade lfi")
    tensors = from_bytes(content)
    kind, text = metadata["kind"], metadata["spec"]
    if version > 1:
        known, found = json.loads(metadata["checksums"]), _checksums(kind, text, tensors)
        for name in sorted(known.keys() | found.keys()):
            if known.get(name) != found.get(name):
                part = f"tensor {name}" if name else "description"
                raise ValueError(f"its {part} is not what was saved")
    spec = json.loads(text)
    if not isinstance(spec, dict):
        raise ValueError("its description is no dictionary")
    return Contents(kind, spec, tensors)


def _said(error: Exception) -> str:
    """Return what an exception says, in one short line."""
    text = " ".join(str(error).split())[:200]
    named = {KeyError: f"it lacks {text}", RecursionError: "it is nested too deeply"}
    return named.get(type(error)) or text or type(error).__name__


def stripped(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, under the rest of their names."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state with `prefix.` before every name, to share a file with others."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def load_prefixed(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what `prefixed` has named into a module; ValueError if it does not fit."""
    try:
        with unlimited():  # it is built: this makes nothing
            module.load_state_dict(stripped(f"{prefix}.", tensors))
    except RuntimeError as error:
        name = type(module).__name__
        raise ValueError(f"the file's tensors do not fit {name}: {error}") from error
