"""Kept work: what the person did is there again when the page is.

On a person's own computer it is kept on disk as it changes, and the page's address names it. On a
server for strangers nothing is kept: there the address itself holds the scheme, while it can.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from bhpvas import text
from bhpvas.data.dataset import Splits
from bhpvas.errors import BhpvasError, LinkError, WorkspaceError
from bhpvas.storage.paths import workspaces_folder
from bhpvas.ui.jobs import models
from bhpvas.ui.persistence import links
from bhpvas.ui.persistence.links import Start
from bhpvas.ui.persistence.records import recorded, restored, untouched
from bhpvas.ui.persistence.workspaces import KeptWork, WorkChanged, Workspaces, new_id
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.lessons import LESSON, TOUR, LessonProgress, TourProgress
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import bring_back, kept_choices
from bhpvas.version import __version__

if TYPE_CHECKING:
    from bhpvas.scheme.link import Link

#: How many works are offered to go on with.
MOST_OFFERED = 3
_STATE = "bhpvas work"
_COPIED = (
    "This work was changed in another tab since this one read it. From here on this tab has a copy "
    "of its own; both are kept."
)


@dataclass
class _Work:
    """What this browser's work is called, and the state of it that lies on disk.

    ``link`` waits to be opened until the person agrees to load its model; ``trouble`` is why the
    work cannot be kept as it is.
    """

    fresh: Session | None = None
    id: str | None = None
    stamp: str | None = None
    content: dict[str, Any] | None = None
    data: tuple[Splits, str | None] | None = None
    offers: Sequence[KeptWork] = ()
    link: Link | None = None
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
    fresh = start(None, models.sample_data())
    mine = st.session_state[_STATE] = _Work(fresh=fresh)
    sessions.put(fresh)
    hosted, address = limits.current().hosted, st.query_params
    try:
        if links.PARAMETER in address:
            link = links.read(address[links.PARAMETER])
            if link.model is None or hosted:
                sessions.put(links.opened(link, start))
                del address[links.PARAMETER]
                return
            mine.link = link  # no request leaves this computer unasked
        if links.WORK in address and not hosted:
            sessions.put(_opened(address[links.WORK], start))
        elif not hosted and mine.link is None:
            mine.offers = store().latest(MOST_OFFERED)
    except BhpvasError as error:
        sessions.put(replace(fresh, error=str(error)))
        address.pop(links.WORK, None)
        if mine.link is None:
            address.pop(links.PARAMETER, None)


def _opened(work_id: str, start: Start) -> Session:
    """A kept session, which is this browser's from here on."""
    kept = store().read(work_id)
    content = kept.content
    model, name = content.get("model"), content.get("data")
    try:
        limits.current().check_model(model)
        data = start(model, models.sample_data()).data if name is None else store().read_data(name)
        session = restored(content, data)
        session.scheme.matches(models.classifier_named(model))
    except BhpvasError as error:
        raise WorkspaceError(f"The work {work_id} is kept, but cannot be opened. {error}") from None
    _apply(content)
    st.session_state[_STATE] = _Work(
        id=kept.id,
        stamp=kept.stamp,
        content=content,
        data=(session.data, name),
        link=_mine().link,
    )
    return session


def _apply(content: dict[str, Any]) -> None:
    """Settings and lessons as they were."""
    if content.get("version") == __version__:
        bring_back(content.get("settings", {}))
        if (lesson := content.get("lesson")) is not None:
            st.session_state[LESSON] = LessonProgress.of(lesson)
        if (tour := content.get("tour")) is not None:
            st.session_state[TOUR] = TourProgress.of(tour)


#: Asks for a run when the connection is there again, unless Streamlit does so itself.
_COME_BACK = """export default function ({ parentElement, setStateValue }) {
  const app = document.querySelector('[data-testid=stApp]');
  const state = () => app.dataset.testConnectionState;
  parentElement.watch?.disconnect();
  let gone = state() !== 'CONNECTED';
  parentElement.watch = new MutationObserver(() => {
    const back = gone && state() === 'CONNECTED';
    gone = state() !== 'CONNECTED';
    if (back && !['running', 'rerunRequested'].includes(app.dataset.testScriptState)) {
      setStateValue('back', Date.now());
    }
  });
  parentElement.watch.observe(app, { attributeFilter: ['data-test-connection-state'] });
  return () => parentElement.watch.disconnect();
}"""


def come_back() -> None:
    """Have the page drawn again when its connection is, by a new server, too.

    Upon reconnecting Streamlit itself asks for a run only where one was under way. A page at rest,
    and one whose link was clicked but not answered, would go on showing what the new server knows
    nothing of, and its downloads would lead nowhere.
    """
    with st.container(key="listener-connection"):
        st.components.v2.component("come_back", js=_COME_BACK)(
            key="come-back", on_back_change=lambda: None
        )


# --- keeping --------------------------------------------------------------------------------------


