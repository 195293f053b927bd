"""Export: a pruned model as files that work without bhpvas, read back before they are given.

One module holds one format, one registry names them. It imports storage, data, model, scheme,
evaluation and the files at the root.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.comparison import accuracy_change_interval, flips
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.export import dense, onnx_graph, sliced
from bhpvas.export.base import ExportError, Format, Forward, in_float32, logits_of
from bhpvas.export.card import model_card
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, parameters, speed_bound
from bhpvas.model.engine import predict
from bhpvas.progress import Progress, part, silent
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage.files import not_written, refused

__all__ = [
    "FORMATS",
    "TOLERANCE",
    "ExportError",
    "Exported",
    "Format",
    "check_folder",
    "export_model",
    "format_named",
]

#: Every format by its name.
FORMATS: dict[str, Format] = {
    one.name: one for one in (sliced.FORMAT, onnx_graph.FORMAT, dense.FORMAT)
}
#: How far a logit of the files may differ from the masked model's, both in float32.
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Exported:
    """An export that was read back: what it holds and what it answers.

    ``before`` is the unpruned model, ``after`` what the files answer, ``int8`` the same of the
    quantised graph where there is one. ``difference`` is the largest one between a logit of the
    files and of the masked model. ``files`` are their bytes by name. ``speed_bound`` is what the
    arithmetic allows at the data's lengths.

    >>> from tempfile import TemporaryDirectory
    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(4))
    >>> scheme = bhpvas.Scheme.of(classifier).removing(bhpvas.parse_heads("L0H3,L5H11"))
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/dense"
    ...     found = bhpvas.export_model(classifier, scheme, path, "dense", dataset=data)
    >>> found.after.accuracy == found.before.accuracy, found.difference < 1e-4
    (True, True)
    >>> found.parameters == found.parameters_before  # a dense export is no smaller
    True
    """

    format: Format
    folder: Path
    mask: HeadMask
    files: dict[str, int]
    before: Evaluation
    after: Evaluation
    int8: Evaluation | None
    difference: float
    parameters_before: int
    parameters: int
    flops_before: float
    flops_per_sentence: float
    speed_bound: float

    @property
    def weight_files(self) -> dict[str, int]:
        """Bytes of the files that hold the model itself, by name."""
        return {
            name: size
            for name, size in self.files.items()
            if name.endswith((".safetensors", ".onnx")) and "/" not in name
        }

    def record(self) -> dict[str, Any]:
        """The export ready for JSON."""
        return {
            "format": self.format.name,
            "folder": str(self.folder),
            "files": self.files,
            "bytes": sum(self.files.values()),
            "removed_heads": [str(head) for head in sorted(self.mask.removed)],
            "difference": self.difference,
            "before": self.before.metrics(),
            "after": self.after.metrics(),
            "int8": None if self.int8 is None else self.int8.metrics(),
            "accuracy_change": accuracy_change_interval(self.before, self.after)._asdict(),
            "flipped": flips(self.before, self.after).tolist(),
            "parameters_before": self.parameters_before,
            "parameters": self.parameters,
            "flops_before": self.flops_before,
            "flops_per_sentence": self.flops_per_sentence,
            "speed_bound": self.speed_bound,
        }


def format_named(name: str) -> Format:
    """A format of the registry; raises :class:`ExportError` for another name."""
    if name not in FORMATS:
        raise ExportError(f"{name!r} is no format; choose from {', '.join(FORMATS)}.")
    return FORMATS[name]


def export_model(
    classifier: Classifier,
    scheme: Scheme,
    folder: str | Path,
    format: str = "transformers",
    *,
    dataset: Dataset,
    weights: str | Path = ".",
    int8: bool = False,
    data: str | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write the model at a scheme's current step into a new folder, and read it back.

    ``weights`` is the folder in which the scheme's recovered weights lie. ``dataset`` measures the
    model before and after, and its sentences are those on which the files must answer as the masked
    model does, to :data:`TOLERANCE`. ``int8`` adds a quantised graph to the format onnx; its
    difference is no error, and its accuracy is measured by itself. ``data`` is what the command
    line calls the dataset, for the model card (None: the sample sentences).

    The folder appears whole or not at all. Raises :class:`ExportError` where it exists already,
    cannot be written, a package is missing, or the files do not answer as they should, and
    what :meth:`Scheme.on` raises.

    >>> from tempfile import TemporaryDirectory
    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(4))
    >>> scheme = bhpvas.Scheme.of(classifier).removing(bhpvas.parse_heads("L0H3,L5H11"))
    >>> with TemporaryDirectory() as folder:
    ...     bhpvas.export_model(classifier, scheme, f"{folder}/smaller", dataset=data).parameters
    ...     bhpvas.load_classifier(f"{folder}/smaller").geometry.parameters
    22615490
    22615490
    """
    chosen, folder = format_named(format), Path(folder)
    if int8 and chosen is not onnx_graph.FORMAT:
        raise ExportError(
            f"int8 is for the format onnx, and not for {format}: choose --format onnx, or leave "
            "--int8 out."
        )
    if chosen is onnx_graph.FORMAT:
        onnx_graph.check_packages()
    check_folder(folder)
    mask = scheme.mask.without(classifier.geometry.pruned)
    changed = scheme.on(classifier, weights)
    with _beside(folder) as beside:
        found = _measured(classifier, changed, mask, chosen, beside, dataset, int8, progress)
        with _explained(folder):
            scheme_folder = beside / "scheme"
            scheme_folder.mkdir()
            scheme.copy_weights(weights, scheme_folder)
            scheme.save(scheme_folder / "scheme.json")
            card = model_card(found, classifier, scheme, dataset, data)
            (beside / "README.md").write_text(card, encoding="utf-8")
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Exported(**{**vars(found), "folder": folder, "files": files})


