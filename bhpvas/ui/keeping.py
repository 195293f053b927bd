"""Work that survives: kept on this computer as it changes, found again by the page's address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from bhpvas.charts import words
from bhpvas.datasets import Splits
from bhpvas.errors import BhpvasError, WorkspaceError
from bhpvas.paths import workspaces_folder
from bhpvas.ui import limits, work
from bhpvas.ui import session as sessions
from bhpvas.ui.records import recorded, restored, untouched
from bhpvas.ui.session import Session
from bhpvas.version import __version__
from bhpvas.workspaces import Kept, WorkChanged, Workspaces, new_id

#: Makes a session of a model and sentences, as when it is opened afresh.
Start = Callable[[str | None, Splits], Session]

#: The name in the page's address.
PARAMETER = "work"
#: How many works are offered to go on with.
MOST_OFFERED = 3
#: Settings whose choices are the same whatever the model, the data and the scheme are.
SETTINGS = (
    *("colour", "stable", "pointer", "weight-importance", "weight-stability", "weight-similarity"),
    *("view", "method", "how-many", "share", "max-drop", "search-seed", "recovery"),
    *("tune-epochs", "tune-rate", "tune-distillation", "tune-batch", "tune-temperature"),
    *("tune-warmup", "tune-decay", "tune-seed", "tune-embeddings"),
    *("units", "marks", "threshold", "saliency", "contribution", "click"),
)
_STATE = "bhpvas work"
_COPIED = (
    "This work was changed in another tab since this one read it. From here on this tab has a copy "
    "of its own; both are kept."
)


@dataclass
class _Work:
    """What this browser's work is called, and the state of it that lies on disk."""

    fresh: Session | None = None
    id: str | None = None
    stamp: str | None = None
    content: dict[str, Any] | None = None
    data: tuple[Splits, str | None] | None = None
    offers: Sequence[Kept] = ()
    trouble: str | None = None


def _mine() -> _Work:
    found: _Work = st.session_state.setdefault(_STATE, _Work())
    return found


def store() -> Workspaces:
    """The works of this computer's user."""
    return Workspaces(workspaces_folder())


# --- opening --------------------------------------------------------------------------------------


def open_session(start: Start) -> None:
    """Give this browser the session that its address names, or a fresh one.

    Raises :class:`BhpvasError` where not even the sample can be opened.
    """
    fresh = start(None, work.sample_data())
    mine = st.session_state[_STATE] = _Work(fresh=fresh)
    sessions.put(fresh)
    if limits.current().hosted:
        return
    asked = st.query_params.get(PARAMETER)
    if asked is None:
        mine.offers = store().latest(MOST_OFFERED)
        return
    try:
        sessions.put(_opened(asked, start))
    except BhpvasError as error:
        sessions.put(replace(fresh, error=str(error)))
        del st.query_params[PARAMETER]


def _opened(work_id: str, start: Start) -> Session:
    """A kept session, which is this browser's from here on."""
    kept = store().read(work_id)
    content = kept.content
    try:
        session = _session(content, start)
    except BhpvasError as error:
        raise WorkspaceError(f"The work {work_id} is kept, but cannot be opened. {error}") from None
    _apply(content)
    st.session_state[_STATE] = _Work(
        id=kept.id,
        stamp=kept.stamp,
        content=content,
        data=(session.data, content.get("data")),
    )
    return session


def _session(content: dict[str, Any], start: Start) -> Session:
    model, name = content.get("model"), content.get("data")
    limits.current().check_model(model)
    data = start(model, work.sample_data()).data if name is None else store().read_data(name)
    session = restored(content, data)
    session.scheme.matches(work.classifier_named(model))
    return session


def _apply(content: dict[str, Any]) -> None:
    """Settings as they were, those that the address itself holds excepted."""
    if content.get("version") == __version__:
        for key, value in content.get("settings", {}).items():
            if key in SETTINGS and key not in st.query_params:
                st.session_state[key] = value


# --- keeping --------------------------------------------------------------------------------------


def keep(page: str) -> None:
    """Keep what changed; the address of the page names it. ``page`` is the page that is open."""
    if limits.current().hosted or not _connected():
        return
    mine, session = _mine(), sessions.current()
    if mine.id is None and mine.fresh is not None and untouched(session, mine.fresh):
        return
    mine.offers = ()
    try:
        content = _content(session, page)
        if content != mine.content:
            _write(content)
        mine.trouble = None
    except WorkspaceError as error:
        mine.trouble = str(error)
    if mine.id is not None and st.query_params.get(PARAMETER) != mine.id:
        st.query_params[PARAMETER] = mine.id


def _write(content: dict[str, Any]) -> None:
    mine, works = _mine(), store()
    begun = mine.id is None
    work_id = mine.id or new_id()
    try:
        stamp = works.write(work_id, content, after=mine.stamp)
    except WorkChanged:
        work_id, begun = new_id(), True
        stamp = works.write(work_id, content, after=None)
        sessions.put(replace(sessions.current(), notice=_COPIED))
    mine.id, mine.stamp, mine.content = work_id, stamp, content
    if begun:
        works.tidy()


def _content(session: Session, page: str) -> dict[str, Any]:
    state = st.session_state
    return recorded(session) | {
        "version": __version__,
        "page": page,
        "data": _data_name(session.data),
        "settings": {key: state[key] for key in SETTINGS if _is_plain(state.get(key))},
    }


def _data_name(data: Splits) -> str | None:
    """What the file of the sentences is called; None for the sample's."""
    mine = _mine()
    if mine.data is None or mine.data[0] is not data:
        sample = work.sample_data()
        same = data.evaluation.texts == sample.evaluation.texts
        same = same and data.calibration.texts == sample.calibration.texts
        mine.data = (data, None if same else store().keep_data(data))
    return mine.data[1]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _connected() -> bool:
    """Whether a browser still listens; a run of the script may outlive its page.

    What such a run finishes is finished again by the page that comes back, so it keeps nothing:
    that would look as if two tabs had changed the same work.
    """
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return True
    return bool(runtime.get_instance().is_active_session(context.session_id))


# --- on screen ------------------------------------------------------------------------------------


def offers(pages: Sequence[Any], start: Start) -> None:
    """The latest works, on a fresh page; and what keeps this one from being kept."""
    mine = _mine()
    if mine.trouble is not None:
        st.warning(mine.trouble)
    if not mine.offers:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="offers"):
        st.caption("Continue where you left off:", width="content")
        pressed = [
            kept
            for kept in mine.offers
            if st.button(_label(kept), key=f"continue-{kept.id}", type="tertiary")
        ]
    if pressed:
        _go_on(pressed[0], pages, start)


def _go_on(kept: Kept, pages: Sequence[Any], start: Start) -> None:
    try:
        with st.spinner("Opening"):
            sessions.put(_opened(kept.id, start))
    except BhpvasError as error:
        sessions.put(replace(sessions.current(), error=str(error)))
        st.rerun()
    page = next((page for page in pages if page.url_path == kept.content.get("page")), pages[0])
    st.switch_page(page, query_params={PARAMETER: kept.id})


def _label(kept: Kept) -> str:
    scheme = kept.content["scheme"]
    removed, steps = len(scheme["removed_heads"]), len(scheme["steps"]) - 1
    # A label is read as Markdown, which could fetch a picture.
    name = re.sub(r"[^\w .,+-]", " ", scheme["name"])[:40]
    said = [name, f"{removed} heads removed" if removed != 1 else "1 head removed"]
    if steps:
        said.append(words.plural(steps, "step"))
    return " · ".join([*said, words.ago(time.time() - kept.saved)])
