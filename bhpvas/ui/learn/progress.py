"""How far a person is in something that is learnt step by step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """The step that is open, and every step that was done at some time: it stays done."""

    at: int = 0
    done: frozenset[int] = frozenset()

    def noticing(self, steps: Collection[int]) -> Progress:
        """These steps done as well."""
        return replace(self, done=self.done | frozenset(steps))

    def going(self, step: int) -> Progress:
        """Another step open."""
        return replace(self, at=step)
