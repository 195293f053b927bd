"""Run docs/quickstart.ipynb and keep what it answers in it.

    python scripts/run_quickstart.py

A figure is kept twice: as its data, which notebooks draw, and as a picture, for readers that draw
nothing. Needs a Chromium, as the browser tests do.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import Page, sync_playwright
from plotly.offline import get_plotlyjs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser.chromium import launch

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
FIGURE = "application/vnd.plotly.v1+json"


def run(notebook: Any) -> None:
    """Run every cell in an empty folder, with the bhpvas of this checkout."""
    # Figures as data alone: beside it plotly would put all of its own code into the first one.
    settings = {
        "PYTHONPATH": str(ROOT),
        "PLOTLY_RENDERER": "plotly_mimetype",
        # What tqdm says, with a path of this machine, where ipywidgets are not installed.
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=None,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=os.environ | settings)


def figures(notebook: Any) -> Iterator[Any]:
    """Every output that is a figure: its representations by their types."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if FIGURE in output.get("data", {}):
                yield output["data"]


def picture(page: Page, figure: Any) -> str:
    """A figure as PNG on white, at twice its size, in base64."""
    layout = {**figure["layout"], "paper_bgcolor": "white"}
    size = {name: layout[name] for name in ("width", "height")}
    address = page.evaluate(
        "([figure, options]) => Plotly.toImage(figure, options)",
        [{"data": figure["data"], "layout": layout}, {"format": "png", "scale": 2, **size}],
    )
    return address.removeprefix("data:image/png;base64,")


def main() -> None:
    """Run the notebook, add the pictures, and write it."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run(notebook)
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page()
        page.add_script_tag(content=get_plotlyjs())
        for data in figures(notebook):
            data["image/png"] = picture(page, data[FIGURE])
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
