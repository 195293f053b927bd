"""The sections of a report, from what was measured: one module each."""

from __future__ import annotations

from bhpvas.report.blocks import Section
from bhpvas.report.findings import Findings
from bhpvas.report.sections import changes, costs, curves, scheme, scores, subject


def sections(found: Findings) -> list[Section]:
    """Every section, in the order in which it is read."""
    return [one.section(found) for one in (subject, costs, scheme, scores, curves, changes)]
