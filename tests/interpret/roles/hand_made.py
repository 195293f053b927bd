"""Sentences and attention maps made by hand, whose roles are known, and the roles in them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.align import Sentence
from bhpvas.interpret.parse import Parse
from bhpvas.interpret.roles import RoleCollector, Roles, RoleSettings

FEW = RoleSettings(min_count=1)


def parse_of_words(words: Sequence[str], heads: Sequence[int], relations: Sequence[str]) -> Parse:
    """A parse of words that stand one blank apart."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    spans = tuple((int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True))
    sides = (0,) * len(words)
    return Parse((" ".join(words),), tuple(words), spans, tuple(heads), tuple(relations), sides)


def sentence_with(
    heads: list[int], relations: list[str], pieces: list[int], ids: list[int]
) -> Sentence:
    """A sentence whose words have the given numbers of pieces, between [CLS] and [SEP]."""
    words = [f"word{number}" for number in range(len(heads))]
    owners = [word for word, count in enumerate(pieces) for _ in range(count)]
    return Sentence(
        parse=parse_of_words(words, heads, relations),
        tokens=("[CLS]", *(f"piece{owner}" for owner in owners), "[SEP]"),
        token_ids=np.array([0, *ids[: len(owners)], 1]),
        word_of=np.array([-1, *owners, -1], dtype=np.int16),
        parts=np.array([1, *[0] * len(owners), 2], dtype=np.int8),
    )


def grown_sentences(count: int = 60, most_pieces: int = 3) -> list[Sentence]:
    """Sentences of nine words: "far" has its head anywhere, "det" one word to the right."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(count):
        size = 9
        heads = [int(rng.choice([at for at in range(size) if at != word])) for word in range(size)]
        relations = ["far"] * size
        for word in (1, 4):
            heads[word], relations[word] = word + 1, "det"
        root = 7
        heads[root], relations[root] = root, "ROOT"
        pieces = rng.integers(1, most_pieces + 1, size).tolist()
        ids = (2 + rng.permutation(40)).tolist()
        found.append(sentence_with(heads, relations, pieces, ids))
    return found


def one_hot_rows(sentence: Sentence, targets: list[list[int]]) -> np.ndarray:
    """A map in which each token looks equally at its own targets: ``[T, T]``."""
    found = np.zeros((len(sentence), len(sentence)))
    for token, chosen in enumerate(targets):
        found[token, chosen] = 1 / len(chosen)
    return found


def to_word(sentence: Sentence, target_of_word) -> np.ndarray:
    """Every piece looks at all pieces of a word; all other tokens at [SEP]."""
    last = len(sentence) - 1
    targets = []
    for word in sentence.word_of:
        target = target_of_word(int(word)) if word >= 0 else None
        chosen = [at for at, owner in enumerate(sentence.word_of) if owner == target]
        targets.append(chosen or [last])
    return one_hot_rows(sentence, targets)


def follows_head(sentence: Sentence) -> np.ndarray:
    heads = sentence.parse.heads
    return to_word(sentence, lambda word: heads[word] if heads[word] != word else None)


def looks_at_dependents(sentence: Sentence) -> np.ndarray:
    """Each head word looks at its dependents; all others at [SEP]."""
    found = np.zeros((len(sentence), len(sentence)))
    heads = np.array(sentence.parse.heads)
    for token, word in enumerate(sentence.word_of):
        dependents = np.flatnonzero(heads == word) if word >= 0 else np.array([])
        chosen = np.isin(sentence.word_of, dependents[dependents != word])
        chosen[-1] |= not chosen.any()
        found[token] = chosen / chosen.sum()
    return found


def uniform(sentence: Sentence) -> np.ndarray:
    return np.full((len(sentence), len(sentence)), 1 / len(sentence))


def shifted(sentence: Sentence, step: int) -> np.ndarray:
    last = len(sentence) - 1
    return one_hot_rows(sentence, [[min(max(at + step, 0), last)] for at in range(last + 1)])


def to_token(sentence: Sentence, token: int) -> np.ndarray:
    return one_hot_rows(sentence, [[token]] * len(sentence))


HAND_MADE = {
    "head": follows_head,
    "dependents": looks_at_dependents,
    "previous word": lambda sentence: to_word(sentence, lambda word: word - 1),
    "next word": lambda sentence: to_word(sentence, lambda word: word + 1),
    "uniform": uniform,
    "[SEP]": lambda sentence: to_token(sentence, len(sentence) - 1),
    "[CLS]": lambda sentence: to_token(sentence, 0),
    "self": lambda sentence: shifted(sentence, 0),
    "previous": lambda sentence: shifted(sentence, -1),
    "next": lambda sentence: shifted(sentence, 1),
}
HEAD = {name: HeadId(0, number) for number, name in enumerate(HAND_MADE)}


def stacked(sentences: list[Sentence]) -> list[np.ndarray]:
    return [np.stack([made(one) for made in HAND_MADE.values()])[None] for one in sentences]


def roles_of_maps(
    maps: Sequence[np.ndarray], sentences: Sequence[Sentence], settings: RoleSettings | None = None
) -> Roles:
    """The roles in attention maps: one array ``[L, H, T, T]`` for each sentence."""
    shape = maps[0].shape[:2]
    collector = RoleCollector(sentences, *shape, settings=settings)
    for number, one in enumerate(maps):
        batch: Any = SimpleNamespace(rows=np.array([number]))
        for layer, layer_maps in enumerate(torch.from_numpy(one.astype(np.float32))):
            seen: Any = SimpleNamespace(batch=batch, layer=layer, maps=layer_maps[None])
            collector.see_layer(seen)
        collector.see_batch(batch, torch.empty(0), None)
    return collector.roles(HeadMask(*shape))
