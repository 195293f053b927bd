"""What was read of the data: a line in the sidebar, with a table of both splits behind it."""

from __future__ import annotations

import streamlit as st

from bhpvas import text
from bhpvas.data.dataset import Splits
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.data_record import side_by_side
from bhpvas.ui.jobs import models
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import tables

# A name of a column is cut there in the line.
_LONGEST = 18


@st.fragment
def draw(session: Session) -> None:
    """The line; the sentences are looked at once it is opened, by a run of this alone."""
    line = text.verbatim(_line(session.data, models.classifier_named(session.model).notes))
    with st.popover(line, type="tertiary", key="read", on_change="rerun") as opened:
        if opened.open:
            try:
                _table(session)
            except BhpvasError as error:
                st.error(text.verbatim(str(error)))


def _line(data: Splits, of_the_model: tuple[str, ...]) -> str:
    """Columns, how labels were matched, and how many notes there are, shortly."""
    read = data.evaluation.provenance
    columns = [
        text.shortened(name, _LONGEST) for name in (read.text, read.pair, read.label) if name
    ]
    notes = len(dict.fromkeys(data.calibration.provenance.notes + read.notes + of_the_model))
    said = [
        f"Read: {', '.join(columns)}" if columns else "What was read",
        f"by {read.matched}" if read.matched else "",
        text.plural(notes, "note") if notes else "",
    ]
    return " · ".join(filter(None, said))


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