def check_folder(folder: str | Path) -> None:
    """Raise :class:`ExportError` where an export could not be written, before the long work."""
    folder = Path(folder)
    with _explained(folder):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise ExportError(f"{folder} exists already: name a folder that does not.")
        with tempfile.TemporaryFile(dir=folder.absolute().parent):
            pass


def _measured(
    classifier: Classifier,
    changed: Classifier,
    mask: HeadMask,
    chosen: Format,
    folder: Path,
    dataset: Dataset,
    int8: bool,
    progress: Progress,
) -> Exported:
    """Write the model's files and measure what they answer."""
    dataset = dataset.aligned(classifier.label_names)
    passes = 4 if int8 else 3
    before = evaluate(classifier, dataset, progress=part(progress, 0, passes))
    exact = in_float32(changed)
    encoded = exact.encode(dataset)
    expected = predict(exact, encoded, mask, progress=part(progress, 1, passes))

    def answers(forward: Forward, turn: int) -> Evaluation:
        logits = logits_of(forward, exact, encoded, part(progress, turn, passes))
        names = classifier.label_names
        return Evaluation(mask, dataset.name, logits, dataset.labels, names, dataset.tags)

    with _quiet(), _explained(folder):
        chosen.write(changed, mask, folder)
        after = answers(chosen.read(exact, folder), 2)
        difference = float(np.abs(after.logits - expected).max())
        if not difference <= TOLERANCE:
            raise ExportError(
                f"The exported files answer differently from the masked model (a logit by "
                f"{difference:.2g}, at most {TOLERANCE:g} is allowed), so nothing was written: "
                "please report this with the versions of torch and transformers."
            )
        quantised = None
        if int8:
            onnx_graph.quantise(folder)
            quantised = answers(onnx_graph.read_graph(exact, folder / onnx_graph.INT8), 3)
    geometry, whole = classifier.geometry, classifier.full_mask()
    left, lengths = mask if chosen.smaller else whole, encoded.lengths
    return Exported(
        format=chosen,
        folder=folder,
        mask=mask,
        files={path.name: path.stat().st_size for path in folder.iterdir()},
        before=before,
        after=after,
        int8=quantised,
        difference=difference,
        parameters_before=parameters(geometry, whole),
        parameters=parameters(geometry, left),
        flops_before=flops_per_sentence(geometry, whole, lengths),
        flops_per_sentence=flops_per_sentence(geometry, left, lengths),
        speed_bound=speed_bound(geometry, left, lengths),
    )


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its name in the end, or is gone."""
    beside = folder.absolute().parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with _explained(folder):
            beside.mkdir()
        yield beside
        with _explained(folder):
            if folder.is_dir():
                folder.rmdir()
            os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries that write wrap the system's errors in their own
        if (why := refused(error)) is None:
            raise
        raise ExportError(not_written("The export", folder.absolute().parent, why)) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and remarks of the libraries that write and read the files."""
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    before = logging.root.manager.disable
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
