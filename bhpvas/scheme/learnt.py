"""Learnt sentences: those that chose heads or fitted weights, by fingerprints of their tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Of each fingerprint (:attr:`bhpvas.model.encoding.Encoded.fingerprints`), in a file.
_BYTES = 6


@dataclass(frozen=True)
class LearntSentences:
    """Sentences that a step learnt from, as a set of fingerprints; none of their words.

    A fingerprint is a hash of what the network reads, so the same sentence in other capitals or
    with other blanks is found again where the tokenizer drops these. ``packed`` are the different
    fingerprints in ascending order, 6 bytes each, the highest first.

    >>> learnt = LearntSentences.of([7, 3, 7])
    >>> len(learnt), learnt.among([3, 4, 7]).tolist()
    (2, [True, False, True])
    >>> LearntSentences.from_text(learnt.to_text()) == learnt
    True
    """

    packed: bytes

    @classmethod
    def of(cls, fingerprints: Iterable[int] | np.ndarray) -> LearntSentences:
        """Sentences by their fingerprints, whole numbers below 2**48."""
        found = np.unique(np.fromiter(fingerprints, np.uint64)).astype(">u8")
        assert not found.size or int(found[-1]) < 1 << 8 * _BYTES
        return cls(found.view(np.uint8).reshape(-1, 8)[:, -_BYTES:].tobytes())

    @property
    def fingerprints(self) -> np.ndarray:
        """The different fingerprints, uint64, ascending."""
        whole = np.zeros((len(self), 8), np.uint8)
        whole[:, -_BYTES:] = np.frombuffer(self.packed, np.uint8).reshape(-1, _BYTES)
        return whole.view(">u8").astype(np.uint64).ravel()

    def __len__(self) -> int:
        return len(self.packed) // _BYTES

    def among(self, fingerprints: Iterable[int] | np.ndarray) -> np.ndarray:
        """Which of some sentences, by their fingerprints, are among these: bool ``[N]``."""
        return np.isin(np.fromiter(fingerprints, np.uint64), self.fingerprints)

    @property
    def name(self) -> str:
        """The hash that names them in a file."""
        return hashlib.sha256(self.packed).hexdigest()[:16]

    def to_text(self) -> str:
        """The set as a scheme file holds it: base64."""
        return base64.b64encode(self.packed).decode()

    @classmethod
    def from_text(cls, text: str) -> LearntSentences:
        """Read what :meth:`to_text` wrote; raises :class:`ValueError` for anything else."""
        try:
            packed = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from None
        if len(packed) % _BYTES:
            raise ValueError(f"{len(packed)} bytes are no whole number of fingerprints")
        learnt = cls(packed)
        if not (np.diff(learnt.fingerprints.astype(np.int64)) > 0).all():
            raise ValueError("its fingerprints are not in ascending order")
        return learnt
