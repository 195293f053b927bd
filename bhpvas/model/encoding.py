"""Encoding: sentences as tokens, cut at the longest input, and what those tokens are."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from bhpvas.data.text_store import Numbers
from bhpvas.errors import ModelError
from bhpvas.model.files import reason

#: The largest share of a dataset's tokens that may be unknown to a tokenizer, or of its sentences
#: that may be empty. Sentences that a model is meant for have few, tweets full of emoji a fifth.
MAX_UNKNOWN = 0.5

# The tokenizer's own record of a text takes some 200 bytes a token, which may be one character.
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 1024, 2**17
_TOKENS_AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class Encoded:
    """Tokenised sentences without padding, one after the other: what the network reads.

    ``tokens`` int32 and ``types`` uint8, both ``[ΣT]``, lie on disk where they are many. Counted
    are sentences that were cut (``truncated``), tokens that stand for what the tokenizer does not
    know (``unknown``), and sentences without any token of their own (``empty``). ``special`` is how
    many [CLS] and [SEP] each sentence has.
    """

    tokens: Numbers
    types: Numbers
    lengths: np.ndarray  # int64 [N], tokens in each sentence, [CLS] and [SEP] included
    truncated: int
    unknown: int = 0
    empty: int = 0
    special: int = 0

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def unknown_share(self) -> float:
        """Unknown tokens as a share of all but [CLS] and [SEP]; 0 where there are none at all."""
        own = int(self.lengths.sum()) - self.special * len(self)
        return self.unknown / own if own else 0.0

    @property
    def truncated_share(self) -> float:
        """Sentences that were cut as a share of all."""
        return self.truncated / len(self) if len(self) else 0.0

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each sentence begins in ``tokens``: int64 ``[N]``."""
        return np.cumsum(self.lengths) - self.lengths

    def input_ids(self, row: int) -> np.ndarray:
        """The tokens of one sentence: int64 ``[T]``."""
        return self._of(self.tokens, row)

    def token_type_ids(self, row: int) -> np.ndarray:
        """To which part of a pair each token of one sentence belongs: int64 ``[T]``."""
        return self._of(self.types, row)

    def _of(self, numbers: Numbers, row: int) -> np.ndarray:
        start = int(self.starts[row])
        return numbers[start : start + int(self.lengths[row])].astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the tokens: equal for equal input."""
        digest = hashlib.sha256(self.lengths.tobytes())
        for numbers in (self.tokens, self.types):
            for start in range(0, len(numbers), _TOKENS_AT_ONCE):
                digest.update(numbers[start : start + _TOKENS_AT_ONCE].tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def fingerprints(self) -> np.ndarray:
        """A hash of each sentence's tokens and types, uint64 ``[N]`` below 2**48.

        Equal where the network reads the same, whatever the text was: capitals that the tokenizer
        drops, blanks, and what is cut away make no difference. Of a million pairs of sentences that
        differ, one is expected to share its hash with a probability of 4e-9.
        """
        found = np.empty(len(self), np.uint64)
        for row, (start, length) in enumerate(zip(self.starts, self.lengths, strict=True)):
            read = slice(int(start), int(start + length))
            content = self.tokens[read].tobytes() + self.types[read].tobytes()
            digest = hashlib.blake2b(content, digest_size=6).digest()
            found[row] = int.from_bytes(digest, "little")
        return found

    @cached_property
    def first_copies(self) -> np.ndarray:
        """The first sentence of which each is a copy to the network, or itself: int64 ``[N]``."""
        _, firsts, places = np.unique(self.fingerprints, return_index=True, return_inverse=True)
        return firsts[places]


@dataclass(frozen=True)
class Tables:
    """What a model called ``name`` can read: the longest input, and how many tokens and types it
    has embeddings for; None of a model that knows no types.
    """

    name: str
    longest: int
    tokens: int
    types: int | None


def encode_texts(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, tables: Tables
) -> Encoded:
    """Tokens of every text, or pair of texts, cut at the longest input.

    A model with one type gives it to both texts of a pair. Raises :class:`ModelError` for what it
    has no embedding for.
    """
    tokens, types, lengths, truncated = Numbers(np.int32), Numbers(np.uint8), array("q"), 0
    special = tokenizer.num_special_tokens_to_add(pairs is not None)
    if special > tables.longest:
        raise ModelError(
            f"The model {tables.name!r} reads {tables.longest} tokens, and its tokenizer adds "
            f"{special} to each input: write the model_max_length that it was trained with into "
            "its tokenizer_config.json, and its max_position_embeddings into config.json."
        )
    unknown = empty = 0
    for found in tokenised(tokenizer, texts, pairs):
        sentences = found["input_ids"]
        # Families without sentence types have tokenizers that do not return them.
        kinds = found.get("token_type_ids") if (tables.types or 0) > 1 else None
        kinds = kinds or [[0] * len(one) for one in sentences]
        for row, encoding in enumerate(found.encodings):
            stay = kept_places(encoding, tables.longest, tokenizer.truncation_side)
            if len(stay) < len(encoding):
                sentences[row] = [sentences[row][place] for place in stay]
                kinds[row] = [kinds[row][place] for place in stay]
                truncated += 1
            empty += len(sentences[row]) <= special
        lengths.extend(map(len, sentences))
        numbers = np.fromiter(chain.from_iterable(sentences), np.int32)
        _check_within(numbers, "token", tables.tokens, tables.name)
        tokens.append(numbers)
        unknown += int((numbers == tokenizer.unk_token_id).sum())
        numbers = np.fromiter(chain.from_iterable(kinds), np.uint8)
        _check_within(numbers, "token type", tables.types or 1, tables.name)
        types.append(numbers)
    return Encoded(tokens, types, np.array(lengths), truncated, unknown, empty, special)


def _check_within(numbers: np.ndarray, what: str, rows: int, name: str) -> None:
    """Refuse numbers of tokens or types that a model has no embedding for."""
    if numbers.size and (largest := int(numbers.max())) >= rows:
        raise ModelError(
            f"The tokenizer of {name!r} gives the {what} number {largest:,}, and the model knows "
            f"{rows:,}, counted from 0: take the tokenizer that it was trained with."
        )


def check_known(encoded: Encoded, most: float, name: str, dataset: str) -> None:
    """Refuse sentences of which the tokenizer knows less than any that a model is meant for.

    Raises :class:`ModelError` where more than the share ``most`` of the tokens are unknown, or of
    the sentences empty.
    """
    empty = encoded.empty / max(len(encoded), 1)
    if max(encoded.unknown_share, empty) <= most:
        return
    said = (
        f"{100 * encoded.unknown_share:.0f}% of the tokens of {dataset!r} are unknown to the "
        f"tokenizer of {name!r}"
        if encoded.unknown_share > most
        else f"The tokenizer of {name!r} finds no token in {100 * empty:.0f}% of the sentences of "
        f"{dataset!r}"
    )
    raise ModelError(
        f"{said}: it is not the one that the model was trained with, or the sentences are of "
        "another language; on the command line --max-unknown 1, and in Python max_unknown=1, "
        "reads them all the same."
    )


def token_counts(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    longest: int,
    most: int | None = None,
) -> np.ndarray:
    """Tokens in each text as :func:`encode_texts` cuts it: int64 ``[N]``.

    Where they are more than ``most`` together, the first texts that are more are enough.
    """
    lengths, total = array("q"), 0
    for found in tokenised(tokenizer, texts, pairs):
        some = [min(len(one), longest) for one in found.encodings]
        lengths.extend(some)
        total += sum(some)
        if most is not None and total > most:
            break
    return np.array(lengths)


def tokenised(tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Any]:
    """What the tokenizer makes of the sentences, some of them at once; nothing is cut.

    Raises :class:`ModelError` where it cannot, as one that has no token for what it does not know.

    Its own truncation keeps what it cuts off, and of a pair in every combination of pieces:
    gigabytes for a few long ones.
    """
    for some, others in _in_parts(texts, pairs):
        try:
            found = tokenizer(
                some,
                others,
                return_attention_mask=False,
                return_length=False,
                verbose=False,  # of a text that is too long
            )
        except MemoryError:
            raise
        except Exception as error:  # the library raises no narrower type
            raise ModelError(
                f"The tokenizer of {Path(tokenizer.name_or_path).name!r} cannot read the "
                f"sentences ({reason(error)}): take the one that the model was trained with."
            ) from error
        yield found


def kept_places(encoding: Any, longest: int, side: str) -> Sequence[int]:
    """Which tokens of a text that was not cut are within the ``longest`` input: all, or the special
    ones and as many as there is room for. Cut is the end of a text or, by the tokenizer's ``side``,
    its ``"left"``; of a pair the longer text first, as tokenizers do.
    """
    if len(encoding) <= longest:
        return range(len(encoding))
    owners = encoding.sequence_ids
    special, *texts = (
        [place for place, owner in enumerate(owners) if owner == one] for one in (None, 0, 1)
    )
    room = longest - len(special)
    shorter, longer = sorted(texts, key=len)
    few = min(len(shorter), room // 2)
    if side == "left":
        shorter, longer = shorter[len(shorter) - few :], longer[len(longer) - (room - few) :]
    return sorted(special + shorter[:few] + longer[: room - few])


def punctuation_tokens(tokenizer: Any) -> np.ndarray:
    """Which tokens of the vocabulary are punctuation or symbols only: bool ``[V]``."""
    size = len(tokenizer)
    special = set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(list(range(size)))
    return np.array(
        [
            # The pieces of a byte-level tokenizer stand for bytes: "âĢĶ" is a dash.
            index not in special and _is_punctuation(tokenizer.convert_tokens_to_string([token]))
            for index, token in enumerate(tokens)
        ]
    )


def _in_parts(
    texts: Sequence[str], pairs: Sequence[str] | None
) -> Iterator[tuple[list[str], list[str] | None]]:
    """Sentences, each once, in parts that are tokenised at once."""
    some: list[str] = []
    others: list[str] = []
    size = 0
    for text, other in zip(texts, repeat("") if pairs is None else pairs, strict=pairs is not None):
        size += len(text) + len(other)
        if some and (len(some) == _TEXTS_AT_ONCE or size > _CHARACTERS_AT_ONCE):
            yield some, None if pairs is None else others
            some, others, size = [], [], len(text) + len(other)
        some.append(text)
        others.append(other)
    if some:
        yield some, None if pairs is None else others


def _is_punctuation(text: str) -> bool:
    text = text.strip().removeprefix("##").lstrip("Ġ▁")
    # U+FFFD stands for a part of a character, which is nothing yet.
    return bool(text) and all(
        unicodedata.category(letter)[0] in "PS" and letter != "\ufffd" for letter in text
    )
