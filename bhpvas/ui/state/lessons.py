"""Progress in a lesson and in a tour: the step that is open, and those that are done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
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

    def opening(self, step: int) -> LessonProgress:
        """Another step open."""
        return replace(self, at=step)

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"at": self.at, "done": sorted(self.done)}

    @classmethod
    def of(cls, record: dict[str, Any]) -> LessonProgress:
        """The progress of a record."""
        return cls(record["at"], frozenset(record["done"]))


@dataclass(frozen=True)
class TourProgress:
    """The tour that this browser is on, or has ``left`` and can take up again.

    ``since`` is the number of the first step that it could have made.
    """

    tour: str
    progress: LessonProgress = field(default_factory=LessonProgress)
    since: int = 0
    left: bool = False

    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"name": self.tour, "since": self.since, "left": self.left, **self.progress.record()}

    @classmethod
    def of(cls, record: dict[str, Any]) -> TourProgress:
        """The progress of a record."""
        return cls(
            record["name"],
            LessonProgress.of(record),
            record.get("since", 0),
            record.get("left", False),
        )
