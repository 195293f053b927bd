"""Redundancy: groups of heads that say the same, of which the best one stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bhpvas.heads import HeadId, HeadMask
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least


def search(problem: SearchProblem) -> list[Removal]:
    """Join the two most similar groups until enough heads are gone (average linkage).

    A group is spoken for by its most important head. When two groups are joined, the less important
    of their two speakers goes, or the other one where that may not. Heads whose output does not
    vary say nothing that could be in a group: they go before. A reason names the head that speaks
    for the group in the end, where one stays.
    """
    scores = problem.scores(["importance", "similarity"], progress=problem.progress)
    importance = scores.values["importance"]
    heads = [head for head in problem.drawn if head not in scores.mask.removed]
    alike = _alike(problem, heads, scores.similarity_matrix["similarity"])
    constant = [head for head, own in zip(heads, np.diag(alike), strict=True) if np.isnan(own)]
    alike = np.where(np.isnan(alike), -np.inf, alike)
    speakers: dict[int, HeadId] = dict(enumerate(heads))
    sizes = np.array([float(len(problem.everywhere(head))) for head in heads])
    above = np.triu(np.ones(alike.shape, dtype=bool), 1)  # each pair once
    mask, chosen, allows = problem.mask, list[Removal](), problem.allows
    joined_to: dict[HeadId, HeadId] = {}

    def worth(head: HeadId) -> float:
        return float(importance[head.layer, head.head])

    while len(chosen) < problem.count:
        removable = problem.removable(mask)
        if unvarying := [head for head in removable if head in constant]:
            head, others = least(unvarying, worth)
            chosen.append(Removal(head, f"its output does not vary{equal_to(others)}"))
            mask = problem.without(mask, [head])
            del speakers[heads.index(head)]
            continue
        free = np.zeros(len(heads), dtype=bool)
        free[[group for group, head in speakers.items() if allows(mask, head)]] = True
        pairs = np.where(above & (free[:, None] | free), alike, -np.inf)
        if not np.isfinite(pairs).any():  # the last head is like no other
            head, others = least(removable, worth)
            chosen.append(Removal(head, f"the last one that may go{equal_to(others)}"))
            mask = problem.without(mask, [head])
            continue
        similarity = pairs.max()
        # Groups stand as drawn, so the first of equal pairs is one by chance.
        equals = np.argwhere(pairs == similarity)
        one, two = (int(group) for group in equals[0])
        weak, strong = sorted((one, two), key=lambda group: worth(speakers[group]))
        if not free[weak]:
            weak, strong = strong, weak
        head = speakers[weak]
        joined_to[head] = speakers[strong]
        reason = f"{similarity:z.3f} alike to its group"
        chosen.append(Removal(head, reason + equal_to(len(equals) - 1, "other pair")))
        mask = problem.without(mask, [head])
        joined = sizes[weak] + sizes[strong]
        average = (sizes[weak] * alike[weak] + sizes[strong] * alike[strong]) / joined
        alike[strong], alike[:, strong] = average, average
        alike[weak], alike[:, weak] = -np.inf, -np.inf
        sizes[strong] = joined
        del speakers[weak]
    return [_named(removal, joined_to, mask) for removal in chosen]


def _alike(problem: SearchProblem, heads: Sequence[HeadId], matrix: np.ndarray) -> np.ndarray:
    """How alike heads are; of those in several layers the mean over each two of these."""

    def places(head: HeadId) -> list[int]:
        every = (one for one in problem.everywhere(head) if one not in problem.mask.removed)
        return [one.layer * problem.mask.heads + one.head for one in every]

    if not problem.groups:
        every = [places(head)[0] for head in heads]
        return matrix[np.ix_(every, every)]
    return np.array(
        [[matrix[np.ix_(places(one), places(other))].mean() for other in heads] for one in heads]
    )


def _named(removal: Removal, joined_to: dict[HeadId, HeadId], mask: HeadMask) -> Removal:
    """A removal whose reason names the kept head that speaks for its group, if there is one."""
    head = removal.head
    while head in joined_to:
        head = joined_to[head]
    if head in mask.removed:
        return removal
    return removal._replace(reason=f"{removal.reason}, for which {head} stays")


METHOD = SearchMethod(
    name="redundancy",
    title="Redundancy",
    summary="Heads are grouped by how alike their outputs are; each group keeps its most important "
    "one.",
    source="Grouping by average linkage on linear CKA (Kornblith et al. 2019); ours",
    search=search,
)
