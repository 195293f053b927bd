"""Model and data: a fresh session on them, and the dialog to choose others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import BhpvasError, DataError, ModelError
from bhpvas.interpret.parser import DEFAULT_PARSER, installed_parsers, pipeline_named
from bhpvas.model.families import FAMILIES
from bhpvas.scheme.scheme import Scheme
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import THRESHOLD, SeveralLabels
from bhpvas.text import listed
from bhpvas.ui.jobs import models
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session

# Of files that can be uploaded, those that people have most often first.
FILE_ENDINGS = "tsv csv txt tab jsonl ndjson json parquet arrow feather gz zip".split()
_FIRST_ROW = {"Find out": None, "Names the columns": True, "Is data (no header)": False}
_UTF = "UTF-8, or as the file says"
# What the numbers of labels count from.
_STARTS = {"Find out": None, "0": 0, "1": 1, "-1": -1}
_SAMPLE_MODEL = "6 layers × 12 heads, fine-tuned for sentiment"
_ENGLISH = f"{DEFAULT_PARSER}, of English text alone"
_SAMPLE, _UPLOAD, _HUB = "Sample", "Upload", "Hub id"
#: Reads data for a model's task.
Read = Callable[[Task], Splits]


def fresh_session(model: str | None, data: Splits, threshold: float | None = None) -> Session:
    """A fresh session; raises :class:`BhpvasError` where the labels do not fit the model, where it
    has no use for the ``threshold``, and where the server does not allow so much.
    """
    allowed = limits.current()
    allowed.check_model(model)
    allowed.check_sentences(data)
    allowed.check_text(data)
    classifier = models.with_threshold(models.classifier_named(model), threshold)
    parts = [part.for_task(classifier.task) for part in (data.calibration, data.evaluation)]
    data = replace(data, calibration=parts[0], evaluation=parts[1])
    if allowed.tokens is not None:
        tokens = sum(models.tokens(model, part) for part in parts)
        allowed.check_tokens(data.evaluation.name, tokens)
    scheme = Scheme.of(classifier, data=_about(data))
    return Session(model=model, data=data, scheme=scheme, threshold=threshold)


def _about(data: Splits) -> dict[str, object]:
    return {"name": data.evaluation.name, "fingerprint": data.evaluation.fingerprint}


def short_name(data: Splits) -> str:
    return data.evaluation.name.split(" · ")[0]


@st.dialog(
    "Model and data",
    width="medium",
    on_dismiss=partial(sessions.change, Session.asking_dialog, False),
)
def choose_model_and_data() -> None:
    """Choose both; nothing changes unless both load and fit each other."""
    session = sessions.current()
    if said := limits.current().sentence():
        st.caption(said)
    st.markdown("**Model**")
    model = _model_choice(session)
    threshold = None if model is None else _threshold_choice(session)
    st.markdown("**Data**")
    read = _data_choice(session)
    parser = _parser_choice(session)
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
                opened = _reopened(session, model, read, parser, threshold)
        except BhpvasError as error:
            st.error(text.verbatim(str(error)))
            return
        sessions.put(opened)
        st.rerun()


def _reopened(
    session: Session,
    model: str | None,
    read: Read,
    parser: str | None = None,
    threshold: float | None = None,
) -> Session:
    """The session on another model, other data, by another parser or with another threshold; the
    scheme stays where the model does.
    """
    if model == "":
        raise ModelError("No model is named: type a hub id such as owner/model, or a folder.")
    if parser is not None:
        pipeline_named(parser)  # raises where it cannot parse
    limits.current().check_model(model)
    task = models.with_threshold(models.classifier_named(model), threshold).task
    data = read(task)
    if data is session.data:
        _check_labels(data.evaluation, task)
    try:
        fresh = replace(fresh_session(model, data, threshold), parser=parser)
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


def _check_labels(data: Dataset, task: Task) -> None:
    """Refuse sentences whose labels became those of a task that another model does not have."""
    if data.labels.dtype == np.int64:
        return
    mine = Score if data.labels.dtype == np.float64 else SeveralLabels
    if not isinstance(task, mine):
        raise DataError(
            f"The labels of these sentences were read for a model that gives {mine.title}, and "
            f"this one gives {task.title}: choose them anew, by Upload or Hub id."
        )
    if mine is SeveralLabels and data.label_names != task.label_names:
        raise DataError(
            f"The labels of these sentences are {listed(data.label_names)}, and this model has "
            f"{listed(task.label_names)}: choose them anew, by Upload or Hub id."
        )


def _threshold_choice(session: Session) -> float | None:
    """The probability from which a model of several labels answers one; None = as usual."""
    key = "threshold-of-labels"
    st.session_state.setdefault(key, session.threshold)  # as its value it could not be emptied
    return st.number_input(
        "Threshold, of a model that answers several labels at once",
        min_value=0.0,
        max_value=1.0,
        value=None,
        step=0.05,
        format="%.4g",
        placeholder=f"{THRESHOLD}",
        key=key,
        help="A label is answered from this probability on. Leave it empty for other models.",
    )


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


def _data_choice(session: Session) -> Read | None:
    """What reads the chosen data for the model's task, called once the person says so; None as long
    as a file is to be uploaded.
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
        return lambda task: models.sample_data()
    if kind == _HUB and offered is not None:
        chosen = st.selectbox("Data set of the hub", offered, key="data-offered")
        return lambda task: _from_hub(chosen, {"task": task})
    if kind == _HUB:
        typed = st.text_input(
            "Hub id of a labelled data set",
            placeholder="owner/name, name:config or name@revision",
            key="data-id",
        )
        columns = _column_choice(hub=True)
        return lambda task: _from_hub(typed.strip(), {**columns, "task": task})
    if kind == _UPLOAD:
        upload = st.file_uploader(
            "Labelled sentences: a text and a label column, one row a sentence",
            type=FILE_ENDINGS,
            key="data-file",
            max_upload_size=limits.current().megabytes,
        )
        columns = _column_choice()
        if upload is None:
            return None
        return lambda task: _from_upload(upload, {**columns, "task": task})
    data = session.data
    st.caption(
        f"{text.verbatim(short_name(data))}: {text.plural(len(data.calibration), 'sentence')} to "
        f"score heads on, {len(data.evaluation):,} to measure on ({text.verbatim(data.made)})."
    )
    return lambda task: session.data


