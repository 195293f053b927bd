"""Small tables for reading, on the screen: text that wraps, figures that line up, a fixed head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from bhpvas.report.tables import key, label, name, table, text

__all__ = ["key", "keys", "label", "name", "reading_table", "row", "text"]


def reading_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, height: int) -> None:
    """Draw a table of cells (:mod:`bhpvas.report.tables`), at most ``height`` pixels high."""
    st.html(
        f'<div class="scroll" style="max-height: {height}px" tabindex="0">{table(heads, rows)}'
        "</div>"
    )


def row(title: str, *figures: str | tuple[str, str]) -> list[str]:
    """The cells of a row: its name, then figures that do not wrap, or pairs with a remark."""
    pairs = [(one, "") if isinstance(one, str) else one for one in figures]
    return [name(title), *(text(*one, wrap=False) for one in pairs)]


def keys(*shown: str) -> None:
    """Draw the keys of a picture, made by :func:`key`, in a line that wraps."""
    st.html(f'<div class="keys">{"".join(shown)}</div>')
