"""Labels of a source as a model's: by name, by the number in a name, as numbers, or in order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from bhpvas.data.provenance import Match
from bhpvas.errors import DataError
from bhpvas.text import listed

#: What people write where there is no label: nothing, GLUE's -1, SNLI's dash.
UNLABELLED = ("", "-1", "-")
#: What can be done about rows without one, as messages end.
SKIP = (
    "give it one, or leave such rows out by --skip-unlabelled (in the app under Upload, Column "
    "names)"
)

_WHOLE = re.compile(r"[0-9]+(\.0+)?")
# A name that holds one number ("1 star", "stars_1"), and nothing that could be its minus.
_ONE_NUMBER = re.compile(r"(?!.*(?<!\w)-\d)(\D*)([0-9]+)(?:\.0+)?(\D*)")


class Matched(NamedTuple):
    """The model's number of each name of a source, the way it was found, and what to say of it."""

    way: Match
    numbers: dict[str, int]
    note: str = ""


def is_unlabelled(label: str) -> bool:
    """Whether a label says that there is none.

    >>> [is_unlabelled(label) for label in ("-1", "-1.0", "-", "", "0", "no")]
    [True, True, True, True, False, False]
    """
    return re.sub(r"\.0+$", "", label) in UNLABELLED


def unlabelled_row(place: str, mark: str, count: int) -> str:
    """How a message begins that is about the first of ``count`` rows without a label.

    >>> unlabelled_row("Line 7 of a.csv", "-1", 2)
    "Line 7 of a.csv is labelled '-1', which says that it has no label, the first of 2 such rows"
    """
    says = f"is labelled {mark!r}, which says that it has no label" if mark else "has no label"
    return f"{place} {says}" + (f", the first of {count:,} such rows" if count > 1 else "")


def same_name(name: str) -> str:
    """A name without what does not tell two apart: spaces around it, capitals, Unicode's form.

    >>> same_name(" Cafe\\u0301\\n") == same_name("CAF\\u00c9")
    True
    """
    composed = unicodedata.normalize("NFC", name.strip())
    return unicodedata.normalize("NFC", composed.casefold())


def are_placeholders(names: Sequence[str]) -> bool:
    """Whether a model's names say no more than its numbers, as those that transformers fills in.

    >>> are_placeholders(["LABEL_0", "LABEL_1"]), are_placeholders(["1", "2"])
    (True, False)
    """
    numbered = enumerate(map(same_name, names))
    return all(re.fullmatch(rf"(label|class)?[\s_-]*{place}", name) for place, name in numbered)


def match_labels(
    mine: Sequence[str],
    theirs: Sequence[str],
    used: AbstractSet[str],
    *,
    numbered: bool,
    labels_from: int | None,
    source: str,
) -> Matched | None:
    """Which of a model's labels each of a source's is; None where one of those ``used`` is none.

    ``mine`` are the source's names, of which a part need not use all, ``theirs`` the model's. The
    first way that fits all used labels is taken:

    1. the numbers, counted from ``labels_from``, and no other way where that is given;
    2. the same name (:func:`same_name`); names that are the same after that are refused;
    3. a name that starts as one of the model's, of three letters or more (``neg``, ``negative``);
    4. the only number in a name (``1`` is ``1 star``), where the model's names differ by it alone;
    5. where the model's names say nothing (:func:`are_placeholders`) and the source itself numbers
       its labels (``numbered``), in that order;
    6. whole numbers as the model's own, if one of ``mine`` is 0: without it they may count from 1.

    Raises :class:`DataError` on names that are told apart by capitals alone, and on whole numbers
    of which none is 0 and all would be numbers of the model's.
    """
    if labels_from is not None:
        shifted = {name: int(float(name)) - labels_from for name in mine if _WHOLE.fullmatch(name)}
        numbers = {name: number for name, number in shifted.items() if 0 <= number < len(theirs)}
        said = f"The labels count from {labels_from}: {labels_from} is the model's {theirs[0]!r}."
        return Matched("number", numbers, said) if used <= numbers.keys() else None
    ways: tuple[Callable[[], Matched], ...] = (
        lambda: Matched("name", _by_name(mine, theirs, used, source)),
        lambda: Matched("start of name", _by_start(mine, theirs)),
        lambda: _by_number_in_name(mine, theirs),
        lambda: _by_order(mine, theirs, numbered),
        lambda: Matched("number", _by_number(mine, theirs, used, numbered, source)),
    )
    return next((found for way in ways if used <= (found := way()).numbers.keys()), None)


