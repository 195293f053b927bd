"""What the Export page computes: sizes of files, and the export itself, packed for download."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bhpvas.charts import words
from bhpvas.export import FORMATS, Exported, Format, export_model
from bhpvas.export.base import weight_bytes
from bhpvas.progress import Progress, silent
from bhpvas.ui import work
from bhpvas.ui.session import Session
from bhpvas.ui.work import Task

if TYPE_CHECKING:
    from bhpvas.ui.desk import Job

#: Packed exports that stay on disk for a second download.
MOST_PACKED = 4


@dataclass(frozen=True)
class Choice:
    """What a person asked for: a format, and whether with an int8 graph."""

    format: str
    int8: bool = False

    @property
    def about(self) -> Format:
        return FORMATS[self.format]


def sizes(session: Session, choice: Choice) -> tuple[int, int]:
    """Bytes of the weight file: as the model is now stored, and in the chosen format."""
    classifier = work.classifier_named(session.model)
    now = session.now

    def size_of(format: Format | None) -> int:
        if format is None:
            return weight_bytes(classifier.model)
        return format.weight_bytes(work.classifier_of(session, now), now.mask)

    def known(format: Format | None) -> int:
        key = ("weight bytes", format and format.name, *work.named(session, now))
        return work.desk().quick(key, lambda: size_of(format))

    return known(None), known(choice.about)


def exporting(session: Session, choice: Choice) -> Task:
    """The export of the current step, read back and packed into one file."""

    def do(job: Job) -> Exported:
        return pack(session, choice, job)

    return Task(
        key=_key(session, choice),
        saying=f"Writing {choice.about.title}, reading it back and running it on "
        f"{words.plural(len(session.data.evaluation), 'sentence')}",
        work=do,
        turn=0,
    )


def pack(session: Session, choice: Choice, progress: Progress = silent) -> Exported:
    """Export into a folder that does not outlive the packing; the file is :func:`packed`."""
    data, sample = session.data.evaluation, work.sample_data().evaluation
    with tempfile.TemporaryDirectory(prefix="bhpvas-export-") as made:
        found = export_model(
            work.classifier_named(session.model),
            session.scheme,
            Path(made) / name(session),
            choice.format,
            dataset=data,
            weights=work.weights_folder(),
            int8=choice.int8,
            data=None if data.name == sample.name else data.file,
            progress=progress,
        )
        beside = Path(made) / "packed.zip"
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for path in sorted(found.folder.rglob("*")):
                file.write(path, path.relative_to(made))
        shutil.move(beside, packed(session, choice))
    oldest = sorted(_folder().glob("*.zip"), key=lambda path: path.stat().st_mtime)
    for path in oldest[:-MOST_PACKED]:
        path.unlink(missing_ok=True)
    return found


def packed(session: Session, choice: Choice) -> Path:
    """Where the packed export of the current step lies, if it was made."""
    digest = hashlib.sha256(repr(_key(session, choice)).encode()).hexdigest()[:16]
    return _folder() / f"{digest}.zip"


def content(session: Session, choice: Choice) -> bytes:
    """The packed export; made once more where it had to leave for others."""
    path = packed(session, choice)
    if not path.exists():
        pack(session, choice)
    return path.read_bytes()


def name(session: Session) -> str:
    """What the folder in the packed file is called."""
    classifier = work.classifier_named(session.model)
    plain = "".join(
        letter if letter.isalnum() or letter in "-_." else "-"
        for letter in f"{classifier.name}-{session.scheme.name}"
    )
    return f"{plain}-{session.mask.kept_count}-heads"


def _key(session: Session, choice: Choice) -> Hashable:
    """What names an export: everything that its files and its card depend on."""
    scheme = hashlib.sha256(session.scheme.to_json().encode()).hexdigest()
    data = session.data.evaluation.fingerprint
    return ("export", choice, scheme, *work.named(session, session.now), data)


def _folder() -> Path:
    return Path(_packed().name)


@st.cache_resource(show_spinner=False)
def _packed() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bhpvas-exports-")
