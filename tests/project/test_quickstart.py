"""The notebook runs from its first cell to its last, and what is stored in it is what it gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from scripts.run_quickstart import FIGURE, NOTEBOOK, figures, run

#: Numbers that a reader sees: accuracies, errors, counts.
NUMBER = re.compile(r"\d[\d,]*\.?\d*")


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def said(notebook: Any) -> str:
    """All the text that the cells print and show, tables included."""
    return "\n".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" or "text/plain" in output["data"]
    )


def test_it_is_twelve_short_cells_with_figures_for_every_reader(stored):
    nbformat.validate(stored)
    assert len(stored.cells) == 12
    assert all(len(cell.source.splitlines()) <= 16 for cell in stored.cells)
    assert NOTEBOOK.stat().st_size < 300_000
    drawn = list(figures(stored))
    assert len(drawn) == 3 and all("image/png" in data for data in drawn)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert str(Path.home()) not in text and "site-packages" not in text and "/tmp/" not in text


@pytest.mark.slow
def test_it_runs_and_says_what_is_stored(stored):
    again = nbformat.from_dict(stored)
    for cell in again.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    run(again)
    # The words are the same; a number may differ in its last digits on another processor.
    assert NUMBER.sub("#", said(again)).split() == NUMBER.sub("#", said(stored)).split()
    assert len(list(figures(again))) == 3
    *_, compared, _, last = [cell for cell in again.cells if cell.cell_type == "code"]
    row = compared.outputs[0].data["text/plain"]
    accuracy = float(re.search(r"compensated +36 +([\d.]+)", row)[1])
    shown = float(re.match(r"36 heads: ([\d.]+)%", last.outputs[0].text)[1])
    assert shown == pytest.approx(100 * accuracy, abs=0.06)
    assert FIGURE in again.cells[4].outputs[0].data