def _parser_choice(session: Session) -> str | None:
    """The spaCy pipeline that parses the sentences; None is the English one, for English alone."""
    offered = [_ENGLISH, *installed_parsers()]
    hosted = limits.current().hosted
    if session.parser is not None and session.parser not in offered:
        offered.append(session.parser)
    chosen = st.selectbox(
        "Parser of dependencies",
        offered,
        index=offered.index(session.parser or _ENGLISH),
        key="parser",
        accept_new_options=not hosted,
        help="A spaCy pipeline: its relations are those of Roles, and the arcs of Sentence. "
        + ("" if hosted else "Any that is installed, by its name, or a folder of one. ")
        + "Named, it parses text of whatever language; else text that is plainly not English has "
        "no relations.",
    )
    # What a browser sends is not kept to what it was offered.
    if chosen in (_ENGLISH, None) or (hosted and chosen not in offered):
        return None
    return chosen.strip()


def _column_choice(*, hub: bool = False) -> dict[str, Any]:
    """How to read what does not show; of the hub, a data set has parts and types of its own."""
    labels = {"text": "Text", "pair": "Second text", "label": "Label"}
    labels |= {} if hub else {"split": "Split"}
    labels |= {"query": "Query"}
    said = {
        "label": "Of a model that gives a score, a column of numbers. Of one that answers several "
        "labels, a column that holds them all, or, by commas, one of 0 and 1 for each.",
        "query": "What a pair is an answer to, of a model that ranks: without one the first text, "
        "where pairs share it.",
    }
    files = "" if hub else ", header and encoding"
    with st.expander(f"Column names, labels{files}, where they are not found by themselves"):
        chosen: dict[str, Any] = {
            role: st.text_input(label, key=f"column-{role}", help=said.get(role)).strip() or None
            for role, label in labels.items()
        }
        if st.checkbox("One text a row, no pairs", key="no-pair"):
            chosen["pair"] = ""
        if not hub and st.checkbox("The whole file as one, without a split", key="no-split"):
            chosen["split"] = ""
        starts = st.selectbox("Labels are numbers from", [*_STARTS], key="labels-from")
        skip = st.checkbox(
            "Leave out rows without a label (empty, NA, NaN, null, -1 or a dash)", key="skip"
        )
        chosen |= {"labels_from": _STARTS[starts], "skip_unlabelled": skip}
        return chosen if hub else chosen | _file_choice()


def _file_choice() -> dict[str, Any]:
    from bhpvas.data.files.file import ENCODINGS

    first_row = st.selectbox(
        "First row",
        [*_FIRST_ROW],
        key="first-row",
        help="Of delimited text. Without a header, columns are named by number: 1, 2, …",
    )
    encoding = st.selectbox("Encoding", [_UTF, *ENCODINGS], key="encoding")
    return {"header": _FIRST_ROW[first_row], "encoding": None if encoding == _UTF else encoding}


def _from_upload(upload: Any, columns: dict[str, Any]) -> Splits:
    from bhpvas.data.reading import read_splits

    allowed = limits.current()
    allowed.check_upload(upload.name, upload.getbuffer().nbytes, allowed.megabytes)
    return read_splits(upload, name=upload.name, **columns)


def _from_hub(typed: str, columns: dict[str, Any]) -> Splits:
    """Read a hub id; a path of the server is none, since whoever has the link could read it."""
    from bhpvas.data.files.formats import is_table_name
    from bhpvas.data.hub import HubId
    from bhpvas.data.reading import read_splits

    limits.current().check_data_set(typed)
    if is_table_name(typed) or Path(typed).exists():
        raise DataError(f"{typed!r} names a file: choose Upload to use it.")
    return read_splits(str(HubId.parse(typed)), **columns)
