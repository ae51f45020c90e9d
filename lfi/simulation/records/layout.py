"""The files of a store, looked at before any of them is believed or handed to Zarr.

A store may come from a stranger, and Zarr reads whatever its metadata ask for: links to devices
that never end, arrays of any size, chunks that decompress to gigabytes. So a store is of regular
files, its arrays are written as lfi writes them, and each chunk says, in the header of its
compressed frame, that it holds as many bytes as its array's shape gives a chunk.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfi.runtime import MAX_HEADER, check_regular
from lfi.simulation.records.results import BLOCK

ARRAYS = ("theta", "x", "status")
OURS = {*ARRAYS, "zarr.json", "finished.json", "errors.jsonl", "lock"}
CODECS = ["bytes", "zstd", "crc32c"]
FREE, MAX_RATIO = 2**30, 1_000  # bytes read without question, and beyond for each byte on disk
SIZES = {"float32": 4, "float64": 8, "uint8": 1}
FRAME = b"\x28\xb5\x2f\xfd"  # how frames of zstd begin


class TooCompressed(ValueError):
    """Rows would take far more memory than disk, as no more than a stranger's word says they do."""


def check_entries(folder: Path) -> None:
    """Raise ValueError where a part of a store is neither a folder nor a regular file."""
    waiting = [folder / name for name in OURS if os.path.lexists(folder / name)]
    while waiting:
        path = waiting.pop()
        if path.is_dir() and not path.is_symlink():
            with os.scandir(path) as entries:
                inside = [e for e in entries if not e.is_file(follow_symlinks=False)]
            waiting += [Path(entry.path) for entry in inside]
        else:
            check_regular(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the dictionary that a small file of JSON holds; ValueError if it is none."""
    size = check_regular(path)
    if size > MAX_HEADER:
        raise ValueError(f"{path.name} has {size:,} bytes, more than {MAX_HEADER:,}")
    held = json.loads(path.read_bytes())
    if not isinstance(held, dict):
        raise ValueError(f"{path.name} holds no dictionary")
    return held


def metadata_checksum(folder: Path, finished: int, errors_size: int) -> str:
    """Return a checksum of what a store's metadata say, but for the length of its arrays.

    That is written before rows are counted, and may be longer than they are.
    """
    said: list[object] = [finished, errors_size]
    said.append(read_json(folder / "zarr.json")["attributes"]["lfi"])
    for name in ARRAYS if finished else ():
        spec = read_json(folder / name / "zarr.json")
        said.append({**spec, "shape": spec["shape"][1:]})
    content = json.dumps(said, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


@dataclass(frozen=True)
class ArrayLayout:
    """An array of a store: where it is, its shape, and the name of its dtype."""

    path: Path
    shape: tuple[int, ...]
    dtype: str

    @staticmethod
    def of(path: Path) -> "ArrayLayout":
        """Return the layout of an array; ValueError if lfi has not written it so."""
        spec = read_json(path / "zarr.json")
        shape, dtype, grid = spec["shape"], spec["data_type"], spec["chunk_grid"]
        keys = spec["chunk_key_encoding"]
        found = (
            spec["zarr_format"],
            spec["node_type"],
            grid["name"],
            grid["configuration"]["chunk_shape"],
            [codec["name"] for codec in spec["codecs"]],
            (keys["name"], keys.get("configuration", {}).get("separator", "/")),
            bool(spec.get("storage_transformers")),
        )
        wanted = (3, "array", "regular", [BLOCK, *shape[1:]], CODECS, ("default", "/"), False)
        if found != wanted or dtype not in SIZES or not all(map(_is_count, shape)):
            raise ValueError(f"shape {shape} of {dtype} in {found}, expected {wanted}")
        return ArrayLayout(path, tuple(shape), dtype)

    def check_chunks(self, begin: int, end: int, *, trusted: bool) -> None:
        """Raise ValueError where rows cannot be read from their chunks in the memory they need.

        Of a store that is `trusted`, rows may take however much more than on disk.
        """
        wanted, stored = BLOCK * math.prod(self.shape[1:]) * SIZES[self.dtype], 0
        chunks = range(begin // BLOCK, -(-end // BLOCK))
        for i in chunks:
            path = self.path / "c" / "/".join([str(i), *["0"] * (len(self.shape) - 1)])
            if not os.path.lexists(path):
                raise ValueError(f"chunk {i} is missing")
            size = check_regular(path)
            with path.open("rb") as file:
                held = frame_size(file.read(18))
            if held != wanted or size > 1_024 + wanted + wanted // 100:
                raise ValueError(f"chunk {i} of {size:,} bytes holds {held}, expected {wanted:,}")
            stored += size
        if not trusted and (total := len(chunks) * wanted) > FREE + MAX_RATIO * stored:
            raise TooCompressed(f"{stored:,} bytes of chunks would become {total:,} in memory")


def frame_size(head: bytes) -> int | None:
    """Return how many bytes a frame of zstd says to hold, None where it does not say.

    References:
        RFC 8878, Zstandard compression, section 3.1.1.1.

    Example:
        >>> from numcodecs import Zstd
        >>> [frame_size(bytes(Zstd().encode(bytes(n)))[:18]) for n in (1, 300, 10**5, 10**7)]
        [1, 300, 100000, 10000000]
    """
    if head[:4] != FRAME or len(head) < 6:
        return None
    flag, single = head[4] >> 6, bool(head[4] >> 5 & 1)
    length = 1 << flag if flag else int(single)
    begin = 5 + (not single) + (0, 1, 2, 4)[head[4] & 3]  # a window's size, a dictionary's name
    field = head[begin : begin + length]
    if not length or len(field) < length:
        return None
    return int.from_bytes(field, "little") + (256 if length == 2 else 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
