"""Examples of a relation: dependents in their sentences, as a head or a single map sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId
from bhpvas.interpret.align import Sentence
from bhpvas.interpret.roles.relations import DIRECTIONS, Direction, dependents_of, strongest
from bhpvas.interpret.roles.result import Roles


@dataclass(frozen=True)
class Example:
    """One dependent of a relation, its head, and the word that an attention head takes for it.

    Words are positions in the parse of sentence number ``sentence``; ``predicted`` is None where
    the attention favours no word.
    """

    sentence: int
    dependent: int
    head: int
    predicted: int | None

    @property
    def follows(self) -> bool:
        """Whether the attention head follows the relation here."""
        return self.predicted == self.head


def examples(
    roles: Roles, sentences: Sequence[Sentence], relation: str, head: HeadId, direction: Direction
) -> list[Example]:
    """Every dependent of a relation as one head sees it, in the order of the sentences.

    ``sentences`` are those that ``roles`` were found with. Raises
    :class:`~bhpvas.errors.BhpvasError` where the roles were found without predictions.
    """
    if roles.predictions is None:
        raise BhpvasError("These roles were found without predictions, so they show no examples.")
    which = DIRECTIONS.index(direction)
    found = []
    for number, sentence in enumerate(sentences):
        predicted = roles.predictions.of(number)[which, head.layer, head.head]
        truth = dependents_of(sentence)
        for word in np.flatnonzero(truth >= 0).tolist():
            if sentence.parse.relations[word] == relation:
                at = int(predicted[word])
                found.append(Example(number, word, int(truth[word]), at if at >= 0 else None))
    return found


def followed(sentence: Sentence, attention: np.ndarray) -> dict[int, tuple[Direction, ...]]:
    """The dependents of one sentence whose relation a map ``[T, T]`` follows, and in which way.

    As everywhere here: words alone, no word itself, the strongest decides.
    """
    words = sentence.word_attention(attention)  # [U, U]
    units = np.flatnonzero(sentence.unit_words >= 0)
    among = torch.from_numpy(words[np.ix_(units, units)]).float()
    among.fill_diagonal_(0)
    if len(units) < 2:
        return {}
    names = sentence.unit_words[units]
    tops = strongest(torch.stack([among, among.T])).numpy()  # [2, words]
    truth = dependents_of(sentence)
    found = {}
    for place, word in enumerate(names.tolist()):
        ways = tuple(
            direction
            for direction, at in zip(DIRECTIONS, tops[:, place], strict=True)
            if at >= 0 and truth[word] >= 0 and names[at] == truth[word]
        )
        if ways:
            found[word] = ways
    return found
