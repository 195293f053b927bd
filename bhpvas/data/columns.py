"""Columns of a table: which holds the text, pair, label, tag and split, by their names.

Where names leave a choice, the first rows decide; what they leave open is asked, and never guessed
without a word.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from bhpvas.data.first_rows import FirstRows
from bhpvas.errors import DataError
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.text import listed

# Column names that are recognised, as `_plain` writes them, the likeliest first.
#: Two columns that are a pair, whatever else there is.
PAIR_COLUMNS = (
    ("sentence 1", "sentence 2"),
    ("premise", "hypothesis"),
    ("question 1", "question 2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("text 1", "text 2"),
    ("text a", "text b"),
    ("text", "text pair"),
    ("1 string", "2 string"),
    ("sentence a", "sentence b"),
    ("premise", "hypo"),
)
#: Two columns that are a pair where the second holds sentences, and which is said.
LIKELY_PAIRS = (
    ("context", "hypothesis"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "answer"),
    ("question", "context"),
    ("claim", "evidence"),
)
# Words by which two column names differ that are the halves of a pair, whatever the rest of them.
_HALVES = {"1": "2", "a": "b", "first": "second", "one": "two", "left": "right"}
# A column of sentences of such a name, which no other column makes a pair, may be half of one.
_HALF_NAMES = {
    *(name for pair in (*PAIR_COLUMNS, *LIKELY_PAIRS) for name in pair),
    *("response", "reply", "reference", "target text", "second text"),
} - {"text", "sentence", "document"}
#: Names of the text as such, and names of what may be a text, alone or after other words.
TEXT_COLUMNS = (
    "sentence text review content comment tweet utterance document".split(),
    [
        *"title headline question body message post statement phrase paragraph article".split(),
        *("sms", "description"),
        *(first for first, _ in (*PAIR_COLUMNS, *LIKELY_PAIRS)),
    ],
)
TEXT_ENDS = [*TEXT_COLUMNS[0], "title", "headline", "body", "message", "post", "statement"]
# A text of such a name, alone or after other words, is not all that there is beside another text.
_TITLES = {"title", "headline", "subject"}
#: Names of the label as such, names of what is often the label, and last words of such names.
LABEL_COLUMNS = (
    ["label", "gold label"],
    [
        *"class category target sentiment polarity emotion intent star rating score stance".split(),
        *("y", "is duplicate", "quality", "overall", "verdict", "airline sentiment", "star rating"),
    ],
)
LABEL_ENDS = (
    "label class category sentiment polarity emotion intent star rating score stance judgment "
    "judgement verdict"
).split()
#: The same of scores, and of several labels at once, whose cells tell nothing.
SCORE_COLUMNS = (
    [
        *("label", "gold label", "score", "similarity", "similarity score", "relatedness"),
        *("relatedness score", "relevance", "relevance score", "rating", "gold score"),
    ],
    ["target", "y", "stars", "star rating", "grade", "overall", "quality", "qrel", "relevant"],
)
SCORE_ENDS = "label score similarity relatedness relevance rating grade star".split()
SET_COLUMNS = (
    ["label", "gold label", "label name"],
    ["categories", *LABEL_COLUMNS[1], *"tag topic genre annotation keyword skill".split()],
)
TAG_COLUMNS = ["tag", "phenomenon", "slice", "group"]
#: A column of the first name is the split; one of the others if all that it holds are parts.
SPLIT_COLUMNS = [
    *("split", "data split", "dataset split"),
    *"part partition set subset dataset fold".split(),
]
# What the name of a column that names the numbers of a label adds to the label's own.
_NAMES = "text name names str string title word words desc des".split()
# What Prodigy writes beside each label ("Annotation task formats").
_ANSWERS = {"accept", "reject", "ignore"}
# A longer list of columns begins with those that could be meant, and is cut.
_LISTED = 60


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what; ``None`` = the table has no such column.

    ``query`` says what each pair is an answer to, and is only taken where it was given. ``names``
    holds a name for each number in ``label``. ``notes`` say what was guessed, one
    sentence each.
    """

    text: str
    label: str
    pair: str | None = None
    tag: str | None = None
    split: str | None = None
    names: str | None = None
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    query: str | None = field(default=None, repr=False)

    def used(self) -> list[str]:
        """The names of the columns that are there."""
        roles = (self.text, self.pair, self.label, self.tag, self.split, self.names, self.query)
        return [column for column in roles if column]


