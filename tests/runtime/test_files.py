"""Files: what is written is read, and nothing half written or foreign is."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from safetensors.torch import save_file
from torch import nn

import lfi
from lfi.networks import PairCritic
from lfi.runtime import (
    Contents,
    Saved,
    check_writable,
    load_prefixed,
    prefixed,
    read,
    replace_file,
    restore_saved,
    write,
)

REFERENCE = Path(__file__).parents[1] / "reference"

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(spec=st.dictionaries(st.text(max_size=5), plain, max_size=4))
def test_plain_values_and_tensors_come_back(spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "thing.lfi"
    tensors = {"a": torch.randn(2, 3).T, "b": torch.tensor(True)}  # not contiguous; a scalar
    write(path, "Thing", spec, tensors)
    contents = read(path)
    assert (contents.kind, contents.spec) == ("Thing", spec)
    assert all(torch.equal(contents.tensors[name], tensors[name]) for name in tensors)


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    x = torch.arange(6.0)
    write(tmp_path / "x.lfi", "X", {}, {"all": x, "part": x[:2]})
    assert read(tmp_path / "x.lfi").tensors["part"].tolist() == [0.0, 1.0]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.lfi"
    write(path, "X", {"version": 1}, {})
    with pytest.raises(TypeError):
        write(path, "X", {"version": object()}, {})
    assert read(path).spec == {"version": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.lfi"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write(tmp_path / "nowhere" / "x.lfi", "X", {}, {})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.lfi"):
        read(tmp_path / "absent.lfi")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_damaged_files_are_refused(damage, tmp_path):
    path = tmp_path / "x.lfi"
    write(path, "X", {}, {"t": torch.ones(100)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="damaged"):
        read(path)


def test_files_of_others_are_refused(tmp_path):
    save_file({"t": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="not a file of lfi"):
        read(tmp_path / "x.safetensors")


def test_files_of_a_newer_format_are_refused(tmp_path):
    metadata = {"lfi": "99", "kind": "X", "spec": json.dumps({})}
    save_file({"t": torch.ones(1)}, tmp_path / "x.lfi", metadata)
    with pytest.raises(ValueError, match="upgrade"):
        read(tmp_path / "x.lfi")


def test_modules_share_a_file_by_prefix():
    one, two, again = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    load_prefixed("two", again, prefixed("one", one) | prefixed("two", two))
    assert torch.equal(again.weight, two.weight)


def test_tensors_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="Linear"):
        load_prefixed("x", nn.Linear(3, 2), prefixed("x", nn.Linear(2, 2)))


class Line(Saved):
    """A kind of file with a network of the caller's own."""

    def __init__(self, slope, network):
        self.slope, self.network = slope, network

    def _spec(self):
        return {"slope": self.slope}, prefixed("line", self.network)

    @classmethod
    def _restore(cls, contents):
        network = contents.module("network")
        load_prefixed("line", network, contents.tensors)
        return cls(contents.spec["slope"], network)


def test_a_class_that_can_be_saved_is_known_by_its_name(tmp_path):
    Line(2.0, nn.Linear(1, 1)).save(tmp_path / "line.lfi")
    contents = read(tmp_path / "line.lfi")
    with pytest.raises(ValueError, match='modules={"network": network}'):
        restore_saved(contents)
    again = restore_saved(replace(contents, modules={"network": nn.Linear(1, 1)}))
    assert isinstance(again, Line) and again.slope == 2.0


def test_files_of_unknown_kinds_and_with_parts_missing_are_refused():
    with pytest.raises(ValueError, match="holds a Circle, which this lfi does not know"):
        restore_saved(Contents("Circle", {}, {}))
    network = nn.Linear(1, 1)
    whole = Contents("Line", {}, prefixed("line", network), modules={"network": network})
    with pytest.raises(ValueError, match="lacks 'slope'"):
        restore_saved(whole)


def test_a_part_has_the_tensors_below_its_prefix():
    whole = Contents("Pool", {}, {"0.w": torch.ones(1), "1.w": torch.zeros(1)}, prior="given")
    part = whole.part("Line", {"slope": 1.0}, "1.")
    assert part.tensors == {"w": torch.zeros(1)} and part.prior == "given"


# Checksums, formats and sizes.


