"""Files: what is written is read, and nothing half written or foreign is."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st
from safetensors.torch import save_file
from torch import nn

from lfi.runtime import Contents, Saved, load_prefixed, prefixed, read, restore_saved, write

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
