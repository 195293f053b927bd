"""Tasks of the Export page: sizes of files, the export packed for download, the report."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from bhpvas import text
from bhpvas.export import FORMATS, Exported, Format, export_model
from bhpvas.export.base import weight_bytes
from bhpvas.progress import Progress, silent
from bhpvas.report import ReportSettings, make_report, save
from bhpvas.scheme.bundle import SchemeFile
from bhpvas.storage.eviction import evict_files
from bhpvas.ui.jobs import measuring, models, runner, tasks
from bhpvas.ui.jobs.runner import LONG_PATIENCE, Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.persistence import links
from bhpvas.ui.state.session import Session

#: Packed exports, and reports, that stay on disk for a second download.
MOST_PACKED = 4


@dataclass(frozen=True)
class ExportChoice:
    """What a person asked for: a format, and whether with an int8 graph."""

    format: str
    int8: bool = False

    @property
    def about(self) -> Format:
        return FORMATS[self.format]


def sizes(session: Session, choice: ExportChoice) -> tuple[int, int]:
    """Bytes of the weight file: as the model is now stored, and in the chosen format."""
    model, now = models.classifier_named(session.model).model, session.now

    def known(format: str | None, size: Callable[[], int]) -> int:
        return runner.shared().quick(("weight bytes", format, *models.named(session, now)), size)

    def in_format() -> int:
        return choice.about.weight_bytes(models.classifier_of(session, now), now.mask)

    return known(None, lambda: weight_bytes(model)), known(choice.format, in_format)


def exporting(session: Session, choice: ExportChoice) -> Task:
    """The export of the current step, read back and packed into one file."""
    return Task(
        key=_key(session, choice),
        description=f"Writing {choice.about.title}, reading it back and running it on "
        f"{text.plural(len(session.data.evaluation), 'sentence')}",
        work=lambda job: pack(session, choice, job),
        turn=0,
    )


def pack(session: Session, choice: ExportChoice, progress: Progress = silent) -> Exported:
    """Export into a folder that does not outlive the packing; the file is :func:`packed`."""
    data = session.data.evaluation
    with tempfile.TemporaryDirectory(prefix="bhpvas-export-") as made:
        found = export_model(
            models.classifier_of(session, session.start),
            session.scheme,
            Path(made) / name(session),
            choice.format,
            dataset=data,
            weights=models.weights_folder(),
            int8=choice.int8,
            data=None if links.is_sample(session.data) else data.file,
            progress=progress,
        )
        beside = Path(made) / "packed.zip"
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for path in sorted(found.folder.rglob("*")):
                file.write(path, path.relative_to(made))
        shutil.move(beside, packed(session, choice))
    evict_files(Path(_packed().name), "*.zip", most_files=MOST_PACKED)
    return found


def packed(session: Session, choice: ExportChoice) -> Path:
    """Where the packed export of the current step lies, if it was made."""
    return _place(_key(session, choice), ".zip")


def content(session: Session, choice: ExportChoice) -> bytes:
    """The packed export; made once more where it had to leave for others."""
    path = packed(session, choice)
    if not path.exists():
        pack(session, choice)
    return path.read_bytes()


def reporting(session: Session, asked: ReportSettings) -> Task:
    """The report on the current step, as a file; gives where it lies."""

    def do(job: Job) -> Path:
        job.patience = LONG_PATIENCE
        return report(session, asked, job)

    return Task(
        key=_report_key(session, asked),
        description=f"Measuring for the report: {text.plural(asked.random, 'random order')} "
        f"on {text.plural(len(session.data.evaluation), 'sentence')}",
        work=do,
        turn=6,
    )


def report(session: Session, asked: ReportSettings, progress: Progress = silent) -> Path:
    """Make the report; what pages have measured already is not measured again."""
    known = {
        step.id: tasks.known(measuring.evaluating(session, session.at(step.id)))
        for step in session.scheme.path()
    }
    made = make_report(
        models.classifier_of(session, session.start),
        session.scheme,
        calibration=session.data.calibration,
        evaluation=session.data.evaluation,
        weights=models.weights_folder(),
        asked=asked,
        command=_command(session, asked),
        known={step: found for step, found in known.items() if found is not None},
        store=schemes_tasks.store(session),
        progress=progress,
    )
    path = _place(_report_key(session, asked), ".html")
    save(made, path)
    evict_files(Path(_packed().name), "*.html", most_files=MOST_PACKED)
    return path


def reported(session: Session, asked: ReportSettings) -> bytes:
    """The report; made once more where it had to leave for others."""
    path = _place(_report_key(session, asked), ".html")
    return (path if path.exists() else report(session, asked)).read_bytes()


def _command(session: Session, asked: ReportSettings) -> str:
    """The command line that makes the same report, where the data are files of their own."""
    data, said = session.data, ["bhpvas", "report"]
    if session.model is not None:
        said += ["--model", session.model]
    if not links.is_sample(data):
        if data.evaluation.file == data.calibration.file:
            return ""
        said += ["--data", data.evaluation.file, "--calibration", data.calibration.file]
    said += ["--scheme", SchemeFile(session.scheme).name, "--random", str(asked.random)]
    said += ["--ablate"] * asked.ablation
    return shlex.join([*said, "--out", "report.html"])


def _report_key(session: Session, asked: ReportSettings) -> Hashable:
    """What names a report: everything that it says."""
    prints = session.data.calibration.identity, session.data.evaluation.identity
    return ("report", asked, _scheme(session), *models.named(session, session.now), *prints)


def name(session: Session) -> str:
    """What the folder in the packed file is called."""
    classifier = models.classifier_named(session.model)
    plain = "".join(
        letter if letter.isalnum() or letter in "-_." else "-"
        for letter in f"{classifier.name}-{session.scheme.name}"
    )
    mask = session.mask
    made = f"{plain}-{mask.kept_count}-heads"
    if mask.neurons is None:
        return made
    return f"{made}-{mask.layers * mask.neurons.width - len(mask.neurons)}-neurons"


def _key(session: Session, choice: ExportChoice) -> Hashable:
    """What names an export: everything that its files and its card depend on."""
    data = session.data.evaluation.identity
    return ("export", choice, _scheme(session), *models.named(session, session.now), data)


def _scheme(session: Session) -> str:
    return hashlib.sha256(session.scheme.to_json().encode()).hexdigest()


def _place(key: Hashable, ending: str) -> Path:
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    return Path(_packed().name) / f"{digest}{ending}"


@st.cache_resource(show_spinner=False)
def _packed() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bhpvas-exports-")
