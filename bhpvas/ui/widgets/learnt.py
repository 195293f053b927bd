"""What to know of a figure: that it was measured on sentences that were learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bhpvas import text
from bhpvas.ui.jobs import learnt
from bhpvas.ui.state.session import Session

if TYPE_CHECKING:
    from bhpvas.evaluation.learnt_from import LearntFrom

#: Of a figure of steps some of which were measured on sentences that were learnt from.
OPEN = "Open marks: some of the sentences were learnt from, so it may look better than it is."

#: What looks better than it is where the splits share sentences, before anything is learnt.
MEASURED_AFTERWARDS = "what is measured afterwards may look better than it is"


def warn(found: LearntFrom | None) -> None:
    """Say it below a figure: nothing where no sentence was learnt from, a warning with the number
    where some were, and quietly where the scheme does not hold it.
    """
    if found is None:
        return
    for place, said in enumerate(found.warnings()):
        (st.warning if found.known and not place else st.caption)(text.verbatim(said))


def warn_briefly(found: LearntFrom | None) -> None:
    """The same in a narrow place."""
    if found is None or found.clean:
        return
    said = f"{found.line()[0].upper()}{found.line()[1:]}."
    if not found.known:
        st.caption(said)
        return
    if found.unseen is not None:
        said += f" The {found.unseen.n:,} others: {found.unseen.headline_text()}."
    st.warning(said)


def warn_of_common(session: Session, what: str) -> None:
    """Before something is learnt, or of what was: that the splits share sentences.

    ``what`` says what may look better than it is.
    """
    if common := learnt.in_common(session):
        evaluation = text.plural(len(session.data.evaluation), "evaluation sentence")
        verb = "is a calibration sentence" if common == 1 else "are calibration sentences"
        st.warning(f"{common:,} of the {evaluation} {verb}, too, so {what}.")
