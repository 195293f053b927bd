"""Blocks of a report: sections of text, tables and pictures, each with its data as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup

from bhpvas.charts import style
from bhpvas.data.tables import csv_text
from bhpvas.report import tables

#: The look of every figure; the page lends its own colour of text.
_LINES = {"gridcolor": style.FAINT, "zerolinecolor": style.FAINT}
_AXIS = {**_LINES, "zeroline": False, "automargin": False}
_TEMPLATE = go.layout.Template(
    layout={
        "autotypenumbers": "strict",
        "font": {"size": 12},
        "hoverlabel": {"align": "left"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "paper_bgcolor": style.NOWHERE,
        "plot_bgcolor": style.NOWHERE,
    }
)


@dataclass(frozen=True, eq=False)
class Data:
    """Numbers to take along, and what their file is called."""

    name: str
    frame: pd.DataFrame

    @property
    def address(self) -> str:
        """The file itself, as an address that a link can have."""
        return f"data:text/csv;charset=utf-8,{quote(csv_text(self.frame))}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its title, how to read it, and its numbers.

    ``keys`` say what its marks mean: the name of a trace, its colour or the look of its line, and
    the words. Saved as a file, the figure has them as a legend of its own.
    """

    title: str
    reading: str
    figure: go.Figure
    data: Data
    alt: str
    keys: Sequence[tuple[str, str | Mapping[str, str], str]] = ()

    kind = "picture"

    @property
    def spec(self) -> Markup:
        """The figure as JSON that may stand in a script."""
        figure = go.Figure(self.figure)
        figure.update_layout(template=_TEMPLATE)
        said = {name: words for name, _, words in self.keys}
        for trace in figure.data:
            trace.update(showlegend=trace.name in said, name=said.get(trace.name, trace.name))
        text = str(figure.to_json())
        # The only sign by which JSON could end the script that it stands in.
        return Markup(text.replace("<", "\\u003c"))

    @property
    def legend(self) -> Markup:
        """The keys as they stand below the figure."""
        return Markup("".join(tables.key(look, words) for _, look, words in self.keys))


@dataclass(frozen=True, eq=False)
class TableBlock:
    """Rows of cells made by :mod:`bhpvas.report.tables`; a long one scrolls, or is ``folded``."""

    title: str
    reading: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: Data | None = None
    folded: bool = False

    kind = "table"

    @property
    def html(self) -> Markup:
        """The table itself."""
        return Markup(tables.table(self.heads, self.rows))


Block = TableBlock | Picture


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the report: what it shows, how to read it, and its blocks.

    Blocks that stand in one tuple stand side by side where there is room.
    """

    key: str
    title: str
    reading: str
    blocks: Sequence[Block | tuple[Block, ...]] = ()
