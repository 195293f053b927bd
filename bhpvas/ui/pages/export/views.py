"""The views of the Export page: which format, what it saves, how fast it is, and the files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from bhpvas import text
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.comparison import change_text
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.export import FORMATS, TOLERANCE, Exported, onnx_graph
from bhpvas.export.base import ExportError
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters, speed_bound
from bhpvas.model.latency import Latencies
from bhpvas.report import ReportSettings
from bhpvas.tasks.base import measured_text
from bhpvas.ui.jobs import learnt, measuring, models, tasks
from bhpvas.ui.pages.export import tasks as export_tasks
from bhpvas.ui.pages.export import texts
from bhpvas.ui.pages.export.tasks import ExportChoice
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import controls, help, tables
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.latency import latencies
from bhpvas.ui.widgets.learnt import warn, warn_briefly


def format_choice(session: Session) -> ExportChoice:
    """Which format, with what it is and where it loads."""
    titles = {name: one.title for name, one in FORMATS.items()}
    format = controls.choice("Format", titles, key="export-format", format_func=titles.get)
    st.caption(FORMATS[format].summary)
    int8 = format == onnx_graph.FORMAT.name and st.checkbox(
        "Add a graph in int8, about a quarter as large, with its own "
        f"{models.task_of(session).headline.title_in_text}",
        key="export-int8",
        persist_state="session",
    )
    return ExportChoice(format, int8)


def savings(session: Session, choice: ExportChoice, length: int) -> None:
    """The unpruned model beside the export: heads, neurons, size, arithmetic, headline."""
    help.heading(
        "What it saves and costs",
        "The unpruned model beside the files that you would get.",
        ("What it saves", texts.SAVINGS),
        key="savings",
    )
    geometry = models.classifier_named(session.model).geometry
    whole, lengths = session.start.mask, models.lengths(session)
    masks = whole, session.mask
    left = session.mask if choice.about.smaller else whole
    counted = parameters(geometry, whole), parameters(geometry, left)
    before, after = (flops_per_sentence(geometry, mask, lengths) for mask in (whole, left))
    try:
        weights = _counts("Weight file", export_tasks.sizes(session, choice), megabytes)
    except BhpvasError as error:  # those of the current step have left the folder
        st.info(text.verbatim(str(error)))
        weights = tables.row("Weight file", "not known", "")
    bound = speed_bound(geometry, left, [length])
    by_flops = f"by FLOPs, {text.plural(length, 'token')}"
    tables.reading_table(
        ["", "Unpruned", "Exported"],
        [
            tables.row("Heads", str(whole.kept_count), str(session.mask.kept_count)),
            tables.row("Neurons", *(f"{sum(neurons_kept(geometry, one)):,}" for one in masks)),
            _counts("Parameters", counted, text.big),
            weights,
            _counts("FLOPs a sentence", (before, after), text.big),
            _headline(session),
            tables.row("Speed", "1", (f"at most {bound:.2f}", by_flops)),
        ],
        height=330,
    )
    warn(learnt.counted(session))
    if not choice.about.smaller:
        st.caption("In this format what is removed is zeros, stored and computed like the rest.")


def _counts(name: str, counts: tuple[float, float], said: Callable[[float], str]) -> list[str]:
    before, after = counts
    return tables.row(name, said(before), (said(after), text.relative_change(before, after)))


def _headline(session: Session) -> list[str]:
    title = models.task_of(session).headline.title
    start = tasks.want(measuring.evaluating(session, session.start))
    now = tasks.want(measuring.evaluating(session, session.now))
    if start is None or now is None:
        return tables.row(title, "being measured", "")
    return tables.row(title, with_interval(start), (with_interval(now), change_text(start, now)))


def with_interval(evaluation: Evaluation) -> str:
    """A headline as it stands in a table."""
    return measured_text(evaluation.task.headline, evaluation.headline)


def megabytes(size: float) -> str:
    """A file size with three digits."""
    return f"{text.number(size / 1e6)} MB"


def latency(session: Session, choice: ExportChoice) -> int:
    """How long a batch takes before and after, measured on request; returns the chosen length."""
    help.heading(
        "How fast is it here?",
        "One pass with what is gone really removed, in turn with the unpruned model.",
        ("Measured latency", texts.LATENCY),
        key="speed",
    )
    possible = session.mask.changes
    known, length = latencies(session, [session.scheme.current], possible=possible)
    if not possible:
        st.caption("Nothing is removed yet, so there is nothing to gain.")
    elif known is not None:
        _times(known, session, choice)
    return length


def _times(known: Latencies, session: Session, choice: ExportChoice) -> None:
    name = str(session.scheme.current)
    geometry = models.classifier_named(session.model).geometry
    bound = speed_bound(geometry, session.mask, [known.length])
    tables.reading_table(
        ["", "Milliseconds a batch", "Times as fast"],
        [
            [*tables.row("Unpruned", text.median(*known.milliseconds("0"), 1)), "<td></td>"],
            tables.row(
                "Pruned",
                text.median(*known.milliseconds(name), 1),
                (text.median(*known.speed_up(name), 2), f"at most {bound:.2f} by FLOPs"),
            ),
        ],
        height=160,
    )
    said = (
        f"Medians of {text.plural(len(known.seconds), 'round')} with 95% intervals, in torch on "
        f"{known.device} with {text.plural(known.threads, 'thread')}."
    )
    if choice.about is onnx_graph.FORMAT:
        said += " ONNX Runtime has a speed of its own."
    elif not choice.about.smaller:
        said += " With zeros instead it stays as slow as the unpruned model."
    st.caption(said)


def files(session: Session, choice: ExportChoice) -> None:
    """Make the export on request, say what was found when it was read back, and hand it over."""
    help.heading(
        "The files",
        "Written, read back and compared with the model on screen before you get them.",
        ("Export", texts.EXPORT),
        key="files-made",
    )
    if choice.about is onnx_graph.FORMAT:
        try:
            onnx_graph.check_packages()
        except ExportError as error:
            st.info(text.verbatim(str(error)))
            return
    task = export_tasks.exporting(session, choice)
    found = tasks.want(task) if session.exporting == task.key else tasks.known(task)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="make"):
        st.button(
            "Make the files",
            key="export",
            type="secondary" if found else "primary",
            on_click=sessions.change,
            args=(Session.asking, "exporting", task.key),
            disabled=not _ready(session) or found is not None or session.exporting == task.key,
        )
        if found is not None:
            download(
                "Download as zip",
                partial(export_tasks.content, session, choice),
                f"{export_tasks.name(session)}.zip",
                mime="application/zip",
                type="primary",
                icon=":material/download:",
                key="export-zip",
            )
    if found is not None:
        _made(found, session)


def _ready(session: Session) -> bool:
    """Whether what the files and the report say of the scheme is measured; it is in their names."""
    steps = (0, session.scheme.current)
    return all(measuring.is_measured(session, session.scheme.step(step)) for step in steps)


def _made(found: Exported, session: Session) -> None:
    st.markdown(
        f"**Read back and run on {text.plural(found.after.n, 'sentence')}:** no logit differs "
        f"from the masked model's by more than {text.number(found.difference, 1)} "
        f"({TOLERANCE:g} is allowed)."
    )
    answers = {"The files": found.after}
    if found.int8 is not None:
        answers["int8"] = found.int8
    left, right = st.columns(2, gap="large")
    with left:
        tables.reading_table(
            ["", found.before.task.headline.title, "Against the unpruned model"],
            [
                tables.row(name, with_interval(one), change_text(found.before, one))
                for name, one in answers.items()
            ],
            height=140,
        )
        warn_briefly(learnt.counted(session))
    with right:
        tables.reading_table(
            ["File", "Size"],
            [
                [tables.text(name, wrap=False), tables.text(_size(size), wrap=False)]
                for name, size in found.files.items()
            ],
            height=320,
        )


def _size(size: int) -> str:
    return megabytes(size) if size >= 1e5 else f"{text.number(size / 1e3)} kB"


def report(session: Session) -> None:
    """Make the report on request, and hand it over."""
    help.heading(
        "The report",
        "Everything about the current step in one page that opens anywhere, without a network.",
        ("Report", texts.REPORT),
        key="report",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="report-row"):
        random = st.number_input(
            "Random orders",
            0,
            200,
            20,
            key="report-random",
            width=140,
            persist_state="session",
            help="Curves that the scheme is set beside; most of the time goes there.",
        )
        ablation = st.checkbox(
            "Each head removed alone, too", key="report-ablation", persist_state="session"
        )
        asked = ReportSettings(random=int(random), ablation=ablation)
        task = export_tasks.reporting(session, asked)
        found = tasks.want(task) if session.reporting == task.key else tasks.known(task)
        st.button(
            "Make the report",
            key="report",
            type="secondary",
            on_click=sessions.change,
            args=(Session.asking, "reporting", task.key),
            disabled=not _ready(session) or found is not None or session.reporting == task.key,
        )
        if found is not None:
            download(
                "Download the report",
                partial(export_tasks.reported, session, asked),
                f"{export_tasks.name(session)}.html",
                mime="text/html",
                type="primary",
                icon=":material/download:",
                key="report-html",
            )
