"""Every figure of the app is drawn here, so that each can be saved, and its numbers too."""

from __future__ import annotations

from functools import partial
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.figure_table import figure_table
from bhpvas.data.tables import csv_text
from bhpvas.ui.widgets import controls
from bhpvas.ui.widgets.downloads import download

_FIGURES, _FORMATS = "bhpvas figures", ("SVG", "PNG")


def begin_run() -> None:
    """Forget the figures of an earlier run of the script."""
    st.session_state[_FIGURES] = {}


def chart(figure: go.Figure, *, key: str, alt: str, **options: Any) -> Any:
    """Draw a figure; ``alt`` says what it shows. Options are those of ``st.plotly_chart``."""
    st.session_state.setdefault(_FIGURES, {})[key] = (alt, style.inked(figure))
    return st.plotly_chart(figure, key=key, alt=alt, config=_config(key), **options)


def _config(key: str) -> dict[str, Any]:
    """One button, which appears over the figure and saves it."""
    format = st.session_state.get("figure-format", _FORMATS[0]).lower()
    return {
        "displayModeBar": "hover",
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {
            "format": format,
            "filename": key,
            "scale": 2 if format == "png" else 1,
        },
        "doubleClick": False,
    }


def shelf() -> None:
    """At the foot of a page: the numbers of its figures, and what a saved figure is."""
    figures = st.session_state.get(_FIGURES)
    if not figures:
        return
    with st.popover("Save figures", icon=":material/download:", type="tertiary", key="figures"):
        saves = "The camera over a figure saves it as"
        controls.choice(saves, _FORMATS, key="figure-format", titled=True)
        st.caption("The numbers that each figure of this page draws, as CSV:")
        for key, (alt, figure) in figures.items():
            download(
                text.verbatim(alt),
                partial(_numbers, figure),
                f"{key}.csv",
                type="tertiary",
                icon=":material/table:",
                key=f"numbers-{key}",
            )


def _numbers(figure: go.Figure) -> str:
    return csv_text(figure_table(figure))
