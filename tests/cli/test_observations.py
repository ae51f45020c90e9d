"""Observations from files: what is read, what is missing, and what is refused in which words."""

import json
import math

import h5netcdf
import numpy as np
import pytest

from lfi.cli.observations import read_observation


@pytest.fixture
def reading(tmp_path):
    """Write a text to a file of a name, and read it; return the values as lists."""

    def read(text, *columns, name="x.csv"):
        (tmp_path / name).write_bytes(text.encode())
        return complete(tmp_path / name, columns)

    return read


def complete(path, columns=()):
    """Return a complete observation as lists."""
    found = read_observation(path, columns)
    assert found.missing == ()
    return found.values.tolist()


def gaps(path, columns=()):
    """Return an observation flattened, None for missing entries, and what those are called."""
    found = read_observation(path, columns)
    numbers = [None if math.isnan(value) else value for value in found.values.ravel()]
    return numbers, found.missing


@pytest.mark.parametrize(
    "text",
    [
        "1.5,2\n",
        "1.5\n2\n",
        "1.5 2",
        "1.5\t2e0\n\n",
        "# comment\nday\n1.5\n2\n",
        "1,5;2\n",
        "1,5;2;\n",
        "1,5\t2\n",
        "1.5, 2, \n",
        "\ufeffbiomass\r\n1.5\r\n2\r\n",
        '"biomass"\n"1.5"\n"2"\n',
        "biomass;\n1,5;\n2;\n",
    ],
    ids=repr,
)
def test_a_series_is_read_whatever_stands_between_its_numbers(text, reading):
    assert reading(text) == [1.5, 2.0]


TABLE = "hour,biomass,lab\n0,1.5,north\n1,2.5,south\n"


@pytest.mark.parametrize(
    "text", [TABLE, TABLE.replace(".", "§").replace(",", ";").replace("§", ",")]
)
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["biomass"], [1.5, 2.5]),
        (["2"], [1.5, 2.5]),
        (["hour", "biomass"], [[0, 1.5], [1, 2.5]]),
        (["biomass", "1"], [[1.5, 0], [2.5, 1]]),
    ],
    ids=str,
)
def test_columns_are_chosen_by_name_or_number(text, columns, expected, reading):
    assert reading(text, *columns) == expected


def test_a_line_with_a_number_is_no_header(reading):
    with pytest.raises(ValueError, match="'day' in line 1, column 1, is not a number"):
        reading("day,2020,2021\n1,3,4\n")


def test_tables_without_a_choice_are_taken_whole(reading):
    assert reading("a,b\n1,2\n3,4\n5,6\n") == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("a,b\nc,d\n", (), "'c' in line 2, a, is not a number: choose among a, b by --column"),
        ("1,2\n3\n", (), "line 2 has 1 entries, where 2 are expected"),
        ("", (), "it is empty"),
        ("# nothing\n\n", (), "it is empty"),
        ("hour,biomass\n", (), "it has a header only \\(hour, biomass\\)"),
        ("1,inf\n", (), "'inf' in line 1, column 2, is not finite"),
        ("1\n1e999\n", (), "'1e999' in line 2, column 1, is not finite"),
        (TABLE, (), "'north' in line 2, lab, is not a number: choose among hour, biomass, lab"),
        (TABLE, ("mass",), "--column: there is no 'mass' among hour, biomass, lab"),
        (TABLE, ("4",), "no '4' among hour, biomass, lab"),
        ("1,2\n3,4\n", ("0",), "no '0' among numbers from 1 to 2"),
        ("x\nNA\n\nnan\n", (), r"all 2 entries are missing \(line 2, x; line 4, x\)"),
        ("NA\n" * 9, (), r"all 9 entries are missing .*line 5, column 1 and 4 more\)"),
        ("1\x00,2\n", (), "not a number"),
    ],
    ids=repr,
)
def test_what_is_no_table_of_numbers_is_refused_with_the_place(text, columns, words, reading):
    with pytest.raises(ValueError, match=f"no table of numbers: .*{words}"):
        reading(text, *columns)


def test_missing_entries_elsewhere_do_not_matter(reading):
    assert reading("a,b\n1,NA\n2,\n", "a") == [1, 2]


