"""What was read of the data: a line in the sidebar, with a table of both splits behind it.

How the model reads the sentences is known once they are tokenised; of many, that comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bhpvas import text
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.data_record import data_record, side_by_side
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import tables

if TYPE_CHECKING:
    from bhpvas.evaluation.data_record import DataRecord

# A name of a column is cut there in the line.
_LONGEST = 18


def draw(session: Session) -> None:
    """The line, and the table once it is opened."""
    _opens(text.verbatim(_line(session, tasks.promptly(_looking(session)))), session)


@st.fragment
def _opens(line: str, session: Session) -> None:
    with st.popover(line, type="tertiary", key="read", on_change="rerun") as opened:
        if opened.open:
            try:
                _table(session)
            except BhpvasError as error:
                st.error(text.verbatim(str(error)))


def _looking(session: Session) -> Task:
    """What was read of both splits as the model reads them, however little it knows of them."""
    classifier = models.classifier_named(session.model)
    parts = (session.data.calibration, session.data.evaluation)

    def do(job: Job) -> tuple[DataRecord, DataRecord]:
        learnt, measured = (
            data_record(classifier, part, classifier.encode_texts(part.texts, part.pairs))
            for part in parts
        )
        return learnt, measured

    key = ("read", classifier.identity, *(part.identity for part in parts))
    sentences = text.plural(sum(map(len, parts)), "sentence")
    return Task(key, f"Looking how the model reads {sentences}", do, turn=3)


def _line(session: Session, found: tuple[DataRecord, DataRecord] | None) -> str:
    """Columns, how labels were matched, what the model cannot read, and how many notes there are,
    shortly.
    """
    learnt, measured = (
        part.provenance for part in (session.data.calibration, session.data.evaluation)
    )
    columns = [
        text.shortened(name, _LONGEST)
        for name in (measured.text, measured.pair, measured.label)
        if name
    ]
    notes = learnt.notes + measured.notes + models.classifier_named(session.model).notes
    for record in found or ():
        notes += record.notes
    said = [
        f"Read: {', '.join(columns)}" if columns else "What was read",
        f"by {measured.matched}" if measured.matched else "",
        *(_unread(*found) if found else ()),
        text.plural(len(dict.fromkeys(notes)), "note") if notes else "",
    ]
    return " · ".join(filter(None, said))


def _unread(learnt: DataRecord, measured: DataRecord) -> list[str]:
    """Sentences that are cut and tokens that are unknown, of both splits; nothing of none."""
    cut = learnt.truncated + measured.truncated
    fewer, more = sorted((learnt, measured), key=lambda part: part.unknown_share)
    up_to = "up to " if fewer.unknown_share < more.unknown_share else ""
    unknown = f"{up_to}{more.facts()['Unknown tokens']} unknown tokens"
    return [
        f"{text.plural(cut, 'sentence')} cut" if cut else "",
        unknown if more.unknown_share else "",
    ]


def _table(session: Session) -> None:
    learnt, measured = (
        models.record(session.model, part)
        for part in (session.data.calibration, session.data.evaluation)
    )
    rows = [
        [tables.name(name), tables.text(one), tables.text(other)]
        for name, one, other in side_by_side(learnt, measured)
    ]
    with st.container(key="read-table"):
        tables.reading_table(["", "To score heads", "To measure"], rows, height=420)
    for note in dict.fromkeys(learnt.notes + measured.notes):
        st.caption(text.verbatim(note))
