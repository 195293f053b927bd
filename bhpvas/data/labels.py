"""Labels of a source as a model's: by name, by the number in a name, as numbers, or in order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from bhpvas.data.provenance import Match
from bhpvas.errors import DataError
from bhpvas.text import listed, shortened

#: What is written where there is no label: nothing, GLUE's -1, SNLI's dash, R's NA, pandas' and
#: databases' own; None is none of them, as it is a class of stances.
UNLABELLED = ("", "-1", "-", "na", "nan", "null")
#: What can be done about rows without one, as messages end.
SKIP = (
    "give it one, or leave such rows out by --skip-unlabelled (in the app under Upload, Column "
    "names)"
)

# Whole numbers, of which none that is a number of a class has more digits.
_WHOLE = re.compile(r"-?[0-9]{1,9}(\.0+)?")
# A name that holds one number ("1 star", "stars_1"), and nothing that could be its minus.
_ONE_NUMBER = re.compile(r"(?!.*(?<!\w)-\d)(\D*)([0-9]{1,9})(?:\.0+)?(\D*)")


class Matched(NamedTuple):
    """The model's number of each name of a source, the way it was found, and what to say of it."""

    way: Match
    numbers: dict[str, int]
    note: str = ""


def is_unlabelled(label: str) -> bool:
    """Whether a label says that there is none.

    >>> [is_unlabelled(label) for label in ("-1", "-1.0", "-", "", "NaN", "0", "no", "none")]
    [True, True, True, True, True, False, False, False]
    """
    return re.sub(r"\.0+$", "", label).casefold() in UNLABELLED


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


