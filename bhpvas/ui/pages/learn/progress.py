"""How far a person is in something that is learnt step by step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

#: Where a browser's progress through the lesson and its tour stand in Streamlit's state.
LESSON, TOUR = "bhpvas lesson", "bhpvas tour"


@dataclass(frozen=True)
class LessonProgress:
    """The step that is open, and every step that was done at some time: it stays done."""

    at: int = 0
    done: frozenset[int] = frozenset()

    def noticing(self, steps: Collection[int]) -> LessonProgress:
        """These steps done as well."""
        return replace(self, done=self.done | frozenset(steps))

    def going(self, step: int) -> LessonProgress:
        """Another step open."""
        return replace(self, at=step)

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"at": self.at, "done": sorted(self.done)}

    @classmethod
    def of(cls, record: dict[str, Any]) -> LessonProgress:
        """The progress of a record."""
        return cls(record["at"], frozenset(record["done"]))
