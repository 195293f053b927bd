"""Role tasks: what each head attends to, counted once and judged by any settings.

They stand here since the head maps of every page can show roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.interpret.parser import parser_identity
from bhpvas.ui.jobs import models, runner, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session, Variant

if TYPE_CHECKING:
    from bhpvas.interpret.align import Sentence
    from bhpvas.interpret.roles import Evidence, RoleCollector, Roles

#: Dependents that a relation needs at least, unless the person says otherwise.
FEWEST = 100


@dataclass(frozen=True, eq=False)
class Counted:
    """What every head does in parsed sentences, to be judged by any settings.

    ``weight`` are the collector's largest arrays, so that the job runner knows what it keeps.
    """

    sentences: tuple[Sentence, ...]
    collector: RoleCollector
    variant: Variant
    weight: object


def _parsing(session: Session) -> Task:
    """The calibration split, parsed."""
    classifier, data = models.classifier_named(session.model), session.data.calibration

    def do(job: Job) -> tuple[Sentence, ...]:
        from bhpvas.interpret.align import sentences_of

        return sentences_of(classifier, data, parser=session.parser, progress=job)

    return Task(
        key=("parses", classifier.identity, data.fingerprint, parser_identity(session.parser)),
        description=f"Parsing {text.plural(len(data), 'sentence')}",
        work=do,
        turn=2,
    )


def _counting(session: Session, variant: Variant, sentences: tuple[Sentence, ...]) -> Task:
    """What every kept head attends to, on the calibration split."""
    data, mask = session.data.calibration, variant.mask

    def do(job: Job) -> Counted:
        from bhpvas.interpret.roles import RoleCollector

        classifier = models.classifier_of(session, variant)
        geometry = classifier.geometry
        collector = RoleCollector(sentences, geometry.layers, geometry.heads)
        collector.count(classifier, data, mask=mask, progress=job)
        kept = collector.roles(mask).predictions
        return Counted(sentences, collector, variant, None if kept is None else kept.words)

    return Task(
        key=_counting_key(session, variant),
        description=f"Finding the roles of {text.plural(mask.kept_count, 'head')} "
        f"on {text.plural(len(data), 'sentence')}",
        work=do,
        turn=2,
    )


def _counting_key(session: Session, variant: Variant) -> tuple[object, ...]:
    data, parser = session.data.calibration.fingerprint, parser_identity(session.parser)
    return ("roles", *models.named(session, variant), data, parser)


def counted(session: Session, variant: Variant, *, ask: bool = True) -> Counted | None:
    """What the heads of a variant do, or None while that is (if asked for) still to be found."""
    found = runner.shared().result(_counting_key(session, variant))
    if found is not None or not ask:
        return found
    sentences = tasks.want(_parsing(session))
    return None if sentences is None else tasks.want(_counting(session, variant, sentences))


def judged(session: Session, found: Counted, fewest: int) -> Roles:
    """The roles by what was counted, where relations of so many dependents are judged."""
    from bhpvas.interpret.roles import RoleSettings

    return runner.shared().quick(
        ("judged", _counting_key(session, found.variant), fewest),
        lambda: found.collector.roles(
            found.variant.mask, session.data.calibration.name, RoleSettings(min_count=fewest)
        ),
    )


#: What to do about text that is plainly not English.
FOREIGN_WAY_OUT = "choose a parser of that language under “Change model or data”"


def fewest() -> int:
    """How many dependents a relation needs to be judged, by the Roles page."""
    return st.session_state.get("fewest", FEWEST)


def role_labels(session: Session) -> tuple[np.ndarray | None, np.ndarray | None]:
    """A tag and its evidence for each head ``[L, H]`` in the unpruned model, once they are known.

    Without them, they are on the list of what this run has to do.
    """
    known = counted(session, session.start)
    if known is None:
        return None, None
    roles = judged(session, known, fewest())
    every = list(roles.mask.every_head())
    shape = roles.mask.layers, roles.mask.heads
    found = [roles.evidence.get(head, ()) for head in every]
    tags = [one[0].tag if one else "" for one in found]
    said = [
        "".join(f"<br>{text.literal(evidence(one))}" for one in several[:2]) for several in found
    ]
    return np.array(tags).reshape(shape), np.array(said).reshape(shape)


def evidence(one: Evidence) -> str:
    """Why a head has a role, in a line."""
    from bhpvas.interpret.roles import ROLES

    title = ROLES[one.role].title + (f" ({one.detail})" if one.detail else "")
    rival = (
        f"best offset {text.signed(one.offset, 0)}: {text.percent(one.baseline, 0)}%"
        if one.offset is not None
        else f"of {one.count:,} tokens"
    )
    way = f", {one.direction}" if one.direction else ""
    return f"{title}: {text.percent(one.measured, 0)}%{way}, {rival}, {text.p_value(one.p)}"
