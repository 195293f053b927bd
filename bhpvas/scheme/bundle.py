"""Scheme file with its weights: JSON where that says all, else a zip of it and what it refers to.

The zip holds ``scheme.json`` and, for each recovery, its weights as ``<hash>.safetensors``, as they
stand beside a scheme file in a folder. Nothing else may be in it, and nothing in it is a path, so
opening one can neither write elsewhere nor fill the memory.
"""

from __future__ import annotations

import io
import re
import reprlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bhpvas.errors import ModelError, SchemeError
from bhpvas.model.weights import Weights, load_weights, weights_file
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage.files import not_written

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier

#: Bytes that a file may hold once it is unpacked, unless the caller allows another size.
MOST_BYTES = 512 * 2**20
_SCHEME = "scheme.json"
_WEIGHTS = re.compile(r"([0-9a-f]{16})\.safetensors")
_MAGIC = b"PK\x03\x04"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The flag of an entry with a password.
_LOCKED = 0x1
# The same bytes for the same scheme: a zip has no time before this one.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class SchemeFile:
    """A scheme and the content of every weights file that it refers to, by hash."""

    scheme: Scheme
    weights: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name for the file, with the ending of its kind."""
        plain = re.sub(r"[^\w.-]+", "-", self.scheme.name).strip(".-") or "scheme"
        return f"{plain}.{'zip' if weights_of(self.scheme) else 'json'}"

    def to_bytes(self) -> bytes:
        """The content of the file.

        Raises :class:`SchemeError` where weights are missing.
        """
        text = self.scheme.to_json().encode("utf-8")
        wanted = weights_of(self.scheme)
        if not wanted:
            return text
        _refuse_missing(wanted - self.weights.keys(), f"Scheme {self.scheme.name!r}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            entries = {f"{one}.safetensors": self.weights[one] for one in sorted(wanted)}
            for name, content in ({_SCHEME: text} | entries).items():
                archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
        return packed.getvalue()

    def checked(self, classifier: Classifier, source: str = "The file") -> tuple[Weights, ...]:
        """The weights, if they hold what their names say, and they and the scheme fit the model.

        Raises :class:`SchemeError` or :class:`ModelError` otherwise.
        """
        self.scheme.matches(classifier)
        found = []
        with tempfile.TemporaryDirectory(prefix="bhpvas-") as folder:
            for name, content in self.weights.items():
                path = weights_file(folder, name)
                try:
                    path.write_bytes(content)
                    found.append(load_weights(path))
                except OSError as error:
                    raise SchemeError(not_written(f"{source}'s weights", folder, error)) from None
                except ModelError:
                    raise SchemeError(
                        f"{source} holds weights {name} that are damaged or were changed: save the "
                        "scheme again."
                    ) from None
                finally:
                    path.unlink(missing_ok=True)
                classifier.with_weights(found[-1])
        return tuple(found)


def read_weights(scheme: Scheme, folder: str | Path) -> dict[str, bytes]:
    """The content of every weights file that a scheme refers to, from the folder beside it.

    Raises :class:`SchemeError` where one is missing.
    """
    try:
        return {one: weights_file(folder, one).read_bytes() for one in weights_of(scheme)}
    except OSError as error:
        raise SchemeError(
            f"The weights {Path(error.filename).name} of scheme {scheme.name!r} are not there any "
            "more: recover again, or delete the steps that made them."
        ) from None


def weights_of(scheme: Scheme) -> frozenset[str]:
    """The hashes of all weights that the steps of a scheme refer to."""
    return frozenset(step.weights for step in scheme.steps if step.weights)


def read_scheme_file(
    content: bytes, source: str = "The file", *, most_bytes: int = MOST_BYTES
) -> SchemeFile:
    """The scheme, with its weights, in the content of a file of either kind.

    Raises :class:`SchemeError`, whose one sentence begins with ``source``, for anything else: a
    damaged file, one that holds more than ``most_bytes``, or a scheme whose weights are not all in
    it.
    """
    if not content.startswith(_MAGIC):
        scheme = Scheme.from_json(content, source)
        _refuse_missing(weights_of(scheme), source)
        return SchemeFile(scheme)
    entries = _unpacked(content, source, most_bytes)
    if _SCHEME not in entries:
        raise SchemeError(f"{source} is a zip without {_SCHEME}: choose one saved here.")
    scheme = Scheme.from_json(entries[_SCHEME], source)
    wanted = weights_of(scheme)
    _refuse_missing(wanted - entries.keys(), source)
    return SchemeFile(scheme, {one: entries[one] for one in sorted(wanted)})


def _unpacked(content: bytes, source: str, most_bytes: int) -> dict[str, bytes]:
    """The entries of a zip by what they are: ``scheme.json``, or the hash of weights."""
    with _damage_named(source):
        archive = zipfile.ZipFile(io.BytesIO(content))
        infos = archive.infolist()
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        match = _WEIGHTS.fullmatch(info.filename)
        kind = match[1] if match else info.filename
        packed_here = info.compress_type in _PACKED and not info.flag_bits & _LOCKED
        if (match is None and kind != _SCHEME) or kind in entries or not packed_here:
            raise SchemeError(
                f"{source} holds {reprlib.repr(info.filename)}, which no saved scheme does in this "
                "way: choose a file that was saved here."
            )
        entries[kind] = info
    size = sum(info.file_size for info in infos)
    if size > most_bytes:
        raise SchemeError(
            f"{source} unpacks to {size / 2**20:,.0f} MB, and at most {most_bytes / 2**20:,.0f} MB "
            "are opened: delete steps that you do not need and save again."
        )
    with _damage_named(source):
        return {kind: _read(archive, info) for kind, info in entries.items()}


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """An entry, unpacked no further than the size that it declares."""
    with archive.open(info) as file:
        content = file.read(info.file_size)
    if len(content) != info.file_size:
        raise EOFError(info.filename)
    return content


@contextmanager
def _damage_named(source: str) -> Iterator[None]:
    """Say in a sentence what :mod:`zipfile` says of bytes that are no zip; only it works inside."""
    try:
        yield
    except (
        zipfile.BadZipFile,  # most damage, wrong check sums included
        zlib.error,
        EOFError,
        NotImplementedError,  # a version or a flag that it does not know
        struct.error,
        ValueError,  # places before the file's beginning, names that are no text
    ) as error:
        raise SchemeError(
            f"{source} is a damaged zip: save the scheme again, or choose another file."
        ) from error


def _refuse_missing(missing: frozenset[str] | set[str], source: str) -> None:
    if missing:
        raise SchemeError(
            f"{source} refers to weights that are not in it ({', '.join(sorted(missing))}): save "
            "the scheme from the app, which packs them into one zip, and open that."
        )
