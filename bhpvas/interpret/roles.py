"""What each head attends to: position, delimiters, rare tokens, syntax, or everything.

A role is a claim, so each comes with its evidence and a test. Two things are counted:

- **Relations.** Of a word that depends on another (Clark et al. 2019, section 4): is its head the
  word that it attends to most ("dependent to head"), or the word that attends to it most ("head to
  dependent")? Special tokens are dropped and the diagonal is zero. The rival is the best fixed
  offset in −3 … 3 on the same sentences.
- **Habits.** Where the strongest attention of a token goes, [CLS] and [SEP] do not ask. One of the
  delimiters is named only where it passes by itself; else the role is of all of them together.

The unit of every test is the sentence, since words of one sentence are not independent: a sentence
is won or lost, and an exact one-sided sign test over sentences is corrected by Holm's method for
all heads tried (for relations: heads × relations × directions). With one dependent a sentence it is
McNemar's exact test of head against offset.

Letters: N sentences, L layers, H heads, T tokens, W words, R relations, K habits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.special import entr

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.align import TOKEN_PARTS, Sentence, sentences_of
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Seen, stream
from bhpvas.progress import Progress, silent
from bhpvas.stats import SIGNIFICANT, holm, sign_test

Direction = Literal["dependent to head", "head to dependent"]
DIRECTIONS: tuple[Direction, Direction] = ("dependent to head", "head to dependent")
#: Fixed offsets that a head must beat; of equally good ones the first is named.
OFFSETS = (-1, 1, -2, 2, -3, 3)
#: No relations in a grammarian's sense: the root, punctuation, and what the parser cannot name.
NOT_JUDGED = frozenset({"ROOT", "root", "punct", "dep", ""})
# Attention that differs by less, relatively, is equal: rounding decides nothing.
_TIE = 1e-5
# How many of a sentence's least frequent tokens a rare-token head may point to (Voita et al. 2019).
_RARE = 2


@dataclass(frozen=True)
class Role:
    """A kind of head and all that a person needs to read it."""

    name: str
    title: str
    summary: str
    rule: str
    source: str
    misleads: str


_MOSTLY = "for more than half of the tokens, and in significantly more sentences than not"
#: By how much a head's accuracy must exceed its baseline, if not told otherwise.
_MARGIN = 0.1

#: Every role by name. A head that fits several is labelled by the first; broad stands before
#: delimiter, since a head that spreads over half of the sentence does not rest anywhere.
ROLES: dict[str, Role] = {
    one.name: one
    for one in (
        Role(
            name="syntactic",
            title="Follows syntax",
            summary="Among the words, it looks along a dependency relation.",
            rule="Its accuracy on a relation beats the best fixed offset by at least "
            f"{100 * _MARGIN:g} points, and in significantly more sentences than not.",
            source="Clark et al. 2019, section 4; Voita et al. 2019, section 5.2",
            misleads="Most of its attention may still rest on [SEP], which is left out here; and "
            "the parser is a model too, with mistakes of its own.",
        ),
        Role(
            name="previous",
            title="Previous token",
            summary="Each token looks at the one before it.",
            rule=f"The strongest attention goes to the previous token {_MOSTLY}.",
            source="Voita et al. 2019, section 5.1; Clark et al. 2019, section 3.1",
            misleads="It may carry syntax between neighbours; no test can tell it from position.",
        ),
        Role(
            name="next",
            title="Next token",
            summary="Each token looks at the one after it.",
            rule=f"The strongest attention goes to the next token {_MOSTLY}.",
            source="Voita et al. 2019, section 5.1; Clark et al. 2019, section 3.1",
            misleads="It may carry syntax between neighbours; no test can tell it from position.",
        ),
        Role(
            name="self",
            title="Itself",
            summary="Each token looks at itself.",
            rule=f"The strongest attention goes to the token itself {_MOSTLY}.",
            source="Clark et al. 2019, section 3.1",
            misleads="The residual connection hands each token on anyway; this head transforms it.",
        ),
        Role(
            name="rare-token",
            title="Rare tokens",
            summary="It points at the least frequent tokens of the sentence.",
            rule=f"The strongest attention goes to one of the {_RARE} least frequent tokens "
            f"{_MOSTLY}.",
            source="Voita et al. 2019, section 5.3",
            misleads="How frequent a token is, the given sentences decide, and among equals the "
            "higher place in the vocabulary counts as rarer.",
        ),
        Role(
            name="broad",
            title="Broad",
            summary="It spreads its attention over the whole sentence.",
            rule="The attention is wider than equal shares for half of the sentence's tokens would "
            f"be, {_MOSTLY}.",
            source="Clark et al. 2019, section 3.3 (entropy)",
            misleads="A broad head can be the one that gathers the sentence.",
        ),
        Role(
            name="delimiter",
            title="Delimiters",
            summary="It rests on [CLS], [SEP] or punctuation.",
            rule=f"The strongest attention goes to a delimiter {_MOSTLY}.",
            source="Clark et al. 2019, section 3.2",
            misleads="Resting there is often how a head does nothing, but [SEP] can also carry "
            "what the sentence as a whole says.",
        ),
    )
}
#: The label of a head that fits no role.
NO_ROLE = "none"
# What is counted row by row; the three delimiters are parts of the habit "delimiter".
_DELIMITERS = TOKEN_PARTS[1:]
_TAGS = {
    "previous": "prev",
    "rare-token": "rare",
    "delimiter": "delim",
    "punctuation": "punct",
    "[CLS]": "CLS",
    "[SEP]": "SEP",
}
_HABITS = ("previous", "next", "self", "rare-token", "broad", "delimiter")


@dataclass(frozen=True)
class RoleSettings:
    """Where the lines are drawn.

    ``min_count``: dependents that a relation needs to be judged. ``margin``: by how much accuracy
    must exceed the baseline (Voita et al. 2019 ask for 10%, here taken as points). ``level``: the
    chance of any false finding in a role. ``majority``: share of the tokens that makes a habit.
    ``rare_among``: different word pieces that a sentence needs for two of them to count as rare.
    """

    min_count: int = 100
    margin: float = _MARGIN
    level: float = SIGNIFICANT
    majority: float = 0.5
    rare_among: int = 6

    def __post_init__(self) -> None:
        if self.min_count < 1:
            raise BhpvasError(f"A relation needs at least 1 dependent, not {self.min_count}.")
        for name in ("margin", "level", "majority"):
            if not 0 <= getattr(self, name) < 1:
                raise BhpvasError(
                    f"The {name} of a role must be from 0 to below 1, not {getattr(self, name)}."
                )


@dataclass(frozen=True, eq=False)
class Relation:
    """How well every head follows one dependency relation.

    ``count`` dependents; ``baseline`` is the accuracy of always answering the word at ``offset``
    from the dependent. ``accuracies`` ``[2, L, H]`` by :data:`DIRECTIONS`, ``p`` corrected, NaN
    where the head is removed or the relation has too few dependents to be ``judged``.
    """

    name: str
    count: int
    offset: int
    baseline: float
    judged: bool
    accuracies: np.ndarray
    p: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy in the better direction: ``[L, H]``, 0 to 1."""
        return self.accuracies.max(0)

    @property
    def direction(self) -> np.ndarray:
        """The better direction as an index into :data:`DIRECTIONS`: ``[L, H]``."""
        return (self.accuracies[1] > self.accuracies[0]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Habit:
    """How often every head does one thing: ``share`` ``[L, H]`` of ``count`` tokens.

    ``p`` ``[L, H]`` is corrected, NaN at removed heads. ``parts`` are the same for each target of
    a habit that has several, with p corrected for all of them.
    """

    name: str
    count: int
    share: np.ndarray
    p: np.ndarray
    parts: Mapping[str, Habit] = field(default_factory=dict)

    def holds(self, at: tuple[int, int], settings: RoleSettings) -> bool:
        """Whether a head has the habit: in the majority of tokens, and beyond chance."""
        return bool(self.p[at] <= settings.level and self.share[at] > settings.majority)


@dataclass(frozen=True)
class Evidence:
    """Why a head has a role: ``measured`` against ``baseline`` on ``count`` cases, corrected ``p``.

    ``detail`` is the relation, or the delimiter if one passes by itself, and then all numbers are
    of it alone; direction and offset belong to relations.
    """

    role: str
    detail: str
    measured: float
    baseline: float
    count: int
    p: float
    direction: Direction | None = None
    offset: int | None = None

    @property
    def label(self) -> str:
        """The role with its detail: ``syntactic: nsubj``."""
        return f"{self.role}: {self.detail}" if self.detail else self.role

    @property
    def tag(self) -> str:
        """The label in a few letters, for the cell of a head map."""
        return _TAGS.get(self.detail or self.role, self.detail or self.role)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, with the label, for JSON."""
        fields = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {"label": self.label, **fields}


@dataclass(frozen=True, eq=False)
class Predictions:
    """The word that each head takes for the head of each word, by direction.

    ``words`` int16 ``[2, L, H, ΣW]`` lies sentence after sentence; −1 where a word looks at no
    other, or at two equally.
    """

    words: np.ndarray
    starts: np.ndarray

    def of(self, sentence: int) -> np.ndarray:
        """Predicted heads of one sentence: ``[2, L, H, W]``, W counts up to the last word seen."""
        return self.words[..., self.starts[sentence] : self.starts[sentence + 1]]


@dataclass(frozen=True, eq=False)
class Roles:
    """What every head attends to, with all that it was judged by."""

    mask: HeadMask
    dataset: str
    settings: RoleSettings
    sentences: int
    relations: dict[str, Relation]
    habits: dict[str, Habit]
    evidence: dict[HeadId, tuple[Evidence, ...]]
    predictions: Predictions | None

    def label(self, head: HeadId) -> str:
        """The head's first role with its detail, or :data:`NO_ROLE`."""
        found = self.evidence.get(head)
        return found[0].label if found else NO_ROLE

    @cached_property
    def labels(self) -> list[list[str]]:
        """The label of every head: ``[L][H]``."""
        layers, heads = range(self.mask.layers), range(self.mask.heads)
        return [[self.label(HeadId(layer, head)) for head in heads] for layer in layers]

    def carriers(self) -> dict[str, tuple[HeadId, ...]]:
        """Kept heads by each label that they have evidence for, not only by their first.

        Labels come in the order of :data:`ROLES`, relations with the most dependents first.
        """
        found: dict[str, list[HeadId]] = {}
        every = [(head, one) for head, evidence in self.evidence.items() for one in evidence]
        roles, relations = list(ROLES), [*self.relations, *_DELIMITERS, ""]
        every.sort(key=lambda pair: (roles.index(pair[1].role), relations.index(pair[1].detail)))
        for head, one in every:
            found.setdefault(one.label, []).append(head)
        return {label: tuple(heads) for label, heads in found.items()}


# --- counting -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What all layers of a batch need, padded to its widest sentence."""

    rows: np.ndarray
    member: Tensor  # [B, W, T], which tokens each word has
    mean: Tensor  # [B, W, T], the same with rows that sum to 1
    truth: Tensor  # [B, W], head of each judged dependent, −2 elsewhere
    relation: Tensor  # [B, W, R]
    baseline: Tensor  # [B, R], dependents that the best offset gets right
    asking: Tensor  # [B, T], tokens that are neither [CLS], [SEP] nor padding
    parts: Tensor  # [B, T]
    rare: Tensor  # [B, T]
    asking_rare: Tensor  # [B, T]
    lengths: Tensor  # [B]

    def asking_for(self, habit: str) -> Tensor:
        """The tokens whose attention is counted for a habit: bool ``[B, T]``."""
        return self.asking_rare if habit == "rare-token" else self.asking


class RoleCollector:
    """Counts relations and habits, batch by batch: a collector for the engine.

    Kept are sums over sentences alone, and with ``keep_predictions`` two bytes for each word, head
    and direction, from which examples can be shown. The offsets to beat follow from the parses, so
    they are known before the first map. ``token_counts`` says how frequent tokens are; without it
    the given sentences do.
    """

    needs = frozenset({"maps"})

    def __init__(
        self,
        sentences: Sequence[Sentence],
        layers: int,
        heads: int,
        *,
        settings: RoleSettings | None = None,
        token_counts: Mapping[int, int] | None = None,
        keep_predictions: bool = True,
    ) -> None:
        self.sentences = sentences
        self.settings = settings or RoleSettings()
        self._frequency = token_counts or Counter(
            int(token) for sentence in sentences for token in sentence.token_ids
        )
        self._truth = [_dependents(sentence) for sentence in sentences]  # N × [W]
        counts = Counter(
            sentence.parse.relations[word]
            for sentence, truth in zip(sentences, self._truth, strict=True)
            for word in np.flatnonzero(truth >= 0)
        )
        self.counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        self._column = {name: column for column, name in enumerate(self.counts)}
        self.offsets, self.baselines = self._best_offsets()
        shape = (2, layers, heads, len(self.counts))
        self._hits, self._wins, self._losses = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        names = (*_HABITS, *_DELIMITERS)
        self._habits = {name: np.zeros((3, layers, heads), dtype=np.int64) for name in names}
        self._asked = dict.fromkeys(names, 0)
        self._prepared: _Prepared | None = None
        # Counts of the batch at hand, with the sums that they belong to.
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._starts = np.concatenate([[0], np.cumsum([len(truth) for truth in self._truth])])
        self._predictions = (
            np.full((2, layers, heads, int(self._starts[-1])), -1, dtype=np.int16)
            if keep_predictions
            else None
        )

    def see_layer(self, seen: Seen) -> None:
        """Count one layer of a batch."""
        assert seen.maps is not None
        self.add(seen.layer, seen.batch.rows, seen.maps)

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Tensor | None) -> None:
        """Add what was counted layer by layer."""
        self.settle()

    def settle(self) -> None:
        """Add the counts of a batch, now that all its layers were seen."""
        for total, count in self._waiting:
            total += count
        if self._prepared is not None:
            for name in self._asked:
                self._asked[name] += int(self._prepared.asking_for(name).sum())
        self._waiting, self._prepared = [], None

    def add(self, layer: int, rows: np.ndarray, maps: Tensor) -> None:
        """Count one layer's maps ``[B, H, T, T]`` of the sentences at ``rows``; T may be padded.

        :meth:`settle` follows the last layer; other ``rows`` before it begin the batch again.
        """
        if self._prepared is None or self._prepared.rows is not rows:
            self._waiting = []
            self._prepared = self._prepare(rows, maps.shape[-1], maps.device)
        maps = maps.float()
        self._count_relations(layer, self._prepared, maps)
        self._count_habits(layer, self._prepared, maps)

    def _count_relations(self, layer: int, ready: _Prepared, maps: Tensor) -> None:
        words = ready.mean[:, None] @ maps @ ready.member.transpose(1, 2)[:, None]  # [B, H, W, W]
        words.diagonal(dim1=-2, dim2=-1).zero_()
        both = torch.stack([words, words.transpose(2, 3)])  # [2, B, H, W, W]
        predicted = _strongest(both)  # [2, B, H, W]
        right = (predicted == ready.truth[:, None]).float()
        hits = right @ ready.relation  # [2, B, H, R]
        ahead = hits - ready.baseline[:, None]
        for total, found in (
            (self._hits, hits),
            (self._wins, ahead > 0),
            (self._losses, ahead < 0),
        ):
            self._waiting.append((total[:, layer], found.sum(1).long().cpu().numpy()))
        if self._predictions is not None:
            heads = predicted.to(torch.int16).cpu().numpy()
            for place, row in enumerate(ready.rows):
                start, stop = self._starts[row], self._starts[row + 1]
                self._predictions[:, layer, :, start:stop] = heads[:, place, :, : stop - start]

    def _count_habits(self, layer: int, ready: _Prepared, maps: Tensor) -> None:
        strongest = _strongest(maps)  # [B, H, T]
        found = strongest >= 0
        target = strongest.clamp(min=0)
        step = target - torch.arange(maps.shape[-1], device=maps.device)

        def at_target(values: Tensor) -> Tensor:
            return values[:, None].expand_as(target).gather(2, target)

        part = at_target(ready.parts)
        width = entr(maps).sum(-1).exp()  # [B, H, T], tokens among which attention is shared
        hits = {
            "previous": found & (step == -1),
            "next": found & (step == 1),
            "self": found & (step == 0),
            "rare-token": found & at_target(ready.rare),
            "delimiter": found & (part > 0),
            "broad": width > ready.lengths[:, None, None] / 2,
            **{name: found & (part == TOKEN_PARTS.index(name)) for name in _DELIMITERS},
        }
        for name, hit in hits.items():
            asking = ready.asking_for(name)
            number = (hit & asking[:, None]).sum(-1)  # [B, H]
            ahead = number - self.settings.majority * asking.sum(1)[:, None]
            sums = torch.stack([number.sum(0), (ahead > 0).sum(0), (ahead < 0).sum(0)])
            self._waiting.append((self._habits[name][:, layer], sums.cpu().numpy()))

    def _prepare(self, rows: np.ndarray, width: int, device: torch.device) -> _Prepared:
        words = max([2, *(len(self._truth[row]) for row in rows)])  # 2, so that there is a second
        member = np.zeros((len(rows), words, width), dtype=np.float32)
        truth = np.full((len(rows), words), -2, dtype=np.int64)
        relation = np.zeros((len(rows), words, len(self.counts)), dtype=np.float32)
        baseline = np.zeros((len(rows), len(self.counts)), dtype=np.float32)
        parts = np.zeros((len(rows), width), dtype=np.int64)
        asking = np.zeros((len(rows), width), dtype=bool)
        rare, asking_rare = np.zeros_like(asking), np.zeros_like(asking)
        for place, row in enumerate(rows):
            sentence, heads = self.sentences[row], self._truth[row]
            length = len(sentence)
            owned = np.flatnonzero(sentence.word_of >= 0)
            member[place, sentence.word_of[owned], owned] = 1
            truth[place, : len(heads)] = np.where(heads >= 0, heads, -2)
            for word in np.flatnonzero(heads >= 0):
                column = self._column[sentence.parse.relations[word]]
                relation[place, word, column] = 1
                baseline[place, column] += heads[word] - word == self.offsets[column]
            parts[place, :length] = sentence.parts
            asking[place, :length] = ~np.isin(sentence.parts, (1, 2))
            rare[place, :length] = self._rare(sentence)
            if rare[place].any():
                asking_rare[place] = asking[place] & ~rare[place]

        def put(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(device)

        return _Prepared(
            rows=rows,
            member=put(member),
            mean=F.normalize(put(member), p=1, dim=2),
            truth=put(truth),
            relation=put(relation),
            baseline=put(baseline),
            asking=put(asking),
            parts=put(parts),
            rare=put(rare),
            asking_rare=put(asking_rare),
            lengths=put(np.array([len(self.sentences[row]) for row in rows])),
        )

    def _rare(self, sentence: Sentence) -> np.ndarray:
        """Tokens of the least frequent kinds, if the sentence has enough kinds: bool ``[T]``."""
        kinds = {int(token) for token in sentence.token_ids[sentence.parts == 0]}
        if len(kinds) < self.settings.rare_among:
            return np.zeros(len(sentence), dtype=bool)
        least = sorted(kinds, key=lambda kind: (self._frequency.get(kind, 0), -kind))[:_RARE]
        return np.isin(sentence.token_ids, least)

    def _best_offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """For each relation the best fixed offset and how many dependents it gets right."""
        right = np.zeros((len(self.counts), len(OFFSETS)), dtype=np.int64)
        for sentence, heads in zip(self.sentences, self._truth, strict=True):
            for word in np.flatnonzero(heads >= 0):
                step = int(heads[word] - word)
                if step in OFFSETS:
                    column = self._column[sentence.parse.relations[word]]
                    right[column, OFFSETS.index(step)] += 1
        best = right.argmax(1) if len(right) else np.zeros(0, dtype=np.int64)
        return np.array(OFFSETS, dtype=np.int64)[best], right.max(1, initial=0)

    def roles(
        self, mask: HeadMask, dataset: str = "", settings: RoleSettings | None = None
    ) -> Roles:
        """Judge what was counted, by other settings if given; removed heads get no role.

        ``rare_among`` belongs to the counting and stays as it was.
        """
        settings = settings or self.settings
        kept = mask.kept
        judged = np.array([count >= settings.min_count for count in self.counts.values()])
        tried = kept[None, :, :, None] & judged.astype(bool)  # [1, L, H, R]
        tested = holm(np.where(tried, sign_test(self._wins, self._losses), np.nan))  # [2, L, H, R]
        relations = {
            name: Relation(
                name=name,
                count=count,
                offset=int(self.offsets[column]),
                baseline=float(self.baselines[column] / count),
                judged=bool(judged[column]),
                accuracies=np.where(kept, self._hits[..., column] / count, np.nan),
                p=tested[..., column],
            )
            for column, (name, count) in enumerate(self.counts.items())
        }
        habits = {name: self._judged([name], kept)[name] for name in _HABITS}
        habits["delimiter"] = replace(habits["delimiter"], parts=self._judged(_DELIMITERS, kept))
        return Roles(
            mask=mask,
            dataset=dataset,
            settings=settings,
            sentences=len(self.sentences),
            relations=relations,
            habits=habits,
            evidence={head: tuple(_evidence(head, relations, habits, settings)) for head in mask},
            predictions=None
            if self._predictions is None
            else Predictions(self._predictions, self._starts),
        )

    def _judged(self, names: Sequence[str], kept: np.ndarray) -> dict[str, Habit]:
        """Habits whose tests are corrected for all heads and for one another."""
        sums = [self._habits[name] for name in names]
        tested = holm(np.stack([np.where(kept, sign_test(*one[1:]), np.nan) for one in sums]))
        return {
            name: Habit(
                name=name,
                count=self._asked[name],
                share=np.where(kept, one[0] / max(self._asked[name], 1), np.nan),
                p=p,
            )
            for name, one, p in zip(names, sums, tested, strict=True)
        }


def _dependents(sentence: Sentence) -> np.ndarray:
    """The head of each word whose relation counts, −1 for other words: int64 ``[W]``.

    Both words must have a token; words after the last that has one are cut.
    """
    width = int(sentence.word_of.max(initial=-1)) + 1
    truth = np.full(width, -1, dtype=np.int64)
    parse, seen = sentence.parse, sentence.seen
    for word in range(width):
        head = parse.heads[word]
        if head != word and parse.relations[word] not in NOT_JUDGED and seen[word] and seen[head]:
            truth[word] = head
    return truth


def _strongest(attention: Tensor) -> Tensor:
    """Place of the largest value of the last axis; −1 where there is none or two are equal."""
    top = attention.topk(2, dim=-1)
    first, second = top.values.unbind(-1)
    clear = (first > 0) & (first - second > _TIE * first)
    return torch.where(clear, top.indices[..., 0], -1)


def _evidence(
    head: HeadId,
    relations: Mapping[str, Relation],
    habits: Mapping[str, Habit],
    settings: RoleSettings,
) -> Iterator[Evidence]:
    """Every role that a head has, in the order of :data:`ROLES`; relations by what they gain."""
    at = (head.layer, head.head)
    followed = []
    for relation in relations.values():
        direction = int(relation.direction[at])
        accuracy, p = relation.accuracy[at], relation.p[direction][at]
        if p <= settings.level and accuracy >= relation.baseline + settings.margin:
            followed.append(
                Evidence(
                    role="syntactic",
                    detail=relation.name,
                    measured=float(accuracy),
                    baseline=relation.baseline,
                    count=relation.count,
                    p=float(p),
                    direction=DIRECTIONS[direction],
                    offset=relation.offset,
                )
            )
    yield from sorted(followed, key=lambda one: one.baseline - one.measured)
    for name in (name for name in ROLES if name in habits):
        if not habits[name].holds(at, settings):
            continue
        # Of several targets one is named only if it passes by itself: the larger of two.
        alone = [one for one in habits[name].parts.values() if one.holds(at, settings)]
        found = max(alone, key=lambda one: float(one.share[at]), default=habits[name])
        yield Evidence(
            role=name,
            detail=found.name if alone else "",
            measured=float(found.share[at]),
            baseline=settings.majority,
            count=found.count,
            p=float(found.p[at]),
        )


# --- ways in --------------------------------------------------------------------------------------


def find_roles(
    classifier: Classifier,
    dataset: Dataset,
    *,
    sentences: Sequence[Sentence] | None = None,
    mask: HeadMask | None = None,
    settings: RoleSettings | None = None,
    keep_predictions: bool = True,
    progress: Progress = silent,
) -> Roles:
    """The roles of every kept head of a classifier, in one pass over the sentences.

    ``sentences`` are those of :func:`~bhpvas.interpret.align.sentences_of`, made here if not given;
    whoever wants :func:`examples` afterwards keeps them. ``settings`` are where the lines are
    drawn. What a role is, its rule and its source stand in :data:`ROLES`; accuracies are shares of
    1.

    Raises :class:`~bhpvas.errors.BhpvasError` where the parser is not installed.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> roles = bhpvas.find_roles(bhpvas.load_classifier(), data)
    >>> roles.label(bhpvas.HeadId(0, 0))  # eight sentences are too few to claim anything
    'none'
    >>> roles.relations["det"].accuracy.shape
    (6, 12)
    """
    mask = mask or classifier.full_mask()
    sentences = sentences_of(classifier, dataset) if sentences is None else sentences
    collector = count_roles(
        classifier,
        dataset,
        sentences,
        mask=mask,
        settings=settings,
        keep_predictions=keep_predictions,
        progress=progress,
    )
    return collector.roles(mask, dataset.name)


def count_roles(
    classifier: Classifier,
    dataset: Dataset,
    sentences: Sequence[Sentence],
    *,
    mask: HeadMask | None = None,
    settings: RoleSettings | None = None,
    keep_predictions: bool = True,
    progress: Progress = silent,
) -> RoleCollector:
    """As :func:`find_roles`, but what was counted itself: it can be judged more than once."""
    assert len(sentences) == len(dataset)
    collector = RoleCollector(
        sentences,
        classifier.geometry.layers,
        classifier.geometry.heads,
        settings=settings,
        keep_predictions=keep_predictions,
    )
    dataset = dataset.aligned(classifier.label_names)
    stream(
        classifier,
        classifier.encode(dataset),
        dataset.labels,
        [collector],
        mask=mask,
        progress=progress,
    )
    return collector


def roles_of_maps(
    maps: Iterable[np.ndarray],
    sentences: Sequence[Sentence],
    *,
    settings: RoleSettings | None = None,
    token_counts: Mapping[int, int] | None = None,
    keep_predictions: bool = True,
) -> Roles:
    """The roles in attention maps from anywhere: one array ``[L, H, T, T]`` for each sentence.

    Raises :class:`~bhpvas.errors.BhpvasError` where maps and sentences do not fit, or where the
    rows of a map do not sum to 1.
    """
    collector: RoleCollector | None = None
    shape = (0, 0)
    number = -1
    for number, one in enumerate(maps):
        one = np.asarray(one, dtype=np.float32)
        if collector is None and one.ndim == 4:
            shape = (one.shape[0], one.shape[1])
            collector = RoleCollector(
                sentences,
                *shape,
                settings=settings,
                token_counts=token_counts,
                keep_predictions=keep_predictions,
            )
        if number >= len(sentences):
            break
        length = len(sentences[number])
        if collector is None or one.shape != (*shape, length, length):
            raise BhpvasError(
                f"Sentence {number} has {length} tokens, so its maps must have the shape "
                f"[layers, heads, {length}, {length}] as all others; they have {list(one.shape)}."
            )
        if not np.allclose(one.sum(-1), 1, atol=1e-3) or (one < 0).any():
            raise BhpvasError(
                f"The maps of sentence {number} are no attention: each row must be non-negative "
                f"and sum to 1."
            )
        rows = np.array([number])
        for layer, layer_maps in enumerate(torch.from_numpy(one)):
            collector.add(layer, rows, layer_maps[None])
        collector.settle()
    if collector is None or number + 1 != len(sentences):
        raise BhpvasError(
            f"There are maps of {number + 1} sentences and {len(sentences)} sentences: give one "
            f"array for each."
        )
    return collector.roles(HeadMask(*shape))


# --- examples, and what a scheme changes ----------------------------------------------------------


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
        truth = _dependents(sentence)
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
    strongest = _strongest(torch.stack([among, among.T])).numpy()  # [2, words]
    truth = _dependents(sentence)
    found = {}
    for place, word in enumerate(names.tolist()):
        ways = tuple(
            direction
            for direction, at in zip(DIRECTIONS, strongest[:, place], strict=True)
            if at >= 0 and truth[word] >= 0 and names[at] == truth[word]
        )
        if ways:
            found[word] = ways
    return found


@dataclass(frozen=True)
class RoleChange:
    """Who carries one role before and after a change of the mask."""

    label: str
    before: tuple[HeadId, ...]
    after: tuple[HeadId, ...]

    @property
    def lost(self) -> bool:
        """Carried before, and by nobody now."""
        return bool(self.before) and not self.after


def role_changes(
    roles: Roles, mask: HeadMask, after: Roles | None = None
) -> tuple[RoleChange, ...]:
    """What becomes of every role when the heads that ``mask`` removes go.

    Without ``after`` the kept heads are taken to keep their roles. With the roles found anew under
    the mask as ``after``, a role can also move to another head. Raises
    :class:`~bhpvas.errors.BhpvasError` where ``after`` was found under another mask.
    """
    if after is not None and after.mask != mask:
        raise BhpvasError("The roles after the change were found under another mask.")
    before = roles.carriers()
    now = (
        {
            label: tuple(head for head in heads if head not in mask.removed)
            for label, heads in before.items()
        }
        if after is None
        else after.carriers()
    )
    return tuple(
        RoleChange(label, before.get(label, ()), now.get(label, ()))
        for label in dict.fromkeys([*before, *now])
    )
