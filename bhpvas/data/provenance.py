"""Provenance of a dataset: the columns, rows and labels of its source that were read, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

#: How labels became numbers of the model: by the same name or the number in it (``1`` is ``1
#: star``), by the start of a name (``neg`` is ``negative``), as the model's own numbers, or in the
#: order in which the source counts them; of a score the number is the value.
Match = Literal["name", "start of name", "number", "order", "value"]


@dataclass(frozen=True)
class Provenance:
    """How sentences were read from their source; empty where they were made in memory.

    ``text``, ``pair`` and ``label`` are the names of the columns that were used, ``form`` how the
    file was taken where its ending does not say it (``"separated by tabs"``). ``matched`` is how
    its labels became the model's, None before they did. ``left_out`` counts rows that are not
    among the sentences, by reason. ``notes`` are one sentence each: what was guessed, or looks odd.
    ``part`` is the part of the source that they are, as it is called there, and ``split`` the
    column that names the parts, where one does; None where the source is read whole.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    form: str = ""
    matched: Match | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    split: str | None = None
    part: str | None = None

    def noted(self, note: str) -> Provenance:
        """The same with one more note; "" is none.

        >>> Provenance(notes=("One.",)).noted("Two.").notes
        ('One.', 'Two.')
        """
        return replace(self, notes=(*self.notes, note)) if note else self
