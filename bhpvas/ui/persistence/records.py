"""Record of a session: the scheme, and what the person chose and asked for, as JSON and back.

Which fields are kept, and by which key, the session itself says; results are measured again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import Field, fields, replace
from functools import partial
from typing import Any

from bhpvas.data.dataset import Splits
from bhpvas.errors import WorkspaceError
from bhpvas.heads import format_heads, parse_heads
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import (
    Curves,
    DeletedSteps,
    FamilySearch,
    Opened,
    PendingStep,
    Search,
    Session,
)


def recorded(session: Session) -> dict[str, Any]:
    """The session as JSON, without its sentences."""
    record = {key: _written(one.type, getattr(session, one.name)) for key, one in _KEPT.items()}
    if session.deleted:
        whole = session.scheme  # with all its deleted steps back, those deleted last first
        for deleted in reversed(session.deleted):
            whole = whole.rejoined(deleted.steps)
        record["uncut"] = _written("Scheme", whole)
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def restored(record: dict[str, Any], data: Splits) -> Session:
    """The session of a record, on its sentences.

    Raises :class:`~bhpvas.errors.WorkspaceError` where another version of bhpvas wrote it.
    """
    try:
        there = [(key, one) for key, one in _KEPT.items() if key in record or not _is_later(one)]
        kept = {one.name: _read(one.type, record[key]) for key, one in there}
        if kept["deleted"]:
            whole = _read("Scheme", record["uncut"])
            kept["deleted"] = tuple(_deleted(one, whole) for one in kept["deleted"])
        return Session(data=data, **kept)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            "It was kept by another version of bhpvas, and this one cannot read it: open it there "
            "and save its scheme as a file."
        ) from error


def _is_later(one: Field[Any]) -> bool:
    """Whether a record of an earlier version may lack a field."""
    return one.metadata.get("later", False)


def _deleted(record: dict[str, Any], whole: Scheme) -> DeletedSteps:
    steps = tuple(whole.step(step_id) for step_id in record["steps"])
    (before, redo_before), (after, redo_after) = record["before"], record["after"]
    return DeletedSteps(steps, (before, tuple(redo_before)), (after, tuple(redo_after)))


def _written(kind: Any, value: Any) -> Any:
    """A value as JSON, by the type of its field; as it is, where JSON has it."""
    return _FORMS[kind][0](value) if kind in _FORMS else value


def _read(kind: Any, value: Any) -> Any:
    """The value that :func:`_written` wrote."""
    return _FORMS[kind][1](value) if kind in _FORMS else value


def _parts(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    return {one.name: _written(one.type, getattr(value, one.name)) for one in fields(value)}


def _of_parts(kind: Any, record: dict[str, Any] | None) -> Any:
    if record is None:
        return None
    there = [one for one in fields(kind) if one.name in record]
    gone = _GONE.get(kind, frozenset())
    if record.keys() - {one.name for one in there} - gone:
        raise ValueError(record)
    return kind(**{one.name: _read(one.type, record[one.name]) for one in there})


def _tuning(record: dict[str, Any] | None) -> Any:
    from bhpvas.recovery.finetuning import TuningSettings

    return _of_parts(TuningSettings, record)


# Fields that records of earlier versions have.
_GONE: dict[Any, frozenset[str]] = {Opened: frozenset({"label"})}
_FORMS: dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "Scheme": (
        lambda scheme: json.loads(scheme.to_json()),
        lambda record: Scheme.from_json(json.dumps(record), "The work"),
    ),
    "frozenset[HeadId]": (format_heads, lambda text: frozenset(parse_heads(text))),
    "tuple[HeadId, ...]": (format_heads, parse_heads),
    "frozenset[int]": (sorted, frozenset),
    **dict.fromkeys(("tuple[str, ...]", "tuple[str | None, ...]"), (list, tuple)),
    "LearntSentences | None": (
        lambda learnt: None if learnt is None else learnt.to_text(),
        lambda text: None if text is None else LearntSentences.from_text(text),
    ),
    "NeuronSet | None": (
        lambda some: None if some is None else [some.width, *some.bits],
        lambda record: None if record is None else NeuronSet.of_bits(record[0], record[1:]),
    ),
    **dict.fromkeys(
        ("Weighed", "tuple[tuple[int, int], ...]"),
        (list, lambda rows: tuple(map(tuple, rows))),
    ),
    "tuple[DeletedSteps, ...]": (
        lambda deleted: [vars(one) | {"steps": [step.id for step in one.steps]} for one in deleted],
        tuple,
    ),
    **{
        f"{kind.__name__} | None": (_parts, partial(_of_parts, kind))
        for kind in (Curves, FamilySearch, Opened, PendingStep, Search)
    },
    "TuningSettings | None": (_parts, _tuning),
}
_KEPT = {
    one.metadata.get("key", one.name): one
    for one in fields(Session)
    if one.metadata.get("kept", True)
}


def untouched(session: Session, fresh: Session) -> bool:
    """Whether nothing but measuring has happened since a session was fresh."""

    def choices(one: Session) -> dict[str, Any]:
        unmeasured = tuple(replace(step, metrics={}) for step in one.scheme.steps)
        return recorded(replace(one, picks=0, scheme=replace(one.scheme, steps=unmeasured)))

    return session.data is fresh.data and choices(session) == choices(fresh)
