"""Evidence: why a head has a role, and the rules that decide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bhpvas.heads import HeadId
from bhpvas.interpret.roles.patterns import Pattern
from bhpvas.interpret.roles.registry import ROLES, RoleSettings
from bhpvas.interpret.roles.relations import DIRECTIONS, Direction, Relation

_TAGS = {
    "previous": "prev", "rare-token": "rare", "delimiter": "delim", "punctuation": "punct",
    "[CLS]": "CLS", "[SEP]": "SEP",
}  # fmt: skip


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


def evidence_of(
    head: HeadId,
    relations: Mapping[str, Relation],
    patterns: Mapping[str, Pattern],
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
    for name in (name for name in ROLES if name in patterns):
        if not patterns[name].holds(at, settings):
            continue
        # Of several targets one is named only if it passes by itself: the larger of two.
        alone = [one for one in patterns[name].parts.values() if one.holds(at, settings)]
        found = max(alone, key=lambda one: float(one.share[at]), default=patterns[name])
        yield Evidence(
            role=name,
            detail=found.name if alone else "",
            measured=float(found.share[at]),
            baseline=settings.majority,
            count=found.count,
            p=float(found.p[at]),
        )
