"""Roles found: what every head attends to, who carries each role, and what a mask changes."""

from __future__ import annotations

from dataclasses import dataclass

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.parse import Parsed
from bhpvas.interpret.roles.evidence import Evidence
from bhpvas.interpret.roles.patterns import DELIMITERS, Pattern
from bhpvas.interpret.roles.registry import NO_ROLE, ROLES, RoleSettings
from bhpvas.interpret.roles.relations import NOT_JUDGED, Predictions, Relation


@dataclass(frozen=True, eq=False)
class Roles:
    """What every head attends to, with all that it was judged by."""

    mask: HeadMask
    dataset: str
    settings: RoleSettings
    sentences: int
    parsed: Parsed
    relations: dict[str, Relation]
    patterns: dict[str, Pattern]
    evidence: dict[HeadId, tuple[Evidence, ...]]
    predictions: Predictions | None

    @property
    def looked_for(self) -> tuple[str, ...]:
        """The relations that were looked for, as the parser calls them, sorted.

        Those that it can find, or where it does not say, those that it found; none where every
        text was too foreign for it.
        """
        if self.parsed.foreign == self.parsed.texts > 0:
            return ()
        known = self.parsed.parser.labels if self.parsed.parser else ()
        return tuple(sorted({*known, *self.relations} - NOT_JUDGED))

    def label(self, head: HeadId) -> str:
        """The head's first role with its detail, or ``NO_ROLE``."""
        found = self.evidence.get(head)
        return found[0].label if found else NO_ROLE

    def carriers(self) -> dict[str, tuple[HeadId, ...]]:
        """Kept heads by each label that they have evidence for, not only by their first.

        Labels come in the order of ``ROLES``, relations with the most dependents first.
        """
        found: dict[str, list[HeadId]] = {}
        every = [(head, one) for head, evidence in self.evidence.items() for one in evidence]
        roles, relations = list(ROLES), [*self.relations, *DELIMITERS, ""]
        every.sort(key=lambda pair: (roles.index(pair[1].role), relations.index(pair[1].detail)))
        for head, one in every:
            found.setdefault(one.label, []).append(head)
        return {label: tuple(heads) for label, heads in found.items()}


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
    now = after.carriers() if after else {
        label: tuple(head for head in heads if head not in mask.removed)
        for label, heads in before.items()
    }  # fmt: skip
    return tuple(
        RoleChange(label, before.get(label, ()), now.get(label, ()))
        for label in dict.fromkeys([*before, *now])
    )
