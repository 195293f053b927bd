"""Report: everything about a scheme in one HTML file that needs no network and no bhpvas.

Its sections are one module each. It imports storage, tasks, data, model, scheme, criteria,
evaluation, recovery, search, charts and the files at the root.
"""

from __future__ import annotations

from bhpvas.report.findings import ReportSettings
from bhpvas.report.writing import Report, ReportError, make_report, save, write_report
from bhpvas.report.writing import check_writable as check_writable

__all__ = ["Report", "ReportError", "ReportSettings", "make_report", "save", "write_report"]
