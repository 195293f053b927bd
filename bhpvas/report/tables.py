"""HTML tables for reading, and keys of pictures: whatever a person wrote is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from bhpvas.charts.style import class_colour


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells made by the functions below.

    >>> table(["Head"], [[name("<L0H3>")]])
    '<table class="table"><thead><tr><th>Head</th></tr></thead><tbody><tr><td class="name">\
&lt;L0H3&gt;</td></tr></tbody></table>'
    """
    header = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<table class="table"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'


def name(text: str) -> str:
    """A cell that names its row."""
    return f'<td class="name">{escape(text)}</td>'


def text(said: str, aside: str = "", *, wrap: bool = True) -> str:
    """A cell of text or a figure, with a quieter remark behind it."""
    quiet = f"<small>{escape(aside)}</small>" if aside else ""
    kind = "" if wrap else ' class="nowrap"'
    return f"<td{kind}>{escape(said)}{quiet}</td>"


def label(index: int, said: str, aside: str = "") -> str:
    """A cell with a class in its colour, by the label's index."""
    quiet = f"<small>{escape(aside)}</small>" if aside else ""
    dot = f'<i style="background: {class_colour(index)}"></i>'
    return f'<td><span class="class">{dot}{escape(said)}</span>{quiet}</td>'


def key(look: str | Mapping[str, str] | None, said: str) -> str:
    """What a colour or a :func:`line` of a picture means; without a look, a remark."""
    mark = f'<i style="background: {look}"></i>' if isinstance(look, str) else ""
    if isinstance(look, Mapping):
        mark = line(look)
    return f"<span>{mark}{escape(said)}</span>"


def line(look: Mapping[str, str]) -> str:
    """A piece of a line with the ``color`` and ``dash`` that it has in a figure."""
    dash = {"solid": "solid", "dot": "dotted"}.get(look["dash"], "dashed")
    return f'<s class="line" style="border-top: 3px {dash} {look["color"]}"></s>'
