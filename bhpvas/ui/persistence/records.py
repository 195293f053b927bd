"""A session as JSON and back: the scheme, and what the person chose and asked for.

What is made in seconds by one click (latencies, an export, a report) is left out; so are results,
which are measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from bhpvas.data.dataset import Splits
from bhpvas.errors import WorkspaceError
from bhpvas.heads import format_heads, parse_heads
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step
from bhpvas.ui.state.session import Curves, DeletedSteps, Opened, PendingStep, Search, Session

# Fields that JSON holds as they are.
_PLAIN = ("picks", "ablating", "measuring", "cost_asked", "labelled", "split", "recovering")
_HEADS = ("selected", "switched", "turned")


def recorded(session: Session) -> dict[str, Any]:
    """The session as JSON, without its sentences."""
    record: dict[str, Any] = {
        "model": session.model,
        "scheme": json.loads(session.scheme.to_json()),
        "sentences": sorted(session.sentences),
        "opened": None if session.opened is None else asdict(session.opened),
        "curves": None if session.curves is None else asdict(session.curves),
        "tuning": None if session.tuning is None else asdict(session.tuning),
        "search": None if session.search is None else _of_search(session.search),
        "wish": None if session.pending is None else _of_wish(session.pending),
        "cuts": [
            {"steps": [step.id for step in cut.steps], "before": cut.before, "after": cut.after}
            for cut in session.deleted
        ],
    }
    record |= {name: getattr(session, name) for name in _PLAIN}
    record |= {name: format_heads(getattr(session, name)) for name in _HEADS}
    if session.deleted:
        record["uncut"] = json.loads(_uncut(session).to_json())
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def restored(record: dict[str, Any], data: Splits) -> Session:
    """The session of a record, on its sentences.

    Raises :class:`~bhpvas.errors.WorkspaceError` where another version of bhpvas wrote it.
    """
    try:
        return _restored(record, data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            "It was kept by another version of bhpvas, and this one cannot read it: open it there "
            "and save its scheme as a file."
        ) from error


def _restored(record: dict[str, Any], data: Splits) -> Session:
    given = {name: record[name] for name in _PLAIN}
    given |= {name: frozenset(parse_heads(record[name])) for name in _HEADS}
    return Session(
        model=record["model"],
        data=data,
        scheme=_scheme(record["scheme"]),
        sentences=frozenset(record["sentences"]),
        opened=None if record["opened"] is None else Opened(**record["opened"]),
        curves=_curves(record["curves"]),
        tuning=_tuning(record["tuning"]),
        search=_search(record["search"]),
        pending=_wish(record["wish"]),
        deleted=tuple(_cuts(record)),
        **given,
    )


def _scheme(document: dict[str, Any]) -> Scheme:
    return Scheme.from_json(json.dumps(document), "The work")


# --- what is asked for ----------------------------------------------------------------------------


def _of_search(search: Search) -> dict[str, Any]:
    return {**vars(search), "protected": format_heads(search.protected)}


def _search(record: dict[str, Any] | None) -> Search | None:
    if record is None:
        return None
    weighed = tuple((name, weight, means) for name, weight, means in record.get("weighed", ()))
    protected = frozenset(parse_heads(record["protected"]))
    return Search(**record | {"protected": protected, "weighed": weighed})


def _of_wish(wish: PendingStep) -> dict[str, Any]:
    return {**vars(wish), "heads": format_heads(wish.heads)}


def _wish(record: dict[str, Any] | None) -> PendingStep | None:
    return (
        None if record is None else PendingStep(**record | {"heads": parse_heads(record["heads"])})
    )


def _curves(record: dict[str, Any] | None) -> Curves | None:
    if record is None:
        return None
    chosen = {name: tuple(record[name]) for name in ("methods", "recoveries")}
    return Curves(**record | chosen)


def _tuning(record: dict[str, Any] | None) -> Any:
    if record is None:
        return None
    from bhpvas.recovery.finetuning import TuningSettings

    return TuningSettings(**record)


# --- deleted steps --------------------------------------------------------------------------------


def _uncut(session: Session) -> Scheme:
    """The scheme with all its deleted steps back, those deleted last first."""
    scheme = session.scheme
    for cut in reversed(session.deleted):
        scheme = scheme.rejoined(cut.steps)
    return scheme


def _cuts(record: dict[str, Any]) -> Iterable[DeletedSteps]:
    if not record["cuts"]:
        return
    uncut = _scheme(record["uncut"])
    for cut in record["cuts"]:
        steps: tuple[Step, ...] = tuple(uncut.step(one) for one in cut["steps"])
        (before, back), (after, on) = cut["before"], cut["after"]
        yield DeletedSteps(steps, (before, tuple(back)), (after, tuple(on)))


# --- what is worth keeping ------------------------------------------------------------------------


def untouched(session: Session, fresh: Session) -> bool:
    """Whether nothing but measuring has happened since a session was fresh."""

    def choices(one: Session) -> dict[str, Any]:
        unmeasured = tuple(replace(step, metrics={}) for step in one.scheme.steps)
        return recorded(replace(one, picks=0, scheme=replace(one.scheme, steps=unmeasured)))

    return session.data is fresh.data and choices(session) == choices(fresh)
