"""Where a report comes from: the command, the settings, the times, the versions, the date."""

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version

import lfi
from lfi.report.blocks import ReportTable, Section

PACKAGES = ("torch", "numpy", "scipy", "arviz")  # what the numbers depend on


def versions() -> dict[str, str]:
    """Return the versions of lfi, Python and the PACKAGES that the numbers depend on."""
    return {
        "lfi": lfi.__version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
    }


def provenance_section(
    *,
    command: str | None,
    settings: Mapping[str, str],
    seconds: Mapping[str, float],
    written: datetime,
) -> Section:
    """Return what is needed to make the report again."""
    tables = []
    if settings:
        rows = tuple(settings.items())
        caption = "What was chosen; all else was left at its default."
        tables.append(ReportTable(("setting", "value"), rows, caption, numeric=False))
    if seconds:
        rows = [(stage, f"{duration:,.1f}") for stage, duration in seconds.items()]
        rows.append(("total", f"{sum(seconds.values()):,.1f}"))
        tables.append(ReportTable(("stage", "seconds"), tuple(rows), "How long each stage took."))
    found = {**versions(), "written": f"{written:%Y-%m-%d %H:%M %Z}".strip()}
    tables.append(
        ReportTable(
            ("software", "version"),
            tuple(found.items()),
            "The software that the numbers depend on, and when this page was written.",
            numeric=False,
        )
    )
    return Section("provenance", "How it was made", blocks=tuple(tables), code=command or "")
