"""Where a report comes from."""

from datetime import UTC, datetime
from importlib.metadata import version

import torch

import lfi
from lfi.report.provenance import provenance_section, versions


def test_versions_are_those_that_run():
    found = versions()
    assert found["lfi"] == lfi.__version__
    assert found["torch"] == version("torch")
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert all(found.values())


def test_everything_given_is_told():
    section = provenance_section(
        command="lfi run x",
        settings={"budget": "100"},
        seconds={"fit": 2.0, "sample": 1.5},
        written=datetime(2024, 2, 29, 13, 5, tzinfo=UTC),
    )
    rows = dict(row for table in section.blocks for row in table.rows)
    assert section.code == "lfi run x"
    assert rows["budget"] == "100"
    assert (rows["fit"], rows["sample"], rows["total"]) == ("2.0", "1.5", "3.5")
    assert rows["written"] == "2024-02-29 13:05 UTC"


def test_without_settings_and_times_there_are_no_tables_of_them():
    written = datetime(2024, 2, 29, tzinfo=UTC)
    section = provenance_section(command=None, settings={}, seconds={}, written=written)
    assert [table.header[0] for table in section.blocks] == ["software"]
    assert section.code == ""