def keep(page: str) -> None:
    """Keep what changed; the address of the page names it. ``page`` is the page that is open."""
    mine, session = _mine(), sessions.current()
    new = mine.id is None and mine.fresh is not None and untouched(session, mine.fresh)
    if new or not _connected():
        return
    if limits.current().hosted:
        _put_in_address(session)
        return
    if len(session.scheme.steps) > 1:  # before, a page that moved under a click would be in the way
        mine.offers = ()
    try:
        content = _content(session, page)
        if content != mine.content:
            _write(content)
        mine.trouble = None
    except WorkspaceError as error:
        mine.trouble = str(error)
    if mine.id is not None and st.query_params.get(links.WORK) != mine.id:
        st.query_params[links.WORK] = mine.id


def _put_in_address(session: Session) -> None:
    mine = _mine()
    try:
        link, mine.trouble = links.link_of(session).to_text(), None
    except LinkError as error:
        mine.trouble = str(error)
        st.query_params.pop(links.PARAMETER, None)
    else:
        if st.query_params.get(links.PARAMETER) != link:
            st.query_params[links.PARAMETER] = link


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
    lesson: LessonProgress | None = state.get(LESSON)
    walk: TourProgress | None = state.get(TOUR)
    return recorded(session) | {
        "version": __version__,
        "page": page,
        "lesson": None if lesson is None else lesson.record(),
        "tour": None if walk is None else walk.record(),
        "data": _data_name(session.data),
        "settings": kept_choices(),
    }


def _data_name(data: Splits) -> str | None:
    """What the file of the sentences is called; None for the sample's."""
    mine = _mine()
    if mine.data is None or mine.data[0] is not data:
        mine.data = (data, None if links.is_sample(data) else store().keep_data(data))
    return mine.data[1]


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
        st.warning(text.verbatim(mine.trouble))
    if mine.link is not None:
        _ask_for_model(mine, start)
    if not mine.offers:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="offers"):
        st.caption("Continue where you left off:", width="content")
        pressed = [
            kept
            for kept in mine.offers
            if st.button(
                _label(kept), key=f"continue-{kept.id}", type="tertiary", icon=":material/history:"
            )
        ]
    if pressed:
        _go_on(pressed[0], pages, start)


def _go_on(kept: KeptWork, pages: Sequence[Any], start: Start) -> None:
    try:
        with st.spinner("Opening"):
            sessions.put(_opened(kept.id, start))
    except BhpvasError as error:
        sessions.put(replace(sessions.current(), error=str(error)))
        st.rerun()
    page = next((page for page in pages if page.url_path == kept.content.get("page")), pages[0])
    st.switch_page(page, query_params=links.of_this_work() | {links.WORK: kept.id})


def _ask_for_model(mine: _Work, start: Start) -> None:
    assert mine.link is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="linked"):
        model = text.verbatim((mine.link.model or "")[:80])
        st.info(f"This link is of the model {model}.", width="stretch")
        agreed = st.button("Load it and open the link", key="open-link")
        if not st.button("Leave it", key="leave-link", type="tertiary") and not agreed:
            return
    link, mine.link = mine.link, None
    st.query_params.pop(links.PARAMETER, None)
    if agreed:
        try:
            with st.spinner("Loading the model"):
                sessions.put(links.opened(link, start))
            st.session_state[_STATE] = _Work()  # what was done here before stays kept as it is
        except BhpvasError as error:
            sessions.put(replace(sessions.current(), error=str(error)))
    st.rerun()


def way_back(session: Session) -> str:
    """Where strangers find their work again; empty where it is kept."""
    if not limits.current().hosted:
        return ""
    if _mine().trouble is not None:
        return "Not kept on this server: save the scheme to come back to it."
    if not links.is_sample(session.data):
        return "Kept in this page's address, not on this server; your sentences are not."
    return "Kept in this page's address, not on this server."


def _neurons_removed(scheme: dict[str, Any]) -> int:
    """How many neurons a scheme, as JSON, removes at its current step."""
    steps, at, count = {one["id"]: one for one in scheme["steps"]}, scheme["current"], 0
    while (step := steps.get(at)) is not None:
        if (neurons := step.get("neurons")) is not None:
            change = sum(int(bits or "0", 16).bit_count() for bits in neurons["bits"])
            count += -change if step["what"] == "restore" else change
        at = step.get("parent")
    return count


def _label(kept: KeptWork) -> str:
    scheme = kept.content["scheme"]
    heads, steps = len(scheme["removed_heads"]), len(scheme["steps"]) - 1
    removed = text.heads_and_neurons(heads, _neurons_removed(scheme)) or "0 heads"
    said = [text.verbatim(scheme["name"][:40]), f"{removed} removed"]
    if steps:
        said.append(text.plural(steps, "step"))
    return " · ".join([*said, text.ago(time.time() - kept.saved)])
