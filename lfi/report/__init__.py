"""Report: one page that holds the figures, tables and verdicts of an inference."""

from lfi.report.blocks import (
    ReportTable as ReportTable,
    Section as Section,
    Text as Text,
    embed as embed,
)
from lfi.report.page import write_report as write_report
