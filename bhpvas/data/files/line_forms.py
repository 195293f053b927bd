"""Forms of lines that data sets have and no header: fastText, labels in front or behind, trees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bhpvas.data import tables
from bhpvas.data.files.file import File
from bhpvas.data.tables import Row, Table
from bhpvas.errors import DataError

# Labels that lines of a form may have: more are no labels.
_MOST_LABELS = 60


@dataclass(frozen=True)
class Form:
    """A form that each line has: what it looks like, its columns, and their cells in a line.

    ``start``: how a line of it starts, if one is enough to know it. Otherwise all lines have it,
    and there are at least two for each label.
    """

    looks: str
    columns: tuple[str, ...]
    cells: Callable[[str], tuple[str, ...] | None]
    start: str = ""


def _matching(pattern: str) -> Callable[[str], tuple[str, ...] | None]:
    find = re.compile(pattern).fullmatch

    def cells(line: str) -> tuple[str, ...] | None:
        match = find(line)
        return match.groups() if match else None

    return cells


def _tree(line: str) -> tuple[str, str] | None:
    """The label of a tree's root, and the words at its leaves.

    >>> _tree("(3 (2 It) (4 (3 works) (2 .)))")
    ('3', 'It works .')
    """
    words, depth, before = [], 0, ""
    labels = list[str]()
    for token in re.findall(r"[()]|[^\s()]+", line):
        if token == "(":
            fits = before in ("label", ")") if depth else not labels
            depth, before = depth + 1, "("
        elif token == ")":
            fits = before in ("word", ")")
            depth, before = depth - 1, ")"
        elif before == "(":
            fits = re.fullmatch("[0-9]", token) is not None
            labels.append(token)
            before = "label"
        else:
            fits = before == "label"
            words.append(token)
            before = "word"
        if not fits or depth < 0:
            return None
    return (labels[0], " ".join(words)) if words and depth == 0 else None


#: The forms that are known, what only they can be first.
FORMS = (
    Form(
        "__label__name text",
        ("label", "text"),
        _matching(r"\s*__label__(\S+)\s+(?!__label__)(\S.*)"),
        start=r"\s*__label__",
    ),
    Form("(3 (2 It) (4 works))", ("label", "text"), _tree, start=r"\([0-9] \([0-9] "),
    Form("LABEL:sub text", ("label", "sublabel", "text"), _matching(r"([A-Z]+):(\w+) (\S.*)")),
    Form("0 text", ("label", "text"), _matching(r"([0-9]{1,2}) (\S.*)")),
    Form("LABEL text", ("label", "text"), _matching(r"([A-Z]{2,}) (\S.*)")),
    Form("text@label", ("text", "label"), _matching(r"(\S.* .*)@([A-Za-z]+)\s*")),
)


def form_of(lines: Sequence[str], fits: bool) -> Form | None:
    """The form that lines of a file have; ``fits``: they can be read as cells with separators.

    >>> form_of(["POS Fine.", "NEG Dull.", "NEG Flat.", "POS Great."], fits=False).looks
    'LABEL text'
    >>> form_of(["1 First.", "2 Second.", "3 Third."], fits=False) is None
    True
    """
    for form in FORMS:
        if form.start:
            if re.match(form.start, lines[0]):
                return form
            continue
        found = [form.cells(line.rstrip("\r\n")) for line in lines] if not fits else [None]
        rows = [cells for cells in found if cells is not None]
        labels = {cells[form.columns.index("label")] for cells in rows}
        if len(rows) == len(found) >= 2 * len(labels) and 1 < len(labels) <= _MOST_LABELS:
            return form
    return None


def table_of(file: File, form: Form) -> Table:
    """The table of a file whose lines have a form."""

    def rows() -> Iterator[Row]:
        for number, line in enumerate(file.lines(), start=1):
            if not line.strip():
                continue
            cells = form.cells(line.removesuffix("\n"))
            if cells is None:
                raise DataError(
                    f"Line {number} of {file.name} is not of the form {form.looks!r}, as the file "
                    "seems to be: correct or remove it."
                )
            yield number, cells, len(line)

    said = ", ".join(one for one in (file.form, f"lines of the form {form.looks!r}") if one)
    return tables.table_of(file.name, form.columns, rows, form=said)
