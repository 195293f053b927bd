"""Dependency parses: the words of a text and which word each depends on, by spaCy.

Nothing outside :func:`parse_texts` knows spaCy's documents, so parses from elsewhere fit as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from bhpvas.errors import BhpvasError
from bhpvas.interpret.language import foreign_among
from bhpvas.interpret.parser import Parser, pipeline_named
from bhpvas.progress import Progress, silent

_TEXTS_AT_ONCE = 64
# A pipeline grows its vocabulary while it parses, so threads take turns.
_parsing = threading.Lock()


@dataclass(frozen=True)
class Parse:
    """The words of a text, or of a pair of texts, and the word that each depends on.

    ``spans`` are the characters of each word in ``texts[side]``; ``heads[i]`` is the position of
    the word on which word i depends, the word itself for a root; ``relations[i]`` names the
    relation. White space is no word. ``parser`` is what parsed, None where the parse comes from
    elsewhere. ``foreign`` are the sides whose text is plainly not in the language of a parser that
    nobody asked for by name: no word of them depends on another.
    """

    texts: tuple[str, ...]
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    sides: tuple[int, ...]
    parser: Parser | None = None
    foreign: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        columns = (self.spans, self.heads, self.relations, self.sides)
        if any(len(column) != len(self.words) for column in columns):
            raise BhpvasError("A parse needs a span, a head, a relation and a side for each word.")
        for word, head in enumerate(self.heads):
            if not 0 <= head < len(self.words):
                raise BhpvasError(
                    f"Word {word} of a parse depends on word {head}, and there are only "
                    f"{len(self.words)} words, counted from 0."
                )

    def __len__(self) -> int:
        return len(self.words)

    def joined(self, second: Parse) -> Parse:
        """The parse of a pair of texts: these words, then those of ``second``."""
        return Parse(
            texts=self.texts + second.texts,
            words=self.words + second.words,
            spans=self.spans + second.spans,
            heads=self.heads + tuple(head + len(self) for head in second.heads),
            relations=self.relations + second.relations,
            sides=self.sides + tuple(side + len(self.texts) for side in second.sides),
            parser=self.parser,
            foreign=self.foreign + tuple(side + len(self.texts) for side in second.foreign),
        )

    def unrelated(self) -> Parse:
        """The same words of a text that the parser does not know the language of."""
        heads, relations = tuple(range(len(self))), ("",) * len(self)
        foreign = tuple(range(len(self.texts)))
        return replace(self, heads=heads, relations=relations, foreign=foreign)


@dataclass(frozen=True)
class Parsed:
    """What parsed some sentences, and how many of their texts were too foreign for it.

    Of pairs each sentence has two ``texts``. ``parser`` is None where the parses come from
    elsewhere.
    """

    parser: Parser | None
    sentences: int
    texts: int
    foreign: int

    @classmethod
    def of(cls, parses: Iterable[Parse]) -> Parsed:
        """What is said of these parses, which one parser made."""
        found = list(parses)
        parser = found[0].parser if found else None
        texts = sum(len(parse.texts) for parse in found)
        return cls(parser, len(found), texts, sum(len(parse.foreign) for parse in found))

    @property
    def by(self) -> str:
        """What parsed, in words."""
        if self.parser is None:
            return "parses from elsewhere"
        if self.parser.named:
            return f"{self.parser}, as asked: whether it fits the text was not checked"
        return str(self.parser)

    def note(self, way_out: str) -> str:
        """What is said of foreign text, with the way out; "" where there is none."""
        if not self.foreign:
            return ""
        assert self.parser is not None
        noun = "sentence" if self.texts == self.sentences > 1 else "text"
        if self.foreign < self.texts:
            what = f"{self.foreign:,} of the {self.texts:,} {noun}s"
        else:
            what = f"The {noun}" if self.texts == 1 else f"The {noun}s"
        one = self.foreign == 1
        return (
            f"{what} {'is' if one else 'are'} plainly not English, and {self.parser.name} parses "
            f"nothing else, so no relation is looked for in {'it' if one else 'them'}: {way_out}."
        )


def parse_texts(
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    parser: str | None = None,
    among: Sequence[str] = (),
    progress: Progress = silent,
) -> tuple[Parse, ...]:
    """Parse texts, or pairs of them: one :class:`Parse` each.

    ``parser`` is the name or the folder of a spaCy pipeline. Without one the English pipeline
    parses, and of texts that are plainly not English, by themselves or as those that they stand
    ``among`` are, no word depends on another.

    Raises :class:`~bhpvas.interpret.parser.ParserError` with the way out where the pipeline is not
    installed or has no parser.
    """
    columns = [texts] if pairs is None else [texts, pairs]
    count = sum(len(column) for column in columns)
    parsed: list[Parse] = []
    with _parsing:
        pipeline = pipeline_named(parser)
    for column in columns:
        for start in range(0, len(column), _TEXTS_AT_ONCE):
            progress(len(parsed), count)  # others may parse meanwhile
            part = column[start : start + _TEXTS_AT_ONCE]
            with _parsing:
                documents = pipeline.nlp.pipe(part)
                parsed += [_of_document(document, pipeline.parser) for document in documents]
    progress(count, count)
    if parser is None:
        every = list(chain.from_iterable(columns))
        foreign = foreign_among(every, among, pipeline.vocabulary)
        parsed = [one.unrelated() if out else one for one, out in zip(parsed, foreign, strict=True)]
    if pairs is None:
        return tuple(parsed)
    halves = zip(parsed[: len(texts)], parsed[len(texts) :], strict=True)
    return tuple(first.joined(second) for first, second in halves)


def _of_document(document: Any, parser: Parser) -> Parse:
    """The parse of a spaCy document, without its white space."""
    kept = [token for token in document if not token.is_space]
    place = {token.i: number for number, token in enumerate(kept)}
    heads = []
    for token in kept:
        head = token.head
        while head.is_space and head.head.i != head.i:
            head = head.head
        heads.append(place.get(head.i, place[token.i]))
    return Parse(
        texts=(document.text,),
        words=tuple(token.text for token in kept),
        spans=tuple((token.idx, token.idx + len(token.text)) for token in kept),
        heads=tuple(heads),
        relations=tuple(token.dep_ for token in kept),
        sides=(0,) * len(kept),
        parser=parser,
    )