def guess_columns(
    header: Iterable[str],
    *,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    query: str | None = None,
    task: Task | None = None,
    name: str = "the data",
    rows: FirstRows | None = None,
    classes: Collection[str] = (),
    nested: Collection[str] = (),
) -> Columns:
    """Which column holds what, by the names listed at the top of this module and the first rows.

    A column that is given is taken; capitals and separators in its name do not matter. ``""`` says
    that there is none. Of the others:

    - two columns named as a pair are one;
    - the text is the column whose name says so most clearly, and of several that say it alike the
      only one that holds sentences;
    - the label likewise, the only one that holds labels, or numbers whose names the data know
      (``classes``);
    - where the model's ``task`` is known, those are numbers for a score, and anything for several
      labels;
    - a column ``label_text`` beside whole numbers in ``label`` names them, if each has one name.

    What else could have been the text, its pair or the label is said in ``notes``. Raises
    :class:`DataError` if a given column is missing, if no name is known for text or label, if two
    columns can be either, and if a column of sentences may be half of a pair.

    >>> guess_columns(["Review", "Sentiment", "product"])
    Columns(text='Review', label='Sentiment', pair=None, tag=None, split=None, names=None)
    """
    given = {"text": text, "pair": pair, "label": label, "tag": tag, "split": split}
    given["query"] = query
    guess = _Guess(list(header), rows or FirstRows(), name, classes, nested, task)
    for role, choice in given.items():
        if choice is not None:
            guess.take(role, choice)
    guess.find_pair()
    guess.find_text()
    guess.find_label()
    return guess.columns()