def _by_name(
    mine: Sequence[str], theirs: Sequence[str], used: AbstractSet[str], source: str
) -> dict[str, int]:
    """Names that are the same."""
    known: dict[str, list[int]] = {}
    for number, name in enumerate(theirs):
        known.setdefault(same_name(name), []).append(number)
    found = {name: known[same_name(name)] for name in mine if same_name(name) in known}
    if used <= found.keys():
        for name in sorted(used):
            if len(found[name]) > 1:
                raise DataError(
                    f"The model has {len(found[name])} labels that are named {name!r} but for "
                    "capitals and spaces: give each its own name under id2label in its config.json."
                )
            if twins := [other for other in used if found[other] == found[name] and other != name]:
                raise DataError(
                    f"{source} has the labels {listed(sorted([name, *twins]))}, which are told "
                    "apart by capitals or spaces alone: write them alike."
                )
    return {name: numbers[0] for name, numbers in found.items()}


def _by_start(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, int]:
    """Which of their names each of mine abbreviates or spells out, where it can be only that one.

    >>> _by_start(["neg", "pos"], ["POSITIVE", "NEGATIVE"])
    {'neg': 1, 'pos': 0}
    """

    def same(one: str, other: str) -> bool:
        short, long = sorted((same_name(one), same_name(other)), key=len)
        return len(short) >= 3 and (short + long).isalpha() and long.startswith(short)

    fits = {name: [k for k, other in enumerate(theirs) if same(name, other)] for name in mine}
    taken = [numbers[0] for numbers in fits.values() if numbers]
    return {
        name: numbers[0]
        for name, numbers in fits.items()
        if len(numbers) == 1 and taken.count(numbers[0]) == 1
    }


def _by_number_in_name(mine: Sequence[str], theirs: Sequence[str]) -> Matched:
    """Whole numbers, alone or in names, as the number in the model's names."""
    parts = [_number_in(name) for name in theirs]
    known = {part[1]: place for place, part in enumerate(parts) if part}
    words = {part[0] if part else None for part in parts}
    if len(known) < len(theirs) or len(words) > 1 or are_placeholders(theirs):
        return Matched("name", {})
    found: dict[str, int] = {}
    for name in mine:
        if is_unlabelled(name):
            continue
        part = _number_in(name)
        if part is None or part[0] not in ("", *words) or part[1] not in known:
            return Matched("name", {})
        found[name] = known[part[1]]
    first = next(iter(found), "")
    note = ""
    if first and same_name(first) != same_name(theirs[found[first]]):
        note = f"Labels are the numbers in the model's names: {first} is {theirs[found[first]]!r}."
    return Matched("name", found, note)


def _number_in(name: str) -> tuple[str, int] | None:
    """The only number in a name, after the word around it without an "s" of the plural.

    >>> [_number_in(name) for name in ("1 star", "Stars_5", "3.0", "-1", "1-2 stars", "good")]
    [('star', 1), ('star', 5), ('', 3), None, None, None]
    """
    match = _ONE_NUMBER.fullmatch(same_name(name))
    if match is None:
        return None
    return re.sub(r"[\W_]+", "", match[1] + match[3]).removesuffix("s"), int(match[2])


def _by_order(mine: Sequence[str], theirs: Sequence[str], numbered: bool) -> Matched:
    """The source's numbers as those of a model without names."""
    if not numbered or not are_placeholders(theirs):
        return Matched("order", {})
    note = f"The model has no names for its labels, and takes the order of the data: {listed(mine)}"
    unlike = f" (the model has {len(theirs)} labels)" if len(theirs) != len(mine) else ""
    return Matched("order", dict(zip(mine, range(len(theirs)), strict=False)), f"{note}{unlike}.")


def _by_number(
    mine: Sequence[str], theirs: Sequence[str], used: AbstractSet[str], numbered: bool, source: str
) -> dict[str, int]:
    """Whole numbers as the model's own, unless the source has other numbers for them."""
    if numbered and not are_placeholders(mine):
        return {}
    whole = {name: int(float(name)) for name in mine if _WHOLE.fullmatch(name)}
    found = {name: number for name, number in whole.items() if number < len(theirs)}
    if 0 not in whole.values() and used and used <= found.keys():
        raise DataError(
            f"The labels of {source} are {listed(sorted(used, key=float))} and never 0: say "
            f"--labels-from 1 where 1 is the model's {theirs[0]!r}, or --labels-from 0 where it is "
            f"{theirs[1]!r} (in the app under Upload, Column names)."
        )
    return found
