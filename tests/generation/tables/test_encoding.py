"""Tables as vectors and back: kinds, forms, dtypes, files of them, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import lfi
from lfi.generation.tables.categories import CategoryColumn
from lfi.generation.tables.kinds import kind_of

tables = lfi.tables


def frame(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(10, 1, n).round(2),
            "change": rng.normal(size=n),
            "class": rng.integers(0, 3, n),
            "town": rng.choice(["Ulm", "Oslo"], n),
            "size": pd.Categorical(rng.choice(["S", "L"], n), ["S", "M", "L"], ordered=True),
            "member": rng.random(n) < 0.3,
            "visits": pd.array(rng.poisson(20, n), dtype="Int64"),
            "single": rng.normal(size=n).astype(np.float32),
        }
    )


def test_kinds_are_seen_from_values():
    found = {name: kind_of(np.asarray(frame()[name])) for name in frame()}
    categorical = {"class", "town", "size", "member"}
    assert {name for name, kind in found.items() if kind == tables.Categorical()} == categorical
    assert found["age"] == found["visits"] == tables.Whole()
    assert found["income"] == tables.Positive()
    assert found["change"] == found["single"] == tables.Numeric()
    assert kind_of(np.arange(20) % 5) == tables.Whole()  # four rows each are too few


def test_a_frame_comes_back_with_its_dtypes_categories_and_values():
    data = frame()
    encoding = tables.TableEncoding.of(data)
    back = encoding.decode(encoding.encode(data, seed=1))
    pd.testing.assert_frame_equal(back, data, rtol=1e-6)
    assert back["size"].cat.categories.tolist() == ["S", "M", "L"]


def test_records_and_dictionaries_come_back_as_they_were():
    names = ["age", "income", "change", "class", "town", "member", "single"]
    columns = {name: frame()[name].to_numpy() for name in names}
    columns["town"] = columns["town"].astype(str)
    records = np.rec.fromarrays(list(columns.values()), names=names)
    encoding = tables.TableEncoding.of(np.asarray(records))
    back = encoding.decode(encoding.encode(np.asarray(records), seed=1))
    assert back.dtype == records.dtype
    mapping = tables.TableEncoding.of(columns)
    again = mapping.decode(mapping.encode(columns, seed=1))
    for name, values in columns.items():
        for other in (back[name], again[name]):
            assert other.dtype == values.dtype
            (np.testing.assert_array_equal if other.dtype.kind in "iUb" else close)(other, values)


def close(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_kinds_that_are_said_are_taken():
    kinds = {"class": tables.Whole(), "income": tables.Numeric(), "age": tables.Categorical()}
    encoding = tables.TableEncoding.of(frame(), kinds)
    assert isinstance(encoding.columns["age"], CategoryColumn)
    assert encoding.columns["class"].decimals == 0
    assert encoding.columns["income"].least == -np.inf


@pytest.mark.parametrize(
    "change, message",
    [
        ({"age": np.nan}, "60 of 60 entries of the column 'age' are missing"),
        ({"change": np.inf}, "60 entries of the column 'change' are not finite"),
        ({"town": [str(i) for i in range(300)]}, "300 categories, at most 200"),
    ],
)
def test_what_no_generator_could_learn_is_refused(change, message):
    data = frame(300 if isinstance(change.get("town"), list) else 60)
    with pytest.raises(ValueError, match=message):
        tables.TableEncoding.of(data.assign(**change))


def test_wrong_kinds_and_tables_are_refused():
    data = frame()
    for kinds, message in (
        ({"wage": tables.Whole()}, "there is no column 'wage'"),
        ({"change": tables.Positive()}, "'change' is positive, got -"),
        ({"income": tables.Whole()}, "'income' is of whole numbers, got "),
    ):
        with pytest.raises(ValueError, match=message):
            tables.TableEncoding.of(data, kinds)
    with pytest.raises(TypeError, match="'town' holds no numbers, got '"):
        tables.TableEncoding.of(data, {"town": tables.Numeric()})
    with pytest.raises(TypeError, match="'when' holds a datetime"):
        tables.TableEncoding.of(pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}))
    encoding = tables.TableEncoding.of(data)
    with pytest.raises(ValueError, match="columns are"):
        encoding.encode(data.drop(columns="age"))
    with pytest.raises(ValueError, match="'Rom' is no category of the column 'town'"):
        encoding.encode(data.assign(town="Rom"))
    with pytest.raises(TypeError, match="must be of the kind that was fitted"):
        encoding.encode({"age": [1.0]})
