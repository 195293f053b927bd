"""Alignment: which word of a text each word piece of the tokenizer belongs to.

A parse splits a text into words, the tokenizer splits the same text into word pieces; the two meet
in the characters of the text.

Letters: T tokens, W words, U units (a word, or a token that belongs to no word).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from bhpvas.interpret.parse import Parse, parse_texts
from bhpvas.model.encoding import kept_places, tokenised
from bhpvas.progress import Progress, silent

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier

#: What a token is, apart from the word that it belongs to.
TOKEN_PARTS = ("word piece", "[CLS]", "[SEP]", "punctuation")


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
    classifier: Classifier,
    dataset: Dataset,
    parses: Sequence[Parse] | None = None,
    *,
    parser: str | None = None,
    among: Sequence[str] = (),
    progress: Progress = silent,
) -> tuple[Sentence, ...]:
    """Every sentence as the classifier reads it beside its parse, made here if none is given.

    ``parser`` and ``among`` are those of :func:`~bhpvas.interpret.parse.parse_texts`. The tokens
    are those of ``classifier.encode(dataset)``, cut at the same place. Raises as
    :func:`~bhpvas.interpret.parse.parse_texts` does.
    """
    if parses is None:
        parses = parse_texts(
            dataset.texts, dataset.pairs, parser=parser, among=among, progress=progress
        )
    tokenizer = classifier.tokenizer
    parts = tokenised(tokenizer, dataset.texts, dataset.pairs)
    encodings = chain.from_iterable(part.encodings for part in parts)
    # Written out in a text, [CLS] and [SEP] are still read as such.
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    sentences = []
    for parse, one in zip(parses, encodings, strict=True):
        stay = kept_places(one, classifier.geometry.max_length, tokenizer.truncation_side)
        tokens, ids, offsets, sides = (
            [column[place] for place in stay]
            for column in (one.tokens, one.ids, one.offsets, one.sequence_ids)
        )
        owners = [
            None if token in special else side for token, side in zip(ids, sides, strict=True)
        ]
        punctuation = classifier.punctuation[ids]
        sentences.append(Sentence.aligned(parse, tokens, ids, offsets, owners, punctuation))
    return tuple(sentences)