@dataclass(frozen=True)
class LabelNames:
    """The labels of a source beside those of a model.

    ``mine`` are the source's names, of which a part of it need not use all, ``theirs`` the model's.
    ``numbered`` says that the source itself numbers its labels in the order of ``mine``,
    ``labels_from`` that they are the model's numbers, counted from there; ``source`` is what
    messages call it.
    """

    mine: tuple[str, ...]
    theirs: tuple[str, ...]
    numbered: bool = False
    labels_from: int | None = None
    source: str = "the data"

    def matched(self, used: AbstractSet[str]) -> Matched | None:
        """Which of the model's labels each one is; None where one of those ``used`` is none.

        The first way that fits all used labels is taken:

        1. the numbers, counted from ``labels_from``, and no other way where that is given;
        2. the same name (:func:`same_name`); names that are the same after that are refused;
        3. a name that starts as one of the model's, of three letters or more (``neg``);
        4. the only number in a name (``1`` is ``1 star``), where the model's differ by it alone;
        5. where the model's names say nothing (:func:`are_placeholders`) and the source itself
           numbers its labels, in that order;
        6. whole numbers as the model's own, if one of ``mine`` is 0: without it they may count
           from 1.

        Raises :class:`DataError` on names that capitals alone tell apart, and on whole numbers of
        which none is 0 and all would be numbers of the model's.
        """
        if self.labels_from is not None:
            numbers = self._counted(self.labels_from)
            first = f"{self.labels_from} is the model's {self.theirs[0]!r}"
            note = f"The labels count from {self.labels_from}: {first}."
            return Matched("number", numbers, note) if used <= numbers.keys() else None
        ways: tuple[Callable[[], Matched], ...] = (
            lambda: Matched("name", self._by_name(used)),
            lambda: Matched("start of name", _by_start(self.mine, self.theirs)),
            self._by_number_in_name,
            self._by_order,
            lambda: Matched("number", self._by_number(used)),
        )
        return next((found for way in ways if used <= (found := way()).numbers.keys()), None)

    def unknown(self, used: AbstractSet[str]) -> AbstractSet[str]:
        """Those of the ``used`` labels that the model lacks, where :meth:`matched` finds none."""
        fitting = self._counted(self.labels_from or 0).keys()
        if self._withheld(used):
            return {name for name in used if is_unlabelled(name)}
        if self.labels_from is not None:
            return used - fitting
        known = {same_name(name) for name in self.theirs}
        unnamed = {name for name in used if same_name(name) not in known}
        return unnamed - fitting or unnamed

    def refusal(self, place: str, label: str, count: int, used: AbstractSet[str]) -> str:
        """What is said of a label that the model lacks, and of the way out.

        It is first found at ``place``; ``count`` rows have it, or another one that it lacks.
        """
        label = shortened(label, 50)
        app = "(in the app under Upload, Column names)"
        names, classes = listed(self.theirs), len(self.theirs)
        said = f"{place} has the label {label!r}, which the model does not know: its labels are "
        if self._withheld(used):
            if not self._may_be_classes(used):
                return f"{unlabelled_row(place, label, count)}: {SKIP}."
            counted = max(self._whole(used).values()) == classes - 2
            first = f"say --labels-from -1 where it is {self.theirs[0]!r}, or " if counted else ""
            return (
                f"{place} is labelled {label!r}, the first of {count:,} such rows, which may be "
                f"one of the {classes} labels of the model ({names}) or none: {first}write the "
                f"names, or say --skip-unlabelled where it is none {app}."
            )
        if self.labels_from is not None:
            last = self.labels_from + classes - 1
            return f"{said}{names}, counted from {self.labels_from} to {last}."
        if self.numbered:
            return (
                f"{said}{names}, and those of the data {listed(self.mine)}: name them alike, or "
                f"say --labels-from 0 if both number them alike {app}."
            )
        whole = self._whole(used)
        hint = ""
        others = self._whole(self.mine).values()
        if len(whole) == len(used) and 0 not in others and max(whole.values()) <= classes:
            hint = f"; as none is 0 they may count from 1: then say --labels-from 1 {app}"
        return f"{said}{names}, or 0 to {classes - 1}{hint}."

    def _withheld(self, used: AbstractSet[str]) -> bool:
        """Whether only labels that say that there is none keep the used ones from fitting."""
        labelled = {name for name in used if not is_unlabelled(name)}
        try:
            return 0 < len(labelled) < len(used) and self.matched(labelled) is not None
        except DataError:  # they fit, but for what has to be said of them
            return True

    def _may_be_classes(self, used: AbstractSet[str]) -> bool:
        """Whether whole numbers with -1 are as many as the model's labels, none of which they name.

        So are -1, 0 and 1 for negative, neutral and positive.
        """
        named = {**self._by_name(set()), **self._by_number_in_name().numbers}
        whole = self._whole(used)
        return len(whole) == len(used) == len(self.theirs) and not named.keys() & used

    @staticmethod
    def _whole(names: Iterable[str]) -> dict[str, int]:
        """The names that are whole numbers, with their numbers."""
        return {name: int(float(name)) for name in names if re.fullmatch(_WHOLE, name)}

    def _counted(self, start: int) -> dict[str, int]:
        """The model's number of each whole number among the names, counted from ``start``."""
        shifted = {name: number - start for name, number in self._whole(self.mine).items()}
        return {name: number for name, number in shifted.items() if 0 <= number < len(self.theirs)}

    def _by_name(self, used: AbstractSet[str]) -> dict[str, int]:
        """Names that are the same."""
        known: dict[str, list[int]] = {}
        for number, name in enumerate(self.theirs):
            known.setdefault(same_name(name), []).append(number)
        found = {name: known[same_name(name)] for name in self.mine if same_name(name) in known}
        for name in sorted(used) if used <= found.keys() else ():
            if len(found[name]) > 1:
                raise DataError(
                    f"The model has {len(found[name])} labels that are named {name!r} but for "
                    "capitals and spaces: give each its own name under id2label in its config.json."
                )
            if twins := {other for other in used if found[other] == found[name]} - {name}:
                raise DataError(
                    f"{self.source} has the labels {listed(sorted([name, *twins]))}, which are "
                    "told apart by capitals or spaces alone: write them alike."
                )
        return {name: numbers[0] for name, numbers in found.items()}

    def _by_number_in_name(self) -> Matched:
        """Whole numbers, alone or in names, as the number in the model's names."""
        parts = [_number_in(name) for name in self.theirs]
        known = {part[1]: place for place, part in enumerate(parts) if part}
        words = {part[0] if part else None for part in parts}
        if len(known) < len(parts) or len(words) > 1 or are_placeholders(self.theirs):
            return Matched("name", {})
        found: dict[str, int] = {}
        for name in self.mine:
            if is_unlabelled(name):
                continue
            part = _number_in(name)
            if part is None or part[0] not in ("", *words) or part[1] not in known:
                return Matched("name", {})
            found[name] = known[part[1]]
        bare = next((name for name in found if re.fullmatch(_WHOLE, name)), None)
        if bare is None or words == {""}:
            return Matched("name", found)
        theirs = self.theirs[found[bare]]
        note = f"Labels are the numbers in the model's names: {bare} is {theirs!r}."
        return Matched("name", found, note)

    def _by_order(self) -> Matched:
        """The source's numbers as those of a model without names."""
        if not self.numbered or not are_placeholders(self.theirs):
            return Matched("order", {})
        note = "The model has no names for its labels, and takes the order of the data: "
        note += listed(self.mine)
        if len(self.theirs) != len(self.mine):
            note += f" (the model has {len(self.theirs)} labels)"
        numbers = dict(zip(self.mine, range(len(self.theirs)), strict=False))
        return Matched("order", numbers, f"{note}.")

    def _by_number(self, used: AbstractSet[str]) -> dict[str, int]:
        """Whole numbers as the model's own, unless the source has other numbers for them."""
        if self.numbered and not are_placeholders(self.mine):
            return {}
        found = self._counted(0)
        if 0 not in self._whole(self.mine).values() and used and used <= found.keys():
            raise DataError(
                f"The labels of {self.source} are {listed(sorted(used, key=float))} and never 0: "
                f"say --labels-from 1 where 1 is the model's {self.theirs[0]!r}, or --labels-from "
                f"0 where it is {self.theirs[1]!r} (in the app under Upload, Column names)."
            )
        return found


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


def _number_in(name: str) -> tuple[str, int] | None:
    """The only number in a name, after the word around it without an "s" of the plural.

    >>> [_number_in(name) for name in ("1 star", "Stars_5", "3.0", "-1", "1-2 stars", "good")]
    [('star', 1), ('star', 5), ('', 3), None, None, None]
    """
    match = _ONE_NUMBER.fullmatch(same_name(name))
    if match is None:
        return None
    return re.sub(r"[\W_]+", "", match[1] + match[3]).removesuffix("s"), int(match[2])
