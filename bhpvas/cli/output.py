"""Output of the commands: the answer as text or JSON, head maps as grids, a progress bar."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.cli.processes import is_first
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    import numpy as np

    from bhpvas.evaluation.data_record import DataRecord
    from bhpvas.evaluation.learnt_from import LearntFrom
    from bhpvas.heads import HeadMask
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.weights import Weights
    from bhpvas.scheme.scheme import Scheme

# What the line begins with that says what was read.
_READ = {"read": "read", "read_calibration": "calibration"}


class Bar:
    """A progress bar on stderr while it is a terminal; it is the callback itself."""

    def __init__(self, what: str) -> None:
        from tqdm import tqdm

        hidden = not (sys.stderr.isatty() and is_first())
        self._bar = tqdm(desc=what, file=sys.stderr, disable=hidden, leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def say(self, line: str) -> None:
        """Print a line on stderr, above the bar where there is one."""
        self._bar.write(line, file=sys.stderr)


def answer(
    as_json: bool, document: dict[str, Any], lines: Iterable[str], **read: DataRecord
) -> None:
    """Print what a command found: its JSON document, or the lines for people.

    Both end with what was ``read``, by key: ``read_calibration`` of the sentences that a command
    learns from where it measures on others, which are ``read``.
    """
    if not is_first():
        return
    if as_json:
        said = document | {key: one.record() for key, one in read.items()}
        print(json.dumps(said, allow_nan=False))
        return
    notes = dict.fromkeys(note for one in read.values() for note in one.notes)
    print(
        *lines,
        *(f"{_READ[key]:12}{one.line()}" for key, one in read.items()),
        *(f"{'note':12}{note}" for note in notes),
        sep="\n",
    )


def check_out(what: str, path: str) -> None:
    """Refuse a file that could not be written, before the long work."""
    write(what, path, None)


def write(what: str, path: str | Path, content: bytes | None) -> None:
    """Write a file whole or not at all, in the first process; without content, try whether."""
    from bhpvas.storage.files import check_writable, not_written, write_beside

    if not is_first():
        return
    try:
        if content is None:
            check_writable(path)
        else:
            write_beside(path, content)
    except OSError as error:
        raise BhpvasError(not_written(what, path, error)) from None


def write_scheme(
    start: Scheme, folder: Path, made: Scheme, weights: Weights | None, out: str
) -> Path | None:
    """Write the scheme that was ``made`` from ``start``, whose weights lie in a folder.

    New ``weights`` and those of the start are written beside the file ``out`` or, if it is a zip,
    into it. Returns where the new ones are.
    """
    from bhpvas.scheme.bundle import SchemeFile, read_weights

    path = Path(out)
    if path.suffix.lower() != ".zip":
        start.copy_weights(folder, path.parent)
        written = None if weights is None else weights.save(path.parent)
        made.save(path)
        return written
    with tempfile.TemporaryDirectory(prefix="bhpvas-") as beside:
        start.copy_weights(folder, beside)
        if weights is not None:
            weights.save(beside)
        content = SchemeFile(made, read_weights(made, beside)).to_bytes()
    write("The scheme", path, content)
    return None if weights is None else path


def learnt_lines(counted: LearntFrom, figure: str = "") -> list[str]:
    """How many of the sentences behind a figure were learnt from, and what to know of it."""
    warnings = [f"{'warning':12}{warning}" for warning in counted.warnings(figure)]
    return [f"{'learnt from':12}{counted.share}", *warnings]


def model_record(classifier: Classifier) -> dict[str, str | None]:
    return {
        "id": classifier.source,
        "revision": classifier.revision,
        "fingerprint": classifier.fingerprint,
    }


def removed_heads(mask: HeadMask) -> list[str]:
    return [str(head) for head in sorted(mask.removed)]


def numbers(values: np.ndarray) -> list[Any]:
    """Nested lists fit for JSON: a number that is not there becomes null."""
    return [
        numbers(row) if getattr(row, "ndim", 0) else (None if math.isnan(row) else float(row))
        for row in values
    ]


def grid(values: np.ndarray, form: str = ".4f", undefined: np.ndarray | None = None) -> str:
    """A head map as text, layers upward from 0: × where a head is removed, else ``undefined``."""

    def said(layer: int, head: int, value: float) -> str:
        if not math.isnan(value):
            said = format(value, form)
            return said if float(said) else said.lstrip("+-")
        return "undef" if undefined is not None and undefined[layer, head] else "×"

    rows = [
        f"L{layer:<3}"
        + " ".join(f"{said(layer, head, value):>8}" for head, value in enumerate(row))
        for layer, row in reversed(list(enumerate(values)))
    ]
    heads = "    " + " ".join(f"{f'H{head}':>8}" for head in range(values.shape[1]))
    return "\n".join([*rows, heads])
