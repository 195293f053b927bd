"""Every figure can be saved, and the numbers that come with it are those that it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.criteria_scatter import criteria_scatter
from bhpvas.charts.figure_table import figure_table
from bhpvas.charts.head_map import head_map
from bhpvas.charts.selected_heads import attention_profile
from bhpvas.charts.timeline import TimelinePoint, timeline
from bhpvas.heads import HeadId, HeadMask
from bhpvas.tasks.base import Measured
from bhpvas.ui.widgets import figures

ROOT = Path(__file__).resolve().parents[3]
MASK = HeadMask.parse("L1H2", 2, 3)


def test_a_map_gives_its_cells_and_what_they_say():
    values = np.arange(6.0).reshape(2, 3)
    found = figure_table(head_map(values, MASK, title="Importance"))
    cells = found[found["value"].notna() & found["trace"].isna()]
    assert {(row.y, row.x): row.value for row in cells.itertuples()} == {
        (head.layer, head.head): values[head.layer, head.head] for head in MASK
    }
    assert "L0H1 1.00" in found["says"].tolist()


def test_points_come_with_their_intervals_and_without_markup():
    points = [
        TimelinePoint(0, None, 6, Measured(0.9, 0.8, 0.95), "start"),
        TimelinePoint(1, 0, 5, Measured(0.7, 0.6, 0.8), "<b>removed</b>"),
    ]
    found = (
        figure_table(timeline(points, all_heads=6, sentences=10)).set_index("trace").loc["steps"]
    )
    assert found["x"].tolist() == [6, 5] and found["y"].tolist() == [90, 70]
    assert found["low"].tolist() == pytest.approx([80, 60])
    assert found["high"].tolist() == pytest.approx([95, 80])
    assert found["says"].iloc[1].startswith("removed 5 of 6 heads kept")


def test_a_scatter_and_a_profile_with_named_rows():
    x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    found = figure_table(criteria_scatter(x, y, MASK, [HeadId(0, 1)], x_title="a", y_title="b"))
    assert found.set_index("trace").loc["selected", ["x", "y"]].tolist() == [1.0, 1.0]
    profile = np.full((2, 3, 2), 0.5)
    found = figure_table(attention_profile(profile, [HeadId(1, 1)], ["[CLS]", "rest"]))
    assert found[["x", "y", "value"]].values.tolist() == [
        ["[CLS]", "L1H1", 50.0],
        ["rest", "L1H1", 50.0],
    ]


def test_a_saved_figure_can_be_read_on_paper():
    """Each text that a chart leaves to the theme is dark; what it coloured itself stays."""
    mapped = style.inked(head_map(np.ones((2, 3)), MASK, title="Importance"))
    ticks = mapped.layout.xaxis.tickfont
    assert (ticks.size, ticks.color) == (10, style.INK)
    panels = go.Figure(go.Scatter(x=[1], y=[2], textfont={"color": style.ON_DARK}))
    panels.update_layout(xaxis={"title": "x"}, yaxis={}, xaxis2={}, yaxis3={"title": "y"})
    panels.update_layout(showlegend=True)
    panels.add_annotation(text="plain")
    panels.add_annotation(text="lost", font={"color": style.LOST})
    layout = style.inked(panels).layout
    for axis in (layout.xaxis, layout.yaxis, layout.xaxis2, layout.yaxis3):
        assert axis.tickfont.color == style.INK
    assert layout.xaxis.title.font.color == layout.yaxis3.title.font.color == style.INK
    assert [one.font.color for one in layout.annotations] == [style.INK, style.LOST]
    assert layout.font.color == layout.legend.font.color == style.INK
    assert panels.data[0].textfont.color == style.ON_DARK


def test_the_page_finds_the_ink_of_its_figures():
    red, green, blue = bytes.fromhex(style.INK[1:])
    sheet = (ROOT / "bhpvas/ui/style.css").read_text(encoding="utf-8")
    assert f'text[style*="rgb({red}, {green}, {blue})"]' in sheet


def test_a_figure_without_marks_has_no_rows():
    found = figure_table(go.Figure())
    assert isinstance(found, pd.DataFrame) and found.empty


def test_every_figure_of_the_app_goes_through_one_door():
    for path in [*(ROOT / "bhpvas" / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py")]:
        drawing = "plotly_chart(" in path.read_text(encoding="utf-8")
        assert drawing == (path.name == "figures.py"), path


@pytest.mark.parametrize("format", ["SVG", "PNG"])
def test_the_camera_saves_what_was_chosen(monkeypatch, format):
    monkeypatch.setattr(figures.st, "session_state", {"figure-format": format})
    config = figures._config("head-map")
    assert config["toImageButtonOptions"]["format"] == format.lower()
    assert config["modeBarButtons"] == [["toImage"]]
