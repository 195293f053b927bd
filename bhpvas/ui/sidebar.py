"""Sidebar: model, data, what the scheme keeps, costs and saves, and the way to the other pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from bhpvas import text
from bhpvas.charts.step_texts import weights_origin
from bhpvas.errors import BhpvasError
from bhpvas.model.weights import weights_file
from bhpvas.ui import data_read, model_and_data
from bhpvas.ui.jobs import learnt, measuring, models, tasks
from bhpvas.ui.persistence import kept_work, links
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.learnt import warn_briefly

if TYPE_CHECKING:
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.heads import HeadMask
    from bhpvas.scheme.scheme import Scheme

_WORDMARK = '<div class="wordmark">bhpvas</div>'
#: Accuracy of the sample model on the validation part of SST-2, by its card (README.md of
#: sample_data/model).
SAMPLE_ON_SST2 = 0.908
# The tags of the sample sentences of which the model gets most right, and least.
_EXTREMES = ("plain", "irony")
#: What stands in brackets, such as an interval, goes to the next line as a whole.
_BRACKETS, _TOGETHER = re.compile(r"(\([^()]{1,24}\))"), r"<span>\1</span>"


def draw(session: Session, pages: Sequence[Any]) -> None:
    """Model, data, what the scheme keeps, costs and saves, and the way to the other pages."""
    models.classifier_named(session.model)  # raises before anything is drawn, or not at all
    start = tasks.want(measuring.evaluating(session, session.start))
    now = tasks.want(measuring.evaluating(session, session.now))
    # Before the new data are named, while the figures are still the old ones.
    models.lengths(session)
    with st.sidebar:
        st.html(_WORDMARK)
        _model_and_data(session)
        st.divider()
        _scheme(session, start, now)
        _scheme_buttons(session)
        st.divider()
        _links(pages)


def draw_way_out(session: Session, pages: Sequence[Any]) -> None:
    """What is left where a page cannot go on: to change model or data, to save, to go elsewhere."""
    with st.sidebar:
        st.html(_WORDMARK)
        name = model_and_data.short_name(session.data)
        st.html(_rows({"Model": session.model or "sample", "Data": name}))
        _change(session)
        _save_button(session.scheme)
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
    name, setting = model_and_data.short_name(data), models.task_of(session).setting
    rows = {
        "Model": f"{classifier.name} · {geometry.layers}{text.CROSS}{geometry.heads} · "
        f"{text.big(geometry.parameters)}" + (f" · {setting}" if setting else ""),
        "Data": f"{name} · {len(data.calibration):,} + {len(data.evaluation):,}",
    }
    with st.container(key="data", gap=None):
        st.html(_rows(rows))
        data_read.draw(session)
    _change(session)


def _change(session: Session) -> None:
    data = session.data
    st.button(
        "Change model or data",
        key="change",
        width="stretch",
        help=f"{text.plural(len(data.calibration), 'sentence')} to score heads on + "
        f"{len(data.evaluation):,} to measure on ({text.verbatim(data.made)}).",
        on_click=sessions.change,
        args=(Session.asking_dialog, True),
    )
    if session.dialog:
        model_and_data.choose_model_and_data()


def _scheme(session: Session, start: Evaluation | None, now: Evaluation | None) -> None:
    from bhpvas.evaluation.label_doubt import label_doubt
    from bhpvas.model.cost import flops_per_sentence, parameters

    geometry = models.classifier_named(session.model).geometry
    mask, full = session.mask, session.scheme.mask_at(0)
    lengths = models.lengths(session)
    flops = flops_per_sentence(geometry, full, lengths), flops_per_sentence(geometry, mask, lengths)
    before, left = (text.big(parameters(geometry, one)) for one in (full, mask))
    every, weights = mask.layers * mask.heads, weights_origin(session.scheme)
    measured = {
        "Scheme": session.scheme.name,
        "Heads": f"{mask.kept_count} of {every} kept"
        + (f", {len(mask.pruned)} not in this model" if mask.pruned else ""),
        **_neurons(mask),
        **({} if weights is None else {"Weights": weights}),
        **_headline(session, start, now),
    }
    costs = {
        "Parameters": before if before == left else f"{before} {text.ARROW} {left}",
        "FLOPs": f"{text.big(flops[1])} a sentence"
        + (f" ({text.relative_change(*flops)})" if mask.changes else ""),
    }
    above, below = _rows(measured), _about_the_sample(session, now) + _rows(costs)
    origin = learnt.counted(session)
    if origin is None or origin.clean:
        st.html(above + below)
    else:
        st.html(above)
        warn_briefly(origin)
        st.html(below)
    if (said := models.only_masks(session)) is not None:
        st.caption(text.verbatim(said))
    if start is not None and start.complete and start.is_single_label:
        doubt = label_doubt(start.confusion, start.label_names)
        if doubt is not None:
            st.warning(text.verbatim(doubt))


def _neurons(mask: HeadMask) -> dict[str, str]:
    """How many feed-forward neurons are kept, where some are removed."""
    neurons = mask.neurons
    if neurons is None:
        return {}
    every, lacking = mask.layers * neurons.width, mask.pruned_neurons
    kept = f"{every - len(neurons):,} of {every:,} kept"
    return {"Neurons": kept if lacking is None else f"{kept}, {len(lacking):,} not in this model"}


def _about_the_sample(session: Session, now: Evaluation | None) -> str:
    """What the accuracy on the sample sentences is of: by their tags, as evaluated here."""
    if now is None or not now.complete or not links.is_sample(session.data):
        return ""
    shares = {
        tag: float(now.right[[one == tag for one in now.tags or ()]].mean()) for tag in _EXTREMES
    }
    by_tag = ", ".join(f"{tag} {text.percent(share, 0)}%" for tag, share in shares.items())
    said = f"Sentences made hard on purpose: {by_tag}."
    if session.model is None:
        said += f" Unpruned, the model has {text.percent(SAMPLE_ON_SST2)}% on SST-2 validation."
    return f'<p class="aside">{escape(said)}</p>'


def _headline(session: Session, start: Evaluation | None, now: Evaluation | None) -> dict[str, str]:
    """The accuracy, or the task's headline, now and at the start, and its change."""
    from bhpvas.evaluation.comparison import change_text

    title = models.task_of(session).headline.title
    if now is None:
        stopped = measuring.evaluating(session, session.now).key in session.cancelled
        return {title: "not measured" if stopped else "being measured"}
    found = {title: _with_interval(now)}
    if session.now != session.start and start is not None:
        found["At start"] = _with_interval(start)
        found["Change"] = change_text(start, now)
    return found | {"Measured on": text.plural(now.n, "sentence")}


def _with_interval(evaluation: Evaluation) -> str:
    return evaluation.headline_text().removeprefix(f"{evaluation.task.headline.title} ")


def _rows(rows: dict[str, str]) -> str:
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
        for name, how in (("Undo", "undone"), ("Redo", "redone")):
            st.button(
                name,
                on_click=_move,
                args=(how,),
                disabled=not getattr(scheme, f"can_{name.lower()}"),
                icon=f":material/{name.lower()}:",
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
    sessions.change(Session.opening, file.scheme)
