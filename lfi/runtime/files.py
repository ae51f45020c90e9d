"""Files of fitted objects: tensors in safetensors, everything else as JSON in its metadata.

Loading runs no code of the file: it yields tensors and plain values, from which the library builds
objects of classes that it knows by name, those that inherit from `Saved`.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

FORMAT = 1


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
        """Return the caller's network of that name; ValueError if it is not given."""
        if name not in self.modules:
            raise ValueError(
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
        """
        write(path, type(self).__name__, *self._whole_spec())

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
    if contents.kind not in KINDS:
        raise ValueError(f"it holds a {contents.kind}, which this lfi does not know: upgrade lfi")
    try:
        return KINDS[contents.kind]._restore_whole(contents)
    except KeyError as error:
        raise ValueError(f"it is damaged: it lacks {error}") from error


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a file beside its place, and rename it there once it is whole.

    A reader finds the old file or the new one, and what fails leaves nothing behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
    metadata = {"lfi": str(FORMAT), "kind": kind, "spec": json.dumps(spec)}
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    content = save(whole, metadata)
    try:
        replace_file(path, lambda part: part.write_bytes(content))
    except OSError as error:
        raise type(error)(error.errno, f"cannot write it: {error.strerror}", str(path)) from error


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
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        version, kind = int(metadata["lfi"]), metadata["kind"]
        spec = json.loads(metadata["spec"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a file of lfi, or is damaged: {error}") from error
    if version > FORMAT:
        raise ValueError(f"{path} has format {version}; this lfi reads up to {FORMAT}: upgrade lfi")
    return Contents(kind, spec, tensors)


def stripped(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, under the rest of their names."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state with `prefix.` before every name, to share a file with others."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def load_prefixed(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what `prefixed` has named into a module; ValueError if it does not fit."""
    try:
        module.load_state_dict(stripped(f"{prefix}.", tensors))
    except RuntimeError as error:
        name = type(module).__name__
        raise ValueError(f"the file's tensors do not fit {name}: {error}") from error
