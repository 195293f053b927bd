"""Targets: the labels that a source wrote, as scores or as sets of a model's labels."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bhpvas.data.labels import LabelNames, Matched, same_name
from bhpvas.errors import DataError
from bhpvas.text import listed, shortened

#: What parts the labels of a cell, the least likely to stand in a name first.
SEPARATORS = (";", "|", ",")


def as_number(text: str) -> float | None:
    """The finite number that a text is, or None.

    >>> [as_number(text) for text in ("4.5", "1e-3", "good", "nan", "3,5")]
    [4.5, 0.001, None, None, None]
    """
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def scores_of(names: Sequence[str], numbered: bool) -> np.ndarray | None:
    """The score that each label of a source is, float64; None where one is no number.

    Names of numbers that the source itself counts are those numbers.
    """
    found = [as_number(name) for name in names]
    if numbered and None in found:
        return np.arange(float(len(names)))
    return None if None in found else np.array(found, dtype=np.float64)


def labels_in(cells: Iterable[str], known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The labels that each cell holds: a JSON list, or text in which one of the separators parts
    them; what is itself one of the ``known`` labels is not parted.

    >>> labels_in(["[]", "rude; funny", "rude"], ())
    {'[]': (), 'rude; funny': ('rude', 'funny'), 'rude': ('rude',)}
    """
    whole = {same_name(name) for name in known}
    found: dict[str, tuple[str, ...]] = {}
    texts = []
    for cell in cells:
        if cell.startswith("[") and cell.endswith("]"):
            found[cell] = _listed(cell)
        elif same_name(cell) in whole:
            found[cell] = (cell,)
        else:
            texts.append(cell)
    separator = next((one for one in SEPARATORS if any(one in text for text in texts)), ",")
    for text in texts:
        parts = (part.strip() for part in text.split(separator))
        found[text] = tuple(dict.fromkeys(filter(None, parts)))
    return found


def _listed(cell: str) -> tuple[str, ...]:
    """The elements of a list as JSON or Python writes it."""
    for read in (json.loads, ast.literal_eval):
        try:
            values = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(values, list) and all(isinstance(one, str | int) for one in values):
            return tuple(dict.fromkeys(str(one).strip() for one in values))
    parts = (part.strip().strip("'\"") for part in cell[1:-1].split(","))  # [rude, funny]
    return tuple(dict.fromkeys(filter(None, parts)))


def matched_sets(
    labels: Mapping[str, tuple[str, ...]],
    label_names: Sequence[str],
    labels_from: int | None,
    source: str,
) -> tuple[Matched | None, LabelNames, set[str]]:
    """How the labels in cells are the model's, what says so, and which are used.

    How they are matched stands at :meth:`~bhpvas.data.labels.LabelNames.matched`.
    """
    used = {label for cell in labels.values() for label in cell}
    mine = tuple(sorted(used, key=lambda name: (as_number(name) or 0.0, name)))
    names = LabelNames(mine, tuple(label_names), False, labels_from, source)
    if not used:
        return Matched("name", {}), names, used
    return names.matched(used), names, used


def no_score(place: str, label: str) -> DataError:
    """What is said of a label that is no number where the model gives a score."""
    return DataError(
        f"{place} has the label {shortened(label, 50)!r}, which is no number, and the model gives "
        "a score: choose the column of the scores by --label (in the app under Upload, Column "
        "names)."
    )


def beyond_a_probability(place: str, score: float, low: float, high: float) -> DataError:
    """What is said of a score that no sigmoid can give."""
    return DataError(
        f"{place} has the score {score:g}, and those of the model lie between 0 and 1: bring the "
        f"scores of the data, {low:g} to {high:g}, to that range."
    )


def label_columns(
    header: Sequence[str], label_names: Sequence[str], given: str | None
) -> tuple[str, ...]:
    """The columns that hold 0 or 1, one for each label: those ``given`` by commas, or named as all
    of the model's labels; none where one column holds the label.
    """
    by_name = {same_name(column): column for column in header}
    if given is None:
        found = [by_name.get(same_name(name)) for name in label_names]
        return () if None in found else tuple(filter(None, found))
    if given == "" or same_name(given) in by_name or "," not in given:
        return ()
    wanted = [one.strip() for one in given.split(",") if one.strip()]
    missing = [one for one in wanted if same_name(one) not in by_name]
    if missing:
        raise DataError(
            f"The data have no column {missing[0]!r}, one of those given by --label: they have "
            f"{listed(header, 60)}."
        )
    return tuple(by_name[same_name(one)] for one in wanted)
