"""Links: what the person sees as an address, and the way back to it on any server of this kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from bhpvas import text
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import DataError, LinkError
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.tasks.single_label import SingleLabel
from bhpvas.ui.jobs import models
from bhpvas.ui.state import limits
from bhpvas.ui.state.session import Opened, Session

if TYPE_CHECKING:
    from bhpvas.scheme.link import Link

#: Makes a session of a model and sentences, as when it is opened afresh.
Start = Callable[[str | None, Splits], Session]

#: The names in the page's address: of a link, and of work that is kept.
PARAMETER, WORK = "link", "work"
#: A longer sentence cannot be typed either.
LONGEST_SENTENCE = 2000


def is_sample(data: Splits) -> bool:
    """Whether a session's sentences are the ones that ship with the project, labels and all."""
    sample = models.sample_data()
    return _same(data.calibration, sample.calibration) and _same(data.evaluation, sample.evaluation)


def _same(data: Dataset, sample: Dataset) -> bool:
    """Whether a session's sentences are those of the sample, however the model names the labels."""
    if data.texts != sample.texts or data.groups != sample.groups:
        return False
    try:
        return (
            data.labels.dtype == sample.labels.dtype
            and data.fingerprint == sample.aligned(data.label_names).fingerprint
        )
    except DataError:
        return False


def read(link: str) -> Link:
    """What a link holds; raises :class:`LinkError` for anything else."""
    from bhpvas.scheme.link import Link  # the app is drawn before pydantic is loaded

    return Link.from_text(link)


def link_of(session: Session) -> Link:
    """What a link to the session holds."""
    from bhpvas.scheme.link import Link

    sentence, row, typed = session.opened, None, None
    if sentence is not None and sentence.row is not None and is_sample(session.data):
        row = (sentence.split, sentence.row)
    elif sentence is not None:
        typed = (sentence.text[:LONGEST_SENTENCE], sentence.pair)
    data = session.data.evaluation
    return Link(
        scheme=session.scheme,
        model=session.model,
        data=(data.fingerprint[:16], data.name),
        row=row,
        text=typed,
        selected=session.selected,
    )


def opened(link: Link, start: Start) -> Session:
    """The session that a link leads to, on the sample sentences.

    Raises :class:`BhpvasError` where its model cannot be opened or is another by now.
    """
    limits.current().check_model(link.model)
    session = start(link.model, models.sample_data())
    classifier = models.classifier_named(link.model)
    link.scheme.matches(classifier)
    scheme = link.scheme
    if link.learnt:
        prints = classifier.encode(session.data.calibration).fingerprints
        scheme = link.knowing([LearntSentences.of(prints)])
    # What made the model itself is in its folder, where there is one, and in no address.
    made = session.scheme.steps[0]
    begin = replace(scheme.steps[0], method=made.method, learnt_from=made.learnt_from)
    scheme = replace(
        scheme,
        model=session.scheme.model,
        data=session.scheme.data,
        steps=(begin, *scheme.steps[1:]),
    )
    return replace(
        session,
        scheme=scheme,
        selected=link.selected,
        opened=_sentence(link, session),
        notice=_other_data(link, session),
    )


def _sentence(link: Link, session: Session) -> Opened | None:
    if link.row is not None:
        split, row = link.row
        if row >= len(session.sentences_of(split)):
            raise LinkError(
                "The link names a sentence that the sample does not have: ask for the link anew."
            )
        return session.sentence_at(row, split)
    if link.text is not None:
        typed, pair = link.text
        return Opened(typed[:LONGEST_SENTENCE], None if pair is None else pair[:LONGEST_SENTENCE])
    return None


def _other_data(link: Link, session: Session) -> str | None:
    here = session.data.evaluation
    if link.data is None or link.data[0] == here.fingerprint[:16]:
        return None
    return (
        "This link was made on other sentences, which no link holds: the numbers here are of "
        f"{here.name}."
    )


def of_this_work() -> dict[str, str]:
    """What names this work in the page's address; every way to another page takes it along.

    Left to itself, Streamlit drops it on the way: a server that is killed before the other page has
    put it there again would not know, once it is back, whose page it draws. And told nothing, it
    refuses to switch where the value of one of the page's widgets stands in the address.
    """
    found = st.query_params
    return {name: found[name] for name in (WORK, PARAMETER) if name in found}


def address(session: Session) -> str:
    """The address that shows this page, scheme and sentence.

    Raises :class:`LinkError` where no address can hold the scheme.
    """
    others = {
        name: value for name, value in st.query_params.items() if name not in (WORK, PARAMETER)
    }
    query = urlencode({PARAMETER: link_of(session).to_text(), **others})
    return f"{(st.context.url or '').split('?')[0]}?{query}"


def popover(session: Session) -> None:
    """The link, to be copied, and what it holds."""
    task = models.task_of(session)
    if not isinstance(task, SingleLabel):
        st.caption(
            "A link opens on the sample sentences, each of which has one label: it cannot lead to "
            f"a model that gives {task.title}. Save the scheme as a file instead."
        )
        return
    try:
        st.code(address(session), language=None, wrap_lines=True)
    except LinkError as error:
        st.caption(text.verbatim(str(error)))
        return
    left_out = (
        ""
        if is_sample(session.data)
        else " The sentences that you measure on do not travel, nor which ones steps learnt from."
    )
    st.caption(
        "This address shows the same page, scheme, selected heads and sentence in any browser that "
        "reaches this server; for another bhpvas, put its address before the “?”. Numbers are "
        f"measured again where it is opened.{left_out}"
    )
