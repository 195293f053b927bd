"""Groups of heads that say the same; of each group the best one stays."""

from __future__ import annotations

import itertools

import numpy as np

from bhpvas.criteria import score
from bhpvas.heads import HeadId
from bhpvas.search.base import Method, Removal, Task


def search(task: Task) -> list[Removal]:
    """Join the two most similar groups until enough heads are gone (average linkage).

    A group is spoken for by its most important head. When two groups are joined, the less important
    of their two speakers goes, or the other one where that may not.
    """
    scores = score(
        task.classifier,
        task.calibration,
        ["importance", "similarity"],
        mask=task.mask,
        progress=task.progress,
    )
    importance = scores.values["importance"]
    heads = list(task.mask)
    places = [head.layer * task.mask.heads + head.head for head in heads]
    alike = np.nan_to_num(scores.similarity_matrix["similarity"])[np.ix_(places, places)]
    speakers: dict[int, HeadId] = dict(enumerate(heads))
    sizes = dict.fromkeys(speakers, 1)
    mask, chosen = task.mask, list[Removal]()

    def worth(head: HeadId) -> float:
        return float(importance[head.layer, head.head])

    while len(chosen) < task.count:
        pairs = [
            (alike[one, two], one, two)
            for one, two in itertools.combinations(speakers, 2)
            if task.constraints.allows(mask, speakers[one])
            or task.constraints.allows(mask, speakers[two])
        ]
        if not pairs:  # the last head is like no other
            head = min(task.constraints.removable(mask), key=worth)
            chosen.append(Removal(head, "the last one that may go"))
            mask = mask.without([head])
            continue
        similarity, one, two = max(pairs)
        weak, strong = sorted((one, two), key=lambda group: worth(speakers[group]))
        if not task.constraints.allows(mask, speakers[weak]):
            weak, strong = strong, weak
        head, stays = speakers[weak], speakers[strong]
        chosen.append(Removal(head, f"{similarity:.3f} alike to {stays} or its group, which stays"))
        mask = mask.without([head])
        joined = sizes[weak] + sizes[strong]
        for group in speakers:
            average = (
                sizes[weak] * alike[weak, group] + sizes[strong] * alike[strong, group]
            ) / joined
            alike[strong, group] = alike[group, strong] = average
        sizes[strong] = joined
        del speakers[weak], sizes[weak]
    return chosen


METHOD = Method(
    name="redundancy",
    title="Redundancy",
    summary="Heads are grouped by how alike their outputs are; each group keeps its most important "
    "one.",
    source="Grouping by average linkage on linear CKA (Kornblith et al. 2019); ours",
    search=search,
)