@pytest.mark.parametrize(
    ("text", "columns", "expected", "missing"),
    [
        ("x\n1\nNA\n\n3\n", (), [1, None, 3], ("line 3, x",)),
        ("a,b\n1,\n,2\n", (), [1, None, None, 2], ("line 2, b", "line 3, a")),
        ("1;n/a;-0,5", (), [1, None, -0.5], ("line 1, column 2",)),
        ("1 ? . 4", (), [1, None, None, 4], ("line 1, column 2", "line 1, column 3")),
        ("day,mass\n1,2\n2,null\n", ("mass",), [2, None], ("line 3, mass",)),
    ],
    ids=repr,
)
def test_missing_cells_are_named_by_line_and_column(text, columns, expected, missing, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    assert gaps(tmp_path / "x.csv", columns) == (expected, missing)


@pytest.mark.parametrize(
    ("text", "columns", "expected", "missing"),
    [
        ("[1, null]", (), [1, None], ("entry 2",)),
        ("[1, NaN]", (), [1, None], ("entry 2",)),
        ("[[1, 2], [null, 3]]", (), [1, 2, None, 3], ("entry 2, 1",)),
        ("[[1, null], [3, 4]]", ("2",), [None, 4], ("entry 1",)),
        ('[{"a": 1}, {"b": 2}]', ("a",), [1, None], ("a 2",)),
        ('{"a": [1, 2], "b": [null, null]}', (), [1, None, 2, None], ("b 1", "b 2")),
    ],
    ids=repr,
)
def test_what_is_null_in_json_is_missing(text, columns, expected, missing, tmp_path):
    (tmp_path / "x.json").write_text(text)
    assert gaps(tmp_path / "x.json", columns) == (expected, missing)


@pytest.mark.parametrize(
    ("value", "columns", "expected"),
    [
        ([1, 2.5], (), [1, 2.5]),
        ([[1, 2], [3, 4]], (), [[1, 2], [3, 4]]),
        ([[1, 2], [3, 4]], ("2",), [2, 4]),
        ({"x_obs": [1, 2]}, (), [1, 2]),
        ({"hour": [0, 1], "mass": [3, 4]}, ("mass",), [3, 4]),
        ({"hour": [0, 1], "mass": [3, 4]}, (), [[0, 3], [1, 4]]),
        ({"source": "a lab", "mass": [3, 4]}, ("mass",), [3, 4]),
        ([{"hour": 0, "mass": 3}, {"hour": 1, "mass": 4}], ("mass",), [3, 4]),
    ],
    ids=str,
)
def test_observations_are_read_from_json(value, columns, expected, reading):
    assert reading(json.dumps(value), *columns, name="x.json") == expected


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("[null]", (), r"all 1 entries are missing \(entry 1\)"),
        ("null", (), r"all 1 entries are missing \(entry\)"),
        ("[1, Infinity, null]", (), r"1 entries are not finite \(entry 2\)"),
        ('{"a": [1, -Infinity]}', (), r"1 entries are not finite \(a 2\)"),
        ('{"a": [1, 2], "b": 3}', (), "it holds a, b: choose by --column"),
        ('{"a": [1, 2]}', ("b",), "no 'b' among a"),
        ('["1"]', (), "'1' in entry is not a number"),
        ("[1, [2]]", (), "is not a number"),
        ("{", (), "Expecting"),
        ("[]", (), "it is empty"),
    ],
    ids=repr,
)
def test_json_that_holds_no_observation_is_refused(text, columns, words, reading):
    with pytest.raises(ValueError, match=f"no table of numbers: .*{words}"):
        reading(text, *columns, name="x.json")


def test_observations_are_read_from_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(6).reshape(2, 3))
    assert complete(tmp_path / "x.npy") == [[0, 1, 2], [3, 4, 5]]
    assert complete(tmp_path / "x.npy", ["3"]) == [2, 5]
    np.save(tmp_path / "x.npy", np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert gaps(tmp_path / "x.npy") == ([1, None, 2, 3], ("entry 1, 2",))
    assert gaps(tmp_path / "x.npy", ["2"]) == ([None, 3], ("entry 1",))
    np.save(tmp_path / "x.npy", np.array([1.0, np.nan, np.inf]))
    with pytest.raises(ValueError, match=r"1 entries are not finite \(entry 3\)"):
        read_observation(tmp_path / "x.npy")


def test_observations_are_read_from_netcdf(tmp_path):
    with h5netcdf.File(tmp_path / "x.nc", "w") as file:
        file.dimensions = {"hour": 3}
        for name, values in (("hour", [0.0, 1.0, 2.0]), ("mass", [3.0, 4.0, 5.0])):
            file.create_variable(name, ("hour",), float)[:] = values
    assert complete(tmp_path / "x.nc") == [3, 4, 5]
    with h5netcdf.File(tmp_path / "x.nc", "a") as file:
        file.create_variable("more", ("hour",), float)[:] = [6.0, 7.0, 8.0]
    assert complete(tmp_path / "x.nc", ["more"]) == [6, 7, 8]
    with pytest.raises(ValueError, match="it holds mass, more: choose one by --column"):
        read_observation(tmp_path / "x.nc")
    with h5netcdf.File(tmp_path / "x.nc", "a") as file:
        file["more"][1] = np.nan
    assert gaps(tmp_path / "x.nc", ["more"]) == ([6, None, 8], ("entry 2",))
    with h5netcdf.File(tmp_path / "y.nc", "w") as file:
        group = file.create_group("observed_data")
        group.dimensions = {"hour": 2}
        group.create_variable("x", ("hour",), float)[:] = [1.0, 2.0]
    assert complete(tmp_path / "y.nc") == [1, 2]


def test_a_header_that_declares_more_than_its_file_is_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    header += b" " * (117 - len(header)) + b"\n"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ValueError, match=r"--observation: .*x\.npy is no table of numbers"):
        read_observation(path)
