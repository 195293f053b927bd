"""Attention patterns: where every head looks by position, delimiter and rarity, or how widely.

Letters: B sentences of a batch, L layers, H heads, T tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.special import entr

from bhpvas.interpret.align import TOKEN_PARTS, Sentence
from bhpvas.interpret.roles.registry import RARE, RoleSettings
from bhpvas.interpret.roles.relations import strongest
from bhpvas.stats import holm, sign_test

#: Every pattern by the name of its role.
PATTERNS = ("previous", "next", "self", "rare-token", "broad", "delimiter")
#: The targets of the pattern "delimiter".
DELIMITERS = TOKEN_PARTS[1:]


@dataclass(frozen=True, eq=False)
class Pattern:
    """How often every head does one thing: ``share`` ``[L, H]`` of ``count`` tokens.

    ``p`` ``[L, H]`` is corrected, NaN at removed heads. ``parts`` are the same for each target of
    a pattern that has several, with p corrected for all of them.
    """

    name: str
    count: int
    share: np.ndarray
    p: np.ndarray
    parts: Mapping[str, Pattern] = field(default_factory=dict)

    def holds(self, at: tuple[int, int], settings: RoleSettings) -> bool:
        """Whether a head shows the pattern: in the majority of tokens, and beyond chance."""
        return bool(self.p[at] <= settings.level and self.share[at] > settings.majority)


@dataclass(frozen=True, eq=False)
class PatternBatch:
    """What all layers of a batch need for its patterns, padded to its longest sentence."""

    queries: Tensor  # bool [B, T], tokens that are neither [CLS], [SEP] nor padding
    queries_of_rare: Tensor  # bool [B, T], those that are not rare, where a token is
    parts: Tensor  # [B, T]
    rare: Tensor  # bool [B, T]
    lengths: Tensor  # [B]


class PatternCounter:
    """Sums over sentences of how often every head shows each pattern.

    How frequent tokens are, the sentences decide.
    """

    def __init__(
        self, sentences: Sequence[Sentence], layers: int, heads: int, settings: RoleSettings
    ) -> None:
        self._sentences, self._settings = sentences, settings
        self._frequency = Counter(
            int(token) for sentence in sentences for token in sentence.token_ids
        )
        names = (*PATTERNS, *DELIMITERS)
        self._sums = {name: np.zeros((3, layers, heads), dtype=np.int64) for name in names}
        self._queries = {name: np.zeros((), dtype=np.int64) for name in names}

    def batch(self, rows: np.ndarray, width: int, device: torch.device) -> PatternBatch:
        """The sentences at ``rows``, padded to ``width`` tokens."""
        parts = np.zeros((len(rows), width), dtype=np.int64)
        queries, queries_of_rare, rare = np.zeros((3, len(rows), width), dtype=bool)
        for place, row in enumerate(rows):
            sentence = self._sentences[row]
            length = len(sentence)
            parts[place, :length] = sentence.parts
            queries[place, :length] = ~np.isin(sentence.parts, (1, 2))
            # The least frequent kinds of word pieces, if the sentence has enough kinds.
            kinds = {int(token) for token in sentence.token_ids[sentence.parts == 0]}
            if len(kinds) >= self._settings.rare_among:
                least = sorted(kinds, key=lambda kind: (self._frequency[kind], -kind))
                rare[place, :length] = np.isin(sentence.token_ids, least[:RARE])
            if rare[place].any():
                queries_of_rare[place] = queries[place] & ~rare[place]
        lengths = np.array([len(self._sentences[row]) for row in rows])
        columns = (queries, queries_of_rare, parts, rare, lengths)
        return PatternBatch(*(torch.from_numpy(one).to(device) for one in columns))

    def count(
        self, layer: int, batch: PatternBatch, maps: Tensor
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Count one layer's maps ``[B, H, T, T]``: sums, each with what is to be added to it."""
        top = strongest(maps)  # [B, H, T]
        found = top >= 0
        target = top.clamp(min=0)
        step = target - torch.arange(maps.shape[-1], device=maps.device)

        def at_target(values: Tensor) -> Tensor:
            return values[:, None].expand_as(target).gather(2, target)

        part = at_target(batch.parts)
        width = entr(maps).sum(-1).exp()  # [B, H, T], tokens among which attention is shared
        hits = {
            "previous": found & (step == -1),
            "next": found & (step == 1),
            "self": found & (step == 0),
            "rare-token": found & at_target(batch.rare),
            "delimiter": found & (part > 0),
            "broad": width > batch.lengths[:, None, None] / 2,
            **{name: found & (part == TOKEN_PARTS.index(name)) for name in DELIMITERS},
        }
        for name, hit in hits.items():
            queries = batch.queries_of_rare if name == "rare-token" else batch.queries
            number = (hit & queries[:, None]).sum(-1)  # [B, H]
            ahead = number - self._settings.majority * queries.sum(1)[:, None]
            sums = torch.stack([number.sum(0), (ahead > 0).sum(0), (ahead < 0).sum(0)])
            yield self._sums[name][:, layer], sums.cpu().numpy()
            if layer == 0:  # the same in every layer
                yield self._queries[name], queries.sum().cpu().numpy()

    def judged(self, kept: np.ndarray) -> dict[str, Pattern]:
        """Every pattern; the tests of one are corrected for all kept heads ``[L, H]``."""
        patterns = {name: self._judged([name], kept)[name] for name in PATTERNS}
        patterns["delimiter"] = replace(patterns["delimiter"], parts=self._judged(DELIMITERS, kept))
        return patterns

    def _judged(self, names: Sequence[str], kept: np.ndarray) -> dict[str, Pattern]:
        """Patterns whose tests are corrected for all heads and for one another."""
        sums = [self._sums[name] for name in names]
        tested = holm(np.stack([np.where(kept, sign_test(*one[1:]), np.nan) for one in sums]))
        return {
            name: Pattern(
                name=name,
                count=int(self._queries[name]),
                share=np.where(kept, one[0] / max(self._queries[name], 1), np.nan),
                p=p,
            )
            for name, one, p in zip(names, sums, tested, strict=True)
        }
