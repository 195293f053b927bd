"""Columns of a table: which holds the text, pair, label, tag and split, guessed by their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bhpvas.errors import DataError
from bhpvas.text import listed

# Column names that are recognised, the likeliest first; capitals do not matter.
PAIR_COLUMNS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
    ("#1 string", "#2 string"),
)
TEXT_COLUMNS = (
    "sentence text review content comment tweet utterance document title headline question"
).split()
LABEL_COLUMNS = (
    "label labels gold_label class category target sentiment polarity emotion intent "
    "is_duplicate quality"
).split()
TAG_COLUMNS = ["tag", "phenomenon", "slice", "group"]
SPLIT_COLUMNS = ["split"]


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what; ``None`` = the table has no such column."""

    text: str
    label: str
    pair: str | None = None
    tag: str | None = None
    split: str | None = None

    def used(self) -> list[str]:
        """The names of the columns that are there."""
        return [c for c in (self.text, self.pair, self.label, self.tag, self.split) if c]


def guess_columns(
    header: Iterable[str],
    *,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    name: str = "the data",
) -> Columns:
    """Which column holds what, by the names listed at the top of this module.

    A column that is given is taken; capitals do not matter. ``""`` says that there is none. Raises
    :class:`DataError` if a given column is missing, or no name is known for text or label.

    >>> guess_columns(["Review", "Sentiment", "stars"])
    Columns(text='Review', label='Sentiment', pair=None, tag=None, split=None)
    """
    columns = list(header)
    roles: dict[str, str | None] = {}
    given = {"text": text, "pair": pair, "label": label, "tag": tag, "split": split}
    for role, choice in given.items():
        if choice is not None:
            roles[role] = _column(choice, columns)
            if choice and roles[role] is None:
                raise DataError(f"{name} has no column {choice!r}: it has {listed(columns)}.")

    def free() -> list[str]:
        return [column for column in columns if column not in roles.values()]

    for one, other in PAIR_COLUMNS:
        first = _column(one, [roles["text"] or ""] if "text" in roles else free())
        second = _column(other, free())
        if "pair" not in roles and first and second:
            roles |= {"text": first, "pair": second}
    for role, candidates in (
        ("text", [*TEXT_COLUMNS, *(first for first, _ in PAIR_COLUMNS)]),
        ("label", LABEL_COLUMNS),
        ("tag", TAG_COLUMNS),
        ("split", SPLIT_COLUMNS),
    ):
        if role not in roles:
            found = (_column(candidate, free()) for candidate in candidates)
            roles[role] = next((column for column in found if column), None)
    if not (roles["text"] and roles["label"]):
        missing = "label" if roles["text"] else "text"
        raise DataError(
            f"No column of {name} is named like a {missing} column (it has {listed(columns)}): "
            f"name it, by --{missing} on the command line or in the app under Upload, Column names."
        )
    return Columns(roles["text"], roles["label"], roles.get("pair"), roles["tag"], roles["split"])


def _column(name: str, columns: Sequence[str]) -> str | None:
    """The column of that name, or else of that name with other capitals."""
    same = [column for column in columns if column.casefold() == name.casefold()]
    same += [column for column in columns if column == f"column {name}"]  # has no name but a number
    return name if name in same else next(iter(same), None)
