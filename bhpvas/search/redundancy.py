"""Redundancy: groups of heads that say the same, of which the best one stays."""

from __future__ import annotations

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
    scores = problem.scores(["importance", "similarity"])
    importance = scores.values["importance"]
    heads = [head for head in problem.drawn if head not in problem.mask.removed]
    places = [head.layer * problem.mask.heads + head.head for head in heads]
    alike = scores.similarity_matrix["similarity"][np.ix_(places, places)]
    constant = [head for head, own in zip(heads, np.diag(alike), strict=True) if np.isnan(own)]
    alike = np.where(np.isnan(alike), -np.inf, alike)
    speakers: dict[int, HeadId] = dict(enumerate(heads))
    sizes = np.ones(len(heads))
    above = np.triu(np.ones(alike.shape, dtype=bool), 1)  # each pair once
    mask, chosen, allows = problem.mask, list[Removal](), problem.constraints.allows
    joined_to: dict[HeadId, HeadId] = {}

    def worth(head: HeadId) -> float:
        return float(importance[head.layer, head.head])

    while len(chosen) < problem.count:
        removable = problem.removable(mask)
        if unvarying := [head for head in removable if head in constant]:
            head, others = least(unvarying, worth)
            chosen.append(Removal(head, f"its output does not vary{equal_to(others)}"))
            mask = mask.without([head])
            del speakers[heads.index(head)]
            continue
        free = np.zeros(len(heads), dtype=bool)
        free[[group for group, head in speakers.items() if allows(mask, head)]] = True
        pairs = np.where(above & (free[:, None] | free), alike, -np.inf)
        if not np.isfinite(pairs).any():  # the last head is like no other
            head, others = least(removable, worth)
            chosen.append(Removal(head, f"the last one that may go{equal_to(others)}"))
            mask = mask.without([head])
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
        mask = mask.without([head])
        joined = sizes[weak] + sizes[strong]
        average = (sizes[weak] * alike[weak] + sizes[strong] * alike[strong]) / joined
        alike[strong], alike[:, strong] = average, average
        alike[weak], alike[:, weak] = -np.inf, -np.inf
        sizes[strong] = joined
        del speakers[weak]
    return [_named(removal, joined_to, mask) for removal in chosen]


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
