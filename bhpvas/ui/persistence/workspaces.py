"""Workspaces: work on disk, kept as it changes, so that no closed lid and no crash takes it away.

A folder holds one JSON file for each piece of work, and beside them what several may share, each
file named by its content and never changed: sentences (``<hash>.data.gz``) and the weights that
recoveries made (``<hash>.safetensors``). Every file is there whole or not at all. The number of
works and the bytes of everything are bounded: the oldest leave first.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import secrets
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.provenance import Provenance
from bhpvas.errors import WorkspaceError
from bhpvas.storage.eviction import evict_files, remove_older
from bhpvas.storage.files import files_of, write_beside

FORMAT = {"name": "bhpvas-workspace", "version": 1}
#: How many pieces of work are kept, and how many bytes they take with all that belongs to them.
MOST_WORKS, MOST_BYTES = 40, 4 * 2**30
#: How many damaged files are kept aside.
MOST_DAMAGED = 10
#: Seconds for which a file that no work refers to stays: its work may be about to be written.
UNUSED = 3600.0
_ID = re.compile(r"[0-9a-f]{12}")
# Two sessions of one server that change the same work do so one after the other.
_writing = threading.Lock()


class WorkChanged(Exception):
    """The work on disk is not the one that was read: somebody else changed it since."""


@dataclass(frozen=True)
class KeptWork:
    """A piece of work as it lies on disk: ``content`` is JSON, ``stamp`` names this state of it.

    ``saved`` is when it was written, in seconds since 1970.
    """

    id: str
    content: dict[str, Any]
    stamp: str
    saved: float


def new_id() -> str:
    """A name for a new piece of work."""
    return secrets.token_hex(6)


@dataclass(frozen=True)
class Workspaces:
    """The works in a folder.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     works, mine = Workspaces(Path(folder)), new_id()
    ...     stamp = works.write(mine, {"heads": 3}, after=None)
    ...     works.read(mine).content
    {'heads': 3}
    """

    folder: Path

    def write(self, work_id: str, content: dict[str, Any], *, after: str | None) -> str:
        """Keep the work's content in place of the state stamped ``after``; returns the new stamp.

        Raises :class:`WorkChanged` where another state with other content lies there, and
        :class:`WorkspaceError` where nothing can be written.
        """
        saved = datetime.now(UTC).isoformat()
        document = {"format": FORMAT, "saved": saved, "work": content}
        stamp = _stamp(document)
        path = self._path(work_id)
        with _writing:
            there = self._there(path)
            if there is not None and there.stamp != after and there.content != content:
                raise WorkChanged
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                text = json.dumps(document | {"stamp": stamp}, allow_nan=False)
                write_beside(path, text.encode())
            except OSError as error:
                raise _unwritable(self.folder, error) from None
        return stamp

    def read(self, work_id: str) -> KeptWork:
        """A piece of work.

        Raises :class:`WorkspaceError` where there is none of that name, and where it is damaged;
        then its file is set aside.
        """
        if not _ID.fullmatch(work_id):
            raise WorkspaceError(f"{work_id[:40]!r} names no work: this is a fresh start.")
        path = self._path(work_id)
        try:
            return _parsed(work_id, path.read_bytes())
        except OSError as error:
            raise WorkspaceError(
                f"The work {work_id} is not on this computer any more "
                f"({error.strerror or 'no such file'}): this is a fresh start."
            ) from None
        except ValueError:
            aside = path.with_suffix(".damaged")
            with suppress(OSError):  # in a folder that is only read it stays where it is
                path.replace(aside)
            raise WorkspaceError(
                f"The work {work_id} is damaged or of another version of bhpvas, so it cannot be "
                f"opened: its file is kept as {aside if aside.exists() else path}, and this is a "
                "fresh start."
            ) from None

    def latest(self, most: int) -> list[KeptWork]:
        """The works that were written last, the newest first; damaged ones are left out."""
        found = (self._there(path) for path in self._newest("*.json"))
        return [work for _, work in zip(range(most), filter(None, found), strict=False)]

    def keep_data(self, data: Splits) -> str:
        """Keep sentences; returns the hash that names their file.

        Raises :class:`WorkspaceError` where nothing can be written.
        """
        document = {"made": data.made} | {
            part: _plain(getattr(data, part)) for part in ("calibration", "evaluation")
        }
        content = json.dumps(document).encode()
        name = hashlib.sha256(content).hexdigest()[:16]
        path = self.folder / f"{name}.data.gz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_beside(path, gzip.compress(content, compresslevel=1, mtime=0))
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        return name

    def read_data(self, name: str) -> Splits:
        """Sentences by the hash that names them.

        Raises :class:`WorkspaceError` where they are missing or damaged.
        """
        try:
            content = gzip.decompress((self.folder / f"{name}.data.gz").read_bytes())
            if hashlib.sha256(content).hexdigest()[:16] != name:
                raise ValueError(name)
        except (OSError, EOFError, ValueError, zlib.error):
            raise WorkspaceError(
                f"The sentences {name} of this work are missing or damaged: upload them again."
            ) from None
        document = json.loads(content)
        learn, measure = (_dataset(document[part]) for part in ("calibration", "evaluation"))
        return Splits(learn, measure, document["made"])

    def tidy(self) -> None:
        """Let the oldest works go where there are too many, and what no work refers to."""
        with _writing:
            evict_files(self.folder, "*.damaged", most_files=MOST_DAMAGED)
            evict_files(self.folder, "*.json", most_files=MOST_WORKS)
            remove_older(self.folder, "*.tmp", UNUSED)
            self._drop_unused()
            works = self._newest("*.json")
            while len(works) > 1 and self._taken() > MOST_BYTES:
                works.pop().unlink(missing_ok=True)
                self._drop_unused()

    def _drop_unused(self) -> None:
        """Let files go that no work refers to, unless they are so new that one may yet."""
        works = "".join(path.read_text("utf-8", "replace") for path in self._newest("*.json"))
        for ending in (".data.gz", ".safetensors"):
            for path in self._newest(f"*{ending}"):
                if _age(path) > UNUSED and path.name.removesuffix(ending) not in works:
                    path.unlink(missing_ok=True)

    def _taken(self) -> int:
        return sum(about.st_size for about in files_of(self.folder, "*.*").values())

    def _newest(self, pattern: str) -> list[Path]:
        """Files that are there, the one written last first."""
        found = files_of(self.folder, pattern)
        return sorted(found, key=lambda path: -found[path].st_mtime)

    def _path(self, work_id: str) -> Path:
        assert _ID.fullmatch(work_id), work_id
        return self.folder / f"{work_id}.json"

    def _there(self, path: Path) -> KeptWork | None:
        """The work in a file; None where the file is missing or damaged."""
        try:
            return _parsed(path.stem, path.read_bytes())
        except (OSError, ValueError):
            return None


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 of one that is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _stamp(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _parsed(work_id: str, text: bytes) -> KeptWork:
    """The work in the content of a file; ValueError where it is not what was once written."""
    try:
        document = json.loads(text)
        stamp = document.pop("stamp")
        if document["format"] != FORMAT or stamp != _stamp(document):
            raise ValueError(work_id)
        saved = datetime.fromisoformat(document["saved"]).timestamp()
        return KeptWork(work_id, document["work"], stamp, saved)
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise ValueError(work_id) from error


def _unwritable(folder: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"Your work cannot be kept in {folder} ({error.strerror}): save the scheme as a file "
        "before you leave."
    )


def _plain(data: Dataset) -> dict[str, Any]:
    values = {field.name: getattr(data, field.name) for field in fields(data)}
    return values | {
        "texts": list(data.texts),
        "pairs": None if data.pairs is None else list(data.pairs),
        "labels": data.labels.tolist(),
        "queries": None if data.queries is None else list(data.queries),
        "lines": None if data.lines is None else data.lines.tolist(),
        "groups": dict(data.groups),
        "provenance": asdict(data.provenance),
    }


def _dataset(values: dict[str, Any]) -> Dataset:
    def row(column: list[Any] | None) -> tuple[Any, ...] | None:
        return None if column is None else tuple(column)

    names = ("texts", "pairs", "label_names", "tags", "queries")
    columns = {name: row(values.get(name)) for name in names}
    groups = {name: tuple(column) for name, column in values["groups"].items()}
    how = values.get("provenance", {})  # older files have none
    provenance = Provenance(**how | {"notes": tuple(how.get("notes", ()))})
    # Numbers of labels, scores or sets: JSON keeps the three apart.
    labels = np.asarray(values["labels"])
    read = {"labels": labels, "groups": groups, "provenance": provenance}
    return Dataset(**values | columns | read)
