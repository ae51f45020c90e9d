"""Files of fitted things: tensors in safetensors, everything else as JSON in its metadata.

Loading such a file runs no code of the file: it yields tensors and plain values, from which the
library builds objects of classes that it knows by name. A file is written beside its place and
renamed into it, so that a reader finds the old one or the new one, never half of one.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

FORMAT = 1


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        kind: What the tensors and the spec describe, such as "RatioPosterior".
        spec: Plain values: numbers, text, lists and dictionaries of them.
        tensors: Tensors by name.
    """

    kind: str
    spec: dict[str, Any]
    tensors: dict[str, Tensor]


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
    """Write a file in one atomic step.

    Raises:
        OSError: If the place cannot be written; nothing is left behind then.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "line.lfi"
        >>> write(path, "Line", {"slope": 2.0}, {"points": torch.zeros(3)})
        >>> read(path).spec
        {'slope': 2.0}
    """
    path = Path(path)
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    metadata = {"lfi": str(FORMAT), "kind": kind, "spec": json.dumps(spec)}
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    content = save(whole, metadata)
    replace_file(path, lambda part: part.write_bytes(content))


def read(path: str | Path) -> Contents:
    """Read what `write` has written.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not one of ours, is damaged, or comes from a newer lfi.
    """
    path = Path(path)
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


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state with `prefix.` before every name, to share a file with others."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def load_prefixed(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what `prefixed` has named into a module of the same shape.

    Raises:
        ValueError: If the tensors do not fit the module.
    """
    start = len(prefix) + 1
    state = {name[start:]: t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"the file's tensors do not fit {type(module).__name__}: {error}"
        ) from error
