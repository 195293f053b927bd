"""The frame around every page: model, data and scheme in the sidebar, and how to change them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bhpvas import text
from bhpvas.charts.step_texts import weights_origin
from bhpvas.data.tables import listed
from bhpvas.errors import BhpvasError, DataError, ModelError
from bhpvas.model.families import FAMILIES
from bhpvas.model.weights import weights_file
from bhpvas.ui.jobs import measuring, models, runner, tasks
from bhpvas.ui.persistence import kept_work, links
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import figures
from bhpvas.ui.widgets.downloads import download

if TYPE_CHECKING:
    from bhpvas.data.dataset import Splits
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.scheme.scheme import Scheme

STYLE = Path(__file__).with_name("style.css")
FILE_ENDINGS = ["tsv", "csv", "jsonl", "parquet"]
_SAMPLE_MODEL = "6 layers × 12 heads, fine-tuned for sentiment"
#: What stands in brackets, such as an interval, goes to the next line as a whole.
_BRACKETS, _TOGETHER = re.compile(r"(\([^()]{1,24}\))"), r"<span>\1</span>"
_SAMPLE, _UPLOAD, _HUB = "Sample", "Upload", "Hub id"


def open_session() -> None:
    """Give this browser a session, if it has none: the kept one that its address names, or a new
    one on the sample model and sentences.
    """
    st.html(STYLE)
    tasks.begin_run()
    figures.begin_run()
    if not sessions.is_open():
        try:
            with st.spinner("Loading the model"):
                runner.shared()
                kept_work.open_session(_session)
        except BhpvasError as error:
            st.error(text.verbatim(str(error)))
            st.stop()


@contextmanager
def way_out(pages: Sequence[Any]) -> Iterator[None]:
    """Where what stands inside cannot go on, its sentence on top, and what leads on from there.

    A model leaves for the models of others, and may not load again: its folder is gone, or the
    memory that it takes.
    """
    top = st.container()
    try:
        yield
    except BhpvasError as error:
        top.error(text.verbatim(str(error)))
        session = sessions.current()
        with st.sidebar:
            st.html('<div class="wordmark">bhpvas</div>')
            st.html(_rows({"Model": session.model or "sample", "Data": _short(session.data)}))
            _change(session)
            _save_button(session.scheme)
            _links(pages)


def messages(pages: Sequence[Any]) -> None:
    """What the top of every page says: what went wrong, what to know, what to go on with."""
    session = sessions.current()
    if session.error is not None:
        st.error(text.verbatim(session.error))
    if session.notice is not None:
        st.info(text.verbatim(session.notice))
    kept_work.offers(pages, _session)


def _session(model: str | None, data: Splits) -> Session:
    """A fresh session; raises :class:`BhpvasError` where the labels do not fit the model, and where
    the server does not allow so much.
    """
    from bhpvas.scheme.scheme import Scheme

    limits.current().check_model(model)
    limits.current().check_sentences(data)
    limits.current().check_text(data)
    classifier = models.classifier_named(model)
    data = _aligned(data, classifier.label_names)
    if limits.current().tokens is not None:
        tokens = sum(models.tokens(model, part) for part in (data.calibration, data.evaluation))
        limits.current().check_tokens(data.evaluation.name, tokens)
    return Session(model=model, data=data, scheme=Scheme.of(classifier, data=_about(data)))


def _aligned(data: Splits, label_names: tuple[str, ...]) -> Splits:
    return replace(
        data,
        calibration=data.calibration.aligned(label_names),
        evaluation=data.evaluation.aligned(label_names),
    )


def _about(data: Splits) -> dict[str, object]:
    return {"name": data.evaluation.name, "fingerprint": data.evaluation.fingerprint}


# --- the sidebar ----------------------------------------------------------------------------------


def sidebar(session: Session, pages: Sequence[Any] = ()) -> None:
    """Model, data, what the scheme keeps, costs and saves, and the way to the other pages."""
    models.classifier_named(session.model)  # raises before anything is drawn, or not at all
    start = tasks.want(measuring.evaluating(session, session.start))
    now = tasks.want(measuring.evaluating(session, session.now))
    models.lengths(
        session
    )  # before the new data are named, while the figures are still the old ones
    with st.sidebar:
        st.html('<div class="wordmark">bhpvas</div>')
        _model_and_data(session)
        st.divider()
        _scheme(session, start, now)
        _scheme_buttons(session)
        st.divider()
        _links(pages)


#: On a narrow screen the sidebar lies over the page, so it goes when a person goes to another one.
_FOLD = """export default function ({ parentElement }) {
  parentElement.fold ??= ({ target }) => {
    if (innerWidth > 768 || !target.closest('.st-key-pages a')) return;
    document.querySelector('[data-testid=stSidebarCollapseButton] button')?.click();
  };
  document.addEventListener('click', parentElement.fold);
  return () => document.removeEventListener('click', parentElement.fold);
}"""


def _links(pages: Sequence[Any]) -> None:
    with st.container(key="pages", gap="xsmall"):
        for page in pages:
            st.page_link(page, label=page.title, query_params=links.of_this_work())
    with st.container(key="listener-pages"):
        st.components.v2.component("fold_sidebar", js=_FOLD)(key="fold-sidebar")


def _model_and_data(session: Session) -> None:
    classifier = models.classifier_named(session.model)
    geometry, data = classifier.geometry, session.data
    rows = {
        "Model": f"{classifier.name} · {geometry.layers}{text.CROSS}{geometry.heads} · "
        f"{text.big(geometry.parameters)}",
        "Data": f"{_short(data)} · {len(data.calibration):,} + {len(data.evaluation):,}",
    }
    st.html(_rows(rows))
    _change(session)


def _change(session: Session) -> None:
    data = session.data
    st.button(
        "Change model or data",
        key="change",
        width="stretch",
        help=f"{text.plural(len(data.calibration), 'sentence')} to score heads on + "
        f"{len(data.evaluation):,} to measure on ({text.verbatim(data.made)}).",
        on_click=_dialog,
        args=(True,),
    )
    if session.dialog:
        choose_model_and_data()


def _dialog(shown: bool) -> None:
    sessions.change(partial(Session.asking_dialog, shown=shown))


def _short(data: Splits) -> str:
    return data.evaluation.name.split(" · ")[0]


def _scheme(session: Session, start: Evaluation | None, now: Evaluation | None) -> None:
    from bhpvas.model.cost import flops_per_sentence, parameters

    geometry = models.classifier_named(session.model).geometry
    mask, full = session.mask, session.scheme.mask_at(0)
    lengths = models.lengths(session)
    flops = flops_per_sentence(geometry, full, lengths), flops_per_sentence(geometry, mask, lengths)
    every, weights = mask.layers * mask.heads, weights_origin(session.scheme)
    rows = {
        "Scheme": session.scheme.name,
        "Heads": f"{mask.kept_count} of {every} kept"
        + (f", {len(mask.pruned)} not in this model" if mask.pruned else ""),
        **({} if weights is None else {"Weights": weights}),
        **_accuracy(session, start, now),
        "Parameters": _before_and_now(
            text.big(parameters(geometry, full)), text.big(parameters(geometry, mask))
        ),
        "FLOPs": f"{text.big(flops[1])} a sentence"
        + (f" ({text.relative_change(*flops)})" if mask.masked else ""),
    }
    st.html(_rows(rows))


def _accuracy(session: Session, start: Evaluation | None, now: Evaluation | None) -> dict[str, str]:
    from bhpvas.evaluation.comparison import accuracy_change_interval

    if now is None:
        stopped = measuring.evaluating(session, session.now).key in session.cancelled
        return {"Accuracy": "not measured" if stopped else "being measured"}
    found = {"Accuracy": _with_interval(now)}
    if session.now != session.start and start is not None:
        change, low, high = accuracy_change_interval(start, now)
        found["At start"] = _with_interval(start)
        found["Change"] = f"{text.signed(100 * change)} points {text.change_interval(low, high)}"
    return found | {"Measured on": text.plural(now.n, "sentence")}


def _with_interval(evaluation: Evaluation) -> str:
    return f"{text.percent(evaluation.accuracy)}% {text.interval(*evaluation.accuracy_interval)}"


def _before_and_now(before: str, now: str) -> str:
    return now if before == now else f"{before} {text.ARROW} {now}"


def _rows(rows: dict[str, str]) -> str:
    from html import escape

    cells = "".join(
        f'<div class="fact"><span>{escape(name)}</span>'
        f'<b id="{escape(name.lower().replace(" ", "-"))}">'
        f"{_BRACKETS.sub(_TOGETHER, escape(said))}</b></div>"
        for name, said in rows.items()
    )
    return f'<div class="facts">{cells}</div>'


def _scheme_buttons(session: Session) -> None:
    scheme = session.scheme
    with st.container(horizontal=True, gap="xsmall", key="history"):
        st.button(
            "Undo",
            on_click=_move,
            args=("undone",),
            disabled=not scheme.can_undo,
            icon=":material/undo:",
            width="stretch",
        )
        st.button(
            "Redo",
            on_click=_move,
            args=("redone",),
            disabled=not scheme.can_redo,
            icon=":material/redo:",
            width="stretch",
        )
    with st.container(horizontal=True, gap="xsmall", key="files"):
        _save_button(scheme)
        with st.popover("Load", icon=":material/upload:", width="stretch"):
            st.file_uploader(
                "A scheme file saved here or by the command line",
                type=["json", "zip"],
                key="scheme-file",
                on_change=_open_scheme,
                max_upload_size=limits.current().scheme_megabytes,
            )
        with st.popover("Link", icon=":material/link:", width="stretch"):
            links.popover(session)
    if said := kept_work.way_back(session):
        st.caption(said)


def _save_button(scheme: Scheme) -> None:
    """The scheme as one file; weights are packed only once somebody asks for them.

    A file that is made when it is asked for has another address after each run of the script, and
    a click on the old one leads nowhere. That of a small file stays for as long as its content.
    """
    from bhpvas.scheme.bundle import SchemeFile, read_weights, weights_of

    file, folder = SchemeFile(scheme), models.weights_folder()
    named = weights_of(scheme)
    missing = [one for one in named if not weights_file(folder, one).exists()]
    download(
        "Save",
        (lambda: SchemeFile(scheme, read_weights(scheme, folder)).to_bytes())
        if named
        else file.to_bytes(),
        file.name,
        mime="application/zip" if named else "application/json",
        key="save",
        icon=":material/download:",
        width="stretch",
        disabled=bool(missing),
        help="The weights of a recovery are not on this server any more: recover again."
        if missing
        else "The scheme as one file: every step, with what was measured and the weights it made.",
    )


def _move(how: str) -> None:
    sessions.change(lambda session: session.moved(getattr(session.scheme, how)()))


def _open_scheme() -> None:
    from bhpvas.scheme.bundle import read_scheme_file

    upload = st.session_state["scheme-file"]
    if upload is None:
        return
    allowed = limits.current()
    try:
        classifier = models.classifier_named(sessions.current().model)
        allowed.check_upload(upload.name, upload.getbuffer().nbytes, allowed.scheme_megabytes)
        most = 2 * allowed.scheme_megabytes * 2**20
        file = read_scheme_file(upload.getvalue(), upload.name, most_bytes=most)
        for weights in file.checked(classifier, upload.name):
            models.keep_weights(weights)
    except BhpvasError as error:
        sessions.put(replace(sessions.current(), error=str(error)))
        return
    sessions.change(partial(Session.opening, scheme=file.scheme))


# --- another model, other data --------------------------------------------------------------------


@st.dialog("Model and data", width="medium", on_dismiss=partial(_dialog, False))
def choose_model_and_data() -> None:
    """Choose both; nothing changes unless both load and fit each other."""
    session = sessions.current()
    if said := limits.current().said():
        st.caption(said)
    st.markdown("**Model**")
    model = _model_choice(session)
    st.markdown("**Data**")
    read = _data_choice(session)
    if len(session.scheme.steps) > 1:
        st.caption(
            f"The scheme {text.verbatim(repr(session.scheme.name))} belongs to this model: save "
            "it first if you want to keep it. Other data alone leaves it as it is."
        )
    # Pressed while its file is still on the way, it would find none: it waits for the file instead.
    pressed = st.button(
        "Use these",
        type="primary",
        key="use",
        disabled=read is None,
        help="Upload a file first." if read is None else None,
    )
    if pressed and read is not None:
        try:
            with st.spinner("Loading"):
                opened = _reopened(session, model, read())
        except BhpvasError as error:
            st.error(text.verbatim(str(error)))
            return
        sessions.put(opened)
        st.rerun()


def _reopened(session: Session, model: str | None, data: Splits) -> Session:
    """The session on another model or other data; the scheme stays where the model does."""
    if model == "":
        raise ModelError("No model is named: type a hub id such as owner/model, or a folder.")
    try:
        fresh = _session(model, data)
    except DataError as error:
        names = data.evaluation.label_names
        if data is not session.data or not all(re.fullmatch(r"LABEL_\d+", one) for one in names):
            raise
        raise DataError(
            f"The sentences have the labels {listed(names)} since they were opened with a model "
            "that has no names for them, and another model cannot tell which is which: choose them "
            "anew, by Sample, Upload or Hub id."
        ) from error
    known = session.scheme.model["fingerprint"]
    if model != session.model or fresh.scheme.model["fingerprint"] != known:
        return fresh  # in the same folder another model may lie by now
    scheme = replace(session.scheme, data=_about(fresh.data))
    return replace(fresh, scheme=scheme, selected=session.selected, deleted=session.deleted)


def _model_choice(session: Session) -> str | None:
    offered = limits.current().models
    if offered is not None:
        names = [_SAMPLE_MODEL, *offered]
        chosen = st.selectbox(
            "Model",
            names,
            index=names.index(session.model or _SAMPLE_MODEL),
            key="model-offered",
            label_visibility="collapsed",
        )
        return None if chosen == _SAMPLE_MODEL else chosen
    kind = st.segmented_control(
        "Model",
        [_SAMPLE, "Hub id or folder"],
        default=_SAMPLE if session.model is None else "Hub id or folder",
        required=True,
        key="model-kind",
        label_visibility="collapsed",
    )
    if kind == _SAMPLE:
        st.caption(f"{_SAMPLE_MODEL}; ships with bhpvas.")
        return None
    *titles, last = (family.title for family in FAMILIES.values())
    typed = st.text_input(
        f"Hub id or folder of a {', '.join(titles)} or {last} sequence classifier",
        value=session.model or "",
        placeholder="owner/model or owner/model@revision",
        key="model-id",
    )
    return typed.strip()


def _data_choice(session: Session) -> Callable[[], Splits] | None:
    """What reads the chosen data, called once the person says so; None as long as a file is to be
    uploaded.
    """
    offered = limits.current().data_sets
    kind = st.segmented_control(
        "Data",
        ["As now", _SAMPLE, _UPLOAD, *([_HUB] if offered is None or offered else [])],
        default="As now",
        required=True,
        key="data-kind",
        label_visibility="collapsed",
    )
    if kind == _SAMPLE:
        st.caption("720 labelled sentences, written for bhpvas.")
        return models.sample_data
    if kind == _HUB and offered is not None:
        chosen = st.selectbox("Data set of the hub", offered, key="data-offered")
        return lambda: _from_hub(chosen)
    if kind == _HUB:
        typed = st.text_input(
            "Hub id of a labelled data set",
            placeholder="owner/name, name:config or name@revision",
            key="data-id",
        )
        return lambda: _from_hub(typed.strip())
    if kind == _UPLOAD:
        upload = st.file_uploader(
            "Labelled sentences: a text and a label column, one row a sentence",
            type=FILE_ENDINGS,
            key="data-file",
            max_upload_size=limits.current().megabytes,
        )
        columns = _column_choice()
        return None if upload is None else lambda: _from_upload(upload, columns)
    data = session.data
    st.caption(
        f"{text.verbatim(_short(data))}: {text.plural(len(data.calibration), 'sentence')} to "
        f"score heads on, {len(data.evaluation):,} to measure on ({text.verbatim(data.made)})."
    )
    return lambda: session.data


def _column_choice() -> dict[str, str | None]:
    with st.expander("Column names, where they are not found by themselves"):
        return {
            role: st.text_input(label, key=f"column-{role}").strip() or None
            for role, label in (
                ("text", "Text"),
                ("pair", "Second text"),
                ("label", "Label"),
                ("split", "Split"),
            )
        }


def _from_upload(upload: Any, columns: dict[str, str | None]) -> Splits:
    from bhpvas.data.reading import read_splits

    allowed = limits.current()
    allowed.check_upload(upload.name, upload.getbuffer().nbytes, allowed.megabytes)
    return read_splits(
        upload,
        name=upload.name,
        text=columns["text"],
        pair=columns["pair"],
        label=columns["label"],
        split=columns["split"],
    )


def _from_hub(typed: str) -> Splits:
    """Read a hub id; a path of the server is none, since whoever has the link could read it."""
    from bhpvas.data.hub import HubId
    from bhpvas.data.reading import read_splits
    from bhpvas.data.tables import is_table_name

    limits.current().check_data_set(typed)
    if is_table_name(typed) or Path(typed).exists():
        raise DataError(f"{typed!r} names a file: choose Upload to use it.")
    return read_splits(str(HubId.parse(typed)))