def test_a_file_of_the_first_format_is_still_read():
    critic = PairCritic([0.0], [1.0], (2,), width=2, layers=1, rank=1)
    with torch.no_grad():
        for number, parameter in enumerate(critic.parameters()):
            parameter.fill_(0.1 * number)  # as where the file was made
    assert b'"lfi":"1"' in (REFERENCE / "format_1.lfi").read_bytes()
    loaded = lfi.load(REFERENCE / "format_1.lfi")
    theta, x = torch.rand(5, 1), torch.rand(5, 2)
    expected = critic.eval()(theta.float(), x.float()).to(torch.float64)
    torch.testing.assert_close(loaded.log_ratio(theta, x).double(), expected, rtol=1e-6, atol=1e-6)
    assert loaded.history[0].best_step == 1 and loaded.names == ("a",)


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "x.lfi"
    write(path, "X", {"slope": 2.0}, {"t": torch.arange(6.0), "flag": torch.tensor(True)})
    content = path.read_bytes()
    for place in range(0, 8 * len(content), 37):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = read(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:  # white space in the header
            assert found.spec == {"slope": 2.0} and found.tensors["t"].tolist() == [*range(6)]


def test_the_part_that_was_changed_is_named(tmp_path):
    path = tmp_path / "x.lfi"
    write(path, "X", {"slope": 2.0}, {"weight": torch.ones(3)})
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x40")
    with pytest.raises(ValueError, match="its tensor weight is not what was saved.*restore it"):
        read(path)
    path.write_bytes(content.replace(b"2.0", b"3.0"))
    with pytest.raises(ValueError, match="its description is not what was saved"):
        read(path)


def test_weights_that_are_not_numbers_are_refused():
    network = nn.Linear(1, 1)
    network.bias.data[0] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 1 numbers of the tensor line.bias are NaN"):
        Line(1.0, network).save("never.lfi")
    contents = Contents("Line", {"slope": 1.0}, prefixed("line", network))
    with pytest.raises(ValueError, match=r"line.bias are NaN"):
        restore_saved(contents)


class Bulk(Saved):
    """A kind of file whose spec says how much to build."""

    def _spec(self):
        return {}, {}

    @classmethod
    def _restore(cls, contents):
        width, layers = contents.spec["width"], contents.spec["layers"]
        for _ in range(layers):
            torch.zeros(1)
        nn.Linear(width, width)
        torch.ones(width, 1) * torch.ones(1, width)
        return cls()


def test_sizes_that_tensors_do_not_explain_are_not_believed():
    weights = {"weight": torch.zeros(60, 60)}
    assert restore_saved(Contents("Bulk", {"width": 60, "layers": 6}, weights))
    for spec in (
        {"width": 30_000, "layers": 1},
        {"width": 5_000, "layers": 1},
        {"width": 1, "layers": 10**9},
        {"width": 1, "layers": 10**6},
        {"width": 1, "layers": 5_000},
    ):
        with pytest.raises(ValueError, match="it describes .*more than its tensors hold"):
            restore_saved(Contents("Bulk", spec, weights))


# Places.


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.lfi")
    (tmp_path / "folder.lfi").mkdir()
    (tmp_path / "device.lfi").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("device", "a device")):
        with pytest.raises(ValueError, match=f"{name}.lfi is {kind}, expected a regular file"):
            read(tmp_path / f"{name}.lfi")


def full(part):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"cannot write it: No space left on device: '.*x\.lfi'"):
        replace_file(tmp_path / "x.lfi", full)
    for place in (tmp_path / "folder", Path("/proc/x.lfi"), tmp_path / "none" / "x.lfi"):
        for attempt in (check_writable, lambda place: write(place, "X", {}, {})):
            with pytest.raises(OSError, match="cannot write it") as caught:
                attempt(place)
            assert caught.value.filename == str(place)
    monkeypatch.setattr(Path, "write_bytes", lambda *_: full(None))
    with pytest.raises(OSError, match="No space left"):
        check_writable(tmp_path / "x.lfi")
    assert [entry.name for entry in tmp_path.rglob("*")] == ["folder"]


def test_a_link_that_was_planted_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "x.lfi").symlink_to(tmp_path / "mine")
    write(tmp_path / "x.lfi", "X", {}, {})
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "x.lfi").is_symlink()