class _Guess:
    """The roles of a table's columns as they are found, one after the other."""

    def __init__(
        self,
        header: Sequence[str],
        rows: FirstRows,
        name: str,
        classes: Collection[str],
        nested: Collection[str],
        task: Task | None,
    ) -> None:
        self.task = task
        self.header, self.rows, self.name, self.classes = header, rows, name, classes
        self.nested = [*nested, *filter(rows.holds_nested, header)]
        self.plain = {column: _plain(column) for column in header}
        self.columns_named: dict[str, list[str]] = {}
        for column, plain in self.plain.items():
            self.columns_named.setdefault(plain, []).append(column)
        self.roles: dict[str, str | None] = {}
        self.given: set[str] = set()
        self.names: str | None = None
        self.notes: list[str] = []

    def take(self, role: str, choice: str) -> None:
        """The column that a person chose, "" = none."""
        self.given.add(role)
        self.roles[role] = _column(choice, self.header)
        if choice and self.roles[role] is None:
            near = [one for one in self.header if _plain(choice) in self.plain[one]]
            raise DataError(
                f"{self.name} has no column {choice!r}: it has {self._all(near)}{self._unread()}."
            )
        twice = [other for other in self.given if choice and self.roles[other] == self.roles[role]]
        if len(twice) > 1:
            raise DataError(
                f"The column {choice!r} of {self.name} is named as {listed(sorted(twice))}: it can "
                "be one of them alone."
            )

    def columns(self) -> Columns:
        """What was found, with the columns that only their names tell."""
        text, label = self.roles["text"], self.roles["label"]
        assert text is not None and label is not None
        if "tag" not in self.given:
            self.roles["tag"] = next(iter(self._named(TAG_COLUMNS)), None)
        if "split" not in self.given:
            named = self._named(SPLIT_COLUMNS)
            likely = [*filter(self.rows.holds_parts, named), *self._named(SPLIT_COLUMNS[:1])]
            self.roles["split"] = next(iter(likely), None)
            if not likely:
                self._note_parts()
        tag, split, pair = (self.roles.get(role) for role in ("tag", "split", "pair"))
        notes, query = tuple(self.notes), self.roles.get("query")
        return Columns(text, label, pair, tag, split, self.names, notes, query)

    def _note_parts(self) -> None:
        """A column that may name parts, where none is read as the split, is said."""
        for column in self._free():
            if self.rows.holds_parts(column) or self.rows.names_both_parts(column):
                names = listed(dict.fromkeys(self.rows.filled(column)))
                self.notes.append(
                    f"The column {column} is not used as a split, and holds names of parts "
                    f"({names}): --split {shlex.quote(column)} uses it."
                )

    def find_pair(self) -> None:
        """Two columns named as a pair, unless the second was chosen."""
        if "pair" in self.given:
            return
        if known := [found for pair in PAIR_COLUMNS if (found := self._pair(*pair))]:
            # The first, as they stand in the list: QNLI's pairs are a question and a sentence.
            self.roles |= dict(zip(("text", "pair"), known[0], strict=True))
            return
        likely = [found for pair in LIKELY_PAIRS if (found := self._pair(*pair))]
        likely = likely or self._numbered_pairs()
        likely = [pair for pair in likely if all(map(self.rows.holds_sentences, pair))]
        if len(likely) > 1:
            raise self._asked_for_pair([*dict.fromkeys(one for pair in likely for one in pair)])
        for first, second in likely:
            self.roles |= {"text": first, "pair": second}
            self.notes.append(
                f'The columns {first} and {second} are read as pairs; --pair "" reads the first '
                "alone."
            )

    def find_text(self) -> None:
        """The column of the text; another one that holds sentences is said, or asked for."""
        named: list[str] = []
        if "text" not in self.roles:
            candidates = self._texts()
            tiers = [
                self._named(TEXT_COLUMNS[0], among=candidates),
                self._named(TEXT_COLUMNS[1], TEXT_ENDS, candidates),
            ]
            named = next((tier for tier in tiers if tier), [])
            self.roles["text"] = self._only("text", named, self.rows.holds_sentences)
        text = self.roles["text"]
        if text is None:
            raise self._missing("text", self.rows.holds_sentences)
        if self.rows.filled(text) and not any(map(_has_letters, self.rows.filled(text))):
            self.notes.append(f"The column {text} of the text holds no words.")
        if "pair" in self.given:
            return
        others = [one for one in self._texts() if self.rows.holds_sentences(one)]
        halves = [one for one in (text, *others) if self.plain[one] in _HALF_NAMES]
        halves += [text] * (_last_word(self.plain[text]) in _TITLES)
        if others and halves and not ({"text", "pair"} & self.given or self.roles.get("pair")):
            raise self._asked_for_pair([text, *others])
        self._note("text", [*others, *(one for one in named if one not in (text, *others))])

    def find_label(self) -> None:
        """The column of the label; others that could be it are said, or asked for."""
        named: list[str] = []
        if "label" not in self.roles:
            tiers = self._label_tiers()
            best = next((tier for tier in tiers if tier), [])
            best = [one for one in best if one in self.classes] or best
            self.roles["label"] = self._only("label", best, self._may_be_label)
            named = [*dict.fromkeys(one for tier in tiers for one in tier)]
        label = self.roles["label"]
        if label is None:
            raise self._missing("label", self._may_be_label)
        self.names = self._names_of(label)
        others = [one for one in named if one not in (label, self.names)]
        if self.rows.cells:
            self._note("label", [one for one in others if self._may_be_label(one)])
        for column in self._named(["answer"]):
            if {"accept"} < {*self.rows.filled(column)} <= _ANSWERS:
                self.notes.append(
                    f"The column {column} accepts some rows and not others, which are read alike: "
                    "leave them out of the file."
                )

    def _names_of(self, label: str) -> str | None:
        """The column that names the numbers of the label: by its own name, or as another label.

        Where rows are few, that another label goes with the numbers says nothing.
        """
        ends = [f"{self.plain[label]} {end}" for end in _NAMES]
        likely = [one for one in self._free() if self.plain[one] in ends]
        found = [one for one in likely if self.rows.names_numbers(one, label)]
        if likely and not found and self.rows.holds_numbers(label):
            self.notes.append(
                f"The column {likely[0]} does not have one name for each label, and is not read."
            )
        if self.rows.are_many(label) and len({*self.rows.filled(label)}) > 1:
            other = self._named(LABEL_COLUMNS[1], LABEL_ENDS)
            found += [one for one in other if self.rows.names_numbers(one, label)]
        return next(iter(found), None)

    def _label_tiers(self) -> list[list[str]]:
        """Columns by how clearly their names say that they are the label."""
        if isinstance(self.task, Score):
            tiers = [
                self._named(*names)
                for names in ((SCORE_COLUMNS[0],), (SCORE_COLUMNS[1],), ((), SCORE_ENDS))
            ]
            # Of a column of that name that holds something else it is said in which row it does.
            numbers = [[one for one in tier if self._may_be_label(one)] for tier in tiers]
            return numbers if any(numbers) else tiers
        names = SET_COLUMNS if isinstance(self.task, SeveralLabels) else LABEL_COLUMNS
        return [
            self._named(names[0]),
            self._named(names[1]),
            self._named((), LABEL_ENDS),
            [one for one in self._free() if one in self.classes],
        ]

    def _may_be_label(self, column: str) -> bool:
        if isinstance(self.task, Score):
            return self.rows.holds_scores(column)
        if isinstance(self.task, SeveralLabels):
            return not self.rows.holds_objects(column)
        return column in self.classes or self.rows.holds_labels(column)

    def _free(self) -> list[str]:
        return [column for column in self.header if column not in self.roles.values()]

    def _texts(self) -> list[str]:
        """Free columns that are neither named as a label nor name the numbers of another."""
        labels = {name for tier in LABEL_COLUMNS for name in tier}
        free = [one for one in self._free() if _singular(self.plain[one]) not in labels]
        return [one for one in free if self._named_by(one) is None]

    def _named_by(self, column: str) -> str | None:
        """The column whose numbers a column names, by its name and its first rows."""
        base, _, end = self.plain[column].rpartition(" ")
        bases = self.columns_named.get(base, []) if end in _NAMES else []
        return next((one for one in bases if self.rows.names_numbers(column, one)), None)

    def _named(
        self,
        names: Iterable[str],
        ends: Collection[str] = (),
        among: Sequence[str] | None = None,
    ) -> list[str]:
        """Free columns of these names, in their order, and those whose last word is one of ends."""
        columns = self._free() if among is None else among
        # Of names that differ by capitals alone, the one without them comes first.
        columns = sorted(columns, key=lambda one: one != one.casefold())
        forms = {one: (self.plain[one], _singular(self.plain[one])) for one in columns}
        exact = [one for name in names for one in columns if name in forms[one]]
        # Without rows, a name may be a sentence itself, which can end in any word.
        looked = columns if self.rows.cells else []
        ending = [one for one in looked if _last_word(self.plain[one]) in ends]
        return [*dict.fromkeys([*exact, *ending])]

    def _free_named(self, plain: str) -> list[str]:
        taken = self.roles.values()
        return [one for one in self.columns_named.get(plain, []) if one not in taken]

    def _firsts(self) -> list[str]:
        """Columns that can be the first of a pair: the text, where one was chosen."""
        text = self.roles.get("text")
        return self._free() if "text" not in self.given else [text] if text else []

    def _pair(self, one: str, other: str) -> tuple[str, str] | None:
        """The columns of these names."""
        firsts = [column for column in self._firsts() if self.plain[column] == one]
        seconds = self._free_named(other)
        return (firsts[0], seconds[0]) if firsts and seconds else None

    def _numbered_pairs(self) -> list[tuple[str, str]]:
        """Columns whose names differ in one word, as halves of a pair are told apart."""
        found = []
        for first in self._firsts():
            words = self.plain[first].split()
            for place, word in enumerate(words):
                if other := _HALVES.get(word):
                    name = " ".join([*words[:place], other, *words[place + 1 :]])
                    found += [(first, second) for second in self._free_named(name)]
        return found

    def _only(self, role: str, columns: Sequence[str], fits: Callable[[str], bool]) -> str | None:
        """The only one of some columns, or the only one that fits by what it holds."""
        if len(columns) < 2 or not self.rows.cells:
            return next(iter(columns), None)
        fitting = [column for column in columns if fits(column)]
        if len(fitting) == 1:
            return fitting[0]
        both = " (a second one by --pair)" if role == "text" else ""
        raise DataError(
            f"Several columns of {self.name} could be the {role}: {self._examples(columns)}: name "
            f"it by --{role}{both}, or in the app under Upload, Column names."
        )

    def _note(self, role: str, others: Sequence[str]) -> None:
        if others:
            self.notes.append(
                f"The {role} is the column {self.roles[role]}, and not {listed(others, _LISTED)}, "
                f"which may be {'text' if role == 'text' else 'one'}, too."
            )

    def _asked_for_pair(self, columns: Sequence[str]) -> DataError:
        return DataError(
            f"{self.name} has several columns of text, {self._examples(columns)}: name two by "
            f'--text and --pair, or say --pair "" to read one alone (in the app under Upload, '
            "Column names)."
        )

    def _missing(self, role: str, fits: Callable[[str], bool]) -> DataError:
        likely = [column for column in self._free() if fits(column)] if self.rows.cells else []
        examples = f"; most likely {self._examples(likely[:3])}" if likely else ""
        both = " (a second one by --pair)" if role == "text" and len(likely) > 1 else ""
        return DataError(
            f"No column of {self.name} is named like a {role} column (it has "
            f"{self._all(likely)}{examples}): name it, by --{role}{both} on the command line or in "
            f"the app under Upload, Column names{self._unread()}."
        )

    def _unread(self) -> str:
        """How a message ends where columns hold more than one value in a cell."""
        if not self.nested:
            return ""
        hold = "holds" if len(self.nested) == 1 else "hold"
        return (
            f"; {listed(self.nested)} {hold} lists or objects, of which each value that is needed "
            "has to be a column of its own"
        )

    def _examples(self, columns: Sequence[str]) -> str:
        return ", ".join(map(self.rows.example, columns))

    def _all(self, first: Sequence[str]) -> str:
        """All columns; of very many, ``first`` come first and the rest is cut."""
        rest = [column for column in self.header if column not in first]
        many = len(self.header) > _LISTED
        return listed([*first, *rest] if many else self.header, _LISTED)


def _column(name: str, columns: Sequence[str]) -> str | None:
    """The column of that name, or of it with other capitals or separators, or of that number."""
    for same in (str, str.casefold, _plain):
        if found := [column for column in columns if same(column) == same(name)]:
            return found[0]
    return next((column for column in columns if column == f"column {name}"), None)


def _plain(name: str) -> str:
    """A column name in lower case, its words parted by one space.

    >>> [_plain(name) for name in ("Review Text", "reviewText", "review_text", "#1 String", "q1")]
    ['review text', 'review text', 'review text', '1 string', 'q 1']
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])", " ", name)
    return " ".join(re.split(r"[^\w\ufeff]+|_+", parted)).strip().casefold()


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))


def _last_word(plain: str) -> str:
    return _singular(plain.rpartition(" ")[2])


def _singular(name: str) -> str:
    return name if name.endswith("ss") else name.removesuffix("s")
